"""Queries a CalDAV server for the events of a calendar in a span, series whole, to be expanded here.

A server expands series in UTC, and names their occurrences each in its own way; here they are expanded in the zone of
the event, as those of a file are.

One REPORT is all it takes (and one PROPFIND where it finds nothing), so it is made with `Visit`, as every source's
requests are. The library `caldav` (3.6) would take an answer of any size into memory before looking at it, and brings
an HTTP client of its own, for which the limits of `Visit` and its rules on who is shown a password do not hold. Events
are read by icalendar and expanded by recurring-ical-events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime

from lxml import etree

from NexusCore.facility import Instrument, Reservation
from NexusCore.text import shortened
from Services.Harvester.sources import SourceFailed, complain
from Services.Harvester.sources.ical.events import ZONE_MARGIN, events_of, reservations_from
from Services.Harvester.sources.ical.zones import CalendarEvent
from Services.Harvester.sources.text import line, parse_xml
from Services.Harvester.sources.web import Visit, host_of

_DAV = "{DAV:}"
_CALDAV = "{urn:ietf:params:xml:ns:caldav}"
_QUERY = """<?xml version="1.0" encoding="utf-8"?>
<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">
  <D:prop><C:calendar-data/></D:prop>
  <C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">
    <C:time-range start="{start}" end="{end}"/>
  </C:comp-filter></C:comp-filter></C:filter>
</C:calendar-query>"""
_WHAT_IS_IT = b"""<?xml version="1.0" encoding="utf-8"?>
<D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/><D:displayname/></D:prop></D:propfind>"""


def bookings(
    visit: Visit,
    url: str,
    instrument: Instrument,
    start: datetime,
    end: datetime,
    most: int,
    cancelled_titles: Collection[str],
) -> list[Reservation]:
    """Return the reservations of a calendar that share time with a span.

    Parameters
    ----------
    visit
        Of the server.
    url
        Address of the calendar.
    instrument, start, end, most, cancelled_titles
        As for `ical.events.bookings`.

    Raises
    ------
    SourceFailed
        If the server does not answer, or has no calendar at this address.
    """
    where = host_of(url)
    # Servers read times without a zone as UTC; in the instrument's zone they may still lie in the span.
    query = _QUERY.format(start=_moment(start - ZONE_MARGIN), end=_moment(end + ZONE_MARGIN)).encode()
    texts = list(_texts(_responses(visit.dav("REPORT", url, query, depth=1), where)))
    if not texts:
        _check_is_calendar(visit, url, where)
    events = [event for href, text in texts for event in _events(href, text, where)]
    return reservations_from(events, "caldav", where, instrument, start, end, most, cancelled_titles)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _responses(content: bytes, where: str) -> list[etree._Element]:
    root = parse_xml(content, where)
    if root.tag != f"{_DAV}multistatus":
        raise SourceFailed(where=where, reason="its answer is not that of a CalDAV server")
    responses = root.findall(f"{_DAV}response")
    for response in responses:
        status = response.findtext(f"{_DAV}status") or ""
        if " 507" in status:  # RFC 4791, 7.8: it has more than it reports
            raise SourceFailed(where=where, reason="it has more in the time asked for than it reports")
    return responses


def _properties(response: etree._Element) -> Iterator[etree._Element]:
    """Yield the properties that the server has found: those it has not stand beside them, under 404."""
    for status in response.findall(f"{_DAV}propstat"):
        if " 200" in (status.findtext(f"{_DAV}status") or ""):
            yield from status.findall(f"{_DAV}prop")


def _texts(responses: list[etree._Element]) -> Iterator[tuple[str, str]]:
    for response in responses:
        for properties in _properties(response):
            text = properties.findtext(f"{_CALDAV}calendar-data")
            if text:
                yield response.findtext(f"{_DAV}href") or "", text


def _events(href: str, text: str, where: str) -> list[CalendarEvent]:
    try:
        return events_of(text.encode(), where)
    except SourceFailed as error:
        name = line(href.rstrip("/").rpartition("/")[2], 60)
        # Which event it would have been is in what cannot be read.
        complain(f"'{name}' cannot be read: {error.facts['reason']}")
        return []


def _check_is_calendar(visit: Visit, url: str, where: str) -> None:
    """Raise `SourceFailed` for a folder, of which servers report as little as of an empty calendar."""
    answers = _responses(visit.dav("PROPFIND", url, _WHAT_IS_IT, depth=1), where)
    kinds = [(response, _is_calendar(response)) for response in answers]
    if kinds and kinds[0][1]:
        return
    names = [name for response, is_calendar in kinds if is_calendar for name in _names(response)]
    inside = f"; in it are the calendars {shortened(', '.join(names), 150)}" if names else ""
    raise SourceFailed(where=where, reason=f"its address is not that of a calendar{inside}")


def _is_calendar(response: etree._Element) -> bool:
    return any(
        properties.find(f"{_DAV}resourcetype/{_CALDAV}calendar") is not None for properties in _properties(response)
    )


def _names(response: etree._Element) -> Iterator[str]:
    for properties in _properties(response):
        name = line(properties.findtext(f"{_DAV}displayname"))
        if name:
            yield f"'{name}'"
