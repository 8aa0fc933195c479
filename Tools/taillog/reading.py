"""Showing records: the newest, those of a period, those after a cursor, and new ones as they arrive."""

from __future__ import annotations

from argparse import Namespace
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from NexusCore.clock import LATEST, SECOND, SYSTEM_CLOCK
from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from NexusCore.log.record import LogRecord
from NexusCore.log.store import LogFilter, LogQuery, arriving, last_id, records
from NexusCore.storage import Database
from NexusCore.storage.pagination import FIRST
from NexusCore.tail import Tail
from Tools.common.following import batches, follow, patiently, read_on, up_to
from Tools.common.progress import ProgressLine
from Tools.common.terminal import Screen
from Tools.common.time_parser import local, span
from Tools.taillog.context import with_context
from Tools.taillog.lines import form_of
from Tools.taillog.names import never_logged
from Tools.taillog.query import DEFAULT_LINES, lines, matcher, wanted

HELD = 20_000
"""Most records that are reversed in memory; for more, the oldest is searched first, and then they are read forward."""
LINES_PER_WRITE = 500
"""Lines per write, limited because lines may be long."""
AHEAD = 3600 * SECOND
"""Microseconds that a record may be in the future without a warning."""


class Display:
    """Shows records, and on a terminal the progress of a long search.

    Parameters
    ----------
    arguments
        The tool's.
    screen
        The output.
    """

    def __init__(self, arguments: Namespace, screen: Screen) -> None:
        self._screen = screen
        self._form = form_of(arguments, screen)
        self._matches = matcher(arguments)
        self._progress = ProgressLine(screen, SYSTEM_CLOCK)
        self.count = 0
        self.latest: LogRecord | None = None
        """The shown record with the latest time."""

    def matching(self, records: Iterable[LogRecord]) -> Iterator[LogRecord]:
        """Yield the records that meet the condition that the database cannot check."""
        return filter(self._matches, records)

    def show(self, records: Iterable[LogRecord]) -> None:
        """Show records."""
        for record in records:
            self._progress.clear()
            self._screen.show_escaped(self._form(record))
            self.count += 1
            if self.latest is None or record.ts > self.latest.ts:
                self.latest = record

    def show_together(self, records: list[LogRecord]) -> None:
        """Show the matching records, many per write."""
        matches = list(self.matching(records))
        for first in range(0, len(matches), LINES_PER_WRITE):
            self._screen.show_escaped("\n".join(map(self._form, matches[first : first + LINES_PER_WRITE])))

    def passed(self, ts: int) -> None:
        """Show the progress of a long search."""
        self._progress.update(f"searched as far as {local(ts)}")

    def close(self) -> None:
        """Remove the progress line."""
        self._progress.clear()


def show(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show the stored records."""
    display = Display(arguments, screen)
    condition, count = wanted(arguments), lines(arguments)
    if arguments.after_cursor is not None:
        tail = Tail(database, arriving(condition), SYSTEM_CLOCK, arguments.after_cursor)
        new: Iterable[LogRecord] = display.matching(_caught_up(tail, database))
        if count is not None:
            new = deque(new, maxlen=count)
        display.show(reversed(list(new)) if arguments.reverse else new)
    else:
        tail = Tail(database, arriving(condition), SYSTEM_CLOCK)
        visible = up_to(tail) if arguments.cursor else None
        chosen = _chosen(database, display, condition, count, visible, backwards=arguments.reverse)
        if arguments.context:
            show_with_context(database, condition, chosen, arguments, display, screen)
        else:
            display.show(chosen)
    display.close()
    if arguments.cursor:
        _show_cursor(tail, arguments, screen)
    if condition.until is None and display.latest is not None:
        _warn_of_wrong_clock(display.latest, screen)
    if count == 0:
        return EXIT_OK
    if display.count:
        for sentence in never_logged(database, condition, something_matched=True):
            screen.fail(sentence)
        return EXIT_OK
    screen.fail(" ".join(["No log lines match.", *never_logged(database, condition)]))
    return EXIT_FAILURE


def show_with_context(
    database: Database,
    condition: LogFilter,
    chosen: Iterable[LogRecord],
    arguments: Namespace,
    display: Display,
    screen: Screen,
) -> None:
    """Show records with those around each; a line of dashes stands where others were left out."""
    for record in with_context(database, condition, chosen, arguments.context):
        if record is not None:
            display.show([record])
        elif arguments.output not in ("json", "csv"):
            screen.show(screen.paint("--", "dim"))


def show_and_follow(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show the stored records, and then new records as they arrive."""
    display = Display(arguments, screen)
    condition, count = wanted(arguments), lines(arguments)
    screen.live()
    tail = Tail(database, arriving(condition), SYSTEM_CLOCK, arguments.after_cursor)
    try:
        if arguments.after_cursor is None:
            visible = patiently(screen, lambda: up_to(tail))
            if count is None:
                how = LogQuery(condition)
                old = read_on(
                    screen, lambda at: records(database, replace(how, behind=at)), lambda record: (record.ts, record.id)
                )
                display.show(display.matching(record for record in old if visible(record.id)))
            else:
                display.show(patiently(screen, lambda: list(_chosen(database, display, condition, count, visible))))
        for sentence in patiently(screen, lambda: list(never_logged(database, condition))):
            screen.fail(sentence)
        if arguments.cursor:  # not in batches: the cursor must match what was written, even after an interruption
            display.show(display.matching(follow(tail, screen)))
        else:
            for batch in batches(tail, screen):
                display.show_together(batch)
    finally:
        if arguments.cursor:
            _show_cursor(tail, arguments, screen)
    return EXIT_OK


def _caught_up(tail: Tail[LogRecord], database: Database) -> Iterator[LogRecord]:
    """Yield the present records after a follower's cursor."""
    last = last_id(database)
    while True:
        yield from tail.poll()
        if tail.cursor.last >= last:
            return


def _chosen(
    database: Database,
    display: Display,
    condition: LogFilter,
    count: int | None,
    visible: Callable[[int], bool] | None,
    *,
    backwards: bool = False,
) -> Iterator[LogRecord]:
    """Yield the newest records, or all: the oldest first, or backwards."""
    first = FIRST if count is None else min(count, HELD)

    def read(how: LogQuery) -> Iterator[LogRecord]:
        rows = records(database, replace(how, first=first, passed=display.passed))
        return display.matching(record for record in rows if visible is None or visible(record.id))

    if backwards:
        return islice(read(LogQuery(condition, backwards=True)), count)
    if count is None:
        return read(LogQuery(condition))
    newest = islice(read(LogQuery(condition, backwards=True)), count)
    if count <= HELD:
        return reversed(list(newest))
    last = next(newest, None)
    if last is None:
        return iter(())
    (oldest,) = deque(newest, maxlen=1) or (last,)
    begin, end = (oldest.ts, oldest.id), (last.ts, last.id)
    again = read(LogQuery(replace(condition, since=oldest.ts, until=last.ts)))
    return (record for record in again if begin <= (record.ts, record.id) <= end)


def _show_cursor(tail: Tail[LogRecord], arguments: Namespace, screen: Screen) -> None:
    if arguments.output == "json":
        screen.show_json(cursor=str(tail.cursor))
    else:
        screen.show(f"-- cursor: {tail.cursor}")


def _warn_of_wrong_clock(latest: LogRecord, screen: Screen) -> None:
    """Warn if lines are at the end because the clock of their machine is wrong."""
    ahead = latest.ts - SYSTEM_CLOCK.now()
    if ahead > AHEAD and latest.ts < LATEST:
        screen.fail(
            f"The last lines are {span(ahead)} in the future: is the clock of {latest.host} wrong? "
            f"To leave them out: {screen.name} -n {DEFAULT_LINES} -U now"
        )
