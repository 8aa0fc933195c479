"""How sessions look, on a screen and as JSON."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice

from NexusCore.facility.records import Record, Upload
from NexusCore.facility.sessions import Event, Session
from NexusCore.log.record import LogRecord
from Tools.moments import local, rfc3339, span
from Tools.sessiontool.record_file import Activity
from Tools.sessiontool.steps import Step
from Tools.terminal import Screen, one_line

SHORT = 8
"""Characters of an identifier that are shown where the whole does not fit; commands take them for the whole."""
NEXT = {
    "WAITING_FOR_END": "It is open. When the work is done, end it with: SessionTool end {identifier}",
    "TO_BE_BUILT": "The Builder makes its record at its next pass.",
    "BUILDING": "The Builder is making its record.",
    "BUILT": "Its record is built; the Uploader takes it to its destinations.",
    "COMPLETED": "Its record is at all its destinations; nothing is left to do.",
    "NO_FILES_FOUND": "No files of its time were found. If they came late: SessionTool requeue {identifier}",
    "NO_CONSENT": "Its user did not agree to a record, so none is made.",
    "ERROR": "Its record could not be built. When the cause is gone: SessionTool requeue {identifier}",
}
"""What comes next, by state."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a session."""

    session: Session
    events: Sequence[Event]
    record: Record | None
    uploads: Sequence[Upload]
    activities: Sequence[Activity]
    """As they stand in the record's file."""
    log: Sequence[LogRecord]
    """The newest lines that were logged about it, the oldest first."""


def next_step(session: Session) -> str:
    """Return what comes next for a session."""
    return NEXT[session.state].format(identifier=session.identifier)


def rows(sessions: Sequence[Session], columns: int | None) -> Iterator[tuple[str, ...]]:
    """Yield a row of a table for each session; short ones where the table would be wider than `columns`."""
    full = [
        (one.identifier, one.instrument, one.user, one.state, local(one.start_ts), _length(one)) for one in sessions
    ]
    if columns is None or sum(max(len(row[place]) + 2 for row in full) for place in range(6)) <= columns:
        yield from full
        return
    short = SHORT
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
    }


def in_full(known: Known) -> dict[str, object]:
    """Return all that is known of a session as the fields of a JSON object."""
    record = known.record
    return {
        **described(known.session),
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
                "updated": rfc3339(one.updated_ts),
            }
            for one in known.uploads
        ],
        "events": [
            {"type": one.type, "time": rfc3339(one.ts), "user": one.user, "host": one.host, "detail": one.detail}
            for one in known.events
        ],
        "activities": [asdict(one) for one in known.activities],
        "log": [
            {
                "time": rfc3339(one.ts),
                "level": logging.getLevelName(one.level),
                "logger": one.logger,
                "message": one.message,
                "traceback": one.traceback,
            }
            for one in known.log
        ],
    }


def report(known: Known, count: int, screen: Screen) -> Iterator[str]:
    """Yield the lines that tell a person all that is known of a session; of its files and its log, `count` each."""
    for name, text in _facts(known):
        yield f"{screen.paint(name.ljust(11), 'dim')}{one_line(text)}"
    yield from _section("events", _events(known.events), screen)
    if known.activities:
        yield from _section("files", _files(known.activities, count, screen), screen)
    if known.log:
        yield from _section("log", (_log_line(one, screen) for one in known.log), screen)


def step_line(step: Step, screen: Screen) -> str:
    """Return a step of a session's way as a line: when, from where it is known, and what."""
    when = f"{local(step.ts)}.{step.ts // 1000 % 1000:03}"
    text = screen.paint(one_line(step.text), *_weight(step.level))
    return f"{screen.paint(when, 'dim')}  {screen.paint(step.source.ljust(7), 'cyan')}  {text}"


def _section(name: str, lines: Iterator[str], screen: Screen) -> Iterator[str]:
    yield ""
    yield screen.paint(name, "dim")
    for line in lines:
        yield f"  {line}"


def _facts(known: Known) -> Iterator[tuple[str, str]]:
    session, record = known.session, known.record
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
    for upload in known.uploads:
        place = upload.url or upload.remote_id or ""
        yield "upload", f"{upload.destination}: {upload.state}  {upload.last_error or place}".rstrip()


def _events(events: Sequence[Event]) -> Iterator[str]:
    width = max((len(one.type) for one in events), default=0)
    for one in events:
        detail = f"   {one_line(one.detail)}" if one.detail else ""
        yield f"{local(one.ts)}  {one.type.ljust(width)}  {one_line(one.user)}@{one_line(one.host)}{detail}"


def _files(activities: Sequence[Activity], count: int, screen: Screen) -> Iterator[str]:
    files = [(activity, dataset) for activity in activities for dataset in activity.datasets]
    width = max((len(one.location) for _, one in files[:count] if len(one.location) <= 50), default=0)
    before: Activity | None = None
    for activity, one in islice(files, count):
        if activity is not before:
            when = screen.paint(activity.start[:19].replace("T", " "), "dim")
            yield f"activity {activity.number}   {when}   {_number(len(activity.datasets), 'file')}"
            before = activity
        yield f"  {one_line(one.location).ljust(width)}  {one.type}"
        for remark in one.remarks:
            yield f"    {screen.paint(one_line(remark), 'yellow')}"
    if len(files) > count:
        yield screen.paint(f"... and {len(files) - count} more; -n {len(files)} shows them all", "dim")


def _log_line(one: LogRecord, screen: Screen) -> str:
    level = logging.getLevelName(one.level)
    text = f"{level} {one_line(one.logger)}: {one_line(one.message)}"
    return f"{local(one.ts)}  {screen.paint(text, *_weight(one.level))}"


def _weight(level: int) -> tuple[str, ...]:
    if level >= logging.ERROR:
        return ("red",)
    return ("yellow",) if level >= logging.WARNING else ()


def _number(number: int, one: str, several: str | None = None) -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"
