"""Reads the events of an iCalendar in a span as reservations, those of series one by one.

A damaged event costs only itself: it is reported, and what was known of it stays. Rules are never expanded beyond
the span. `RECURRENCE-ID` names an occurrence, wherever it was moved to, and stands behind the UID in UTC.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

import icalendar
import recurring_ical_events

from NexusCore.clock import SECOND, to_ts
from NexusCore.facility import Instrument, Reservation
from NexusCore.text import shortened
from Services.Harvester.sources import NO_BOOKING, SourceFailed, complain
from Services.Harvester.sources.ical.cancelled import CANCELLED_TITLES
from Services.Harvester.sources.ical.decoding import text_of
from Services.Harvester.sources.ical.fields import first_line, reservation_of
from Services.Harvester.sources.ical.lines import DAYS, mended
from Services.Harvester.sources.ical.selection import belongs
from Services.Harvester.sources.ical.span import within
from Services.Harvester.sources.ical.zones import (
    MACHINE,
    CalendarEvent,
    all_of,
    end_of,
    has_zone,
    instant,
    plain,
    settle,
    zone_of,
)
from Services.Harvester.sources.text import LINE_LENGTH
from Services.Harvester.sources.web import too_many

ZONE_MARGIN = timedelta(days=2)
"""Times without a zone, and whole days, lie up to this far from where they seem to."""
UID_LENGTH = 200
_DURATION = "X-NEXUSCORE-DURATION"
_ZONES = re.compile(r"^BEGIN:VTIMEZONE\s*$.*?^END:VTIMEZONE\s*$", re.IGNORECASE | re.MULTILINE | re.DOTALL)
_CALENDAR_BEGIN = re.compile(r"^BEGIN:VCALENDAR\s*$", re.IGNORECASE | re.MULTILINE)


def bookings(
    content: bytes,
    where: str,
    instrument: Instrument,
    start: datetime,
    end: datetime,
    most: int,
    cancelled_titles: Collection[str] = CANCELLED_TITLES,
) -> list[Reservation]:
    """Return the reservations of an iCalendar that share time with a span.

    Parameters
    ----------
    content
        One or several VCALENDAR objects.
    where
        Where they are from, for a sentence.
    instrument
        Whose they are. Its time zone (this machine's, if it has none) is that of times without one, unless the
        calendar names one.
    start, end
        The span, half open.
    most
        How many there may be.
    cancelled_titles
        Beginnings of titles that say that a meeting was cancelled, in small letters.

    Raises
    ------
    SourceFailed
        If it is not a calendar, is cut off, or has more than `most` bookings in the span.
    """
    events = events_of(content, where, (start, end))
    return reservations_from(events, "ical", where, instrument, start, end, most, cancelled_titles)


def reservations_from(
    events: Iterable[CalendarEvent],
    kind: str,
    where: str,
    instrument: Instrument,
    start: datetime,
    end: datetime,
    most: int,
    cancelled_titles: Collection[str] = CANCELLED_TITLES,
) -> list[Reservation]:
    """Return the reservations that events come to; see `bookings`. `kind` is that of their source.

    Parameters
    ----------
    events
        Of one calendar.
    kind
        Of the source, for `Reservation.source`.
    where, instrument, start, end, most, cancelled_titles
        As for `bookings`.
    """
    reservations: list[Reservation] = []
    for uid, group in _series(events).items():
        try:
            for event, name, times in _expanded(uid, group, instrument, start, end):
                if belongs(event, instrument):
                    reservations.append(reservation_of(event, name, kind, instrument, times, cancelled_titles))
        except MemoryError:
            raise  # no fault of this event
        except Exception as error:  # noqa: BLE001  untrusted text in a foreign reader; the complaint is recorded
            known_as = uid if "UID" in group[0].event else None  # a name made from the content changes with it
            complain(f"the event '{uid}' cannot be read: {_reason(group, error)}", known_as)
        if len(reservations) > most:
            raise too_many(where, most)
    return reservations


def events_of(content: bytes, where: str, span: tuple[datetime, datetime] | None = None) -> list[CalendarEvent]:
    """Return the events of one or several VCALENDAR objects; raise as `bookings` does.

    Parameters
    ----------
    content, where
        As for `bookings`.
    span
        Events that are certainly outside it are left out; None for all.
    """
    decoded = text_of(content)
    begun = len(_CALENDAR_BEGIN.findall(decoded))
    if not begun:
        raise SourceFailed(where=where, reason=_what_it_is(decoded))
    calendars = _parsed(mended(decoded if span is None else within(decoded, *span)), where)
    if sum(calendar.name == "VCALENDAR" for calendar in calendars) < begun:
        raise SourceFailed(where=where, reason="it is cut off")
    return [
        CalendarEvent(event, zone)
        for calendar, zone in [(calendar, zone_of(calendar)) for calendar in calendars]
        for event in calendar.events
    ]


def _what_it_is(decoded: str) -> str:
    """Return what a text is that has no calendar."""
    if not decoded.strip():
        return "it is empty"
    page = decoded.lstrip().lower().startswith(("<!doctype html", "<html"))
    return "it is an HTML page (a login?)" if page else "it is not an iCalendar"


def _parsed(decoded: str, where: str) -> list[icalendar.Calendar]:
    """Return the calendars in a text; those with damaged definitions of time zones without these."""
    try:
        return list(icalendar.Calendar.from_ical(decoded, multiple=True))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  a foreign reader, with many ways to stumble
        rest = _ZONES.sub("", decoded)
        if rest == decoded:
            raise SourceFailed(where=where, reason=f"it is damaged ({first_line(error, 150)})") from None
        calendars = _parsed(rest, where)
        complain(
            f"its definitions of time zones are damaged ({first_line(error, 100)}); they were left out", NO_BOOKING
        )
        return calendars


def _series(events: Iterable[CalendarEvent]) -> dict[str, list[CalendarEvent]]:
    """Group events by UID: a series and its changed occurrences share one."""
    series: dict[str, list[CalendarEvent]] = defaultdict(list)
    for item in events:
        event = item.event
        uid = first_line(event.get("UID"), 10 * LINE_LENGTH)
        if uid is None:
            properties = [
                (key, event[key]) for key in sorted(event) if key not in ("DTSTAMP", "LAST-MODIFIED", "SEQUENCE")
            ]
            uid = f"without-uid-{hashlib.sha256(repr(properties).encode(errors='replace')).hexdigest()[:32]}"
        if len(uid) > UID_LENGTH:
            uid = f"{uid[:100]}~{hashlib.sha256(uid.encode()).hexdigest()}"
        series[uid].append(item)
    return series


def _expanded(
    uid: str, group: Sequence[CalendarEvent], instrument: Instrument, start: datetime, end: datetime
) -> Iterator[tuple[icalendar.Component, str, tuple[int, int]]]:
    """Yield the occurrences in a span, each with its name, start and end."""
    own = instrument.zone or MACHINE
    zone = group[0].zone or own
    events = settle(group, uid, own)
    in_series = len(events) > 1 or any(name in events[0] for name in ("RRULE", "RDATE", "RECURRENCE-ID"))
    moved = {instant(_when(event, "RECURRENCE-ID"), zone): event for event in events if "RECURRENCE-ID" in event}
    _report_repeated(events, uid)
    without_length = False
    for event in _occurrences(events, start, end) if in_series else events:
        first, known_end = instant(_when(event, "DTSTART"), zone), _end(event, zone)
        last = first if known_end is None else known_end
        if first < to_ts(end) and (last > to_ts(start) or first == last >= to_ts(start)):
            without_length |= known_end is None
            yield event, f"{uid}#{_occurrence(event, moved, zone)}" if "RECURRENCE-ID" in event else uid, (first, last)
    if without_length:
        complain(f"the event '{uid}' has no length, so no session can belong to it; it needs an end or a duration", uid)


def _occurrences(events: Sequence[icalendar.Event], start: datetime, end: datetime) -> Iterator[icalendar.Component]:
    """Yield the occurrences of a series in a span, and somewhat beyond it."""
    calendar = icalendar.Calendar()
    for event in events:
        _check(event)
        if "DURATION" in event:
            event[_DURATION] = event["DURATION"]  # the expansion keeps what it doesn't know
        calendar.add_component(event)
    span = (start.astimezone(UTC) - ZONE_MARGIN, end.astimezone(UTC) + ZONE_MARGIN)
    yield from recurring_ical_events.of(calendar).between(*span)


def _report_repeated(events: Sequence[icalendar.Event], uid: str) -> None:
    """Complain of several bookings under one name, of which the expansion takes one; of versions, the newest counts."""
    named = [event for event in events if "RECURRENCE-ID" not in event]
    if len({_when(event, "DTSTART") for event in named}) > len({first_line(event.get("SEQUENCE")) for event in named}):
        complain(f"the event '{uid}' is there {len(named)} times, at different times; only one was taken", uid)


def _check(event: icalendar.Event) -> None:
    """Refuse rules that no booking has and that take for ever to expand."""
    for rule in all_of(event.get("RRULE")):
        if isinstance(rule, icalendar.vRecur):
            if {str(frequency).upper() for frequency in rule.get("FREQ", ())} & {"SECONDLY", "MINUTELY"}:
                raise ValueError("it repeats every minute or second, which no booking does")
            if any(int(interval) < 1 for interval in rule.get("INTERVAL", ())):
                raise ValueError("it repeats after no time at all")
    if "DTEND" in event and plain(_when(event, "DTEND")) < plain(_when(event, "DTSTART")):
        raise ValueError(_END_FIRST)  # the expansion would exchange them


_END_FIRST = "it ends before it begins"


def _occurrence(event: icalendar.Component, moved: dict[int, icalendar.Event], zone: tzinfo) -> str:
    """Return the name of an occurrence: when it would take place had it never been moved."""
    when = _when(event, "RECURRENCE-ID")
    change = moved.get(instant(when, zone))
    if change is not None and event["RECURRENCE-ID"].params.get("RANGE") == "THISANDFUTURE":
        # The later ones of a series that was moved from here on all carry the identifier of the first.
        begin, first = _when(event, "DTSTART"), _when(change, "DTSTART")
        if has_zone(begin):
            first, when = (moment.astimezone(begin.tzinfo) if has_zone(moment) else moment for moment in (first, when))
        when += plain(begin) - plain(first)
    if not isinstance(when, datetime):
        return when.strftime("%Y%m%d")
    return datetime.fromtimestamp(instant(when, zone) // SECOND, UTC).strftime("%Y%m%dT%H%M%SZ")


def _end(event: icalendar.Component, zone: tzinfo) -> int | None:
    """Return when an occurrence ends; None for one without length.

    Days of a DURATION are days, its hours are hours, also 24 of them where clocks change.
    """
    begin = _when(event, "DTSTART")
    end = _when(event, "DTEND") if "DTEND" in event else None
    duration: timedelta | None = getattr(event.get(_DURATION, event.get("DURATION")), "dt", None)
    if duration is not None and (end is None or plain(end) - plain(begin) == duration):
        whole = int(first_line(event.get(DAYS)) or 0) if isinstance(begin, datetime) else duration.days
        days = timedelta(days=whole)
        last = instant(begin + days, zone) + (duration - days) // timedelta(microseconds=1)
        return last if last > instant(begin, zone) else None
    if end is None:
        return None if isinstance(begin, datetime) else end_of(begin, begin, zone)
    last_or_none = end_of(begin, end, zone)
    if last_or_none is None and plain(end) < plain(begin):
        raise ValueError(_END_FIRST)
    return last_or_none


def _when(event: icalendar.Component, name: str) -> date:
    """Return a property that is a date or a time."""
    value: Any = event[name]  # anything else lacks the attribute, or fails later
    moment: date = value.dt
    return moment


def _reason(group: Sequence[CalendarEvent], error: Exception) -> str:
    """Return why a series cannot be read: what the reader noted of a line says more than what failed because of it."""
    noted = next((f"{name}: {text}" for item in group for name, text in item.event.errors if name), None)
    missing = f"it has no {error.args[0]}" if isinstance(error, KeyError) and error.args else None
    return shortened(" ".join((noted or missing or str(error) or type(error).__name__).split()), 200)
