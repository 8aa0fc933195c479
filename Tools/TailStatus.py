#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Show what the facility's programs are doing, and follow it."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if not __package__:
    # Run as ./Tools/TailStatus.py: Python looks beside the script, but the packages are in the folder above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Tools import checkout

    checkout.use_its_python()

from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from Tools import completion
from Tools.arguments import Arguments, did_you_mean
from Tools.terminal import Screen, one_line, run_tool

if TYPE_CHECKING:
    from NexusCore.status.store import StatusSample
    from NexusCore.storage import Database

NAME = "TailStatus"
STALE = "STALE"


def parser() -> Arguments:
    """Return the parser of the tool's arguments."""
    made = Arguments(
        prog=NAME,
        description=__doc__,
        examples=(
            ("TailStatus", "everything there is now, with its age"),
            ("TailStatus -f Builder:state Uploader:state", "two values, each time they change"),
            ("TailStatus 'Camera*' '*:temperature'", "whole channels, and one name in all of them"),
        ),
        epilog=f"{STALE} marks what was not renewed as its program promised. Exit code 1: there is no such status.",
    )
    what = "channel:name, or a whole channel; * and ? stand for anything"
    wanted = made.add_argument("wanted", nargs="*", metavar="CHANNEL:NAME", help=what)
    completion.attach(wanted, completion.channels)
    made.add_argument("-f", "--follow", action="store_true", help="show each change as it comes")
    made.add_argument("--json", action="store_true", help="one JSON object per line")
    return made


def run(arguments: Namespace, screen: Screen) -> int:
    """Show what was asked for."""
    from NexusCore import settings
    from NexusCore.clock import SYSTEM_CLOCK
    from NexusCore.status.store import latest
    from NexusCore.storage import Database

    database = Database(settings.load().status)
    if arguments.follow:
        return _follow(database, arguments, screen)
    samples = latest(database)
    chosen = [sample for sample in samples if is_wanted(sample, arguments.wanted)]
    if not chosen:
        screen.fail(_no_match(samples, arguments.wanted))
        return EXIT_FAILURE
    now = SYSTEM_CLOCK.now()
    if arguments.json:
        for sample in chosen:
            _show_json(sample, now, screen)
    else:
        _table(chosen, now, screen)
    return EXIT_OK


def is_wanted(sample: StatusSample, wanted: Sequence[str]) -> bool:
    """Tell whether a sample is one of those asked for: by channel, or by ``channel:name``, with wildcards."""
    names = (f"{sample.channel}:{sample.name}", sample.channel)
    return not wanted or any(word in names or any(fnmatchcase(name, word) for name in names) for word in wanted)


def is_stale(sample: StatusSample, now: int) -> bool:
    """Tell whether a sample has expired."""
    return sample.expires is not None and sample.expires < now


def _follow(database: Database, arguments: Namespace, screen: Screen) -> int:
    from NexusCore.clock import SYSTEM_CLOCK
    from NexusCore.status.store import arriving, short_line
    from NexusCore.tail import Tail
    from Tools.following import follow

    tail = Tail(database, arriving(), SYSTEM_CLOCK)
    tail.begin()
    if screen.terminal:
        screen.say("Waiting for changes; Ctrl-C ends.")
    for sample in follow(tail, screen):
        if not is_wanted(sample, arguments.wanted):
            continue
        if arguments.json:
            _show_json(sample, SYSTEM_CLOCK.now(), screen)
        else:
            screen.show(one_line(short_line(sample)))
    return EXIT_OK


def _show_json(sample: StatusSample, now: int, screen: Screen) -> None:
    from Tools.moments import rfc3339

    screen.show_json(
        time=rfc3339(sample.ts), channel=sample.channel, name=sample.name, value=sample.value,
        expires=rfc3339(sample.expires), stale=is_stale(sample, now),
    )  # fmt: skip


def _table(samples: Sequence[StatusSample], now: int, screen: Screen) -> None:
    from Tools.moments import span

    rows = [
        (one.channel, one.name, one.value or "", span(now - one.ts), STALE if is_stale(one, now) else "")
        for one in samples
    ]
    screen.table(("channel", "name", "value", "age", ""), rows, {STALE: "bold red"})


def _no_match(samples: Sequence[StatusSample], wanted: Sequence[str]) -> str:
    if not samples:
        return "No program has reported any status yet."
    known = {name for one in samples for name in (one.channel, f"{one.channel}:{one.name}")}
    hints = "".join(did_you_mean(word, sorted(known)) for word in wanted)
    return f"There is no status {' or '.join(repr(word) for word in wanted)}.{hints}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
