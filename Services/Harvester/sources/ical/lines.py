"""Lines of an iCalendar that the library would read in another way than they are meant, mended before it does.

Exchange writes names of time zones with colons and without quotes, and names for UTC that no table has. Of a DURATION,
the library keeps the time alone: 24 hours and a day are then the same, which they are not where clocks change
(RFC 5545, 3.3.6).
"""

from __future__ import annotations

import re

DAYS = "X-NEXUSCORE-DAYS"
"""Property that says how many days of an event's DURATION are calendar days."""
_TIMES = re.compile(r"^(?:DTSTART|DTEND|RECURRENCE-ID|EXDATE|RDATE);[^\r\n]*", re.IGNORECASE | re.MULTILINE)
_ZONE = re.compile(r";TZID=(\"[^\"]*\"|[^\";]*)", re.IGNORECASE)
_DEFINED = re.compile(r"^TZID(?:;[^:\r\n]*)?:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_DURATION = re.compile(
    r"^DURATION(?:;[^:\r\n]*)?:[ \t]*(-?)\+?P(?:(\d{1,9})W)?(?:(\d{1,9})D)?[^\r\n]*", re.IGNORECASE | re.MULTILINE
)
_UTC = re.compile(
    r"(?:tzone://microsoft/|etc/)?(?:utc|uct|gmt|z|zulu|universal)(?:[+-]?0{1,2}(?::?00)?)?"
    r"|(?:\(utc\)\s*)?coordinated universal time",
    re.IGNORECASE,
)


def says_utc(name: str) -> bool:
    """Return whether the name of a time zone says that it is UTC. London's zone has an hour more in summer."""
    return _UTC.fullmatch(name.strip()) is not None


def mended(text: str) -> str:
    """Return the text of an iCalendar with zones as the library knows them, and `DAYS` behind each DURATION.

    Parameters
    ----------
    text
        With its folded lines joined.
    """
    defined = {name.strip() for name in _DEFINED.findall(text)}
    return _DURATION.sub(_with_days, _TIMES.sub(lambda line: _with_zone(line.group(), defined), text))


def _with_zone(line: str, defined: set[str]) -> str:
    """Return a line of times whose zone is in quotes if it needs them, and UTC if it says so and isn't defined."""
    head, _, times = line.rpartition(":")  # no time has a colon
    found = _ZONE.search(head)
    if found is None:
        return line
    name = found[1].strip('"')
    shown = "UTC" if says_utc(name) and name not in defined else f'"{name}"'
    return f"{head[: found.start()]};TZID={shown}{head[found.end() :]}:{times}"


def _with_days(duration: re.Match[str]) -> str:
    sign, weeks, days = duration.groups()
    return f"{duration[0]}\n{DAYS}:{sign}{7 * int(weeks or 0) + int(days or 0)}"
