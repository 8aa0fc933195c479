"""Leaves the events out of an iCalendar that are certainly outside a span, before the library reads it.

The library takes half a millisecond for an event, and calendars of years have tens of thousands, of which a harvest
wants those of some weeks. What is not certain stays: series, events whose UID stands there twice (one may be moved by
the other), and whatever is not written as most programs do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

MARGIN = timedelta(days=3)
"""Times without a zone, and days, lie less than this from where they seem to."""
_BEGIN, _END = "BEGIN:VEVENT", "\nEND:VEVENT"
_BETWEEN = re.compile(rf"\n(?={_BEGIN}\r?\n)")
_PROPERTY = re.compile(
    r"^(UID|DTSTART|DTEND|DURATION|RRULE|RDATE|EXRULE|RECURRENCE-ID)(?:;[^:\n]*)?:([^\r\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_ALARM = re.compile(r"\nBEGIN:VALARM\r?\n.*?\nEND:VALARM", re.DOTALL)
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T\d{6}Z?)?\s*")
_OPEN = ("RRULE", "RDATE", "EXRULE", "RECURRENCE-ID", "DURATION")
"""Properties of events that may have no end, without reading them as the library does."""


def within(text: str, start: datetime, end: datetime) -> str:
    """Return an iCalendar without events that are certainly outside a span.

    Parameters
    ----------
    text
        With its folded lines joined.
    start, end
        The span, aware.
    """
    first, last = (start.astimezone(UTC) - MARGIN).date(), (end.astimezone(UTC) + MARGIN).date()
    head, *events = _BETWEEN.split(text)
    if text.upper().count(_BEGIN) != len(events):
        return text
    read = [_properties(event) for event in events]
    times = Counter(properties.get("UID", "") for properties in read)
    kept = [head]
    for event, properties in zip(events, read, strict=True):
        outside = times[properties.get("UID", "")] == 1 and _is_outside(properties, first, last)
        kept += _rest(event) if outside else [event]
    return "\n".join(kept)


def _properties(event: str) -> dict[str, str]:
    """Return what says when an event is; nothing where that is written in an unusual way, or the UID is missing."""
    own, ended, _ = event.partition(_END)
    own = _ALARM.sub("", own)
    found = [(name.upper(), value.strip()) for name, value in _PROPERTY.findall(own)]
    properties = dict(found)
    if ended and properties.get("UID") and "\nBEGIN:" not in own and len(found) == len(properties):
        return properties
    return {"UID": properties.get("UID", ""), "RRULE": ""}


def _is_outside(properties: dict[str, str], first: date, last: date) -> bool:
    begin, finish = _day(properties.get("DTSTART")), _day(properties.get("DTEND", properties.get("DTSTART")))
    if begin is None or finish is None or finish < begin or any(name in properties for name in _OPEN):
        return False
    return begin > last or finish < first


def _day(value: str | None) -> date | None:
    found = _TIME.fullmatch(value or "")
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def _rest(event: str) -> Iterator[str]:
    """Yield what follows an event."""
    behind = event.partition(_END)[2].partition("\n")[2]
    if behind.strip():
        yield behind
