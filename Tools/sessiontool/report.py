"""Reports on a session, as text and as JSON."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING

from NexusCore.clock import readable_time
from NexusCore.facility.forgotten import ended_by
from NexusCore.text import one_line
from Tools.common.quantities import counted
from Tools.common.sessions import described
from Tools.common.terminal import Screen, brief
from Tools.common.time_parser import local, rfc3339, span

if TYPE_CHECKING:
    from NexusCore.facility.record_booking import RecordBooking
    from NexusCore.facility.records import Record, Upload
    from NexusCore.facility.sessions import Event, Session
    from NexusCore.log.record import LogRecord
    from Tools.sessiontool.record_file import RecordedActivity
    from Tools.sessiontool.steps import TraceStep


def in_full(
    session: Session,
    events: Sequence[Event],
    record: Record | None,
    uploads: Sequence[Upload],
    activities: Sequence[RecordedActivity],
    log: Sequence[LogRecord],
    known: RecordBooking | None = None,
) -> dict[str, object]:
    """Return a session with events, record, uploads and log as the fields of a JSON object."""
    return {
        **described(session),
        "ended_by": ended_by(events),
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
            "calendar": known.calendar if known is not None else None,
            "calendar_reason": known.reason if known is not None else None,
        },
        "uploads": [
            {
                "destination": upload.destination,
                "state": upload.state,
                "attempts": upload.attempts,
                "remote_id": upload.remote_id,
                "url": upload.url,
                "pid": upload.pid,
                "last_error": upload.last_error,
                "updated": rfc3339(upload.updated_ts),
            }
            for upload in uploads
        ],
        "events": [
            {
                "type": event.type,
                "time": rfc3339(event.ts),
                "user": event.user,
                "host": event.host,
                "detail": event.detail,
            }
            for event in events
        ],
        "activities": [asdict(activity) for activity in activities],
        "log": [
            {
                "time": rfc3339(record.ts),
                "level": logging.getLevelName(record.level),
                "logger": record.logger,
                "message": record.message,
                "traceback": record.traceback,
            }
            for record in log
        ],
    }


def about(
    session: Session,
    events: Sequence[Event],
    record: Record | None,
    uploads: Sequence[Upload],
    screen: Screen,
    known: RecordBooking | None = None,
) -> Iterator[str]:
    """Yield the lines about a session and its events."""
    for name, text in _facts(session, events, record, uploads, known):
        yield f"{screen.paint(name.ljust(11), 'dim')}{brief(text)}"
    yield from _section("events", _events(events), screen)


def files(activities: Sequence[RecordedActivity], count: int, screen: Screen) -> Iterator[str]:
    """Yield the lines about the files of its record, by activity; at most `count` files."""
    if activities:
        yield from _section("files", _files(activities, count, screen), screen)


def log(lines: Sequence[LogRecord], screen: Screen) -> Iterator[str]:
    """Yield the log lines about it."""
    if lines:
        yield from _section("log", (_log_line(record, screen) for record in lines), screen)


def step_line(step: TraceStep, screen: Screen) -> str:
    """Return a step as a line: time, source and text."""
    when = local(step.ts) + (f".{step.ts // 1000 % 1000:03}" if readable_time(step.ts) is not None else "")
    text = screen.paint(brief(step.text), *_weight(step.level))
    return f"{screen.paint(when, 'dim')}  {screen.paint(step.source.ljust(7), 'cyan')}  {text}"


def _section(name: str, lines: Iterator[str], screen: Screen) -> Iterator[str]:
    yield ""
    yield screen.paint(name, "dim")
    for line in lines:
        yield f"  {line}"


def _facts(
    session: Session,
    events: Sequence[Event],
    record: Record | None,
    uploads: Sequence[Upload],
    known: RecordBooking | None,
) -> Iterator[tuple[str, str]]:
    yield "session", session.identifier
    yield "instrument", session.instrument
    yield "user", session.user
    yield "state", f"{session.state}   (its files are on their way)" if session.awaits_files else session.state
    yield "start", local(session.start_ts)
    if session.end_ts is not None:
        yield "end", f"{local(session.end_ts)}   ({span(session.end_ts - session.start_ts)})"
    ender = ended_by(events)
    if ender is not None:
        yield "ended by", ender
    if session.attempts:
        yield "attempts", str(session.attempts)
    if session.last_error:
        yield "error", session.last_error
    for sentence in session.odd:
        yield "unreadable", sentence
    if record is None:
        yield "record", "none"
        return
    yield "record", record.path
    yield "", record.title
    yield "", f"{counted(record.files, 'file')} in {counted(record.activities, 'activity', 'activities')}"
    for sentence in record.odd:
        yield "", f"unreadable: {sentence}"
    yield "", f"built {local(record.built_ts)} by {record.software}, configuration {record.config_revision}"
    if known is not None and known.remark is not None:
        yield "", known.remark
    for upload in uploads:
        place = "; ".join(upload.odd) or upload.url or upload.remote_id or ""
        yield "upload", f"{upload.destination}: {upload.state}  {upload.last_error or place}".rstrip()
        if upload.pid:
            yield "", f"PID {upload.pid}"


def _events(events: Sequence[Event]) -> Iterator[str]:
    width = max((len(event.type) for event in events), default=0)
    for event in events:
        detail = f"   {brief(event.detail)}" if event.detail else ""
        odd = f"   (unreadable: {'; '.join(event.odd)})" if event.odd else ""
        who = f"{one_line(event.user)}@{one_line(event.host)}"
        yield f"{local(event.ts)}  {event.type.ljust(width)}  {who}{detail}{odd}"


def _files(activities: Sequence[RecordedActivity], count: int, screen: Screen) -> Iterator[str]:
    files = [(activity, dataset) for activity in activities for dataset in activity.datasets]
    width = max((len(dataset.location) for _, dataset in files[:count] if len(dataset.location) <= 50), default=0)
    last: RecordedActivity | None = None
    for activity, dataset in islice(files, count):
        if activity is not last:
            when = screen.paint(one_line(activity.start[:19].replace("T", " ")), "dim")
            yield f"activity {one_line(activity.number)}   {when}   {counted(len(activity.datasets), 'file')}"
            last = activity
        yield f"  {one_line(dataset.location).ljust(width)}  {one_line(dataset.type)}"
        for remark in dataset.remarks:
            yield f"    {screen.paint(one_line(remark), 'yellow')}"
    if len(files) > count:
        yield screen.paint(f"... and {len(files) - count} more; use -n {len(files)} to show all", "dim")


def _log_line(record: LogRecord, screen: Screen) -> str:
    level = logging.getLevelName(record.level)
    text = f"{level} {one_line(record.logger)}: {brief(record.message)}"
    return f"{local(record.ts)}  {screen.paint(text, *_weight(record.level))}"


def _weight(level: int) -> tuple[str, ...]:
    if level >= logging.ERROR:
        return ("red",)
    return ("yellow",) if level >= logging.WARNING else ()
