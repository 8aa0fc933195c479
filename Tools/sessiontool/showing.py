"""Commands that show a session."""

from __future__ import annotations

import logging
from argparse import Namespace
from typing import TYPE_CHECKING

from NexusCore.errors import EXIT_OK, NexusError
from NexusCore.facility.record_booking import RecordBookings
from Tools.common.sessions import next_step
from Tools.common.terminal import Screen
from Tools.common.time_parser import rfc3339
from Tools.sessiontool import report
from Tools.sessiontool.finding import Desk

if TYPE_CHECKING:
    from NexusCore.facility.records import Record
    from NexusCore.facility.sessions import Session
    from NexusCore.log.record import LogRecord
    from Tools.sessiontool.record_file import RecordedActivity


def show(arguments: Namespace, screen: Screen) -> int:
    """Show a session with its events, files and log."""
    desk = Desk()
    session = desk.newest_or_named(arguments.which)
    events = desk.sessions.events(session)
    record = desk.records.of_session(session.id)
    uploads = desk.records.uploads(record) if record is not None else []
    known = RecordBookings(desk.database).of_session(session.id) if record is not None else None
    if not arguments.json:
        for line in report.about(session, events, record, uploads, screen, known):
            screen.show(line)
        screen.flush()  # the rest takes longer
    activities = _activities(record, screen) if record is not None else []
    lines, code = _log(session, desk, arguments.lines, screen)
    if arguments.json:
        screen.show_json(**report.in_full(session, events, record, uploads, activities, lines, known))
        return code
    for line in (*report.files(activities, arguments.lines, screen), *report.log(lines, screen)):
        screen.show(line)
    screen.say(next_step(session, uploads))
    return code


def _activities(record: Record, screen: Screen) -> list[RecordedActivity]:
    from Tools.common.files import FileUnusable
    from Tools.sessiontool.record_file import activities

    try:
        return activities(record.path)
    except FileUnusable as error:
        screen.fail(error)  # it may be on another machine; the rest is still shown
        return []


def _log(session: Session, desk: Desk, count: int, screen: Screen) -> tuple[list[LogRecord], int]:
    """Return the newest log lines about a session, and the exit code; no lines if the log cannot be read."""
    from NexusCore.log import store

    try:
        return store.newest(
            desk.log, store.LogFilter(session=session.identifier[: store.SESSION_LENGTH]), count
        ), EXIT_OK
    except NexusError as error:
        screen.fail(error)
        return [], error.exit_code


def trace(arguments: Namespace, screen: Screen) -> int:
    """Show all that happened in a session, in order of time."""
    desk = Desk()
    session = desk.newest_or_named(arguments.which)
    from Tools.common.files import FileUnusable
    from Tools.sessiontool.steps import trace as steps_of

    steps, errors = steps_of(session, desk)
    for step in steps:
        if arguments.json:
            level = {"level": logging.getLevelName(step.level)} if step.source == "log" else {}
            screen.show_json(time=rfc3339(step.ts), source=step.source, text=step.text, detail=step.detail, **level)
        else:
            screen.show(report.step_line(step, screen))
    for error in errors:
        screen.fail(error)
    # The record may be on another machine: its error is shown, but does not set the exit code.
    codes = [error.exit_code for error in errors if not isinstance(error, FileUnusable)]
    return codes[0] if codes else EXIT_OK
