"""Following a table on a terminal or through a pipe, until Ctrl-C or until nobody reads on."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from typing import TypeVar

from NexusCore.tail import Away, Back, Tail
from Tools.terminal import Screen

T = TypeVar("T")


class ReaderLeft(threading.Event):
    """Is set when nobody reads the output any more, as behind ``TailLog -f | head -1``.

    Without it, a follower would learn of that only when it next has something to write.

    Parameters
    ----------
    screen
        Whose output it is.
    """

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._poll = None
        if screen.out is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(screen.out.fileno(), 0)  # errors and hang-ups are told without asking

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it, at most `timeout` seconds."""
        if self._poll is None or timeout is None:
            return super().wait(timeout)
        if self._poll.poll(timeout * 1000):
            self.set()
        return self.is_set()


def follow(tail: Tail[T], screen: Screen) -> Iterator[T]:
    """Yield what appears in a table; say when the database is away, and go on when it is back."""
    screen.live()
    for one in tail.follow(ReaderLeft(screen)):
        if isinstance(one, Away):
            screen.fail(f"{one.error} Going on when it is back.")
        elif isinstance(one, Back):
            screen.fail("The database is back.")
        else:
            yield one
