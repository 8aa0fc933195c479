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
from Tools.common.arguments import Arguments, count, duration, levels, moment
from Tools.common.terminal import Screen, run_tool
from Tools.taillog.query import DEFAULT_LINES, check, complete, cursor, fields, regex

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
            (
                "TailLog -n 500 Titan timeout -v retry -C 3",
                "lines with two words but not the third, and around",
            ),
            ("TailLog --count 1h -p error -S -7d", "how many errors there were in each hour of the week"),
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
    what = "lines about this session; a beginning of its identifier is enough"
    session = which.add_argument("--session", metavar="IDENTIFIER", help=what)
    completion.attach(session, completion.sessions)
    which.add_argument(
        "-g", "--grep", type=regex, action="append", metavar="REGEX",
        help="a Python regular expression that the message or its traceback matches (repeatable: any of them); all "
        "lines that meet the other conditions are searched, back to the oldest if necessary",
    )  # fmt: skip
    what = "leave out lines with this text in the message or its traceback (repeatable)"
    which.add_argument("-v", "--exclude", action="append", metavar="WORD", help=what)
    what = "lines since the last start of the services named by --logger"
    which.add_argument("--since-start", action="store_true", help=what)
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
        "-o", "--output", choices=("short", "iso", "verbose", "cat", "json", "csv"),
        help="short: one line each; iso: the same, with a sortable time and its zone; verbose: all fields; cat: the "
        "message; short and iso cut a message or traceback of more than 16 KiB",
    )  # fmt: skip
    form.add_argument("--json", action="store_const", const="json", dest="output", help="one JSON object per line")
    how.add_argument(
        "--fields", type=fields, nargs="?", const=(), metavar="A,B,...",
        help="only these fields, separated by tabs; without names, list all fields",
    )  # fmt: skip
    form.add_argument(
        "--csv",
        action="store_const",
        const="csv",
        dest="output",
        help="comma-separated, with a header; a text such as =A1 begins with an apostrophe",
    )
    what = "also up to N lines before and after each, of the same loggers, levels and times"
    how.add_argument("-C", "--context", type=count, metavar="N", help=what)
    what = "show these fields in each line, too, such as host,session"
    how.add_argument("--with", type=fields, dest="extra", metavar="A,B,...", help=what)
    how.add_argument("--utc", action="store_true", help="show times in UTC")
    how.add_argument("--pager", action="store_true", help="show them in $PAGER, or in less")
    how.add_argument("--cursor", action="store_true", help="write a cursor at the end, for --after-cursor")


def _whole(parser: Arguments) -> None:
    whole = parser.add_argument_group("the log as a whole instead of its lines")
    choices = ("level", "logger", "module", "host", "session")
    whole.add_argument("--values", choices=choices, help="list the values of this field in the matching lines")
    what = "show how many lines there are in each such time, as 1h or 10m"
    whole.add_argument("--count", type=duration, dest="per", metavar="LENGTH", help=what)
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
    if arguments.utc:
        _use_utc()
    if arguments.fields == ():
        from Tools.taillog.lines import show_fields

        return show_fields(arguments, screen)
    from NexusCore import settings
    from NexusCore.storage import Database
    from NexusCore.wakeup import Wakeups

    loaded = settings.load()
    database = Database(loaded.log, wakeups=Wakeups(loaded.home), create=False)
    complete(database, arguments)
    if arguments.per is not None:
        from Tools.taillog.histogram import show_histogram

        return show_histogram(database, arguments, screen)
    if arguments.values or arguments.disk_usage or arguments.vacuum_time is not None:
        from Tools.taillog import maintenance

        work = maintenance.show_values if arguments.values else maintenance.vacuum
        return (maintenance.show_disk_usage if arguments.disk_usage else work)(database, arguments, screen)
    from Tools.taillog.reading import show, show_and_follow

    if arguments.pager and screen.terminal:
        from Tools.common.pager import paged

        with paged(screen):
            return show(database, arguments, screen)
    return (show_and_follow if arguments.follow else show)(database, arguments, screen)


def _use_utc() -> None:
    import os
    import time

    os.environ["TZ"] = "UTC"
    if hasattr(time, "tzset"):
        time.tzset()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
