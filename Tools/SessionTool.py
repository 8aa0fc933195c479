#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Start, end and look at sessions at the instruments, and have their records built anew."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if not __package__:
    # Run as ./Tools/SessionTool.py: Python looks beside the script, but the packages are in the folder above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Tools import checkout

    checkout.use_its_python()

from NexusCore.errors import EXIT_FAILURE, EXIT_OK, NoOpenSession, NoSuchSession
from Tools import completion
from Tools.arguments import Arguments, count, did_you_mean
from Tools.terminal import Screen, run_tool

if TYPE_CHECKING:
    from NexusCore.facility.sessions import Client, Session, Sessions
    from NexusCore.storage import Database

NAME = "SessionTool"
STATES = (
    "WAITING_FOR_END", "TO_BE_BUILT", "BUILDING", "BUILT", "COMPLETED", "NO_FILES_FOUND", "NO_CONSENT", "ERROR",
)  # fmt: skip
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


class Command(NamedTuple):
    """What the tool can do."""

    run: Callable[[Namespace, Screen, Sessions], int]
    help: str
    fill: Callable[[Arguments], None]
    """Adds its arguments."""


def parser() -> Arguments:
    """Return the parser of the tool's arguments."""
    made = Arguments(
        prog=NAME,
        description=__doc__,
        examples=(
            (f"{NAME} start FEI-Titan-TEM --user jane", "begin a session"),
            (f"{NAME} end FEI-Titan-TEM", "end the one that is open there"),
            (f"{NAME} list --state ERROR", "sessions without a record; requeue builds one anew"),
        ),
        epilog=f"Exit codes: 0 done, 1 no such thing, 2 usage, 3 database away, 4 refused. {NAME} COMMAND --help tells "
        "more of a command.",
    )
    commands = made.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, command in COMMANDS.items():
        description = f"{command.help[:1].upper()}{command.help[1:]}."
        one = commands.add_parser(name, description=description, help=command.help)
        command.fill(one)
        one.add_argument("--json", action="store_true", help="one JSON object per line, for programs")
    return made


def run(arguments: Namespace, screen: Screen) -> int:
    """Do what was asked for."""
    from NexusCore.clock import SYSTEM_CLOCK
    from NexusCore.facility.sessions import Sessions

    return COMMANDS[arguments.command].run(arguments, screen, Sessions(_database(), SYSTEM_CLOCK))


def start(arguments: Namespace, screen: Screen, sessions: Sessions) -> int:
    """Open a session."""
    from Tools.configuration import open_configuration

    instrument = open_configuration().instrument(arguments.instrument)
    session = sessions.start(instrument, _client(arguments.user))
    return _done(f"Session {session.identifier} of {session.user} started at {instrument}.", session, arguments, screen)


def end(arguments: Namespace, screen: Screen, sessions: Sessions) -> int:
    """Close a session, named by itself or by its instrument."""
    from Tools.moments import local

    found = sessions.open_on(arguments.which) or _ended_or_unknown(arguments.which, sessions)
    if found.end_ts is not None:
        when = local(found.end_ts)
        return _done(f"Session {found.identifier} has ended already, {when}.", found, arguments, screen)
    session = sessions.end(found.identifier, _client())
    return _done(f"Session {session.identifier} at {session.instrument} ended.", session, arguments, screen)


def requeue(arguments: Namespace, screen: Screen, sessions: Sessions) -> int:
    """Have a session's record built anew."""
    found = _session(arguments.identifier, sessions)
    session = sessions.requeue(found.identifier, _client())
    return _done(f"Session {session.identifier} is queued again; it was {found.state}.", session, arguments, screen)


def note(arguments: Namespace, screen: Screen, sessions: Sessions) -> int:
    """Write a remark into a session's log."""
    session = _session(arguments.identifier, sessions)
    sessions.note(session.identifier, _client(), " ".join(arguments.text))
    screen.say(f"Noted. SessionTool show {session.identifier} shows it among the session's events.")
    return EXIT_OK


def list_(arguments: Namespace, screen: Screen, sessions: Sessions) -> int:
    """Show the newest sessions."""
    from NexusCore.facility.sessions import State
    from Tools.configuration import open_configuration
    from Tools.sessions import described, rows

    state = State(arguments.state) if arguments.state else None
    found = sessions.newest(arguments.instrument, state, arguments.lines)
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
        screen.table(headers, rows(found), {State.ERROR: "bold red", State.WAITING_FOR_END: "green"})
    return EXIT_OK


def show(arguments: Namespace, screen: Screen, sessions: Sessions) -> int:
    """Show all that is known of a session."""
    from NexusCore.clock import SYSTEM_CLOCK
    from NexusCore.facility.records import Records
    from Tools.sessions import in_full, report

    session = _session(arguments.identifier, sessions)
    records = Records(_database(), SYSTEM_CLOCK)
    record = records.of_session(session.id)
    uploads = records.uploads(record) if record is not None else []
    if arguments.json:
        screen.show_json(**in_full(session, sessions.events(session), record, uploads))
        return EXIT_OK
    for line in report(session, sessions.events(session), record, uploads, screen):
        screen.show(line)
    screen.say(_next(session))
    return EXIT_OK


def _database() -> Database:
    from NexusCore import settings
    from NexusCore.storage import Database

    return Database(settings.load().main)


def _client(account: str | None = None) -> Client:
    from NexusCore.facility.sessions import Client
    from Tools.person import host, user

    return Client(user=account or user(), host=host(), zone=datetime.now().astimezone().strftime("%z"))


def _session(identifier: str, sessions: Sessions) -> Session:
    """Return the session of an identifier, or of the beginning of one if only one begins so."""
    try:
        return sessions.get(identifier)
    except NoSuchSession:
        alike = [one for one in sessions.newest(count=1000) if one.identifier.startswith(identifier)]
        if len(alike) != 1:
            raise
        return alike[0]


def _ended_or_unknown(which: str, sessions: Sessions) -> Session:
    """Return the session of an identifier; where there is none, tell an instrument from a mistake."""
    from Tools.configuration import open_configuration

    try:
        return _session(which, sessions)
    except NoSuchSession as error:
        known = open_configuration().instruments()
        if which in known:
            raise NoOpenSession(instrument=which) from None
        raise NoSuchSession(identifier=which, hint=error.facts["hint"] or did_you_mean(which, known)) from None


def _done(text: str, session: Session, arguments: Namespace, screen: Screen) -> int:
    """Tell what was done, and what comes next."""
    if arguments.json:
        from Tools.sessions import described

        screen.show_json(**described(session))
    else:
        screen.show(text)
        screen.show(_next(session))
    return EXIT_OK


def _next(session: Session) -> str:
    return NEXT[session.state].format(identifier=session.identifier)


# -- the commands' arguments -------------------------------------------------------------------------------------------


def _start_arguments(made: Arguments) -> None:
    instrument = made.add_argument("instrument", metavar="INSTRUMENT", help="pid of the instrument")
    completion.attach(instrument, completion.instruments)
    made.add_argument("--user", metavar="USER", help="account of the person at the instrument; yours, if not given")


def _end_arguments(made: Arguments) -> None:
    which = made.add_argument("which", metavar="IDENTIFIER|INSTRUMENT", help="the session, or where it is open")
    completion.attach(which, completion.open_sessions)


def _list_arguments(made: Arguments) -> None:
    instrument = made.add_argument("--instrument", metavar="INSTRUMENT", help="only at this instrument")
    completion.attach(instrument, completion.instruments)
    state = made.add_argument("--state", choices=STATES, metavar="STATE", type=str.upper, help="only in this state")
    completion.attach(state, lambda _arguments, _prefix: STATES)
    made.add_argument("-n", "--lines", type=count, default=20, metavar="N", help="how many (20)")


def _identifier(made: Arguments) -> None:
    identifier = made.add_argument("identifier", metavar="IDENTIFIER", help="the session, or how only its name begins")
    completion.attach(identifier, completion.sessions)


def _note_arguments(made: Arguments) -> None:
    _identifier(made)
    made.add_argument("text", metavar="TEXT", nargs="+", help="what to remark")


COMMANDS = {
    "start": Command(start, "begin a session at an instrument", _start_arguments),
    "end": Command(end, "end a session; its record is built next", _end_arguments),
    "list": Command(list_, "show the newest sessions", _list_arguments),
    "show": Command(show, "show all that is known of a session", _identifier),
    "requeue": Command(requeue, "have a session's record built anew", _identifier),
    "note": Command(note, "write a remark into a session's log", _note_arguments),
}
"""Everything the tool can do, by the word that is typed; each command adds itself here."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
