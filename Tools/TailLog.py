#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Show what the facility's programs log, and follow it."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

if not __package__:
    # Run as ./Tools/TailLog.py: Python looks beside the script, but the packages are in the folder above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Tools.common import checkout

    checkout.use_its_python()

from Tools.common import completion
from Tools.common.arguments import Arguments, count, levels, moment
from Tools.common.terminal import Screen, run_tool
from Tools.taillog.query import DEFAULT_LINES, check, cursor, fields, regex

NAME = "TailLog"


def parser() -> Arguments:
    """Return the parser of the tool's arguments."""
    made = Arguments(
        prog=NAME,
        usage=f"{NAME} [OPTION ...] [WORD ...]",
        description=__doc__,
        examples=(
            ("TailLog -f", "the newest lines, and each new one as it comes"),
            ("TailLog -p warning -S -2h --logger Builder", "what the Builder warned of in two hours"),
            ("TailLog -n 500 Titan timeout", "lines with both words in the message"),
        ),
        epilog="All conditions must hold; of several loggers, modules or hosts, any. Lines are in the order of their "
        "times, new ones in that of their arrival. A TIME is a date, a time of day, both, a length of time back "
        "from now (-15m, 2h ago), yesterday, or @ and seconds since the epoch. Exit code 1: nothing matches.",
    )
    _which(made)
    _how(made)
    _whole(made)
    return made


def _which(made: Arguments) -> None:
    made.add_argument("keywords", nargs="*", metavar="WORD", help="a text that must be in the message or its traceback")
    which = made.add_argument_group("which lines")
    lines = f"how many, the newest (default: {DEFAULT_LINES}, or all that -S, -U or --after-cursor leave)"
    which.add_argument("-n", "--lines", type=count, metavar="N", help=lines)
    which.add_argument("-S", "--since", type=moment, metavar="TIME", help="not before this time")
    which.add_argument("-U", "--until", type=moment, metavar="TIME", help="not after this time")
    level = which.add_argument(
        "-p", "--level", type=levels, metavar="LEVEL[..LEVEL]", help="this level and above, or from one to the other"
    )
    completion.attach(level, completion.levels)
    for option, what, completer in (
        ("--logger", "of this logger, the name given to get_log (repeatable)", completion.loggers),
        ("--module", "of this module, the file of the statement that logged (repeatable)", completion.modules),
        ("--host", "of this machine (repeatable)", completion.hosts),
    ):
        completion.attach(which.add_argument(option, action="append", metavar="NAME", help=what), completer)
    session = which.add_argument("--session", metavar="IDENTIFIER", help="of the work on this session")
    completion.attach(session, completion.sessions)
    which.add_argument(
        "-g", "--grep", type=regex, metavar="REGEX",
        help="a regular expression of Python's that the message or its traceback matches; the program looks for it in "
        "all that the other conditions leave, back to the oldest line if need be",
    )  # fmt: skip
    which.add_argument(
        "--after-cursor", type=cursor, metavar="CURSOR", help="what has arrived since --cursor wrote this"
    )


def _how(made: Arguments) -> None:
    how = made.add_argument_group("how they are shown")
    order = how.add_mutually_exclusive_group()
    order.add_argument("-f", "--follow", action="store_true", help="go on with each new line as it comes")
    order.add_argument("-r", "--reverse", action="store_true", help="the newest line first")
    how.add_argument(
        "-o", "--output", choices=("short", "iso", "verbose", "cat", "json"), default="short",
        help="short is a line each, iso one whose time sorts and says its zone, verbose all fields, cat the message; "
        "short and iso cut a message or traceback of more than 16 KiB",
    )  # fmt: skip
    how.add_argument("--json", action="store_const", const="json", dest="output", help="one JSON object per line")
    how.add_argument(
        "--fields", type=fields, nargs="?", const=(), metavar="A,B,...",
        help="only these fields, with tabs between them; without names, list the fields there are",
    )  # fmt: skip
    how.add_argument("--cursor", action="store_true", help="write a cursor at the end, for --after-cursor")


def _whole(made: Arguments) -> None:
    whole = made.add_argument_group("the log as a whole, instead of its lines")
    choices = ("level", "logger", "module", "host", "session")
    whole.add_argument("--values", choices=choices, help="each value that this field has in the lines that match")
    whole.add_argument("--disk-usage", action="store_true", help="how much room the log takes, and since when it is")
    whole.add_argument(
        "--vacuum-time", type=moment, metavar="TIME",
        help="delete the lines that match from before this time, such as 90d; asks before it does",
    )  # fmt: skip
    whole.add_argument("--yes", action="store_true", help="delete without being asked")


def run(arguments: Namespace, screen: Screen) -> int:
    """Do what was asked for."""
    check(arguments, NAME)
    if arguments.fields == ():
        from Tools.taillog.lines import show_fields

        return show_fields(arguments, screen)
    from NexusCore import settings
    from NexusCore.storage import Database
    from NexusCore.wakeup import Wakeups

    found = settings.load()
    database = Database(found.log, wakeups=Wakeups(found.home))
    if arguments.values or arguments.disk_usage or arguments.vacuum_time is not None:
        from Tools.taillog import maintenance

        work = maintenance.show_values if arguments.values else maintenance.vacuum
        return (maintenance.show_disk_usage if arguments.disk_usage else work)(database, arguments, screen)
    from Tools.taillog.reading import show, show_and_follow

    return (show_and_follow if arguments.follow else show)(database, arguments, screen)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
