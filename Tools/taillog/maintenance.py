"""The log as a whole: which names there are in it, how much room it takes, and deleting what is old."""

from __future__ import annotations

import dataclasses
import sys
from argparse import Namespace

from NexusCore import identity
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, EXIT_REFUSED, NexusError
from NexusCore.log.store import LogFilter, LogQuery, count, extent, records, remove, values
from NexusCore.storage import Database
from NexusCore.text import one_line, readable
from Tools.common.progress import ProgressLine
from Tools.common.quantities import bytes_text, counted
from Tools.common.terminal import Screen
from Tools.common.time_parser import local, rfc3339
from Tools.taillog.names import never_logged
from Tools.taillog.query import matcher, wanted

COUNTED = 100_000
"""Lines that are counted before the user is asked whether to delete them."""
LOG_SECONDS = 3.0
"""How long the log may take to learn that lines of it were deleted."""


class NotDeleted(NexusError):
    """Nothing was deleted: that takes a yes, or the option --yes where nobody can be asked."""

    exit_code = EXIT_REFUSED


def show_values(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show each value of a field once."""
    from Tools.taillog.lines import RECORD_FIELDS

    field, condition = arguments.values, wanted(arguments)
    shown = 0
    if arguments.grep is not None:
        matches, value = matcher(arguments), RECORD_FIELDS[field][0]
        found = iter(dict.fromkeys(map(value, filter(matches, records(database, LogQuery(condition))))))
    else:
        found = values(database, field, LogQuery(condition))
    for entry in found:
        text = _level(entry) if field == "level" else readable(entry)
        if arguments.output == "json":
            screen.show_json(**{field: text})
        else:
            screen.show(one_line(text))
        shown += 1
    if not shown:
        screen.fail(" ".join(["No line of log matches.", *never_logged(database, condition)]))
    return EXIT_OK if shown else EXIT_FAILURE


def _level(value: object) -> str:
    import logging

    return logging.getLevelName(value) if isinstance(value, int) else readable(value)


def show_disk_usage(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show how much room the log takes."""
    found = extent(database)
    if arguments.output == "json":
        screen.show_json(
            bytes=found.bytes, free=found.free, lines=found.lines, oldest=rfc3339(found.oldest),
            newest=rfc3339(found.newest),
        )  # fmt: skip
        return EXIT_OK
    what = "The database file" if database.url.kind == "sqlite" else "The log"
    screen.show(f"{what} takes {bytes_text(found.bytes)}, of which {bytes_text(found.free)} are free to be used again.")
    if found.oldest is None or found.newest is None:
        screen.show("It holds no line of log.")
    else:
        amount = counted(found.lines, "line")
        screen.show(f"It holds up to {amount}, from {local(found.oldest)} to {local(found.newest)}.")
    return EXIT_OK


def vacuum(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Delete what is old, in small steps; tell how many lines that were, and tell the log who did it."""
    condition, before = wanted(arguments), local(arguments.vacuum_time)
    found = count(database, condition, COUNTED + 1)
    if not found:
        screen.say(f"Nothing to delete: no line of log that matches is from before {before}.")
        return EXIT_OK
    amount = counted(found, "line") if found <= COUNTED else f"more than {counted(COUNTED, 'line')}"
    if not arguments.yes and not _agreed(f"Delete {amount} of log from before {before}? [y/N] ", screen):
        raise NotDeleted
    gone = 0
    progress = ProgressLine(screen, SYSTEM_CLOCK)
    try:
        for gone in remove(database, condition):
            progress.tell(f"{counted(gone, 'line')} deleted")
    finally:
        progress.clear()
        if gone:
            if arguments.output == "json":
                screen.show_json(deleted=gone, before=rfc3339(arguments.vacuum_time))
            else:
                screen.show(f"Deleted {counted(gone, 'line')} of log from before {before}.")
            screen.flush()
            _tell_the_log(gone, before, condition)
    return EXIT_OK


def _agreed(question: str, screen: Screen) -> bool:
    """Ask on a terminal; say no where there is none."""
    if screen.err is None or not screen.err.isatty() or sys.stdin is None or not sys.stdin.isatty():
        return False
    screen.err.write(question)
    screen.err.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _tell_the_log(gone: int, before: str, condition: LogFilter) -> None:
    from NexusCore.API import App

    given = {
        field.name: getattr(condition, field.name) for field in dataclasses.fields(condition) if field.name != "until"
    }
    conditions = ", ".join(f"{name}={value}" for name, value in given.items() if value) or "all"
    app = App(tool="TailLog")
    try:
        app.get_log("TailLog").info(
            "%s on %s deleted %s of log from before %s (%s)",
            identity.user(), identity.host(), counted(gone, "line"), before, conditions,
        )  # fmt: skip
    finally:
        app.shutdown(LOG_SECONDS)
