"""Everything that the facility knows about one session, in the order of time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from NexusCore.clock import SYSTEM_CLOCK, to_ts
from NexusCore.errors import NexusError
from NexusCore.facility.reservations import Reservations
from NexusCore.facility.sessions import Session
from NexusCore.log import store as log_store
from NexusCore.storage import Database
from Tools.sessiontool.finding import Desk

SERVICES = ("Builder", "Uploader")
"""Channels whose status may name a session."""

_NAMED = """
    -- what services said of a session while they were at it
    SELECT t.ts, c.name, i.name, t.value
      FROM status_channel c
      JOIN status_item i ON i.channel_id = c.id
      JOIN status_sample t ON t.item_id = i.id
     WHERE c.name IN (:first, :second) AND t.ts >= :since AND t.value LIKE :wanted ESCAPE '!'
     ORDER BY t.id
"""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened."""

    ts: int
    """Microseconds since the epoch, UTC."""
    source: str
    """``event``, ``booking``, ``files``, ``log``, ``status``, ``record`` or ``upload``."""
    text: str
    detail: str | None = None
    """More than fits on a line, such as a traceback or the names of files."""
    level: int = 0
    """Of a line of log."""


def trace(session: Session, desk: Desk) -> tuple[list[Step], list[NexusError]]:
    """Return all steps, and the errors of what could not be asked: a database, or the record's file."""
    parts: tuple[Callable[[], Iterator[Step]], ...] = (
        lambda: _bookings(session, desk),
        lambda: _events(session, desk),
        lambda: _log(session, desk.log),
        lambda: _status(session, desk.status),
        lambda: _record(session, desk),
        lambda: _activities(session, desk),
    )
    steps: list[Step] = []
    errors: list[NexusError] = []
    for part in parts:
        try:
            steps += part()
        except NexusError as error:
            if str(error) not in map(str, errors):
                errors.append(error)
    # What came at the same time stays in the order of the parts: the session's events before what followed from them.
    return sorted(steps, key=lambda step: step.ts), errors


def _events(session: Session, desk: Desk) -> Iterator[Step]:
    for one in desk.sessions.events(session):
        detail = f": {one.detail}" if one.detail else ""
        yield Step(one.ts, "event", f"{one.type} by {one.user}@{one.host}{detail}")


def _bookings(session: Session, desk: Desk) -> Iterator[Step]:
    until = session.end_ts if session.end_ts is not None else SYSTEM_CLOCK.now()
    found = Reservations(desk.database, SYSTEM_CLOCK).for_session(
        session.instrument, session.start_ts, until, session.user
    )
    if found is None:
        return
    title = f" '{found.title}'" if found.title else ""
    whose = f" of {found.user}" if found.user else ""
    yield Step(found.start_ts, "booking", f"reservation{title}{whose} begins ({found.source})")
    yield Step(found.end_ts, "booking", f"reservation{title} ends")


def _log(session: Session, database: Database) -> Iterator[Step]:
    wanted = log_store.LogFilter(session=session.identifier[: log_store.SESSION_LENGTH])
    for one in log_store.records(database, log_store.Reading(wanted)):
        text = f"{logging.getLevelName(one.level)} {one.logger}: {one.message}"
        yield Step(one.ts, "log", text, one.traceback, one.level)


def _status(session: Session, database: Database) -> Iterator[Step]:
    with database.reading() as reading:
        rows = reading.all(
            _NAMED,
            first=SERVICES[0],
            second=SERVICES[1],
            since=session.start_ts,
            wanted=f"%{log_store.escape_like(session.identifier)}%",
        )
    for ts, channel, name, value in rows:
        yield Step(int(ts), "status", f"{channel}:{name} = {value}")


def _activities(session: Session, desk: Desk) -> Iterator[Step]:
    """Yield when each activity began that the record groups the session's files into."""
    record = desk.records.of_session(session.id)
    if record is None:
        return
    from Tools.sessiontool.record_file import activities

    for one in activities(record.path):
        number = len(one.datasets)
        files = "\n".join(dataset.location or dataset.name for dataset in one.datasets)
        text = f"activity {one.number} begins, {number} {'file' if number == 1 else 'files'}"
        yield Step(_began(one.start, session), "files", text, files or None)


def _began(start: str, session: Session) -> int:
    """Return when an activity began; where the record does not say it, the session's own start."""
    try:
        return to_ts(datetime.fromisoformat(start).astimezone())
    except (ValueError, OverflowError):
        return session.start_ts


def _record(session: Session, desk: Desk) -> Iterator[Step]:
    record = desk.records.of_session(session.id)
    if record is None:
        return
    yield Step(record.built_ts, "record", f"{record.path}, {record.files} files, by {record.software}")
    for one in desk.records.uploads(record):
        place = one.url or one.remote_id or ""
        attempts = f", attempt {one.attempts}" if one.attempts > 1 else ""
        yield Step(
            one.updated_ts, "upload", f"{one.destination}: {one.state}{attempts}  {one.last_error or place}".rstrip()
        )
