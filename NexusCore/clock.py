"""Time comes in through the door: everything that needs the time or waits takes a `Clock`.

The base is UTC microseconds since the epoch, the unit of every `ts` column; no test sleeps:
it moves a clock of its own.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol

SECOND = 1_000_000
"""Microseconds in a second."""


class Clock(Protocol):
    """What the project needs to know about time."""

    def now(self) -> int:
        """Return UTC microseconds since the epoch, by the machine's clock."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards; for measuring waits."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set, at most `seconds`; return whether it is set."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        """Return UTC microseconds since the epoch."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Return seconds of the monotonic clock."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for `event`, at most `seconds`."""
        return event.wait(seconds)


SYSTEM_CLOCK: Clock = SystemClock()


def to_datetime(ts: int) -> datetime:
    """Return the aware UTC datetime of microseconds since the epoch, exactly."""
    seconds, micros = divmod(ts, SECOND)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=micros)


def to_ts(moment: datetime) -> int:
    """Return microseconds since the epoch of an aware datetime, exactly.

    Raises
    ------
    ValueError
        If `moment` has no zone: a local time without one is ambiguous twice a year.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    span = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (span.days * 86_400 + span.seconds) * SECOND + span.microseconds
