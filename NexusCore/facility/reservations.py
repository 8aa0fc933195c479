"""Reservations: who booked an instrument, when and for what, as harvested from the calendars."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from NexusCore.clock import Clock, readable_time
from NexusCore.storage import Database, Transaction
from NexusCore.storage.rows import FLAG, OBJECT, TEXT, TIME, WHOLE, Columns, Odd, optional, shown
from NexusCore.storage.transaction import Row


@dataclass(frozen=True, slots=True)
class BookedSample:
    """A specimen named in a reservation."""

    name: str | None = None
    pid: str | None = None
    """Persistent identifier, where the sample has one."""
    description: str | None = None
    elements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reservation:
    """One booking of one instrument."""

    source: str
    """Its calendar; together with `uid` its key."""
    uid: str
    """The source's own identifier of this occurrence."""
    instrument: str
    """Pid."""
    start_ts: int
    """Microseconds since the epoch, UTC."""
    end_ts: int
    cancelled: bool = False
    title: str | None = None
    user: str | None = None
    """Whose session it is: a name for display."""
    user_id: str | None = None
    """Account or e-mail address of that person."""
    collaborators: tuple[str, ...] = ()
    purpose: str | None = None
    samples: tuple[BookedSample, ...] = ()
    project: str | None = None
    """Name of the project."""
    project_id: str | None = None
    reservation_id: str | None = None
    """What its calendar calls it, for people; `uid` for programs."""
    url: str | None = None
    """Link to the reservation in its calendar."""
    consent: bool | None = None
    """Whether the user consented to a record; None if not asked."""
    usage: bool = False
    """Whether it is a recorded use rather than a booking."""
    ongoing: bool = False
    """Whether that use has not ended yet; `end_ts` is then the end of the requested span."""
    free: bool = False
    """Whether its calendar counts its time as free: a real booking of that time goes before it."""
    odd: Odd = ()
    """Messages about fields that cannot be read; the consent, for example, is then unknown."""


RESERVATION = Columns(
    "reservation",
    {
        "id": WHOLE,
        "source": TEXT,
        "uid": TEXT,
        "instrument": TEXT,
        "start_ts": TIME,
        "end_ts": TIME,
        "cancelled": FLAG,
        "title": optional(TEXT),
        "data": OBJECT,
        "fetched_ts": TIME,
    },
)


_KEY = ("source", "uid")
_RESERVATION_COLUMNS = ("source", "uid", "instrument", "start_ts", "end_ts", "cancelled", "title", "data", "fetched_ts")
_OWN_COLUMNS = {"source", "uid", "instrument", "start_ts", "end_ts", "cancelled", "title", "odd"}
_SELECTED = RESERVATION.only("source", "uid", "instrument", "start_ts", "end_ts", "cancelled", "title", "data")

_SELECT_RESERVATIONS = "SELECT source, uid, instrument, start_ts, end_ts, cancelled, title, data FROM reservation"

_OVERLAPPING = f"""
    -- live reservations of an instrument that share time with a span; bounds are half open
    {_SELECT_RESERVATIONS}
     WHERE instrument = :instrument AND start_ts < :end AND end_ts > :start AND cancelled = 0
     ORDER BY start_ts, uid
"""

_KNOWN = """
    -- known reservations of a source in a span
    SELECT uid FROM reservation WHERE source = :source AND start_ts < :end AND end_ts > :start AND cancelled = 0
"""


_HAS = "SELECT 1 FROM reservation WHERE source = :source AND uid = :uid"

_REPLACED = """
    -- reservations of an instrument from other calendars in a span: its calendar has changed
    UPDATE reservation SET cancelled = 1, fetched_ts = :now
     WHERE instrument = :instrument AND source <> :source AND start_ts < :end AND end_ts > :start AND cancelled = 0
"""


class Reservations:
    """The table `reservation`.

    Parameters
    ----------
    database, clock
        The facility's own database; the clock stamps what was fetched.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def take_over(
        self, source: str, start_ts: int, end_ts: int, reservations: Sequence[Reservation], only_for: str | None = None
    ) -> tuple[int, int]:
        """Store the reservations of a source in a span of time, in one transaction.

        Parameters
        ----------
        source
            The calendar.
        start_ts, end_ts
            The span that was fetched: known reservations in it that the source no longer has are cancelled.
        reservations
            What the source returned.
        only_for
            Pid of an instrument whose only calendar this is: those of other calendars in the span are cancelled, too.

        Returns
        -------
        stored, cancelled
            Number of reservations of the source, and number of cancelled ones.
        """
        now = self._clock.now()
        # For one that cannot be read completely, the stored row is better.
        rows = [_row(reservation, now) for reservation in reservations if not reservation.odd]

        def store(transaction: Transaction) -> tuple[int, int]:
            known = {uid for (uid,) in transaction.all(_KNOWN, source=source, start=start_ts, end=end_ts)}
            gone = sorted(known - {reservation.uid for reservation in reservations})
            for uid in gone:
                transaction.run(
                    "UPDATE reservation SET cancelled = 1, fetched_ts = :now WHERE source = :source AND uid = :uid",
                    now=now,
                    source=source,
                    uid=uid,
                )
            replaced = 0
            if only_for is not None:
                replaced = transaction.run(
                    _REPLACED, now=now, instrument=only_for, source=source, start=start_ts, end=end_ts
                )
            transaction.upsert("reservation", _RESERVATION_COLUMNS, _KEY, rows)
            return len(reservations), len(gone) + replaced

        return self._database.write(store)

    def overlapping(self, instrument: str, start_ts: int, end_ts: int) -> list[Reservation]:
        """Return the reservations of an instrument in a span that are not cancelled, ordered by start.

        Parameters
        ----------
        instrument
            Pid.
        start_ts, end_ts
            The span, half open, in microseconds since the epoch.
        """
        with self._database.reading() as reading:
            rows = reading.all(_OVERLAPPING, instrument=instrument, start=start_ts, end=end_ts)
        return [_reservation(row) for row in rows]

    def now_and_next(self, instrument: str, now: int, ahead: int) -> tuple[Reservation | None, Reservation | None]:
        """Return the booking of an instrument at a time, and the first one after that; None where there is none.

        Parameters
        ----------
        instrument
            Pid.
        now, ahead
            The time, in microseconds since the epoch, and how many microseconds ahead to look.
        """
        found = [booking for booking in self.overlapping(instrument, now, now + ahead) if not booking.usage]
        bookings = sorted(found, key=lambda booking: booking.free)
        present = next((booking for booking in bookings if booking.start_ts <= now < booking.end_ts), None)
        return present, next((booking for booking in bookings if booking.start_ts > now), None)

    def has(self, source: str, uid: str) -> bool:
        """Return whether a source ever had a reservation, cancelled or not."""
        with self._database.reading() as reading:
            return reading.one(_HAS, source=source, uid=uid) is not None

    def for_session(self, instrument: str, start_ts: int, end_ts: int, user: str | None = None) -> Reservation | None:
        """Return the reservation of a session: the one with the longest overlap.

        Accounts at an instrument are often shared, so the session's user only decides among reservations with at least
        half of the longest overlap. A recorded use takes precedence over bookings, and shows best who was there; the
        booking is then chosen by that person. `of_use` combines both. What its calendar counts as free time only
        counts where nothing else was booked.

        Parameters
        ----------
        instrument
            Pid.
        start_ts, end_ts
            Start and end of the session, in microseconds since the epoch.
        user
            Account of the session; None if unknown.
        """
        among = self.overlapping(instrument, start_ts, end_ts)
        # Without readable times the overlap is unknown.
        timed = [
            reservation
            for reservation in among
            if None not in (readable_time(reservation.start_ts), readable_time(reservation.end_ts))
        ]

        def shared(reservation: Reservation) -> int:
            return min(reservation.end_ts, end_ts) - max(reservation.start_ts, start_ts)

        def longest(among: list[Reservation]) -> Reservation | None:
            return max(among, key=shared, default=None)

        def best(among: list[Reservation]) -> Reservation | None:
            most = max(map(shared, among), default=0)
            return longest(_of([reservation for reservation in among if 2 * shared(reservation) >= most], _names(user)))

        bookings = _taken([reservation for reservation in timed if not reservation.usage])
        use = best([reservation for reservation in timed if reservation.usage])
        booking = longest(_of(bookings, _people(use))) if use else best(bookings)
        return of_use(use, booking) if use and booking else use or booking

    def besides(self, booking: Reservation, start_ts: int, end_ts: int) -> list[Reservation]:
        """Return what else was booked at the same time as a reservation, in a span; in order of their starts.

        Parameters
        ----------
        booking
            From `for_session`.
        start_ts, end_ts
            Of the session.
        """
        first, last = max(booking.start_ts, start_ts), min(booking.end_ts, end_ts)
        own = (booking.source, booking.uid)
        if booking.usage or first >= last:
            return []
        others = self.overlapping(booking.instrument, first, last)
        return [one for one in others if not (one.usage or one.free) and (one.source, one.uid) != own]


def agreed(booking: Reservation | None, *, required: bool) -> bool:
    """Return whether a record may be made of a session with this reservation.

    Parameters
    ----------
    booking
        From `Reservations.for_session`; None without one.
    required
        Whether consent is required; otherwise a record is allowed unless consent was refused.
    """
    consent = booking.consent if booking is not None else None
    return consent is True or (consent is None and not required)


def of_use(use: Reservation, booking: Reservation) -> Reservation:
    """Return a booking combined with its recorded use.

    Answers given at the instrument override those given at booking. If another person came, that is the user, and the
    booker becomes a collaborator; a consent applies only to the person who gave it, a refusal to all.
    """
    same = not _people(use).isdisjoint(_people(booking))
    answers = [use.consent, booking.consent if same or booking.consent is False else None]
    others = (*booking.collaborators, *use.collaborators, *(() if same or not booking.user else (booking.user,)))
    user = (booking.user or use.user) if same else use.user
    return replace(
        booking,
        title=use.title or booking.title,
        user=user,
        user_id=(booking.user_id or use.user_id) if same else use.user_id,
        collaborators=tuple(name for name in dict.fromkeys(others) if name != user),
        purpose=use.purpose or booking.purpose,
        samples=use.samples or booking.samples,
        project=booking.project or use.project,
        project_id=booking.project_id or use.project_id,
        consent=False if False in answers else True if True in answers else None,
        odd=(*booking.odd, *use.odd),
    )


def _taken(bookings: list[Reservation]) -> list[Reservation]:
    """Return the bookings that take the instrument's time; all, if none does."""
    return [booking for booking in bookings if not booking.free] or bookings


def _of(among: list[Reservation], people: set[str]) -> list[Reservation]:
    """Return the reservations of these people; all, if there are none."""
    return [reservation for reservation in among if not people.isdisjoint(_people(reservation))] or among


def _people(reservation: Reservation) -> set[str]:
    return _names(reservation.user, reservation.user_id)


def _names(*names: str | None) -> set[str]:
    """Return names for comparison: systems differ in the case of account names."""
    return {name.casefold() for name in names if name}


def _row(reservation: Reservation, now: int) -> tuple[Any, ...]:
    rest = {key: value for key, value in asdict(reservation).items() if key not in _OWN_COLUMNS}
    return (
        reservation.source,
        reservation.uid,
        reservation.instrument,
        reservation.start_ts,
        reservation.end_ts,
        int(reservation.cancelled),
        reservation.title,
        json.dumps(rest, ensure_ascii=False),
        now,
    )


def _reservation(row: Row) -> Reservation:
    return _SELECTED.make(_create, row)


def _create(*values: Any, odd: Odd) -> Reservation:
    *own, data = values
    make: Callable[..., Reservation] = Reservation
    try:
        return make(*own, **_rest(data), odd=odd)
    except (TypeError, ValueError, LookupError, AttributeError):
        return make(*own, odd=(*odd, f"data is {shown(json.dumps(data))}, which does not describe a reservation"))


def describes_a_reservation(data: str) -> bool:
    """Return whether a text is valid for the column `data`."""
    try:
        _rest(OBJECT(data))
    except (TypeError, ValueError, LookupError, AttributeError):
        return False
    return True


def _rest(data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that are stored as JSON, with checked types."""
    kinds = {field.name: field for field in fields(Reservation) if field.name not in _OWN_COLUMNS}
    rest = {name: value for name, value in data.items() if name in kinds}
    for name, value in rest.items():
        if name in ("usage", "ongoing", "consent", "free"):
            if not (isinstance(value, bool) or (value is None and name == "consent")):
                raise ValueError(value)
        elif name == "collaborators":
            rest[name] = _texts(value)
        elif name == "samples":
            rest[name] = tuple(BookedSample(**{**sample, "elements": _texts(sample["elements"])}) for sample in value)
        elif not isinstance(value, str | None):
            raise ValueError(value)
    return rest


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise ValueError(values)
    return tuple(values)
