"""The source of time: everything that needs the time or waits takes a `Clock`.

The unit is UTC microseconds since the epoch, as in every `ts` column. No test sleeps: it moves a clock of its own.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol

SECOND = 1_000_000
"""Microseconds in a second."""
EARLIEST, LATEST = -62_135_424_000 * SECOND, 253_402_128_000 * SECOND
"""The times that can be shown in every time zone: the second day of the year 1, and the last but one of 9999."""
UNREADABLE_TS = (1 << 63) - 1
"""Stands for a time that cannot be read at all; as a text in a column of numbers does, it comes after all others."""


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
    """Return the aware UTC datetime of microseconds since the epoch, exactly.

    Raises
    ------
    ValueError
        If it is outside the years 1 to 9999; `readable_time` returns None then.
    """
    if not -62_135_596_800 * SECOND <= ts < 253_402_300_800 * SECOND:  # the years 1 to 9999
        raise ValueError(f"{ts} microseconds since the epoch is outside the years 1 to 9999")
    seconds, micros = divmod(ts, SECOND)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=micros)


def readable_time(ts: object) -> datetime | None:
    """Return the aware UTC datetime of a value from a time column; None for any other value."""
    if not isinstance(ts, int) or not EARLIEST <= ts < LATEST:
        return None
    return to_datetime(ts)


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
