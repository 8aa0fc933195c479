"""The log as a whole: its names, its size, and deleting old lines."""

from __future__ import annotations

import dataclasses
from argparse import Namespace

from NexusCore import identity
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, EXIT_REFUSED, NexusError
from NexusCore.log.store import LogFilter, LogQuery, count, extent, records, remove, values
from NexusCore.storage import Database
from NexusCore.text import one_line, readable
from Tools.common.asking import agreed
from Tools.common.progress import ProgressLine
from Tools.common.quantities import bytes_text, counted
from Tools.common.terminal import Screen
from Tools.common.time_parser import local, rfc3339
from Tools.taillog.names import never_logged
from Tools.taillog.query import matcher, wanted

COUNTED = 100_000
"""Most lines that are counted for the question before deleting."""
LOG_SECONDS = 3.0
"""Seconds that logging the deletion may take."""


class NotDeleted(NexusError):
    """Nothing was deleted. Answer yes, or use --yes without a terminal."""

    exit_code = EXIT_REFUSED


def show_values(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show the values of a field, each once."""
    from Tools.taillog.lines import RECORD_FIELDS

    field, condition = arguments.values, wanted(arguments)
    shown = 0
    if arguments.grep is not None:
        matches, value = matcher(arguments), RECORD_FIELDS[field][0]
        entries = iter(dict.fromkeys(map(value, filter(matches, records(database, LogQuery(condition))))))
    else:
        entries = values(database, field, LogQuery(condition))
    for entry in entries:
        text = _level(entry) if field == "level" else readable(entry)
        if arguments.output == "json":
            screen.show_json(**{field: text})
        else:
            screen.show(one_line(text))
        shown += 1
    if not shown:
        screen.fail(" ".join(["No log lines match.", *never_logged(database, condition)]))
    return EXIT_OK if shown else EXIT_FAILURE


def _level(value: object) -> str:
    import logging

    return logging.getLevelName(value) if isinstance(value, int) else readable(value)


def show_disk_usage(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show the size of the log."""
    size = extent(database)
    if arguments.output == "json":
        screen.show_json(
            bytes=size.bytes, free=size.free, lines=size.lines, oldest=rfc3339(size.oldest),
            newest=rfc3339(size.newest),
        )  # fmt: skip
        return EXIT_OK
    what = "The database file" if database.url.kind == "sqlite" else "The log"
    screen.show(f"{what} takes {bytes_text(size.bytes)}, of which {bytes_text(size.free)} can be reused.")
    if size.oldest is None or size.newest is None:
        screen.show("It has no log lines.")
    else:
        amount = counted(size.lines, "log line")
        screen.show(f"It has up to {amount}, from {local(size.oldest)} to {local(size.newest)}.")
    return EXIT_OK


def vacuum(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Delete old lines in small steps; report their number, and log who deleted them."""
    condition, before = wanted(arguments), local(arguments.vacuum_time)
    number = count(database, condition, COUNTED + 1)
    if not number:
        screen.say(f"Nothing to delete: no matching log lines before {before}.")
        return EXIT_OK
    amount = counted(number, "log line") if number <= COUNTED else f"more than {counted(COUNTED, 'log line')}"
    if not arguments.yes and not agreed(f"Delete {amount} from before {before}? [y/N] ", screen):
        raise NotDeleted
    deleted = 0
    progress = ProgressLine(screen, SYSTEM_CLOCK)
    try:
        for deleted in remove(database, condition):
            progress.update(f"{counted(deleted, 'line')} deleted")
    finally:
        progress.clear()
        if deleted:
            if arguments.output == "json":
                screen.show_json(deleted=deleted, before=rfc3339(arguments.vacuum_time))
            else:
                screen.show(f"Deleted {counted(deleted, 'log line')} from before {before}.")
            screen.flush()
            _log_deletion(deleted, before, condition)
    return EXIT_OK


def _log_deletion(deleted: int, before: str, condition: LogFilter) -> None:
    from NexusCore.API import App

    chosen = {
        field.name: getattr(condition, field.name) for field in dataclasses.fields(condition) if field.name != "until"
    }
    conditions = ", ".join(f"{name}={value}" for name, value in chosen.items() if value) or "all"
    app = App(tool="TailLog")
    try:
        app.get_log("TailLog").info(
            "%s on %s deleted %s from before %s (%s)",
            identity.user(), identity.host(), counted(deleted, "log line"), before, conditions,
        )  # fmt: skip
    finally:
        app.shutdown(LOG_SECONDS)
