"""Puts the times of an event into a zone before its series is expanded.

Calendars write times without a zone, or in one that nobody knows, and name the occurrences of a series in another way
than its start: UNTIL in UTC, EXDATE as a day. A reader that compares the digits loses occurrences, or shifts them. So
all times of an event are converted to the zone and the kind (day or time) of its start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, TypeGuard

import icalendar
from icalendar.prop import vDDDLists, vDDDTypes
from icalendar.timezone import tzp

from NexusCore.clock import to_ts
from Services.Harvester.sources import NO_BOOKING, complain
from Services.Harvester.sources.ical.lines import says_utc
from Services.Harvester.sources.text import line

_SINGLE = ("DTSTART", "DTEND", "RECURRENCE-ID")
_LISTS = ("EXDATE", "RDATE")
_MIDNIGHT = time(tzinfo=UTC)


class MachineZone(tzinfo):
    """Time zone of this machine, for an instrument that names none."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """Return the offset that clocks here have at a time."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, moment: datetime | None) -> timedelta | None:
        """Return nothing: how much of the offset is summer time is unknown."""
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        """Return the name that the zone has at a time."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, moment: datetime) -> datetime:
        """Return what clocks here show at a time that is given in UTC."""
        return moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=self)


MACHINE = MachineZone()


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """An event, and the zone that its calendar is in."""

    event: icalendar.Event
    zone: tzinfo | None
    """Of its times without one; None for the instrument's."""


def zone_of(calendar: icalendar.Component) -> tzinfo | None:
    """Return the zone that a calendar names for times without one; complain of one that is unknown."""
    name = line(calendar.get("X-WR-TIMEZONE"))
    zone = (UTC if says_utc(name) else tzp.timezone(name)) if name else None
    if name and zone is None:
        complain(f"its time zone '{name}' is unknown; the instrument's was taken", NO_BOOKING)
    return zone


def settle(events: Iterable[CalendarEvent], uid: str, own: tzinfo) -> list[icalendar.Event]:
    """Return the events of a series with all times in the zone of its start, and of the same kind.

    Parameters
    ----------
    events
        All of one UID.
    uid
        Their name, for a complaint about an unknown zone.
    own
        The instrument's zone, for times without one in a calendar without one.
    """
    events = list(events)
    for item in events:
        _report_unknown(item, uid)
    zones = [item.zone or own for item in events]
    for item, zone in zip(events, zones, strict=True):
        if "DTSTART" in item.event:
            _settle_own(item.event, zone)
    main = next((item for item in events if "RECURRENCE-ID" not in item.event and "DTSTART" in item.event), None)
    for item, zone in zip(events, zones, strict=True):
        if "RECURRENCE-ID" in item.event:
            # An occurrence is named by when the series has it, not by where it was moved to.
            _settle_name(item.event, _dt(main.event["DTSTART"]) if main is not None else None, zone)
    return [item.event for item in events]


def _settle_own(event: icalendar.Event, zone: tzinfo) -> None:
    begin = _dt(event["DTSTART"])
    end = _dt(event["DTEND"]) if "DTEND" in event else None
    if isinstance(end, datetime) and not isinstance(begin, datetime):
        begin = datetime.combine(begin, time())  # a booking of hours whose start was written as a day
    if isinstance(begin, datetime):
        begin = _placed(begin, zone)
    _put(event, "DTSTART", begin)
    if end is not None:
        _put(event, "DTEND", _like(end, begin, zone))
    for name in _LISTS:
        if name in event:
            moments = [_item(moment.dt, begin, zone) for dates in all_of(event[name]) for moment in dates.dts]
            event[name] = vDDDLists(moments)
    for rule in all_of(event.get("RRULE")):
        if isinstance(rule, icalendar.vRecur) and "UNTIL" in rule:
            rule["UNTIL"] = [_until(moment, begin, zone) for moment in all_of(rule["UNTIL"])]


def _settle_name(event: icalendar.Event, begin: date | None, zone: tzinfo) -> None:
    moment = _dt(event["RECURRENCE-ID"])
    _put(event, "RECURRENCE-ID", _item(moment, moment if begin is None else begin, zone))


def _until(until: date, begin: date, zone: tzinfo) -> date:
    """Return the end of a rule: the instant that it names, or the last day; both belong to it."""
    if not isinstance(begin, datetime):
        return _day(until, zone)
    if not isinstance(until, datetime):
        until = datetime.combine(until, time(23, 59, 59))
    return _placed(until, begin.tzinfo or zone).astimezone(UTC)


def _item(moment: Any, begin: date, zone: tzinfo) -> Any:
    """Return an entry of a list as the start is: a time in its zone, a day, or a period that begins with one."""
    if isinstance(moment, tuple):
        first, last = moment
        return _like(first, begin, zone), last if isinstance(last, timedelta) else _like(last, begin, zone)
    if isinstance(begin, datetime) and not isinstance(moment, datetime):
        # A day without a time: the occurrence of that day, which begins as the others do.
        return begin.replace(year=moment.year, month=moment.month, day=moment.day)
    return _like(moment, begin, zone)


def _like(moment: date, begin: date, zone: tzinfo) -> date:
    """Return a day or a time in the zone and the kind of a start."""
    if not isinstance(begin, datetime):
        return _day(moment, zone)
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    own = begin.tzinfo or zone
    return _placed(moment, own).astimezone(own)


def _day(moment: date, zone: tzinfo) -> date:
    """Return the day of a time. Midnight in UTC is how many programs write a day, wherever they are."""
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is not None and moment.astimezone(UTC).timetz() == _MIDNIGHT:
        return moment.astimezone(UTC).date()
    return _placed(moment, zone).astimezone(zone).date()


def _placed(moment: datetime, zone: tzinfo) -> datetime:
    """Return a time without a zone in this one; times that have one stay as they are."""
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment


def _put(event: icalendar.Event, name: str, moment: date) -> None:
    value = vDDDTypes(moment)
    if "RANGE" in event[name].params:
        value.params["RANGE"] = event[name].params["RANGE"]
    event[name] = value


def _dt(value: Any) -> date:
    """Return a property that is a date or a time."""
    moment: date = value.dt  # anything else lacks the attribute, or fails later
    return moment


def _report_unknown(item: CalendarEvent, uid: str) -> None:
    """Complain of a zone that nobody knows, in any of an event's times."""
    whose = "the instrument's" if item.zone is None else "the calendar's"
    for zone in dict.fromkeys(_unknown_zones(item.event)):
        complain(f"the event '{uid}' is in the time zone '{zone}', which is unknown; {whose} was taken", uid)


def _unknown_zones(event: icalendar.Event) -> Iterator[str]:
    for name in (*_SINGLE, *_LISTS):
        for value in all_of(event.get(name)):
            zone = line(getattr(value, "params", {}).get("TZID"))
            moments = [moment.dt for moment in value.dts] if hasattr(value, "dts") else [getattr(value, "dt", None)]
            firsts = [moment[0] if isinstance(moment, tuple) else moment for moment in moments]
            if zone and any(isinstance(first, datetime) and first.tzinfo is None for first in firsts):
                yield zone


def all_of(value: Any) -> list[Any]:
    """Return the values of a property; the reader makes a list only of several."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


# -- when it is -----------------------------------------------------------------------------------------------------


def has_zone(moment: date) -> TypeGuard[datetime]:
    """Return whether this is a time in a zone."""
    return isinstance(moment, datetime) and moment.tzinfo is not None


def plain(moment: date) -> datetime:
    """Return what clock and calendar show."""
    if isinstance(moment, datetime):
        return moment.replace(tzinfo=None)
    return datetime.combine(moment, time())


def instant(moment: date, zone: tzinfo) -> int:
    """Return microseconds since the epoch; a time without a zone is in this one, a day is its midnight."""
    return to_ts(moment if has_zone(moment) else plain(moment).replace(tzinfo=zone))


def end_of(begin: date, end: date, zone: tzinfo) -> int | None:
    """Return when a booking ends, in microseconds since the epoch; None for one that has no length.

    Where clocks are changed, a start in the hour that is left out, or an end in the hour that comes twice, seems to
    leave no time: then it is the time that the clocks show.

    Parameters
    ----------
    begin, end
        Its start and end, as its calendar has them.
    zone
        Of whole days, and of times without one.
    """
    first, last = instant(begin, zone), instant(end, zone)
    if last > first:
        return last
    if not isinstance(begin, datetime):
        # A whole day whose end was written as the same day.
        return instant(begin + timedelta(days=1), zone) if end == begin else None
    length = plain(end) - plain(begin)
    if length > timedelta() and has_zone(begin) and has_zone(end) and begin.tzinfo == end.tzinfo:
        return first + length // timedelta(microseconds=1)
    if isinstance(end, datetime):
        second = instant(end.replace(fold=1), zone)
        if second > first:
            return second
    return None
