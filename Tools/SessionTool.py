#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Start, end and show sessions at the instruments, and rebuild their records."""

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

FILE_STATES = (
    "waiting", "growing", "locked", "sending", "checking", "verified", "held", "failed", "gone", "damaged",
)  # fmt: skip


class SessionCommand(NamedTuple):
    """A command of the tool."""

    run: str
    """Module in `Tools.sessiontool` and its function; imported when needed."""
    help: str
    fill: Callable[[Arguments], None]
    """Adds its arguments."""


def parser() -> Arguments:
    """Return the parser of the tool's arguments."""
    parser = Arguments(
        prog=NAME,
        description=__doc__,
        examples=(
            (f"{NAME} start FEI-Titan-TEM --user jane", "start a session"),
            (f"{NAME} end FEI-Titan-TEM", "end the session that is open there"),
            (f"{NAME} list --state ERROR", "sessions whose record failed; requeue rebuilds it"),
        ),
        epilog=f"Exit codes: 0 done, 1 not found, 2 usage, 3 database away, 4 refused. For help on a command: "
        f"{NAME} COMMAND --help",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, command in SESSION_COMMANDS.items():
        description = f"{command.help[:1].upper()}{command.help[1:]}."
        subparser = commands.add_parser(name, description=description, help=command.help)
        command.fill(subparser)
        if name != "token":
            _json(subparser)
    return parser


def run(arguments: Namespace, screen: Screen) -> int:
    """Run the command."""
    module, _, name = SESSION_COMMANDS[arguments.command].run.partition(".")
    command: Callable[[Namespace, Screen], int] = getattr(import_module(f"Tools.sessiontool.{module}"), name)
    return command(arguments, screen)


# -- the commands' arguments -------------------------------------------------------------------------------------------


def _json(parser: Arguments) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object per line, for programs")


def _start_arguments(parser: Arguments) -> None:
    instrument = parser.add_argument("instrument", metavar="INSTRUMENT", help="pid of the instrument")
    completion.attach(instrument, completion.instruments)
    parser.add_argument("--user", metavar="USER", help="account of the person at the instrument; yours by default")


def _end_arguments(parser: Arguments) -> None:
    which = parser.add_argument(
        "which", metavar="IDENTIFIER|INSTRUMENT", help="the session, or the instrument where it is open"
    )
    completion.attach(which, completion.open_sessions)


def _list_arguments(parser: Arguments) -> None:
    instrument = parser.add_argument("--instrument", metavar="INSTRUMENT", help="only at this instrument")
    completion.attach(instrument, completion.instruments)
    _which(parser)
    parser.add_argument("--user", metavar="USER", help="only of this account at the instrument's PC")
    _lines(parser, "number of sessions (20)")
    parser.add_argument("--watch", action="store_true", help="show them and update that when something changes")
    parser.add_argument(
        "--csv",
        action="store_true",
        help="comma-separated values, with a header; a text such as =A1 begins with an apostrophe",
    )


def _which(parser: Arguments) -> None:
    what = "only in this state (repeatable: any of them)"
    state = parser.add_argument("--state", choices=STATES, metavar="STATE", type=str.upper, action="append", help=what)
    completion.attach(state, lambda _arguments, _prefix: STATES)
    parser.add_argument("-S", "--since", type=moment, metavar="TIME", help="only those that started since then")
    parser.add_argument("-U", "--until", type=moment, metavar="TIME", help="only those that started until then")


def _note_arguments(parser: Arguments) -> None:
    _end_arguments(parser)
    parser.add_argument("text", metavar="TEXT", nargs="+", help="the remark")


def _lines(parser: Arguments, what: str) -> None:
    parser.add_argument("-n", "--lines", type=count, default=20, metavar="N", help=what)


def _newest(parser: Arguments) -> None:
    which = parser.add_argument(
        "which",
        metavar="IDENTIFIER|INSTRUMENT",
        help="the session, or an instrument: its open session, else its newest one",
    )
    completion.attach(which, completion.sessions)


def _show_arguments(parser: Arguments) -> None:
    _newest(parser)
    _lines(parser, "number of files and log lines (20)")


def _open_arguments(parser: Arguments) -> None:
    _newest(parser)
    parser.add_argument("--print", action="store_true", help="only print the path of the page")


def _requeue_arguments(parser: Arguments) -> None:
    identifier = parser.add_argument(
        "identifier", metavar="IDENTIFIER", nargs="*", help="sessions, or unambiguous beginnings of their identifiers"
    )
    completion.attach(identifier, completion.sessions)
    _which(parser)
    instrument = parser.add_argument("--instrument", metavar="INSTRUMENT", help="only at this instrument")
    completion.attach(instrument, completion.instruments)
    parser.add_argument("--dry-run", action="store_true", help="show which, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask, however many they are")
    what = "send existing records to all destinations again; with --state ERROR, those that could not be sent"
    parser.add_argument("--upload", action="store_true", help=what)
    parser.add_argument("--all", action="store_true", help="with --upload: records of all sessions")
    parser.add_argument("--destination", metavar="NAME", help="with --upload: only to this destination")


def _close_arguments(parser: Arguments) -> None:
    _end_arguments(parser)
    when = parser.add_mutually_exclusive_group()
    when.add_argument(
        "--at", type=moment, metavar="TIME", help="it ended at this time, such as 17:30 or '2026-11-20 17:30'"
    )
    when.add_argument("--now", action="store_true", help="it ends now; by default, it ended with its last file")
    parser.add_argument("--dry-run", action="store_true", help="show when it would have ended, and change nothing")


def _transfer_arguments(parser: Arguments) -> None:
    _newest(parser)
    state = parser.add_argument(
        "--state", choices=FILE_STATES, metavar="STATE", type=str.lower, help="only files in this state"
    )
    completion.attach(state, lambda _arguments, _prefix: FILE_STATES)
    _lines(parser, "number of files (20)")


def _token_arguments(parser: Arguments) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    make = actions.add_parser("make", help="make a token for a PC, and print it once")
    make.add_argument("computer", metavar="COMPUTER", help="name of the PC")
    instrument = make.add_argument(
        "instruments", metavar="INSTRUMENT", nargs="*", help="its instruments; by default those with its computer_name"
    )
    completion.attach(instrument, completion.instruments)
    make.add_argument("--until", type=moment, metavar="TIME", help="when it expires, such as 2027-12-31; else never")
    make.add_argument("--metrics", action="store_true", help="only for reading /metrics of the Gateway, not for a PC")
    listed = actions.add_parser("list", help="show the tokens, but not their secrets")
    listed.add_argument("--all", action="store_true", help="revoked ones, too")
    revoke = actions.add_parser("revoke", help="make a token useless from now on")
    revoke.add_argument("which", metavar="COMPUTER|NUMBER", help="name of the PC, or the number in the list")
    for action in (make, listed, revoke):
        _json(action)


SESSION_COMMANDS = {
    "start": SessionCommand("acting.start", "start a session at an instrument", _start_arguments),
    "end": SessionCommand("acting.end", "end a session, so that its record is built", _end_arguments),
    "close": SessionCommand(
        "acting.close", "end a forgotten session at the time of its last file; do not wait for files", _close_arguments
    ),
    "note": SessionCommand("acting.note", "add a remark to a session", _note_arguments),
    "list": SessionCommand("listing.list_", "show the newest sessions", _list_arguments),
    "show": SessionCommand("showing.show", "show a session with its events, files and log", _show_arguments),
    "trace": SessionCommand("showing.trace", "show all that happened in a session, in order of time", _newest),
    "transfer": SessionCommand(
        "transfer.transfer", "show which files of a session are in the store, and which not yet", _transfer_arguments
    ),
    "open": SessionCommand(
        "opening.open_", "open the page of a session's record in the browser, and print its path", _open_arguments
    ),
    "requeue": SessionCommand(
        "acting.requeue", "rebuild the records of sessions, or send records again", _requeue_arguments
    ),
    "token": SessionCommand(
        "tokens.token", "make, list and revoke the tokens with which PCs use the Gateway", _token_arguments
    ),
}
"""All commands, by the word that is typed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
