"""Finds records that were made without the reservation that their calendar has now.

A reservation may be made afterwards, or the calendar may have been away when the record was made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from NexusCore.facility import Reservations, Session, Sessions
from NexusCore.facility.record_booking import BookingState, RecordBooking, RecordBookings, fingerprint
from NexusCore.facility.session import Client
from NexusCore.facility.sessions import NotToBeBuilt

WHY = "its reservation came after its record was made"


@dataclass(frozen=True, slots=True)
class LateReservation:
    """A record that says something else of its reservation than the calendar does now."""

    session: Session
    known: RecordBooking
    """What was known when the record was made."""
    now: RecordBooking
    """What is known now."""

    @property
    def confirmed(self) -> bool:
        """Whether the calendar says the same: only the doubt is gone."""
        return self.now.calendar is not BookingState.LATE

    @property
    def sentence(self) -> str:
        """What is done about it."""
        return f"the record of the session {self.session.identifier} is made again: {WHY}"


class LateReservations:
    """Compares records with the reservations that their sessions have now.

    Parameters
    ----------
    sessions, reservations, bookings
        The facility's.
    client
        The Harvester: who has records made again.
    """

    def __init__(
        self, sessions: Sessions, reservations: Reservations, bookings: RecordBookings, client: Client
    ) -> None:
        self._sessions = sessions
        self._reservations = reservations
        self._bookings = bookings
        self._client = client

    def unread_since(self, pid: str, since: int) -> int | None:
        """Return when the first session on an instrument began whose record was made without its calendar.

        Parameters
        ----------
        pid, since
            The instrument, and when sessions ended at the earliest.
        """
        return self._bookings.unread_since(pid, since)

    def of(self, pid: str, since: int) -> Iterator[LateReservation]:
        """Yield what has changed for the records of an instrument, whose calendar has just been read.

        Parameters
        ----------
        pid, since
            As for `unread_since`.
        """
        for known, session in self._bookings.doubtful(pid, since):
            if session.odd or session.end_ts is None:
                continue
            booking = self._reservations.for_session(pid, session.start_ts, session.end_ts, session.user)
            if booking is not None and booking.odd:
                continue
            found = fingerprint(booking)
            if found != known.reservation:
                state = BookingState.LATE
            elif known.calendar is BookingState.UNREAD:
                state = BookingState.MISSING if booking is None else BookingState.FOUND
            else:
                continue
            yield LateReservation(session, known, replace(known, calendar=state, reason=None, reservation=found))

    def carry_out(self, late: LateReservation) -> bool:
        """Have a record made again, or note that the calendar says the same; return whether that was done."""
        if not late.confirmed:
            try:
                self._sessions.requeue(late.session.identifier, self._client, late.session.state, why=WHY)
            except NotToBeBuilt:
                return False  # another process was faster
        self._bookings.put(late.now)
        return True
