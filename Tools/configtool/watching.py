"""The command that shows changes of all processes as they happen."""

from __future__ import annotations

import threading
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from functools import partial

from NexusCore.clock import SECOND, SYSTEM_CLOCK, Clock
from NexusCore.config.history import old_datatypes
from NexusCore.config.store import REMOVE, ConfigStore, HistoryEntry
from NexusCore.config.watch import AWAY_INTERVAL, WATCH_INTERVAL
from NexusCore.errors import EXIT_OK, DatabaseBusy, DatabaseUnreachable
from NexusCore.tail import NO_FILE, Away, Back, Replaced
from NexusCore.text import one_line
from Tools.common.configuration import StoredConfiguration, is_below, open_configuration
from Tools.common.following import ReaderLeft, patiently, report_replaced
from Tools.common.terminal import Screen, brief, brief_value
from Tools.common.time_parser import local
from Tools.configtool.past import of_entry


def watch(arguments: Namespace, screen: Screen) -> int:
    """Show changes as they happen, until Ctrl-C."""
    configuration = open_configuration(arguments.version)
    # Before any output, because a reader of it may make a change at once.
    after = configuration.store.revision() if arguments.after is None else arguments.after
    screen.live()
    for path in arguments.paths:
        if not configuration.below(path.strip(".")):
            screen.fail(configuration.missing(path.strip(".")))
    for event in changes(configuration.store, after, SYSTEM_CLOCK, ReaderLeft(screen)):
        if isinstance(event, Away):
            screen.fail(f"{event.error} Going on when it is back.")
        elif isinstance(event, Back):
            screen.fail("The database is back.")
        elif isinstance(event, Replaced):
            report_replaced(event, screen)
            configuration = open_configuration(arguments.version)  # the version may have another number there
        elif _is_wanted(event, configuration, arguments):
            if arguments.json:
                (before,) = patiently(
                    screen, partial(old_datatypes, configuration.store, configuration.version_id, [event])
                )
                screen.show_json(**of_entry(event, before))
            else:
                screen.show(line(event, screen))
    return EXIT_OK


def changes(
    store: ConfigStore, after: int, clock: Clock, stop: threading.Event
) -> Iterator[HistoryEntry | Away | Back | Replaced]:
    """Yield each change of the configuration once, in the order of their revisions, and `Away`, `Back` and `Replaced`.

    Parameters
    ----------
    store
        The configuration.
    after
        Begin after this revision.
    clock
        Clock for the waits.
    stop
        Ends the iteration.
    """
    known, away = after, False
    file, read_at = store.database.generation(), clock.now()
    with closing(store.database.follow("config_revision", clock)) as follower:
        while not stop.is_set():
            try:
                before, file = file, store.database.generation()
                newest = store.revision()
                if file != before:
                    known = store.revision_at(read_at - SECOND)
                entries = store.entries_since(known) if newest > known else []
            except (DatabaseUnreachable, DatabaseBusy, *NO_FILE) as error:
                file = before
                if isinstance(error, NO_FILE) and not file:  # a server without tables
                    raise
                if not away:
                    yield Away(error)
                away = True
                clock.wait(stop, AWAY_INTERVAL)
                continue
            if away:
                away = False
                yield Back()
            if file != before:
                yield Replaced(read_at - SECOND)
            read_at = clock.now()
            yield from entries
            # Fewer revisions than before: the database was recreated or restored, and its next revisions are new again.
            known = entries[-1].revision if entries else newest
            follower.wait_for_news(stop, WATCH_INTERVAL, known)


def line(entry: HistoryEntry, screen: Screen) -> str:
    """Return a change as a line: time, change, user, host, tool and reason."""
    path = screen.paint(one_line(entry.path), "bold")
    old = brief_value(entry.old_value) or "''" if entry.old_value is not None else ""
    if entry.action == REMOVE:
        what = f"{path} {screen.paint('removed', 'red')}" + (f"  (was {old})" if old else "")
    else:
        new = (
            f" = {screen.paint(brief_value(entry.new_value) or chr(39) * 2, 'cyan')}"
            if entry.new_value is not None
            else ""
        )
        what = f"{path}{new}" + (f"  (was {old})" if entry.old_value not in (None, entry.new_value) else "")
    why = f": {brief(entry.why)}" if entry.why else ""
    origin = screen.paint(f"{one_line(entry.who)}@{one_line(entry.host)}, {one_line(entry.tool)}{why}", "dim")
    return f"{screen.paint(local(entry.ts), 'dim')}  {what}  {origin}"


def _is_wanted(entry: HistoryEntry, configuration: StoredConfiguration, arguments: Namespace) -> bool:
    paths = [path.strip(".") for path in arguments.paths]
    return entry.version == configuration.version and (not paths or any(is_below(entry.path, path) for path in paths))
