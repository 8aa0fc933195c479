#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Show the log of the facility's programs, and follow it."""

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
    parser = Arguments(
        prog=NAME,
        usage=f"{NAME} [OPTION ...] [WORD ...]",
        description=__doc__,
        examples=(
            ("TailLog -f", "the newest lines, and each new line as it arrives"),
            ("TailLog -p warning -S -2h --logger Builder", "warnings of the Builder in the last two hours"),
            ("TailLog -n 500 Titan timeout", "lines with both words in the message"),
        ),
        epilog="A line must meet all conditions, and any of several loggers, modules or hosts. Lines are sorted by "
        "time; with -f, new lines appear as they arrive. A TIME is a date, a time of day, both, a time before now "
        "(-15m, 2h ago), yesterday, or @ and seconds since the epoch. Exit code 1: no line matches.",
    )
    _which(parser)
    _how(parser)
    _whole(parser)
    return parser


def _which(parser: Arguments) -> None:
    parser.add_argument("keywords", nargs="*", metavar="WORD", help="a text in the message or its traceback")
    which = parser.add_argument_group("which lines")
    lines = f"number of newest lines (default: {DEFAULT_LINES}; with -S, -U or --after-cursor, all)"
    which.add_argument("-n", "--lines", type=count, metavar="N", help=lines)
    which.add_argument("-S", "--since", type=moment, metavar="TIME", help="lines from this time on")
    which.add_argument("-U", "--until", type=moment, metavar="TIME", help="lines up to this time")
    level = which.add_argument(
        "-p", "--level", type=levels, metavar="LEVEL[..LEVEL]", help="this level and above, or a range of levels"
    )
    completion.attach(level, completion.levels)
    for option, what, completer in (
        ("--logger", "lines of this logger, the name given to get_log (repeatable)", completion.loggers),
        ("--module", "lines of this module, the file of the log statement (repeatable)", completion.modules),
        ("--host", "lines of this machine (repeatable)", completion.hosts),
    ):
        completion.attach(which.add_argument(option, action="append", metavar="NAME", help=what), completer)
    session = which.add_argument("--session", metavar="IDENTIFIER", help="lines about this session")
    completion.attach(session, completion.sessions)
    which.add_argument(
        "-g", "--grep", type=regex, metavar="REGEX",
        help="a Python regular expression that the message or its traceback matches; all lines that meet the other "
        "conditions are searched, back to the oldest if necessary",
    )  # fmt: skip
    which.add_argument(
        "--after-cursor",
        type=cursor,
        metavar="CURSOR",
        help="lines that arrived since --cursor wrote this; empty at the first time",
    )


def _how(parser: Arguments) -> None:
    how = parser.add_argument_group("how to show them")
    order = how.add_mutually_exclusive_group()
    order.add_argument("-f", "--follow", action="store_true", help="go on with new lines as they arrive")
    order.add_argument("-r", "--reverse", action="store_true", help="the newest line first")
    form = how.add_mutually_exclusive_group()
    form.add_argument(
        "-o", "--output", choices=("short", "iso", "verbose", "cat", "json"),
        help="short: one line each; iso: the same, with a sortable time and its zone; verbose: all fields; cat: the "
        "message; short and iso cut a message or traceback of more than 16 KiB",
    )  # fmt: skip
    form.add_argument("--json", action="store_const", const="json", dest="output", help="one JSON object per line")
    how.add_argument(
        "--fields", type=fields, nargs="?", const=(), metavar="A,B,...",
        help="only these fields, separated by tabs; without names, list all fields",
    )  # fmt: skip
    how.add_argument("--cursor", action="store_true", help="write a cursor at the end, for --after-cursor")


def _whole(parser: Arguments) -> None:
    whole = parser.add_argument_group("the log as a whole instead of its lines")
    choices = ("level", "logger", "module", "host", "session")
    whole.add_argument("--values", choices=choices, help="list the values of this field in the matching lines")
    whole.add_argument("--disk-usage", action="store_true", help="size and age of the log")
    whole.add_argument(
        "--vacuum-time", type=moment, metavar="TIME",
        help="delete matching lines older than this time, such as 90d, after a question",
    )  # fmt: skip
    whole.add_argument("--yes", action="store_true", help="delete without asking")


def run(arguments: Namespace, screen: Screen) -> int:
    """Show, follow or delete lines, as the arguments say."""
    check(arguments, NAME)
    arguments.output = arguments.output or "short"
    if arguments.fields == ():
        from Tools.taillog.lines import show_fields

        return show_fields(arguments, screen)
    from NexusCore import settings
    from NexusCore.storage import Database
    from NexusCore.wakeup import Wakeups

    loaded = settings.load()
    database = Database(loaded.log, wakeups=Wakeups(loaded.home), create=False)
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
