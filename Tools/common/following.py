"""Following a table on a terminal or through a pipe, until Ctrl-C or until the reader has gone."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from NexusCore.errors import DatabaseBusy, DatabaseUnreachable
from NexusCore.storage.pagination import PagePosition
from NexusCore.tail import AWAY_SECONDS, Away, Back, Replaced, Tail
from Tools.common.terminal import Screen
from Tools.common.time_parser import local

T = TypeVar("T")


class ReaderLeft(threading.Event):
    """Set when the reader of the output has gone, as in ``TailLog -f | head -1``.

    Without it, a follower would notice that only at its next output.

    Parameters
    ----------
    screen
        The output.
    """

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._poll = None
        if screen.out is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(screen.out.fileno(), 0)  # errors and hang-ups are always reported

    def is_set(self) -> bool:
        """Return whether the reader has gone."""
        if self._poll is not None and not super().is_set() and self._poll.poll(0):
            self.set()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it, at most `timeout` seconds."""
        if self._poll is None or timeout is None:
            return super().wait(timeout)
        if self._poll.poll(timeout * 1000):
            self.set()
        return self.is_set()


def follow(tail: Tail[T], screen: Screen, stop: threading.Event | None = None) -> Iterator[T]:
    """Yield new rows of a table; report when the database is away, and go on when it is back.

    Ends when `stop` is set, or when the reader has gone.
    """
    screen.live()
    return _rows(tail.follow(stop or ReaderLeft(screen)), screen)


def batches(tail: Tail[T], screen: Screen) -> Iterator[list[T]]:
    """Do the same in batches, which costs less for thousands of rows per second."""
    screen.live()
    return _rows(tail.batches(ReaderLeft(screen)), screen)


def _rows(items: Iterator[T | Away | Back | Replaced], screen: Screen) -> Iterator[T]:
    for item in items:
        if isinstance(item, Away):
            _away(item.error, screen)
        elif isinstance(item, Back):
            _back(screen)
        elif isinstance(item, Replaced):
            report_replaced(item, screen)
        else:
            yield item


def read_on(
    screen: Screen,
    read: Callable[[PagePosition | None], Iterator[T]],
    place: Callable[[T], PagePosition],
    stop: threading.Event | None = None,
) -> Iterator[T]:
    """Yield what `read` yields; while the database is away, report it, wait, and then go on.

    Parameters
    ----------
    screen
        Where to report.
    read
        Reads from behind a place, or from the beginning.
    place
        Returns the place of an item.
    stop
        Ends the wait, with BrokenPipeError; by default, set when the reader has gone.
    """
    left = stop or ReaderLeft(screen)
    behind: PagePosition | None = None
    away = False
    while True:
        try:
            for item in read(behind):
                if away:
                    away = _back(screen)
                yield item
                behind = place(item)
        except (DatabaseUnreachable, DatabaseBusy) as error:
            if not away:
                away = _away(error, screen)
            if left.wait(AWAY_SECONDS):
                raise BrokenPipeError from None
        else:
            if away:
                _back(screen)
            return


def patiently(screen: Screen, work: Callable[[], T], stop: threading.Event | None = None) -> T:
    """Return what `work` returns; while the database is away, report it, wait, and try again."""
    return next(read_on(screen, lambda _: iter((work(),)), lambda _: (0, 0), stop))


def up_to(tail: Tail[T]) -> Callable[[int], bool]:
    """Start a follower; return a function of a row's id: whether the row is older, so that the follower omits it.

    Rows up to the cursor are shown from the table, rows behind it and in its holes by the follower: no row is missed or
    shown twice, even while rows are written.
    """
    tail.begin()
    last, holes = tail.cursor.last, frozenset(tail.cursor.holes)
    return lambda number: number <= last and number not in holes


def report_replaced(event: Replaced, screen: Screen) -> None:
    """Report that another database is at the place of the one that was followed."""
    since = local(event.since)
    screen.fail(f"The database was replaced by another file. Going on with what is in it since {since}.")


def _away(error: Exception, screen: Screen) -> bool:
    screen.fail(f"{error} Going on when it is back.")
    return True


def _back(screen: Screen) -> bool:
    screen.fail("The database is back.")
    return False
