"""Times as people and programs write them; stored times are microseconds since the epoch, UTC."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, timezone
from functools import lru_cache
from time import localtime

from NexusCore.clock import EARLIEST, LATEST, SECOND, UNREADABLE_TS, readable_time, to_datetime, to_ts
from NexusCore.text import one_line, readable

_SHOWN_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))

TIME_EXAMPLES = "2026-11-20, '2026-11-20 09:30', yesterday, 09:30, -15m, '2h ago' and @1470138136"
"""Ways to write a time."""

UNREADABLE = "unreadable time"
LONGEST_SPAN = 1000 * 366 * 86_400 * SECOND
"""Microseconds beyond which a length of time comes from an invalid time."""

_UNIT_SECONDS = {
    "s": 1, "sec": 1, "second": 1,
    "m": 60, "min": 60, "minute": 60,
    "h": 3_600, "hour": 3_600,
    "d": 86_400, "day": 86_400,
    "w": 604_800, "week": 604_800,
}  # fmt: skip
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_AMOUNT = r"(\d+(?:\.\d+)?)\s*([a-z]+)"
_TIME_OF_DAY = r"\d{1,2}:\d\d(:\d\d(\.\d{1,6})?)?"


def rfc3339(ts: object) -> str | None:
    """Return an exact time for programs, with the offset of this machine's zone; None if it is invalid."""
    if not isinstance(ts, int) or not EARLIEST <= ts < LATEST:
        return None
    return _with_microseconds(ts, _second_and_offset(ts // SECOND))


class Stamps:
    """Does the same for many times, most of which share their second with others."""

    def __init__(self) -> None:
        self._parts = lru_cache(maxsize=1024)(_second_and_offset)

    def __call__(self, ts: int) -> str | None:
        """Return a time as `rfc3339` does."""
        return _with_microseconds(ts, self._parts(ts // SECOND)) if EARLIEST <= ts < LATEST else None


def _with_microseconds(ts: int, parts: tuple[str, str]) -> str:
    return f"{parts[0]}.{ts % SECOND:06d}{parts[1]}"


def _second_and_offset(second: int) -> tuple[str, str]:
    there = localtime(second)
    year, month, day, hour, minute, rest = there[:6]
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{rest:02d}", _offset(there.tm_gmtoff)


@lru_cache(maxsize=64)
def _offset(seconds: int) -> str:
    return datetime(2000, 1, 1, tzinfo=timezone(timedelta(seconds=seconds))).isoformat()[19:]


def local(ts: object) -> str:
    """Return a time for people, in this machine's zone; an invalid time is marked as such."""
    moment = readable_time(ts)
    if moment is not None:
        return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return UNREADABLE if ts in (None, UNREADABLE_TS) else f"{UNREADABLE} ({one_line(readable(ts))})"


def span(microseconds: int) -> str:
    """Return a length of time in its two largest units: ``1 h 29 min``; ``?`` if it is absurdly long."""
    if abs(microseconds) > LONGEST_SPAN:
        return "?"
    seconds = max(0, microseconds // SECOND)
    parts = []
    for size, unit in _SHOWN_UNITS:
        if seconds >= size:
            parts.append(f"{seconds // size} {unit}")
            seconds %= size
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def length(text: str) -> int:
    """Return a length of time in microseconds: ``90`` (seconds), ``15m``, ``1h30m``, ``2 weeks``.

    Raises
    ------
    ValueError
        If the text is invalid.
    """
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return round(float(text) * SECOND)
    rest = re.sub(_AMOUNT, "", text).strip()
    amounts = re.findall(_AMOUNT, text)
    seconds = [_UNIT_SECONDS.get(unit) or _UNIT_SECONDS.get(unit.removesuffix("s")) for _, unit in amounts]
    if rest or not amounts or None in seconds:
        raise ValueError(text)
    return round(sum(float(number) * (unit or 0) for (number, _), unit in zip(amounts, seconds, strict=True)) * SECOND)


def moment(text: str, now: int) -> int:
    """Return the time that a person wrote, in a form of `TIME_EXAMPLES`.

    A length of time counts back from now; a time of day later than now is yesterday's; a date alone is its midnight; a
    time without zone is in this machine's.

    Parameters
    ----------
    text
        The text.
    now
        The present, in microseconds since the epoch.

    Raises
    ------
    ValueError
        If the text is invalid.
    """
    text = text.strip().lower()
    try:
        ts = _parsed(text, now)
        to_datetime(ts)  # raises for a time beyond the calendar, which could not be shown
    except (OverflowError, OSError):
        raise ValueError(text) from None
    return ts


def _parsed(text: str, now: int) -> int:
    if text == "now":
        return now
    if text.startswith("@"):
        return round(float(text[1:]) * SECOND)
    back = text.removeprefix("-").removesuffix(" ago")
    if back != text or re.match(_AMOUNT, text):
        return now - length(back)
    return to_ts(_date_and_time(text, to_datetime(now).astimezone()))


def _date_and_time(text: str, now: datetime) -> datetime:
    """Parse a date, a time of day, or both; without a zone, in that of this machine."""
    word, _, rest = text.partition(" ")
    if word in _DAYS:
        day = now.date() + timedelta(days=_DAYS[word])
        return datetime.combine(day, _time_of_day(rest) if rest else time()).astimezone()
    if re.fullmatch(_TIME_OF_DAY, text):
        today = datetime.combine(now.date(), _time_of_day(text)).astimezone()
        # Not 24 hours before: daylight saving time may have begun or ended in between.
        return today if today <= now else (today.replace(tzinfo=None) - timedelta(days=1)).astimezone()
    parsed = datetime.fromisoformat(text.upper())
    return parsed if parsed.tzinfo is not None else parsed.astimezone()


def _time_of_day(text: str) -> time:
    hour, _, rest = text.partition(":")
    return time.fromisoformat(f"{hour:0>2}:{rest}")
