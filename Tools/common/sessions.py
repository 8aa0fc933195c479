"""Sessions on a screen and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from NexusCore.facility.record import Upload, UploadState
from NexusCore.facility.sessions import Session, State
from NexusCore.text import listed, shell_quote
from Tools.common.time_parser import local, rfc3339, span

SHORT_IDENTIFIER = 8
"""Least characters of an identifier in a narrow table; commands accept a beginning of it."""
NEXT = {
    "WAITING_FOR_END": "It is open. To end it: SessionTool end {identifier}",
    "TO_BE_BUILT": "The Builder builds its record in its next pass.",
    "BUILDING": "The Builder is building its record.",
    "BUILT": "Its record is built; the Uploader sends it to its destinations.",
    "COMPLETED": "Its record is at all destinations; nothing is left to do.",
    "NO_FILES_FOUND": "No files were found for its time. If they arrived late: SessionTool requeue {identifier}",
    "NO_CONSENT": "Its user did not consent to a record, so none is built.",
    "UNKNOWN": "Its state cannot be read, so all services skip it. To see why and correct it: Doctor --rows",
    "ERROR": "Its record could not be built. When the cause is fixed: SessionTool requeue {identifier}",
}
"""Next step, by state."""
ON_THEIR_WAY = (
    "It has ended, and its files are on their way (SessionTool transfer {identifier}). "
    "To have its record built without those that are missing: SessionTool close {identifier}"
)
"""The same for a session that waits for its files."""
NOT_YET_AT = "Its record is not at {places} yet; the Uploader sends it there, unless it was refused."
"""The same for a complete one whose record is to be sent again, or is at some of its destinations."""


def next_step(session: Session, uploads: Iterable[Upload] = ()) -> str:
    """Return the next step for a session, whose record has these uploads."""
    lacking = [upload.destination for upload in uploads if upload.state is not UploadState.DONE]
    if session.state is State.COMPLETED and lacking:
        return NOT_YET_AT.format(places=listed(lacking))
    text = ON_THEIR_WAY if session.awaits_files else NEXT[session.state]
    return text.format(identifier=shell_quote(session.identifier))


def rows(sessions: Sequence[Session], columns: int | None, *further: Mapping[int, str]) -> Iterator[tuple[str, ...]]:
    """Yield a table row for each session; shortened if the table would be wider than `columns`.

    Parameters
    ----------
    sessions, columns
        The sessions, and the width of the table; None for any.
    further
        Further columns, such as who ended them, each by the sessions' ids.
    """
    full = [
        (
            *(session.identifier, session.instrument, session.user, session.state),
            *(local(session.start_ts), _length(session)),
            *(column.get(session.id, "") for column in further),
        )
        for session in sessions
    ]
    if columns is None or sum(max(len(cell) + 2 for cell in cells) for cells in zip(*full, strict=True)) <= columns:
        yield from full
        return
    short = SHORT_IDENTIFIER
    while short < len(full[0][0]) and len({row[0][:short] for row in full}) < len(full):
        short += 1
    for identifier, instrument, user, state, start, *rest in full:
        yield identifier[:short], instrument, user, state, start.rpartition(":")[0], *rest


def _length(session: Session) -> str:
    return "open" if session.end_ts is None else span(session.end_ts - session.start_ts)


def described(session: Session) -> dict[str, object]:
    """Return a session as the fields of a JSON object."""
    return {
        "identifier": session.identifier,
        "instrument": session.instrument,
        "user": session.user,
        "state": session.state,
        "start": rfc3339(session.start_ts),
        "end": rfc3339(session.end_ts),
        "attempts": session.attempts,
        "last_error": session.last_error,
        **({"unreadable": list(session.odd)} if session.odd else {}),
    }
