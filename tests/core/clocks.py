"""A clock that tests move by hand."""

from __future__ import annotations

import threading
import time

from NexusCore.clock import SECOND

START = 1_700_000_000 * SECOND
"""A moment in November 2023."""
LOOK_EVERY = 0.002


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
