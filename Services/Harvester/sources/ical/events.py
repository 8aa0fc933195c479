"""Reads the events of an iCalendar in a span as reservations, those of series one by one.

A damaged event costs only itself: it is reported, and what was known of it stays. Rules are never expanded beyond
the span. `RECURRENCE-ID` names an occurrence, wherever it was moved to, and stands behind the UID in UTC.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, TypeGuard

import icalendar
import recurring_ical_events

from NexusCore.clock import SECOND, to_ts
from NexusCore.facility import Instrument, Reservation
from NexusCore.text import shortened
from Services.Harvester.sources import SourceFailed, complain, source_of
from Services.Harvester.sources.text import LINE_LENGTH, MOST_PEOPLE, consent, line, link, text
from Services.Harvester.sources.web import too_many

ZONE_MARGIN = timedelta(days=2)
"""Times without a zone, and whole days, lie up to this far from where they seem to."""
UID_LENGTH = 200
_DURATION = "X-NEXUSCORE-DURATION"
_CALENDAR_BEGIN = re.compile(rb"^BEGIN:VCALENDAR\s*$", re.IGNORECASE | re.MULTILINE)


def bookings(
    content: bytes, where: str, instrument: Instrument, start: datetime, end: datetime, most: int
) -> list[Reservation]:
    """Return the reservations of an iCalendar that share time with a span.

    Parameters
    ----------
    content
        One or several VCALENDAR objects.
    where
        Where they are from, for a sentence.
    instrument
        Whose they are. Its time zone (this machine's, if it has none) is that of times without one.
    start, end
        The span, half open.
    most
        How many there may be.

    Raises
    ------
    SourceFailed
        If it is not a calendar, is cut off, or has more than `most` bookings in the span.
    """
    return reservations_from(events_of(content, where), "ical", where, instrument, start, end, most)


def reservations_from(
    events: Iterable[icalendar.Event],
    kind: str,
    where: str,
    instrument: Instrument,
    start: datetime,
    end: datetime,
    most: int,
) -> list[Reservation]:
    """Return the reservations that events come to; see `bookings`. `kind` is that of their source.

    Parameters
    ----------
    events
        Of one calendar.
    kind
        Of the source, for `Reservation.source`.
    where, instrument, start, end, most
        As for `bookings`.
    """
    reservations: list[Reservation] = []
    for uid, group in _series(events).items():
        try:
            reservations += _expanded(uid, group, kind, instrument, start, end)
        except MemoryError:
            raise  # no fault of this event
        except Exception as error:  # noqa: BLE001  untrusted text in a foreign reader; the complaint is recorded
            known_as = uid if "UID" in group[0] else None  # a name made from the content changes with it
            complain(f"the event '{uid}' cannot be read: {_reason(group, error)}", known_as)
        if len(reservations) > most:
            raise too_many(where, most)
    return reservations


def events_of(content: bytes, where: str) -> list[icalendar.Event]:
    """Return the events of one or several VCALENDAR objects; raise as `bookings` does."""
    content = content.removeprefix(codecs.BOM_UTF8)
    begun = len(_CALENDAR_BEGIN.findall(content))
    if not begun:
        raise SourceFailed(where=where, reason="it is not an iCalendar")
    try:
        calendars = icalendar.Calendar.from_ical(content, multiple=True)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  a foreign reader, with many ways to stumble
        raise SourceFailed(where=where, reason=f"it is damaged ({_line(error, 150)})") from None
    if sum(calendar.name == "VCALENDAR" for calendar in calendars) < begun:
        raise SourceFailed(where=where, reason="it is cut off")
    return [event for calendar in calendars for event in calendar.events]


def _series(events: Iterable[icalendar.Event]) -> dict[str, list[icalendar.Event]]:
    """Group events by UID: a series and its changed occurrences share one."""
    series: dict[str, list[icalendar.Event]] = defaultdict(list)
    for event in events:
        uid = _line(event.get("UID"), 10 * LINE_LENGTH)
        if uid is None:
            properties = [
                (key, event[key]) for key in sorted(event) if key not in ("DTSTAMP", "LAST-MODIFIED", "SEQUENCE")
            ]
            uid = f"without-uid-{hashlib.sha256(repr(properties).encode(errors='replace')).hexdigest()[:32]}"
        if len(uid) > UID_LENGTH:
            uid = f"{uid[:100]}~{hashlib.sha256(uid.encode()).hexdigest()}"
        series[uid].append(event)
    return series


def _expanded(
    uid: str, events: Sequence[icalendar.Event], kind: str, instrument: Instrument, start: datetime, end: datetime
) -> Iterator[Reservation]:
    zone = instrument.zone
    calendar = icalendar.Calendar()
    for event in events:
        _check(event, uid)
        if "DURATION" in event:
            event[_DURATION] = event["DURATION"]  # the expansion keeps what it doesn't know
        calendar.add_component(event)
    moved = {_instant(_when(event, "RECURRENCE-ID"), zone): event for event in events if "RECURRENCE-ID" in event}
    in_series = any(name in event for event in events for name in ("RRULE", "RDATE", "RECURRENCE-ID"))
    span = (start.astimezone(UTC) - ZONE_MARGIN, end.astimezone(UTC) + ZONE_MARGIN)
    for event in recurring_ical_events.of(calendar).between(*span):
        first, last = _instant(_when(event, "DTSTART"), zone), _end(event, zone)
        if first < to_ts(end) and (last > to_ts(start) or first == last >= to_ts(start)):
            name = f"{uid}#{_occurrence(event, moved, zone)}" if in_series else uid
            yield _reservation(event, name, kind, instrument, first, last)


def _check(event: icalendar.Event, uid: str) -> None:
    """Refuse rules that no booking has and that take for ever to expand; report unknown zones."""
    for rule in _all(event.get("RRULE")):
        if isinstance(rule, icalendar.vRecur):
            if {str(frequency).upper() for frequency in rule.get("FREQ", ())} & {"SECONDLY", "MINUTELY"}:
                raise ValueError("it repeats every minute or second, which no booking does")
            if any(int(interval) < 1 for interval in rule.get("INTERVAL", ())):
                raise ValueError("it repeats after no time at all")
    begin = event.get("DTSTART")
    zone = getattr(begin, "params", {}).get("TZID")
    if zone and getattr(getattr(begin, "dt", None), "tzinfo", UTC) is None:
        complain(f"the event '{uid}' is in the time zone '{zone}', which is unknown; the instrument's was taken", uid)


def _occurrence(event: icalendar.Component, moved: dict[int, icalendar.Event], zone: tzinfo | None) -> str:
    """Return the name of an occurrence: when it would take place had it never been moved."""
    when = _when(event, "RECURRENCE-ID")
    change = moved.get(_instant(when, zone))
    if change is not None and event["RECURRENCE-ID"].params.get("RANGE") == "THISANDFUTURE":
        # The later ones of a series that was moved from here on all carry the identifier of the first.
        begin, first = _when(event, "DTSTART"), _when(change, "DTSTART")
        if _has_zone(begin):
            first, when = (moment.astimezone(begin.tzinfo) if _has_zone(moment) else moment for moment in (first, when))
        when += _plain(begin) - _plain(first)
    if not isinstance(when, datetime):
        return when.strftime("%Y%m%d")
    return datetime.fromtimestamp(_instant(when, zone) // SECOND, UTC).strftime("%Y%m%dT%H%M%SZ")


def _end(event: icalendar.Component, zone: tzinfo | None) -> int:
    """Return when an occurrence ends. Days of a DURATION are days, its hours are hours, also where clocks change."""
    begin, end = _when(event, "DTSTART"), _when(event, "DTEND")
    duration: timedelta | None = getattr(event.get(_DURATION), "dt", None)
    if isinstance(begin, datetime) and duration is not None and _plain(end) - _plain(begin) == duration:
        days = timedelta(days=duration.days)
        return _instant(begin + days, zone) + (duration - days) // timedelta(microseconds=1)
    return _instant(end, zone)


def _when(event: icalendar.Component, name: str) -> date:
    """Return a property that is a date or a time."""
    value: Any = event[name]  # anything else lacks the attribute, or fails later
    moment: date = value.dt
    return moment


def _has_zone(moment: date) -> TypeGuard[datetime]:
    return isinstance(moment, datetime) and moment.tzinfo is not None


def _plain(moment: date) -> datetime:
    """Return what clock and calendar show."""
    if isinstance(moment, datetime):
        return moment.replace(tzinfo=None)
    return datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001  without a zone on purpose


def _instant(moment: date, zone: tzinfo | None) -> int:
    """Return microseconds since the epoch; a time without a zone is in the instrument's, a date is its midnight."""
    if _has_zone(moment):
        return to_ts(moment)
    plain = _plain(moment)
    return to_ts(plain.replace(tzinfo=zone) if zone is not None else plain.astimezone())


# -- what an event says -------------------------------------------------------------------------------------------


def _reservation(
    event: icalendar.Component, uid: str, kind: str, instrument: Instrument, first: int, last: int
) -> Reservation:
    name, address = _person(event.get("ORGANIZER"))
    return Reservation(
        source=source_of(kind, instrument),
        uid=uid,
        instrument=instrument.pid,
        start_ts=first,
        end_ts=last,
        cancelled=(_line(event.get("STATUS")) or "").upper() == "CANCELLED",
        title=_line(event.get("SUMMARY")),
        user=name or address,
        user_id=address,
        collaborators=tuple(dict.fromkeys(_others(event, address)))[:MOST_PEOPLE],
        purpose=text(_first(event.get("DESCRIPTION"))),
        url=link(_first(event.get("URL"))),
        consent=consent(_first(event.get("X-CONSENT"))),
    )


def _others(event: icalendar.Component, organizer: str | None) -> Iterator[str]:
    """Yield the other participants: not those who declined, nor rooms and instruments, which may be invited, too."""
    for attendee in _all(event.get("ATTENDEE")):
        parameters = getattr(attendee, "params", {})
        name, address = _person(attendee)
        thing = str(parameters.get("CUTYPE", "")).upper() in ("ROOM", "RESOURCE")
        declined = str(parameters.get("PARTSTAT", "")).upper() == "DECLINED"
        if not thing and not declined and (name or address) and (address is None or address != organizer):
            yield name or address or ""


def _person(value: Any) -> tuple[str | None, str | None]:
    """Return name and address of a calendar user."""
    person = _first(value)
    address = re.sub(r"^mailto:", "", _line(person) or "", flags=re.IGNORECASE).strip()
    return _line(getattr(person, "params", {}).get("CN")), address or None


def _all(value: Any) -> list[Any]:
    """Return the values of a property; the reader makes a list only of several."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _first(value: Any) -> Any:
    return next(iter(_all(value)), None)


def _line(value: Any, longest: int = LINE_LENGTH) -> str | None:
    return line(_first(value), longest)


def _reason(events: Sequence[icalendar.Event], error: Exception) -> str:
    """Return why a series cannot be read: what the reader noted of a line says more than what failed because of it."""
    noted = next((f"{name}: {text}" for event in events for name, text in event.errors if name), None)
    missing = f"it has no {error.args[0]}" if isinstance(error, KeyError) and error.args else None
    return shortened(" ".join((noted or missing or str(error) or type(error).__name__).split()), 200)
