"""Times and durations as a person says them, by this computer's clock and zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from Logger.times import local_time
from Logger.transfer.tracked import FileStage
from Logger.transfer.views import FileView, TransferView

NAMED_FILES = 3
"""Missing files that the last page names."""
_TIME = re.compile(r"([01]?\d|2[0-3])[:.]([0-5]\d)")


def moment(time: datetime) -> str:
    """Return a time in words: ``at 14:32 on Friday, 20 November``."""
    local = time.astimezone()
    return f"at {local:%H:%M} on {local:%A}, {local.day} {local:%B}"


def until(time: datetime) -> str:
    """Return a time of a booking: ``13:48``, or if it is on another day ``Friday, 13:48``."""
    local = time.astimezone()
    today = datetime.now().astimezone().date()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%A, %H:%M}"


def duration(span: timedelta) -> str:
    """Return a time span in words: ``2 h 15 min``."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def earlier_time(words: str, now: datetime) -> datetime | None:
    """Return the last moment before `now` at which a clock showed this time; None if it is not a time.

    Parameters
    ----------
    words
        ``14:30``, or ``14.30``.
    now
        The present, time zone aware.
    """
    match = _TIME.fullmatch(words)
    if match is None:
        return None
    time = now.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
    return time if time <= now else time - timedelta(days=1)


def file_state(file: FileView) -> str:
    """Return the state of a file in words: ``sending 42 %``."""
    if file.stage is FileStage.SENDING:
        return f"sending {file.percent} %"
    return _STATES[file.stage]


_STATES = {
    FileStage.WAITING: "waiting",
    FileStage.GROWING: "growing",
    FileStage.LOCKED: "locked",
    FileStage.CHECKING: "being checked",
    FileStage.VERIFIED: "sent, verified",
    FileStage.HELD: "held back",
    FileStage.FAILED: "failed",
    FileStage.GONE: "removed",
}


def next_try(file: FileView) -> str:
    """Return when a file is tried again: ``14:32:05``; empty if that is not planned."""
    return f"{local_time(file.next_try):%H:%M:%S}" if file.next_try else ""


def why(file: FileView) -> str:
    """Return why a file is not in the store, as a part of a sentence without its full stop."""
    return (file.reason or file_state(file)).rstrip(".")


def transfer_line(view: TransferView, earlier: int) -> str:
    """Return a session's files in a line: ``Files: 12 sent, 1 waiting``."""
    numbers = (
        (view.verified, "sent"), (view.waiting, "waiting"), (view.troubled, "delayed"), (view.held, "held back"),
        (view.gone, "removed"),
    )  # fmt: skip
    parts = [f"{number} {what}" for number, what in numbers if number]
    line = f"Files: {', '.join(parts) or 'none yet'}"
    return f"{line}; {earlier} of an earlier session" if earlier else line


def completion(view: TransferView) -> str:
    """Return how a transfer has ended, as in: Complete but 1: raw/a.dm4 (locked by another program)."""
    total = view.total - view.gone
    if view.problem and view.missing:
        return f"{view.problem.rstrip('.')}. {view.verified} of {total} files are stored."
    if not view.missing:
        files = {0: "There were no files.", 1: "Its file is stored."}.get(total, f"All {total} files are stored.")
        return f"Complete. {files}"
    return f"Complete but {view.missing}: {_named(view)}."


def waited_for(view: TransferView) -> str:
    """Return why a session that has ended waits for its files, as sentences; empty while they are being sent."""
    if not view.can_finish:
        return ""
    if view.obstacle:
        return view.obstacle
    files = "1 file" if view.missing == 1 else f"{view.missing} files"
    if any(file.stage is FileStage.FAILED and file.away for file in view.missing_files()):
        return f"The session waits for {files}: {_named(view)}."
    return f"The session waits for {files}, for ten minutes at most: {_named(view)}."


def _named(view: TransferView) -> str:
    """Return the first files that are missing, each with its reason."""
    named = [f"{file.name} ({why(file)})" for file in view.missing_files()[:NAMED_FILES]]
    more = view.missing - len(named)
    return f"{', '.join(named)}{f' and {more} more' if more else ''}"
