"""Clocks that tests set and move."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from NexusCore.clock import SECOND, Clock
from NexusCore.storage.transaction import Transaction

START = 1_700_000_000 * SECOND
"""Microseconds since the epoch, UTC, of a moment in November 2023."""
LOOK_EVERY = 0.002
"""Seconds between two looks at the clock by who waits for `HandClock` to move."""


class SetClock:
    """Stands still until it is moved, as a coarse one seems to between two calls.

    Parameters
    ----------
    now
        Microseconds since the epoch, UTC.
    """

    def __init__(self, now: int = START) -> None:
        self.at = now

    def move(self, seconds: float) -> None:
        """Go on, or back."""
        self.at += int(seconds * SECOND)

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self.at / SECOND

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(min(seconds, 0.01))


@contextmanager
def databases_follow(clock: Clock) -> Iterator[None]:
    """Have the databases' own clocks show, in this process, what a test's does."""
    with patch.object(Transaction, "now", lambda _: clock.now()):
        yield


class HandClock:
    """The wall clock stands still until it is set, as an operator would; waits end early when `advance` is called."""

    def __init__(self) -> None:
        self._now = START
        self._moved = 0.0

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return time.monotonic() + self._moved

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set, or the clock was moved that far."""
        until = self.monotonic() + seconds
        while not event.is_set() and self.monotonic() < until:
            event.wait(LOOK_EVERY)
        return event.is_set()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += int(seconds * SECOND)
        self._moved += seconds

    def set_back(self, seconds: float) -> None:
        """Set the wall clock back; the monotonic one knows nothing of it."""
        self._now -= int(seconds * SECOND)
