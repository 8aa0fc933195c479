"""All that happened in a session, in order of time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from NexusCore.clock import SYSTEM_CLOCK, UNREADABLE_TS, to_ts
from NexusCore.errors import NexusError
from NexusCore.facility.record_booking import RecordBookings
from NexusCore.facility.reservations import Reservations
from NexusCore.facility.sessions import Session
from NexusCore.log import store as log_store
from NexusCore.status.store import containing
from NexusCore.storage import Database
from Tools.common.quantities import counted
from Tools.sessiontool.finding import Desk

SESSION_CHANNELS = ("Builder", "Uploader")
"""Channels whose status may name a session."""


@dataclass(frozen=True, slots=True)
class TraceStep:
    """A step of a session."""

    ts: int
    """Microseconds since the epoch, UTC."""
    source: str
    """``event``, ``booking``, ``files``, ``log``, ``status``, ``record`` or ``upload``."""
    text: str
    detail: str | None = None
    """Additional text, such as a traceback or the names of files."""
    level: int = 0
    """Level of a log line."""


def trace(session: Session, desk: Desk) -> tuple[list[TraceStep], list[NexusError]]:
    """Return all steps, and the errors of databases or files that could not be read."""
    parts: tuple[Callable[[], Iterator[TraceStep]], ...] = (
        lambda: _bookings(session, desk),
        lambda: _events(session, desk),
        lambda: _log(session, desk.log),
        lambda: _status(session, desk.status),
        lambda: _record(session, desk),
        lambda: _activities(session, desk),
    )
    steps: list[TraceStep] = []
    errors: list[NexusError] = []
    for part in parts:
        try:
            steps += part()
        except NexusError as error:
            if str(error) not in map(str, errors):
                errors.append(error)
    # Steps of the same time stay in the order of the parts: the session's events come before their effects.
    return sorted(steps, key=lambda step: step.ts), errors


def _events(session: Session, desk: Desk) -> Iterator[TraceStep]:
    for event in desk.sessions.events(session):
        detail = f": {event.detail}" if event.detail else ""
        odd = f" (unreadable: {'; '.join(event.odd)})" if event.odd else ""
        yield TraceStep(event.ts, "event", f"{event.type} by {event.user}@{event.host}{detail}{odd}")


def _bookings(session: Session, desk: Desk) -> Iterator[TraceStep]:
    until = session.end_ts if session.end_ts is not None else SYSTEM_CLOCK.now()
    reservation = Reservations(desk.database, SYSTEM_CLOCK).for_session(
        session.instrument, session.start_ts, until, session.user
    )
    if reservation is None:
        return
    title = f" '{reservation.title}'" if reservation.title else ""
    whose = f" of {reservation.user}" if reservation.user else ""
    yield TraceStep(reservation.start_ts, "booking", f"reservation{title}{whose} begins ({reservation.source})")
    yield TraceStep(reservation.end_ts, "booking", f"reservation{title} ends")


def _log(session: Session, database: Database) -> Iterator[TraceStep]:
    wanted = log_store.LogFilter(session=session.identifier[: log_store.SESSION_LENGTH])
    for record in log_store.records(database, log_store.LogQuery(wanted)):
        text = f"{logging.getLevelName(record.level)} {record.logger}: {record.message}"
        yield TraceStep(record.ts, "log", text, record.traceback, record.level)


def _status(session: Session, database: Database) -> Iterator[TraceStep]:
    for sample in containing(database, SESSION_CHANNELS, session.identifier, session.start_ts):
        when = sample.ts if isinstance(sample.ts, int) else UNREADABLE_TS
        yield TraceStep(when, "status", f"{sample.channel}:{sample.name} = {sample.value}")


def _activities(session: Session, desk: Desk) -> Iterator[TraceStep]:
    """Yield the start of each activity in the record."""
    record = desk.records.of_session(session.id)
    if record is None:
        return
    from Tools.sessiontool.record_file import activities

    for activity in activities(record.path):
        files = "\n".join(dataset.location or dataset.name for dataset in activity.datasets)
        text = f"activity {activity.number} begins, {counted(len(activity.datasets), 'file')}"
        yield TraceStep(_began(activity.start, session), "files", text, files or None)


def _began(start: str, session: Session) -> int:
    """Return the start of an activity; without one in the record, that of the session."""
    try:
        return to_ts(datetime.fromisoformat(start).astimezone())
    except (ValueError, OverflowError):
        return session.start_ts


def _record(session: Session, desk: Desk) -> Iterator[TraceStep]:
    record = desk.records.of_session(session.id)
    if record is None:
        return
    yield TraceStep(record.built_ts, "record", f"{record.path}, {counted(record.files, 'file')}, by {record.software}")
    known = RecordBookings(desk.database).of_session(session.id)
    if known is not None and known.remark is not None:
        yield TraceStep(record.built_ts, "booking", f"the record was {known.remark}", level=logging.WARNING)
    for upload in desk.records.uploads(record):
        place = upload.url or upload.remote_id or ""
        attempts = f", attempt {upload.attempts}" if upload.attempts > 1 else ""
        yield TraceStep(
            upload.updated_ts,
            "upload",
            f"{upload.destination}: {upload.state}{attempts}  {upload.last_error or place}".rstrip(),
        )
