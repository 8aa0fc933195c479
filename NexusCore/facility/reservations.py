"""Reservations: who booked an instrument, when and what for, as the Harvester found them in the calendars."""

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
    """Which calendar it is from; with `uid` its key."""
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
    url: str | None = None
    """Link to the reservation in its calendar."""
    consent: bool | None = None
    """Whether the user agreed to have a record made; None where nobody asked."""
    usage: bool = False
    """Whether it is a use that took place, as the facility's system noted it, rather than a booking."""
    ongoing: bool = False
    """Whether that use has not ended yet; `end_ts` is then as far ahead as was asked."""
    odd: Odd = ()
    """Sentences about what of it cannot be read; what its user agreed to, for one, is not known then."""


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
    -- what a source had in a span
    SELECT uid FROM reservation WHERE source = :source AND start_ts < :end AND end_ts > :start AND cancelled = 0
"""


_HAS = "SELECT 1 FROM reservation WHERE source = :source AND uid = :uid"

_REPLACED = """
    -- what other calendars had of an instrument in a span: it has another calendar now
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
        self, source: str, start_ts: int, end_ts: int, found: Sequence[Reservation], only_for: str | None = None
    ) -> tuple[int, int]:
        """Make the table hold what a source says about a span of time, in one transaction.

        Parameters
        ----------
        source
            The calendar.
        start_ts, end_ts
            The span that was asked for: what the table has in it and the source no longer has was cancelled.
        found
            What the source answered.
        only_for
            Pid of an instrument whose only calendar this is: what others had of it in the span has gone, too.

        Returns
        -------
        stored, cancelled
            How many reservations are there, and how many of the known ones have gone.
        """
        now = self._clock.now()
        # Of one that cannot be read, what is stored says more than what was read of it.
        rows = [_row(reservation, now) for reservation in found if not reservation.odd]

        def store(transaction: Transaction) -> tuple[int, int]:
            known = {uid for (uid,) in transaction.all(_KNOWN, source=source, start=start_ts, end=end_ts)}
            gone = sorted(known - {reservation.uid for reservation in found})
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
            return len(found), len(gone) + replaced

        return self._database.write(store)

    def overlapping(self, instrument: str, start_ts: int, end_ts: int) -> list[Reservation]:
        """Return the live reservations of an instrument that share time with a span, in order of start."""
        with self._database.reading() as reading:
            rows = reading.all(_OVERLAPPING, instrument=instrument, start=start_ts, end=end_ts)
        return [_reservation(row) for row in rows]

    def has(self, source: str, uid: str) -> bool:
        """Return whether a source ever had a reservation, cancelled or not."""
        with self._database.reading() as reading:
            return reading.one(_HAS, source=source, uid=uid) is not None

    def for_session(self, instrument: str, start_ts: int, end_ts: int, user: str | None = None) -> Reservation | None:
        """Return the reservation a session belongs to: the one that shares most time with it.

        An account at an instrument is often shared, so the session's own user decides only among those that share
        about as much: at least half of what the longest does. A use that took place goes before bookings, and says
        best who was there; the booking is then the one that fits that person. What both know is put together by
        `of_use`.
        """
        among = self.overlapping(instrument, start_ts, end_ts)
        # Of one whose times cannot be read it is not known whether it has anything to do with the session.
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

        bookings = [reservation for reservation in timed if not reservation.usage]
        use = best([reservation for reservation in timed if reservation.usage])
        booking = longest(_of(bookings, _people(use))) if use else best(bookings)
        return of_use(use, booking) if use and booking else use or booking


def agreed(booking: Reservation | None, *, required: bool) -> bool:
    """Tell whether a record may be made of a session with this reservation.

    Parameters
    ----------
    booking
        What `Reservations.for_session` found; None for nothing.
    required
        Whether it takes a yes; else it takes that nobody said no.
    """
    consent = booking.consent if booking is not None else None
    return consent is True or (consent is None and not required)


def of_use(use: Reservation, booking: Reservation) -> Reservation:
    """Return a booking with what is known of the use that was made of it.

    Answers given at the instrument go before those given when it was booked. Where somebody else came than had booked,
    they are the user, and the booker comes along; a consent holds only for who gave it, a refusal for all.
    """
    same = not _people(use).isdisjoint(_people(booking))
    said = [use.consent, booking.consent if same or booking.consent is False else None]
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
        consent=False if False in said else True if True in said else None,
        odd=(*booking.odd, *use.odd),
    )


def _of(among: list[Reservation], people: set[str]) -> list[Reservation]:
    """Return those that are of one of these people; all, if none is."""
    return [reservation for reservation in among if not people.isdisjoint(_people(reservation))] or among


def _people(reservation: Reservation) -> set[str]:
    return _names(reservation.user, reservation.user_id)


def _names(*names: str | None) -> set[str]:
    """Return names as they are compared: systems spell the same account in capitals or not."""
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
    return _SELECTED.make(_made, row)


def _made(*values: Any, odd: Odd) -> Reservation:
    *own, data = values
    make: Callable[..., Reservation] = Reservation
    try:
        return make(*own, **_rest(data), odd=odd)
    except (TypeError, ValueError, LookupError, AttributeError):
        return make(*own, odd=(*odd, f"data is {shown(json.dumps(data))}, which does not describe a reservation"))


def describes_a_reservation(data: str) -> bool:
    """Return whether a text is what `Reservations` stores in the column `data`."""
    try:
        _rest(OBJECT(data))
    except (TypeError, ValueError, LookupError, AttributeError):
        return False
    return True


def _rest(data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that are stored as JSON, each of its kind."""
    kinds = {field.name: field for field in fields(Reservation) if field.name not in _OWN_COLUMNS}
    rest = {name: value for name, value in data.items() if name in kinds}
    for name, value in rest.items():
        if name in ("usage", "ongoing", "consent"):
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
