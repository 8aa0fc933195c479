"""A limit of the bytes sent in a second, by the time of day.

A text such as ``08:00-18:00=20; =100``: 20 MB/s from 8 to 18 o'clock by this computer's local time, 100 MB/s otherwise.
Without an entry that fits, there is no limit.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Callable, Sequence

MEGABYTE = 1_000_000
LONGEST_SLEEP = 0.5
"""Seconds after which a wait looks again whether it is over."""
_ENTRY = re.compile(r"\s*(?:(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d))?\s*=\s*(\d+(?:\.\d+)?)\s*")


@dataclass(frozen=True)
class TimeOfDayLimit:
    """A limit that holds at times of the day."""

    begin: int
    """Minutes after midnight."""
    end: int
    """The first minute at which it does not hold any more; before `begin`: on the next day. The same: all day."""
    rate: float
    """Bytes in a second; 0: no limit."""


def parse(text: str) -> tuple[TimeOfDayLimit, ...]:
    """Return the limits in a text, those with times first; an entry that cannot be read is left out."""
    found = []
    for match in filter(None, map(_ENTRY.fullmatch, text.split(";"))):
        first_hour, first_minute, last_hour, last_minute, rate = match.groups()
        timed = first_hour is not None
        begin = int(first_hour) * 60 + int(first_minute) if timed else 0
        end = int(last_hour) * 60 + int(last_minute) if timed else 0
        found.append((not timed, TimeOfDayLimit(begin, end, float(rate) * MEGABYTE)))
    return tuple(limit for _, limit in sorted(found, key=lambda pair: pair[0]))


def rate_at(limits: Sequence[TimeOfDayLimit], minute: int) -> float:
    """Return the bytes in a second that are allowed at a minute of the day; 0: as many as can be."""
    for limit in limits:
        if limit.begin == limit.end or (
            limit.begin <= minute < limit.end
            if limit.begin < limit.end
            else minute >= limit.begin or minute < limit.end
        ):
            return limit.rate
    return 0.0


def _minute_of_day() -> int:
    now = datetime.now().astimezone()
    return now.hour * 60 + now.minute


class Bandwidth:
    """What all workers together may send.

    Parameters
    ----------
    stopped
        Ends all waits.
    minute, monotonic
        Return the minute of the day, and seconds that only go forward.
    wait
        Waits for some seconds, or until `stopped` is set.
    """

    def __init__(
        self,
        stopped: threading.Event,
        minute: Callable[[], int] = _minute_of_day,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._stopped = stopped
        self._minute = minute
        self._monotonic = monotonic
        self._wait = wait or stopped.wait
        self._lock = threading.Lock()
        self._limits: tuple[TimeOfDayLimit, ...] = ()
        self._text = ""
        self._free_at = 0.0

    def set(self, text: str) -> None:
        """Change the limits."""
        with self._lock:
            if text != self._text:
                self._text, self._limits = text, parse(text)

    def take(self, count: int) -> None:
        """Wait until so many bytes more may be sent."""
        with self._lock:
            rate = rate_at(self._limits, self._minute()) if self._limits else 0.0
            if not rate:
                return
            # Each taker reserves its span of time, so that several share the rate.
            begin = max(self._monotonic(), self._free_at)
            self._free_at = begin + count / rate
        while not self._stopped.is_set():
            left = begin - self._monotonic()
            if left <= 0:
                return
            self._wait(min(left, LONGEST_SLEEP))
