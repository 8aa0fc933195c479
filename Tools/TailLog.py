#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Show what the facility's programs log, and follow it."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if not __package__:
    # Run as ./Tools/TailLog.py: Python looks beside the script, but the packages are in the folder above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from Tools import checkout

    checkout.use_its_python()

from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from Tools import completion
from Tools.arguments import Arguments, count, did_you_mean, level
from Tools.terminal import Screen, run_tool

if TYPE_CHECKING:
    from NexusCore.log.record import LogRecord
    from NexusCore.log.store import LogFilter
    from NexusCore.storage import Database

NAME = "TailLog"
LINES = 50
WARNING, ERROR = 30, 40
INDENT = "    "


def parser() -> Arguments:
    """Return the parser of the tool's arguments."""
    made = Arguments(
        prog=NAME,
        description=__doc__,
        examples=(
            ("TailLog -f", "the newest lines, and each new one as it comes"),
            ("TailLog -p warning --logger Builder", "what the Builder warns of"),
            ("TailLog -n 500 Titan timeout", "lines with both words in the message"),
        ),
        epilog="All conditions must hold; of several loggers, or several modules, any. Exit code 1: nothing matches.",
    )
    made.add_argument("keywords", nargs="*", metavar="WORD", help="a word that must be in the message")
    made.add_argument("-n", "--lines", type=count, default=LINES, metavar="N", help=f"how many lines ({LINES})")
    order = made.add_mutually_exclusive_group()
    order.add_argument("-f", "--follow", action="store_true", help="go on with each new line as it comes")
    order.add_argument("-r", "--reverse", action="store_true", help="the newest line first")
    made.add_argument("--json", action="store_true", help="one JSON object per line")
    for option, what, completer in (
        ("--logger", "only of this logger, the name given to get_log (repeatable)", completion.loggers),
        ("--module", "only of this module, the file of the statement that logged (repeatable)", completion.modules),
    ):
        action = made.add_argument(option, action="append", default=[], metavar="NAME", help=what)
        completion.attach(action, completer)
    session = made.add_argument("--session", metavar="IDENTIFIER", help="only of the work on this session")
    completion.attach(session, completion.sessions)
    least = made.add_argument("-p", "--level", type=level, default=0, metavar="LEVEL", help="only this level and above")
    completion.attach(least, completion.levels)
    return made


def run(arguments: Namespace, screen: Screen) -> int:
    """Show what was asked for."""
    from NexusCore import settings
    from NexusCore.log.store import LogFilter
    from NexusCore.storage import Database

    database = Database(settings.load().log)
    wanted = LogFilter(
        loggers=tuple(arguments.logger),
        modules=tuple(arguments.module),
        keywords=tuple(arguments.keywords),
        session=arguments.session,
        level=arguments.level,
    )
    if arguments.follow:
        return _follow(database, wanted, arguments, screen)
    return _newest(database, wanted, arguments, screen)


def _newest(database: Database, wanted: LogFilter, arguments: Namespace, screen: Screen) -> int:
    from NexusCore.log.store import newest

    records = newest(database, wanted, arguments.lines)
    for record in reversed(records) if arguments.reverse else records:
        _show(record, arguments, screen)
    if not records:
        screen.fail(f"No line of log matches.{_near_misses(database, wanted)}")
    return EXIT_OK if records else EXIT_FAILURE


def _follow(database: Database, wanted: LogFilter, arguments: Namespace, screen: Screen) -> int:
    from NexusCore.clock import SYSTEM_CLOCK
    from NexusCore.log.store import arriving, newest
    from NexusCore.tail import Tail
    from Tools.following import follow

    tail = Tail(database, arriving(wanted), SYSTEM_CLOCK)
    tail.begin()
    # What is up to the cursor is shown from here, what is behind it and in its holes by the follower: no line is missed
    # or shown twice, whatever is logged meanwhile.
    cursor = tail.cursor
    for record in newest(database, wanted, arguments.lines, up_to=cursor.last):
        if record.id not in cursor.holes:
            _show(record, arguments, screen)
    for record in follow(tail, screen):
        _show(record, arguments, screen)
    return EXIT_OK


def _show(record: LogRecord, arguments: Namespace, screen: Screen) -> None:
    if arguments.json:
        from Tools.moments import rfc3339

        screen.show_json(
            time=rfc3339(record.ts), level=_level_name(record.level), logger=record.logger, module=record.module,
            line=record.line, function=record.function, host=record.host, pid=record.pid, thread=record.thread,
            message=record.message, traceback=record.traceback, session=record.session, id=record.id,
        )  # fmt: skip
        return
    from NexusCore.log.record import printable, short_line

    text = short_line(record)
    if record.traceback:
        text += "\n" + printable(record.traceback)
    # Only a record's own first line begins at the margin, so none can be forged by a message of several lines.
    screen.show(screen.paint(text.replace("\n", f"\n{INDENT}"), *_style(record.level)))


def _style(number: int) -> tuple[str, ...]:
    if number >= ERROR:
        return ("red",) if number < ERROR + 10 else ("bold", "red")
    if number >= WARNING:
        return ("yellow",)
    return ("dim",) if number <= 10 else ()


def _level_name(number: int) -> str:
    import logging

    return logging.getLevelName(number)


def _near_misses(database: Database, wanted: LogFilter) -> str:
    """Return a sentence for each logger and module that never logged."""
    from NexusCore.log.store import loggers, modules

    found = ""
    for kind, names, read in (("logger", wanted.loggers, loggers), ("module", wanted.modules, modules)):
        known = read(database) if names else []
        for name in names:
            if name not in known:
                found += f" Nothing was logged by the {kind} '{name}'.{did_you_mean(name, known)}"
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    return run_tool(NAME, parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
