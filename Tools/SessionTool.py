#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Start, end and look at sessions at the instruments, and have their records built anew."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

if not __package__:
    # Run as ./Tools/SessionTool.py: Python looks beside the script, but the packages are in the folder above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Tools.common import checkout

    checkout.use_its_python()

from Tools.common import completion
from Tools.common.arguments import Arguments, count, moment
from Tools.common.terminal import Screen, run_tool

NAME = "SessionTool"
STATES = (
    "WAITING_FOR_END", "TO_BE_BUILT", "BUILDING", "BUILT", "COMPLETED", "NO_FILES_FOUND", "NO_CONSENT", "ERROR",
)  # fmt: skip


class SessionCommand(NamedTuple):
    """What the tool can do."""

    run: str
    """Room in `Tools.sessiontool` and function that does it; imported when it is wanted."""
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
    for name, command in SESSION_COMMANDS.items():
        description = f"{command.help[:1].upper()}{command.help[1:]}."
        subparser = commands.add_parser(name, description=description, help=command.help)
        command.fill(subparser)
        subparser.add_argument("--json", action="store_true", help="one JSON object per line, for programs")
    return made


def run(arguments: Namespace, screen: Screen) -> int:
    """Do what was asked for."""
    room, _, name = SESSION_COMMANDS[arguments.command].run.partition(".")
    command: Callable[[Namespace, Screen], int] = getattr(import_module(f"Tools.sessiontool.{room}"), name)
    return command(arguments, screen)


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
    _lines(made, "how many (20)")


def _identifier(made: Arguments) -> None:
    identifier = made.add_argument("identifier", metavar="IDENTIFIER", help="the session, or how only its name begins")
    completion.attach(identifier, completion.sessions)


def _note_arguments(made: Arguments) -> None:
    _end_arguments(made)
    made.add_argument("text", metavar="TEXT", nargs="+", help="what to remark")


def _lines(made: Arguments, what: str) -> None:
    made.add_argument("-n", "--lines", type=count, default=20, metavar="N", help=what)


def _show_arguments(made: Arguments) -> None:
    _identifier(made)
    _lines(made, "how many files and lines of log (20)")


def _requeue_arguments(made: Arguments) -> None:
    _identifier(made)
    made.add_argument("--upload", action="store_true", help="send the record it has to all destinations again")


def _close_arguments(made: Arguments) -> None:
    _end_arguments(made)
    when = made.add_mutually_exclusive_group()
    when.add_argument("--at", type=moment, metavar="TIME", help="it ended then, such as 17:30 or '2026-11-20 17:30'")
    when.add_argument("--now", action="store_true", help="it ends now; without either, it ended with its last file")
    made.add_argument("--dry-run", action="store_true", help="show when it would have ended, and change nothing")


SESSION_COMMANDS = {
    "start": SessionCommand("acting.start", "begin a session at an instrument", _start_arguments),
    "end": SessionCommand("acting.end", "end a session; its record is built next", _end_arguments),
    "close": SessionCommand(
        "acting.close", "end a session that was forgotten, when its last file came", _close_arguments
    ),
    "note": SessionCommand("acting.note", "write a remark into a session's log", _note_arguments),
    "list": SessionCommand("listing.list_", "show the newest sessions", _list_arguments),
    "show": SessionCommand("showing.show", "show all that is known of a session: events, files, log", _show_arguments),
    "trace": SessionCommand("showing.trace", "show everything about a session, in the order of time", _identifier),
    "requeue": SessionCommand(
        "acting.requeue", "have a session's record built anew, or sent again", _requeue_arguments
    ),
}
"""Everything the tool can do, by the word that is typed; each command adds itself here."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
