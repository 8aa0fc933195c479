"""What is known of a session's reservation, and what its record says of doubts about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from NexusCore.clock import SECOND
from NexusCore.facility import Event, Reservation, Session
from NexusCore.facility.calendar_reads import CalendarRead
from NexusCore.facility.record_booking import BookingState, RecordBooking, booking_of

HARVEST_SECONDS = 300.0
"""Between two fetches of the calendars, where the Harvester has not set how many."""
_PASSES_LATE = 3
"""Passes of the Harvester that may lie between its last reading of a calendar and a session."""
_WITHOUT_CALENDAR = (
    "The calendar of the instrument could not be read when this record was made; it is made again when a reservation "
    "for it comes."
)


def known_booking(
    session: Session,
    booking: Reservation | None,
    events: Sequence[Event],
    calendar: CalendarRead | None,
    interval: object,
    *,
    has_calendar: bool,
) -> RecordBooking:
    """Return what is known of a session's reservation.

    Parameters
    ----------
    session, booking, events
        The session, its reservation and its events.
    calendar
        When the calendar of its instrument was read.
    interval
        Seconds between two fetches, as configured.
    has_calendar
        Whether the instrument has a calendar at all.
    """
    last_event = max((event.id for event in events), default=0)
    if not has_calendar:
        return RecordBooking(session.id, BookingState.NO_CALENDAR, None, None, last_event)
    seconds = float(interval) if isinstance(interval, int | float) else HARVEST_SECONDS
    return booking_of(session, booking, calendar, last_event, int(_PASSES_LATE * seconds * SECOND))


def booking_remarks(known: RecordBooking, others: Iterable[Reservation]) -> Iterator[str]:
    """Yield what the record says of doubts; `others` were booked at the time of the session's reservation."""
    if known.calendar is BookingState.UNREAD:
        yield _WITHOUT_CALENDAR
    for other in others:
        title = f"'{other.title}'" if other.title else "a reservation without a title"
        whose = f" of {other.user}" if other.user else ""
        yield f"Two bookings at once: at the time of this reservation there was also {title}{whose}."
