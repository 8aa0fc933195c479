"""How sessions look, on a screen and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from NexusCore.facility.records import Record, Upload
from NexusCore.facility.sessions import Event, Session
from Tools.moments import local, rfc3339, span
from Tools.terminal import Screen, one_line


def rows(sessions: Sequence[Session]) -> Iterator[tuple[str, ...]]:
    """Yield a row of a table for each session."""
    for one in sessions:
        length = "open" if one.end_ts is None else span(one.end_ts - one.start_ts)
        yield one.identifier, one.instrument, one.user, one.state, local(one.start_ts), length


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
    }


def in_full(
    session: Session, events: Sequence[Event], record: Record | None, uploads: Sequence[Upload]
) -> dict[str, object]:
    """Return all that is known of a session as the fields of a JSON object."""
    return {
        **described(session),
        "record": None
        if record is None
        else {
            "path": record.path,
            "title": record.title,
            "files": record.files,
            "activities": record.activities,
            "built": rfc3339(record.built_ts),
            "sha256": record.sha256,
            "config_revision": record.config_revision,
            "software": record.software,
        },
        "uploads": [
            {
                "destination": one.destination,
                "state": one.state,
                "attempts": one.attempts,
                "remote_id": one.remote_id,
                "url": one.url,
                "last_error": one.last_error,
            }
            for one in uploads
        ],
        "events": [
            {"type": one.type, "time": rfc3339(one.ts), "user": one.user, "host": one.host, "detail": one.detail}
            for one in events
        ],
    }


def report(
    session: Session, events: Sequence[Event], record: Record | None, uploads: Sequence[Upload], screen: Screen
) -> Iterator[str]:
    """Yield the lines that tell a person all that is known of a session."""
    for name, text in _facts(session, record, uploads):
        yield f"{screen.paint(name.ljust(11), 'dim')}{one_line(text)}"
    yield ""
    yield screen.paint("events", "dim")
    width = max((len(one.type) for one in events), default=0)
    for one in events:
        detail = f"   {one_line(one.detail)}" if one.detail else ""
        yield f"  {local(one.ts)}  {one.type.ljust(width)}  {one.user}@{one.host}{detail}"


def _facts(session: Session, record: Record | None, uploads: Sequence[Upload]) -> Iterator[tuple[str, str]]:
    yield "session", session.identifier
    yield "instrument", session.instrument
    yield "user", session.user
    yield "state", session.state
    yield "start", local(session.start_ts)
    if session.end_ts is not None:
        yield "end", f"{local(session.end_ts)}   ({span(session.end_ts - session.start_ts)})"
    if session.attempts:
        yield "attempts", str(session.attempts)
    if session.last_error:
        yield "error", session.last_error
    if record is None:
        yield "record", "none"
        return
    yield "record", record.path
    yield "", record.title
    yield "", f"{_number(record.files, 'file')} in {_number(record.activities, 'activity', 'activities')}"
    yield "", f"built {local(record.built_ts)} by {record.software}, configuration {record.config_revision}"
    for upload in uploads:
        place = upload.url or upload.remote_id or ""
        yield "upload", f"{upload.destination}: {upload.state}  {upload.last_error or place}".rstrip()


def _number(number: int, one: str, several: str | None = None) -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"
