"""Commands that show sessions and what is known of them."""

from __future__ import annotations

import logging
from argparse import Namespace

from NexusCore.errors import EXIT_FAILURE, EXIT_OK, NexusError
from NexusCore.facility.sessions import State
from NexusCore.log import store as log_store
from NexusCore.log.record import LogRecord
from NexusCore.storage import Database
from Tools.configuration import open_configuration
from Tools.files import FileUnusable
from Tools.moments import rfc3339
from Tools.sessions import Known, described, in_full, next_step, report, rows, step_line
from Tools.sessiontool.finding import Desk
from Tools.sessiontool.record_file import Activity, activities
from Tools.sessiontool.steps import trace as steps_of
from Tools.terminal import Screen

MARKS: dict[str, str] = {State.ERROR: "bold red", State.WAITING_FOR_END: "green"}


def list_(arguments: Namespace, screen: Screen) -> int:
    """Show the newest sessions."""
    state = State(arguments.state) if arguments.state else None
    found = Desk().sessions.newest(arguments.instrument, state, arguments.lines)
    if not found:
        if arguments.instrument:
            open_configuration().instrument(arguments.instrument)
        screen.fail("There is no such session." if arguments.instrument or state else "There is no session yet.")
        return EXIT_FAILURE
    if arguments.json:
        for one in found:
            screen.show_json(**described(one))
    else:
        headers = ("session", "instrument", "user", "state", "start", "length")
        screen.table(headers, rows(found, screen.columns), MARKS)
    return EXIT_OK


def show(arguments: Namespace, screen: Screen) -> int:
    """Show all that is known of a session."""
    desk = Desk()
    session = desk.session(arguments.identifier)
    record = desk.records.of_session(session.id)
    uploads = desk.records.uploads(record) if record is not None else []
    groups: list[Activity] = []
    lines: list[LogRecord] = []
    code = EXIT_OK
    try:
        groups = activities(record.path) if record is not None else []
    except FileUnusable as error:
        screen.fail(error)  # it may lie on another machine; the rest is worth showing
    try:
        wanted = log_store.LogFilter(session=session.identifier[: log_store.SESSION_LENGTH])
        lines = log_store.newest(Database(desk.settings.log), wanted, arguments.lines)
    except NexusError as error:
        screen.fail(error)
        code = error.exit_code
    known = Known(session, desk.sessions.events(session), record, uploads, groups, lines)
    if arguments.json:
        screen.show_json(**in_full(known))
        return code
    for line in report(known, arguments.lines, screen):
        screen.show(line)
    screen.say(next_step(session))
    return code


def trace(arguments: Namespace, screen: Screen) -> int:
    """Show everything that the facility knows about one session, in the order of time."""
    desk = Desk()
    session = desk.session(arguments.identifier)
    steps, errors = steps_of(session, desk)
    for step in steps:
        if arguments.json:
            level = {"level": logging.getLevelName(step.level)} if step.source == "log" else {}
            screen.show_json(time=rfc3339(step.ts), source=step.source, text=step.text, detail=step.detail, **level)
        else:
            screen.show(step_line(step, screen))
    for error in errors:
        screen.fail(error)
    return errors[0].exit_code if errors else EXIT_OK
