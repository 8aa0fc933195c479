"""A clock that tests set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from NexusCore.clock import SECOND, Clock
from NexusCore.storage.transaction import Transaction

START = 1_700_000_000 * SECOND
"""Microseconds since the epoch, UTC, of a moment in November 2023."""


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
