"""Who was at an instrument at a time: by its sessions, else by its reservations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from NexusCore.clock import Clock, readable_time
from NexusCore.facility.reservations import Reservations
from NexusCore.storage import Database

_SESSIONS = """
    -- the sessions of an instrument in a time, the newest first
    SELECT user, start_ts, end_ts FROM session
     WHERE instrument = :instrument AND start_ts <= :end AND (end_ts IS NULL OR end_ts >= :start)
     ORDER BY start_ts DESC
     LIMIT :count
"""
MOST_SESSIONS = 20_000
"""Sessions that are read at once."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A time that somebody was at an instrument."""

    user: str
    start_ts: int
    end_ts: int | None
    """None while it lasts."""

    def covers(self, ts: int) -> bool:
        """Return whether a time is in it."""
        return self.start_ts <= ts and (self.end_ts is None or ts <= self.end_ts)


class People:
    """Answers who was at an instrument.

    Parameters
    ----------
    database, clock
        The facility's own database.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._reservations = Reservations(database, clock)

    def stays(self, instrument: str, start_ts: int, end_ts: int) -> list[Stay]:
        """Return who was there in a time: sessions, the newest first, then reservations.

        Parameters
        ----------
        instrument
            Pid.
        start_ts, end_ts
            The time; microseconds since the epoch, UTC.
        """
        with self._database.reading() as reading:
            rows = reading.all(_SESSIONS, instrument=instrument, start=start_ts, end=end_ts, count=MOST_SESSIONS)
        sessions = [
            Stay(str(user), start, end)
            for user, start, end in rows
            if user and readable_time(start) and (end is None or readable_time(end))
        ]
        booked = [
            Stay(booking.user, booking.start_ts, booking.end_ts)
            for booking in self._reservations.overlapping(instrument, start_ts, end_ts + 1)
            if booking.user and not booking.odd
        ]
        return [*sessions, *booked]


def who_was_there(stays: Sequence[Stay], ts: int) -> str | None:
    """Return the user of the first stay that covers a time; None if there is none."""
    return next((stay.user for stay in stays if stay.covers(ts)), None)
