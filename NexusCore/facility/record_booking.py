"""What was known of a session's reservation and notes when its record was made: the table `record_booking`.

Promises
--------
* A record that was made while the calendar could not be read, or without the reservation that came later, is marked
  until it has been made again, or the calendar has been read and says the same.
* A reservation or note that comes late has a record made again once: if that fails, it is not repeated for ever.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum

from NexusCore import sizes
from NexusCore.clock import SECOND
from NexusCore.facility.calendar_reads import CalendarRead
from NexusCore.facility.reservations import Reservation
from NexusCore.facility.session import Event, EventType, Session
from NexusCore.facility.sessions import QUEUED_AGAIN, SENT_AGAIN
from NexusCore.facility.transitions import SESSION_COLUMNS, session_of
from NexusCore.storage import Database, Transaction
from NexusCore.storage.rows import TEXT, WHOLE, Columns, Odd, choice, optional


class BookingState(StrEnum):
    """What is known of the reservation in a record."""

    NO_CALENDAR = "NO_CALENDAR"
    """Its instrument has no calendar that programs can read."""
    FOUND = "FOUND"
    MISSING = "MISSING"
    """The calendar was read, and had none for the session."""
    UNREAD = "UNREAD"
    """The calendar could not be read, or was not read during the session."""
    LATE = "LATE"
    """A reservation came after the record was made; it is made again."""
    UNKNOWN = "UNKNOWN"
    """Read in place of an unknown stored value; never stored."""


RECORD_BOOKING = Columns(
    "record_booking",
    {
        "session_id": WHOLE,
        "calendar": choice(BookingState, "a state of a reservation"),
        "reason": optional(TEXT),
        "reservation": optional(TEXT),
        "last_event": WHOLE,
    },
)
_COLUMNS = tuple(RECORD_BOOKING.columns)
_BOOKING = "b.session_id, b.calendar, b.reason, b.reservation, b.last_event"
_SELECT = f"SELECT {_BOOKING} FROM record_booking b"  # noqa: S608  names from our schema

_DOUBTFUL = f"""
    -- records of an instrument without a reservation, or made without its calendar; newest first
    SELECT {_BOOKING}, {SESSION_COLUMNS}
      FROM record_booking b
      JOIN session s ON s.id = b.session_id
     WHERE b.calendar IN ('MISSING', 'UNREAD') AND s.instrument = :instrument AND s.start_ts >= :begun
       AND s.end_ts >= :since AND s.state IN ('BUILT', 'COMPLETED')
     ORDER BY s.start_ts DESC
     LIMIT :count
"""  # noqa: S608  names from our schema

_UNREAD_SINCE = """
    -- when the first session of an instrument began whose record was made without its calendar
    SELECT MIN(s.start_ts)
      FROM record_booking b
      JOIN session s ON s.id = b.session_id
     WHERE b.calendar = 'UNREAD' AND s.instrument = :instrument AND s.start_ts >= :begun AND s.end_ts >= :since
"""

_MARKED = f"""
    -- records that lack what their calendar may have, newest first
    SELECT {_BOOKING}, {SESSION_COLUMNS}
      FROM record_booking b
      JOIN session s ON s.id = b.session_id
     WHERE b.calendar IN ('UNREAD', 'LATE') AND s.end_ts >= :since AND s.state IN ('BUILT', 'COMPLETED')
     ORDER BY b.session_id DESC
     LIMIT :count
"""  # noqa: S608  names from our schema

_LATE_NOTES = f"""
    -- notes that were added after the record was made, oldest first
    SELECT e.id, e.event_type, e.ts, e.user, e.host, e.detail, {SESSION_COLUMNS}
      FROM session_event e
      JOIN session s ON s.id = e.session_id
      JOIN record_booking b ON b.session_id = s.id
     WHERE e.id > :after AND e.id > b.last_event AND e.event_type IN ('NOTE', 'PROBLEM') AND e.detail IS NOT NULL
       AND s.state IN ('BUILT', 'COMPLETED')
     ORDER BY e.id
"""  # noqa: S608  names from our schema
LISTED = 1000
"""Most records returned together."""
_LONGEST_SESSION = 30 * 86_400 * SECOND
"""Sessions are found by their start, for which there is an index; a longer one was forgotten."""


@dataclass(frozen=True, slots=True)
class RecordBooking:
    """What was known when a record was made."""

    session_id: int
    calendar: BookingState
    reason: str | None
    """A sentence on why the calendar could not be read."""
    reservation: str | None
    """`fingerprint` of the reservation in the record; of the one that came late, if that is its state."""
    last_event: int
    """Number of the last event that was there; later notes are not in the record."""
    odd: Odd = ()
    """Messages about fields that cannot be read."""

    @property
    def remark(self) -> str | None:
        """What a person should know of it; None if there is nothing."""
        if self.calendar is BookingState.UNREAD:
            return f"made without its calendar: {self.reason or 'it could not be read'}"
        if self.calendar is BookingState.LATE:
            return "made before its reservation came"
        return None


def fingerprint(booking: Reservation | None) -> str | None:
    """Return what tells one reservation from another, or from itself before a change; None without one."""
    if booking is None:
        return None
    content = {name: value for name, value in asdict(booking).items() if name not in ("odd", "ongoing")}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def booking_of(
    session: Session, booking: Reservation | None, read: CalendarRead | None, last_event: int, slack: int
) -> RecordBooking:
    """Return what is known of a session's reservation now, for an instrument that has a calendar.

    Parameters
    ----------
    session, booking
        The session, and its reservation.
    read
        What is known of its calendar.
    last_event
        Number of the last event of the session.
    slack
        Microseconds before the session's start in which the calendar may have been read last.
    """
    reason = None
    if read is None or (read.read_ts is None and read.failed_ts is None):
        reason = "It has not been read yet. Is the Harvester running?"
    elif read.failed_ts is not None:
        reason = read.reason
    elif read.read_ts is not None and read.read_ts < session.start_ts - slack:
        reason = "It was last read before the session began. Is the Harvester running?"
    state = BookingState.FOUND if booking is not None else BookingState.MISSING
    if reason is not None:
        state = BookingState.UNREAD
    return RecordBooking(session.id, state, reason, fingerprint(booking), last_event)


def about_building(event: Event, builder: str) -> bool:
    """Return whether an event is about the record rather than about the experiment.

    Parameters
    ----------
    event
        The event.
    builder
        The user in events that the Builder writes.
    """
    if event.user == builder:
        return event.type not in (EventType.END, EventType.PROBLEM)  # what it did to the session itself
    return (event.detail or "").startswith((QUEUED_AGAIN, SENT_AGAIN))


class RecordBookings:
    """The table `record_booking`.

    Parameters
    ----------
    database
        The facility's own database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def writer(self, known: RecordBooking) -> Callable[[Transaction], None]:
        """Return a function that stores what was known, for the transaction of `Sessions.finish`."""
        reason = None if known.reason is None else sizes.truncate(known.reason, sizes.LAST_ERROR)
        row = (known.session_id, known.calendar.value, reason, known.reservation, known.last_event)
        return lambda transaction: transaction.upsert("record_booking", _COLUMNS, ("session_id",), [row])

    def put(self, known: RecordBooking) -> None:
        """Store what is known of a record."""
        self._database.write(self.writer(known))

    def of_session(self, session_id: int) -> RecordBooking | None:
        """Return what was known when a session's record was made; None without a record."""
        return self.of_sessions([session_id]).get(session_id)

    def of_sessions(self, session_ids: Collection[int]) -> dict[int, RecordBooking]:
        """Return the same for several sessions, by their ids."""
        if not session_ids:
            return {}
        names = {f"id{number}": value for number, value in enumerate(session_ids)}
        condition = ", ".join(f":{name}" for name in names)
        with self._database.reading() as reading:
            rows = reading.all(f"{_SELECT} WHERE b.session_id IN ({condition})", **names)
        return {known.session_id: known for known in (RECORD_BOOKING.make(RecordBooking, row) for row in rows)}

    def doubtful(self, instrument: str, since: int) -> list[tuple[RecordBooking, Session]]:
        """Return the records of an instrument that a reservation may still come for.

        Parameters
        ----------
        instrument, since
            Pid, and when their sessions ended at the earliest.
        """
        return self._with_sessions(
            _DOUBTFUL, instrument=instrument, since=since, begun=since - _LONGEST_SESSION, count=LISTED
        )

    def unread_since(self, instrument: str, since: int) -> int | None:
        """Return when the first session began whose record was made without its calendar; parameters as `doubtful`."""
        with self._database.reading() as reading:
            row = reading.one(_UNREAD_SINCE, instrument=instrument, since=since, begun=since - _LONGEST_SESSION)
        return row[0] if row is not None and type(row[0]) is int else None

    def marked(self, since: int) -> list[tuple[RecordBooking, Session]]:
        """Return the records that were made without their calendar, or before their reservation came; newest first.

        Parameters
        ----------
        since
            When their sessions ended at the earliest.
        """
        return self._with_sessions(_MARKED, since=since, count=LISTED)

    def late_notes(self, after: int, builder: str) -> Iterator[tuple[Event, Session]]:
        """Yield notes that are in no record since they came after it, with their sessions.

        Parameters
        ----------
        after
            Number of an event: earlier ones are not looked at.
        builder
            As for `about_building`.
        """
        with self._database.reading() as reading:
            rows = reading.all(_LATE_NOTES, after=after)
        for number, kind, ts, user, host, detail, *session in rows:
            event = Event(number, EventType(kind), ts, user, host, detail)
            if not about_building(event, builder):
                yield event, session_of(tuple(session))

    def newest_event(self) -> int:
        """Return the number of the newest event of all sessions."""
        with self._database.reading() as reading:
            row = reading.one("SELECT MAX(id) FROM session_event")
        return int(row[0] or 0) if row is not None else 0

    def _with_sessions(self, sql: str, **values: object) -> list[tuple[RecordBooking, Session]]:
        width = len(_COLUMNS)
        with self._database.reading() as reading:
            rows = reading.all(sql, **values)
        return [(RECORD_BOOKING.make(RecordBooking, row[:width]), session_of(row[width:])) for row in rows]
