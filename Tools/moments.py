"""Times as a person or a program writes and reads them; stored are microseconds since the epoch, UTC."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

from NexusCore.clock import SECOND, to_datetime, to_ts

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))

EXAMPLES = "2026-11-20, '2026-11-20 09:30', yesterday, 09:30, -15m, '2h ago' and @1470138136"
"""Ways to write a moment."""

_SECONDS = {
    "s": 1, "sec": 1, "second": 1,
    "m": 60, "min": 60, "minute": 60,
    "h": 3_600, "hour": 3_600,
    "d": 86_400, "day": 86_400,
    "w": 604_800, "week": 604_800,
}  # fmt: skip
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_AMOUNT = r"(\d+(?:\.\d+)?)\s*([a-z]+)"
_TIME_OF_DAY = r"\d{1,2}:\d\d(:\d\d(\.\d{1,6})?)?"


def rfc3339(ts: int | None) -> str | None:
    """Return a time for programs, exact, with the offset of this machine's zone."""
    return None if ts is None else to_datetime(ts).astimezone().isoformat(timespec="microseconds")


def local(ts: int) -> str:
    """Return a time for people, in this machine's zone."""
    return to_datetime(ts).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(microseconds: int) -> str:
    """Return a length of time in its two largest units: ``1 h 29 min``."""
    seconds = max(0, microseconds // SECOND)
    parts = []
    for size, unit in _UNITS:
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
        If it is none.
    """
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return round(float(text) * SECOND)
    rest = re.sub(_AMOUNT, "", text).strip()
    amounts = re.findall(_AMOUNT, text)
    seconds = [_SECONDS.get(unit) or _SECONDS.get(unit.removesuffix("s")) for _, unit in amounts]
    if rest or not amounts or None in seconds:
        raise ValueError(text)
    return round(sum(float(number) * (unit or 0) for (number, _), unit in zip(amounts, seconds, strict=True)) * SECOND)


def moment(text: str, now: int) -> int:
    """Return the time that a person wrote, in one of the ways of `EXAMPLES`.

    A length of time counts back from now; a time of day that is still to come is yesterday's; a date alone is its
    midnight; what says no zone is in this machine's.

    Parameters
    ----------
    text
        What was written.
    now
        The present, in microseconds since the epoch.

    Raises
    ------
    ValueError
        If it is none.
    """
    text = text.strip().lower()
    try:
        found = _understood(text, now)
        to_datetime(found)  # one that no calendar has cannot be shown either
    except (OverflowError, OSError):
        raise ValueError(text) from None
    return found


def _understood(text: str, now: int) -> int:
    if text == "now":
        return now
    if text.startswith("@"):
        return round(float(text[1:]) * SECOND)
    back = text.removeprefix("-").removesuffix(" ago")
    if back != text or re.match(_AMOUNT, text):
        return now - length(back)
    return to_ts(_on_the_calendar(text, to_datetime(now).astimezone()))


def _on_the_calendar(text: str, now: datetime) -> datetime:
    """Return a date, a time of day, or both; without a zone, in that of this machine."""
    word, _, rest = text.partition(" ")
    if word in _DAYS:
        day = now.date() + timedelta(days=_DAYS[word])
        return datetime.combine(day, _time_of_day(rest) if rest else time()).astimezone()
    if re.fullmatch(_TIME_OF_DAY, text):
        today = datetime.combine(now.date(), _time_of_day(text)).astimezone()
        # Not 24 hours before: the clocks may have been changed in between.
        return today if today <= now else (today.replace(tzinfo=None) - timedelta(days=1)).astimezone()
    found = datetime.fromisoformat(text.upper())
    return found if found.tzinfo is not None else found.astimezone()


def _time_of_day(text: str) -> time:
    hour, _, rest = text.partition(":")
    return time.fromisoformat(f"{hour:0>2}:{rest}")
