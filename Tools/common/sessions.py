"""How sessions look, on a screen and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from NexusCore.facility.sessions import Session
from NexusCore.text import shell_quote
from Tools.common.time_parser import local, rfc3339, span

SHORT_IDENTIFIER = 8
"""Characters of an identifier that are shown where the whole does not fit; commands take them for the whole."""
NEXT = {
    "WAITING_FOR_END": "It is open. When the work is done, end it with: SessionTool end {identifier}",
    "TO_BE_BUILT": "The Builder makes its record at its next pass.",
    "BUILDING": "The Builder is making its record.",
    "BUILT": "Its record is built; the Uploader takes it to its destinations.",
    "COMPLETED": "Its record is at all its destinations; nothing is left to do.",
    "NO_FILES_FOUND": "No files of its time were found. If they came late: SessionTool requeue {identifier}",
    "NO_CONSENT": "Its user did not agree to a record, so none is made.",
    "UNKNOWN": "Its state cannot be read, so no service takes it up. To see why, and put it right: Doctor --rows",
    "ERROR": "Its record could not be built. When the cause is gone: SessionTool requeue {identifier}",
}
"""What comes next, by state."""


def next_step(session: Session) -> str:
    """Return what comes next for a session."""
    return NEXT[session.state].format(identifier=shell_quote(session.identifier))


def rows(sessions: Sequence[Session], columns: int | None) -> Iterator[tuple[str, ...]]:
    """Yield a row of a table for each session; short ones where the table would be wider than `columns`."""
    full = [
        (session.identifier, session.instrument, session.user, session.state, local(session.start_ts), _length(session))
        for session in sessions
    ]
    if columns is None or sum(max(len(row[place]) + 2 for row in full) for place in range(6)) <= columns:
        yield from full
        return
    short = SHORT_IDENTIFIER
    while short < len(full[0][0]) and len({row[0][:short] for row in full}) < len(full):
        short += 1
    for identifier, instrument, user, state, start, length in full:
        yield identifier[:short], instrument, user, state, start.rpartition(":")[0], length


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
