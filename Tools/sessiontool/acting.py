"""Commands that write: a session's start and end, remarks, and having its record made or sent again."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import EXIT_OK, NexusError
from NexusCore.facility.instruments import Instruments
from NexusCore.facility.records import NotToBeSent
from NexusCore.facility.sessions import Session
from NexusCore.text import one_line, shell_quote
from Tools.common import completion
from Tools.common.configuration import open_configuration, view
from Tools.common.sessions import described, next_step
from Tools.common.terminal import Screen
from Tools.common.time_parser import local, rfc3339
from Tools.sessiontool.finding import Desk
from Tools.sessiontool.last_file import last_file

SEARCH_LIMIT = 600.0
"""Seconds that the search for an instrument's last file may take, where the configuration says nothing."""


class EndRefused(NexusError):
    """The session {identifier} cannot have ended {end}: {reason}."""

    exit_code = 4


def start(arguments: Namespace, screen: Screen) -> int:
    """Open a session."""
    instrument = open_configuration().instrument(arguments.instrument)
    desk = Desk()
    session = desk.sessions.start(instrument, desk.client(arguments.user))
    return _done(f"Session {session.identifier} of {session.user} started at {instrument}.", session, arguments, screen)


def end(arguments: Namespace, screen: Screen) -> int:
    """Close a session, named by itself or by its instrument."""
    desk = Desk()
    found = desk.open_or_named(arguments.which)
    if found.end_ts is not None:
        return _ended_already(found, arguments, screen)
    session = desk.sessions.end(found.identifier, desk.client())
    return _done(f"Session {session.identifier} at {session.instrument} ended.", session, arguments, screen)


def close(arguments: Namespace, screen: Screen) -> int:
    """Close a session that was forgotten: it ended with its last file, at a given time, or now."""
    desk = Desk()
    found = desk.open_or_named(arguments.which)
    if found.end_ts is not None:
        return _ended_already(found, arguments, screen)
    ts, remark = _end_of(found, arguments)
    message = f"Session {found.identifier} at {found.instrument} closed; it ended {local(ts)}, {remark}."
    if arguments.dry_run:
        if not arguments.json:
            screen.show(one_line(message))
        else:
            screen.show_json(**{**described(found), "end": rfc3339(ts)}, dry_run=True)
        screen.say("Nothing was changed: this was a dry run.")
        return EXIT_OK
    client = desk.client()
    session = desk.sessions.end(found.identifier, client, ts)
    desk.sessions.note(found.identifier, client, f"closed afterwards; it ended {local(ts)}, {remark}")
    return _done(message, session, arguments, screen)


def note(arguments: Namespace, screen: Screen) -> int:
    """Write a remark into the log of a session, named by itself or by its instrument."""
    desk = Desk()
    session = desk.open_or_named(arguments.which)
    desk.sessions.note(session.identifier, desk.client(), " ".join(arguments.text))
    if arguments.json:
        screen.show_json(**described(session))
    screen.say(f"Noted. SessionTool show {shell_quote(session.identifier)} shows it among the session's events.")
    return EXIT_OK


def requeue(arguments: Namespace, screen: Screen) -> int:
    """Have a session's record built anew, or sent again."""
    desk = Desk()
    found = desk.session(arguments.identifier)
    if arguments.upload:
        record = desk.records.of_session(found.id)
        if record is None:
            raise NotToBeSent(identifier=found.identifier, reason="it has no record")
        text = f"record queued to be sent again, was {found.state}"
        desk.sessions.note(found.identifier, desk.client(), text, also=desk.records.resend(record))
        session = desk.sessions.get(found.identifier)
        return _done(f"The record of session {session.identifier} is sent again.", session, arguments, screen)
    session = desk.sessions.requeue(found.identifier, desk.client())
    return _done(f"Session {session.identifier} is queued again; it was {found.state}.", session, arguments, screen)


def _end_of(session: Session, arguments: Namespace) -> tuple[int, str]:
    """Return when a forgotten session ended, and how that is known."""
    now = SYSTEM_CLOCK.now()
    if arguments.now:
        return now, "when it was closed"
    if arguments.at is not None:
        ts: int = arguments.at
        if ts < session.start_ts:
            reason = f"it began {local(session.start_ts)}"
            raise EndRefused(identifier=session.identifier, end=local(ts), reason=reason)
        if ts > now:
            raise EndRefused(identifier=session.identifier, end=local(ts), reason="that is still to come")
        return ts, "as somebody says who knows"
    config = view(open_configuration())
    instruments = Instruments(config)
    folder = instruments.folder(instruments.get(session.instrument))
    ignore = [one.strip() for one in str(config["Services.Builder.ignore"] or "").split(",") if one.strip()]
    limit = config["Services.Builder.search_limit"]
    found = last_file(folder, session, now, ignore, float(limit) if isinstance(limit, (int, float)) else SEARCH_LIMIT)
    return found.ts, f"with its last file, {_relative(found.path, folder)}"


def _relative(path: Path, folder: Path) -> Path:
    return path.relative_to(folder.parent) if path.is_relative_to(folder.parent) else path


def _ended_already(session: Session, arguments: Namespace, screen: Screen) -> int:
    when = local(session.end_ts or 0)
    return _done(f"Session {session.identifier} has ended already, {when}.", session, arguments, screen)


def _done(text: str, session: Session, arguments: Namespace, screen: Screen) -> int:
    """Tell what was done, and what comes next."""
    completion.forget()
    if arguments.json:
        screen.show_json(**described(session))
    else:
        screen.show(one_line(text))
        screen.show(next_step(session))
    return EXIT_OK
