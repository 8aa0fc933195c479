"""Which session a file belongs to.

* At a session's first scan, what is unchanged since the last scan of this computer is from before. So is what is new
  or changed, but older than the START: by the newer one of the file's modification and creation, so that a file with a
  time of last year that was copied in during the session belongs to it.
* After its first scan, every new or changed file belongs to the session that runs.
* After the END, what the next scan finds still belongs; what appears later is held back.
* A file that was not sent completely when its session ended stays with that session when it changes.

All times are by this computer's clock. That of the instrument may be wrong: a time in the future is not one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Sequence

from Logger.transfer.pending import PendingTransfer
from Logger.transfer.scanning import is_below
from Logger.transfer.state import ScanRecord
from Logger.transfer.tracked import IDLE, FileStage, TrackedFile

TOLERANCE = 2_000_000
"""Microseconds: some file systems know the time of a file to two seconds."""
AT_ONCE = 30_000_000
"""Microseconds after an END in which a scan takes all that is new for its session, whatever times the files have."""
LATE = "it appeared after the end of the session"
CHANGED_LATE = "it was changed after the end of the session"
BOOKED_LATE = "it appeared after the booked end"


@dataclass(frozen=True)
class Finding:
    """A file that is new, or has changed."""

    folder: str
    path: str
    newest: int
    """When it was last changed or created, in microseconds since the epoch."""
    new: bool
    """Whether it was not there at the last scan."""


@dataclass(frozen=True)
class Belonging:
    """Where a file belongs."""

    session: str
    held: str = ""
    """Why it is held back; empty: it is sent."""


@dataclass(frozen=True)
class ScannedSession:
    """A session whose files are transferred, and what was scanned of it."""

    pending: PendingTransfer
    record: ScanRecord

    def first_scan_of(self, folder: str, path: str) -> bool:
        """Return whether no scan of this session has seen the place of a file yet."""
        if not self.record.looked:
            return True
        return any(folder == name and is_below(path, place) for name, place in self.record.unread)


def place_of(
    finding: Finding,
    sessions: Sequence[ScannedSession],
    known: Callable[[str], TrackedFile | None],
    now: int,
) -> Belonging | None:
    """Return where a file belongs; None: it is from before, or from between two sessions.

    Parameters
    ----------
    finding
        The file.
    sessions
        Those whose files are transferred, oldest first; the last one may be running.
    known
        Returns what a session knows of this file.
    now
        The present, in microseconds since the epoch.
    """
    ended = [session for session in sessions if session.pending.end is not None]
    running = next((session for session in reversed(sessions) if session.pending.end is None), None)
    for session in ended:
        file = known(session.pending.session)
        if file is not None and file.stage not in IDLE:
            return Belonging(session.pending.session)
    for session in ended:
        if not session.record.closed and _before_its_end(finding, session, running, now):
            return None if _from_before(finding, session, now) else Belonging(session.pending.session)
    if running is not None:
        return _in_running(finding, running, known(running.pending.session), now)
    return _after_the_end(finding, ended, known, now)


def _before_its_end(finding: Finding, session: ScannedSession, running: ScannedSession | None, now: int) -> bool:
    """Return whether a file was there when a session ended, at the first scan after that."""
    end = session.pending.end or 0
    if running is not None and finding.newest >= running.pending.start:
        return False
    return finding.newest <= end + TOLERANCE or now - end <= AT_ONCE or finding.newest > now + TOLERANCE


def _from_before(finding: Finding, session: ScannedSession, now: int) -> bool:
    """Return whether a file was there before a session began."""
    if not session.first_scan_of(finding.folder, finding.path):
        return False
    return finding.newest < session.pending.start - TOLERANCE and finding.newest <= now + TOLERANCE


def _in_running(finding: Finding, session: ScannedSession, file: TrackedFile | None, now: int) -> Belonging | None:
    identifier = session.pending.session
    if file is not None and not (file.stage is FileStage.GONE and finding.new):
        held = file.stage is FileStage.HELD
        return Belonging(identifier, file.reason if held else "")
    if _from_before(finding, session, now):
        return None
    late = session.pending.hold_from is not None and now > session.pending.hold_from and finding.new
    return Belonging(identifier, BOOKED_LATE if late else "")


def _after_the_end(
    finding: Finding, ended: Sequence[ScannedSession], known: Callable[[str], TrackedFile | None], now: int
) -> Belonging | None:
    for session in reversed(ended):
        file = known(session.pending.session)
        if file is not None:
            if file.released:
                return Belonging(session.pending.session)
            return Belonging(session.pending.session, file.reason if file.stage is FileStage.HELD else CHANGED_LATE)
    if not ended or _from_before(finding, ended[-1], now):
        return None
    return Belonging(ended[-1].pending.session, LATE)
