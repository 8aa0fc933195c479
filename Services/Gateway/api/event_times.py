"""The time of an event, by the PC's clock and by ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from NexusCore.clock import SECOND, to_ts
from Services.Gateway.problems import Problem
from Services.Gateway.settings import GatewaySettings

DAY = 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class EventTime:
    """When an event happened."""

    ts: int
    """Microseconds since the epoch, UTC, by the facility's clock."""
    clock_offset: int
    """Microseconds that the PC's clock is ahead; the time that the request took counts against it."""


def event_time(at: datetime, pc_now: datetime, now: int, settings: GatewaySettings) -> EventTime:
    """Return the time of an event that may have been delivered late.

    Both times of the PC are by the same clock, so how long ago it happened is known even if that clock is wrong. A
    difference within the tolerance is the way of the request; the event keeps the PC's time then.

    Parameters
    ----------
    at, pc_now
        When it happened, and what the PC's clock showed when the request was sent.
    now
        When the request arrived, in microseconds since the epoch.
    settings
        Tolerance, and how old an event may be.

    Raises
    ------
    Problem
        If it is in the future, or too old.
    """
    offset = to_ts(pc_now) - now
    age = to_ts(pc_now) - to_ts(at)
    tolerance = int(settings.clock_tolerance * SECOND)
    if age < -tolerance:
        raise Problem(422, "'at' is later than 'now': an event cannot be in the future.", "in-the-future")
    if age > settings.oldest_event_days * DAY:
        days = settings.oldest_event_days
        raise Problem(422, f"The event is more than {days:g} days old; tell the facility's staff.", "too-old")
    return EventTime(to_ts(at) if abs(offset) <= tolerance else now - age, offset)
