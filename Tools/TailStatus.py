#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Show the status of the facility's programs, and follow it."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if not __package__:
    # Run as ./Tools/TailStatus.py: Python looks beside the script, but the packages are in the folder above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Tools.common import checkout

    checkout.use_its_python()

from Tools.common import completion
from Tools.common.arguments import Arguments, WrongUse, moment, seconds
from Tools.common.terminal import Screen, run_tool

if TYPE_CHECKING:
    from NexusCore.settings import Settings
    from NexusCore.storage import Database
    from Tools.tailstatus.waiting import Condition

NAME = "TailStatus"
_CONFLICTS = {
    "watch": ("follow", "since", "json", "csv", "exit_on", "spark", "plot"),
    "plot": ("follow", "json", "csv", "exit_on", "spark"),
    "spark": ("follow", "csv", "exit_on"),
}
"""Options, and those that each cannot be combined with."""


def parser() -> Arguments:
    """Return the parser of the tool's arguments."""
    parser = Arguments(
        prog=NAME,
        usage=f"{NAME} [OPTION ...] [CHANNEL:NAME ...]",
        description=__doc__,
        examples=(
            ("TailStatus", "each service and instrument, and what needs somebody"),
            ("TailStatus 'Camera*:temp*' --spark", "some values, and how they changed in the last hour"),
            ("TailStatus -f Builder", "the values of a channel, whenever they change"),
            ("TailStatus --exit-on Builder:state=idle", "wait until the value is idle"),
        ),
        epilog="STALE marks a value that its program did not renew in time; for --exit-on it counts as unknown. "
        "Exit code 1: the status was not found, or --timeout passed.",
    )
    what = "a value, or a whole channel; * and ? are wildcards"
    wanted = parser.add_argument("wanted", nargs="*", metavar="CHANNEL:NAME", help=what)
    completion.attach(wanted, completion.channels)
    what = "all values instead of the overview; with -f and -S, also those that were only renewed"
    parser.add_argument("-a", "--all", action="store_true", help=what)
    what = "show the present values, one per line, and go on with changes as they happen"
    parser.add_argument("-f", "--follow", action="store_true", help=what)
    what = "show the changes since then instead of the present values: yesterday, 09:30, -15m, 2026-11-20"
    parser.add_argument("-S", "--since", type=moment, metavar="TIME", help=what)
    what = "show the overview, or the wanted values, and update it when something changes"
    parser.add_argument("--watch", action="store_true", help=what)
    what = "show how each number has changed in the last hour, or since -S"
    parser.add_argument("--spark", action="store_true", help=what)
    what = "draw the numbers of the last day, or since -S, into a picture"
    plot = parser.add_argument("--plot", metavar="FILE.png", help=what)
    completion.attach(plot, completion.files)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object per line")
    form.add_argument("--csv", action="store_true", help="comma-separated values, with a header")
    condition = parser.add_argument(
        "--exit-on", type=_condition, action="append", metavar="CHANNEL:NAME=VALUE",
        help="end with exit code 0 as soon as this is true; also != and, for numbers, < > <= >= "
        "(repeatable: as soon as all are true at once)",
    )  # fmt: skip
    completion.attach(condition, completion.channels)
    what = "longest wait of --exit-on, in seconds or as 15m; after it the exit code is 1"
    parser.add_argument("--timeout", type=seconds, metavar="S", help=what)
    return parser


def _condition(text: str) -> Condition:
    from Tools.tailstatus.waiting import Condition

    return Condition.parse(text)


def run(arguments: Namespace, screen: Screen) -> int:
    """Show, follow or wait for values, as the arguments say."""
    _check(arguments, screen)
    from NexusCore import settings
    from NexusCore.storage import Database
    from NexusCore.wakeup import Wakeups

    loaded = settings.load()
    database = Database(loaded.status, wakeups=Wakeups(loaded.home), create=False)
    if arguments.exit_on is not None:
        from Tools.tailstatus.waiting import wait

        return wait(database, arguments, screen)
    if not (arguments.wanted or arguments.all or arguments.follow or arguments.json or arguments.csv):
        if arguments.watch:
            from Tools.tailstatus.overview import OverviewReader
            from Tools.tailstatus.watching import watch_overview

            return watch_overview(database, OverviewReader(loaded, database).read, screen)
        if arguments.since is None and not arguments.spark and arguments.plot is None:
            return _overview(loaded, database, screen)
    if arguments.watch:
        from Tools.tailstatus.watching import watch

        return watch(database, arguments, screen)
    if arguments.plot is not None or arguments.spark:
        from Tools.tailstatus import courses

        return (courses.show_sparks if arguments.plot is None else courses.plot)(database, arguments, screen)
    from Tools.tailstatus import reading

    if arguments.follow:
        return reading.show_and_follow(database, arguments, screen)
    return (reading.show_now if arguments.since is None else reading.show_changes)(database, arguments, screen)


def _overview(loaded: Settings, database: Database, screen: Screen) -> int:
    from NexusCore.clock import SYSTEM_CLOCK
    from NexusCore.errors import EXIT_FAILURE
    from Tools.tailstatus.overview import OverviewReader
    from Tools.tailstatus.picture import picture

    now = SYSTEM_CLOCK.now()
    overview = OverviewReader(loaded, database).read(now)
    if overview.empty:
        screen.fail("No program has reported any status yet.")
        return EXIT_FAILURE
    for line in picture(overview, now, screen.columns, screen.paint):
        screen.show(line)
    return overview.code


def _check(arguments: Namespace, screen: Screen) -> None:
    if arguments.timeout is not None and arguments.exit_on is None:
        raise WrongUse(mistake="--timeout needs --exit-on.", tool=NAME)
    for mode, others in _CONFLICTS.items():
        for option in others if getattr(arguments, mode) else ():
            if getattr(arguments, option) not in (None, False):
                mistake = f"--{mode} cannot be combined with --{option.replace('_', '-')}."
                raise WrongUse(mistake=mistake, tool=NAME)
    if arguments.since is not None and arguments.exit_on is not None:
        raise WrongUse(mistake="--exit-on cannot be combined with --since.", tool=NAME)
    if arguments.watch and (not screen.terminal or os.environ.get("TERM", "dumb") == "dumb"):
        raise WrongUse(mistake="--watch needs a terminal; use -f to follow.", tool=NAME)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
