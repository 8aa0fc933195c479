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
    from Tools.tailstatus.waiting import Condition

NAME = "TailStatus"


def parser() -> Arguments:
    """Return the parser of the tool's arguments."""
    parser = Arguments(
        prog=NAME,
        usage=f"{NAME} [OPTION ...] [CHANNEL:NAME ...]",
        description=__doc__,
        examples=(
            ("TailStatus", "all present values with their age"),
            ("TailStatus -f Builder 'Camera*:temp*'", "a channel and some other values, whenever they change"),
            ("TailStatus --exit-on Builder:state=idle", "wait until the value is idle"),
        ),
        epilog="STALE marks a value that its program did not renew in time; for --exit-on it counts as unknown. "
        "Exit code 1: the status was not found, or --timeout passed.",
    )
    what = "a value, or a whole channel; * and ? are wildcards"
    wanted = parser.add_argument("wanted", nargs="*", metavar="CHANNEL:NAME", help=what)
    completion.attach(wanted, completion.channels)
    what = "show the present values, one per line, and go on with changes as they happen"
    parser.add_argument("-f", "--follow", action="store_true", help=what)
    what = "show the changes since then instead of the present values: yesterday, 09:30, -15m, 2026-11-20"
    parser.add_argument("-S", "--since", type=moment, metavar="TIME", help=what)
    parser.add_argument("--watch", action="store_true", help="show a table and update it when something changes")
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
    if arguments.watch:
        from Tools.tailstatus.watching import watch

        return watch(database, arguments, screen)
    from Tools.tailstatus import reading

    if arguments.follow:
        return reading.show_and_follow(database, arguments, screen)
    return (reading.show_now if arguments.since is None else reading.show_changes)(database, arguments, screen)


def _check(arguments: Namespace, screen: Screen) -> None:
    if arguments.timeout is not None and arguments.exit_on is None:
        raise WrongUse(mistake="--timeout needs --exit-on.", tool=NAME)
    for option in ("follow", "since", "json", "csv", "exit_on"):
        if arguments.watch and getattr(arguments, option) not in (None, False):
            raise WrongUse(mistake=f"--watch cannot be combined with --{option.replace('_', '-')}.", tool=NAME)
    if arguments.since is not None and arguments.exit_on is not None:
        raise WrongUse(mistake="--exit-on cannot be combined with --since.", tool=NAME)
    if arguments.watch and (not screen.terminal or os.environ.get("TERM", "dumb") == "dumb"):
        raise WrongUse(mistake="--watch needs a terminal; use -f to follow.", tool=NAME)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
