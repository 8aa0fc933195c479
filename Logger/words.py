"""Times and durations as a person says them, by this computer's clock and zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_TIME = re.compile(r"([01]?\d|2[0-3])[:.]([0-5]\d)")


def moment(time: datetime) -> str:
    """Return a time in words: ``at 14:32 on Friday, 20 November``."""
    local = time.astimezone()
    return f"at {local:%H:%M} on {local:%A}, {local.day} {local:%B}"


def until(time: datetime) -> str:
    """Return a time of a booking: ``13:48``, or if it is on another day ``Friday, 13:48``."""
    local = time.astimezone()
    today = datetime.now().astimezone().date()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%A, %H:%M}"


def duration(span: timedelta) -> str:
    """Return a time span in words: ``2 h 15 min``."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def earlier_time(words: str, now: datetime) -> datetime | None:
    """Return the last moment before `now` at which a clock showed this time; None if it is not a time.

    Parameters
    ----------
    words
        ``14:30``, or ``14.30``.
    now
        The present, time zone aware.
    """
    match = _TIME.fullmatch(words)
    if match is None:
        return None
    time = now.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
    return time if time <= now else time - timedelta(days=1)
