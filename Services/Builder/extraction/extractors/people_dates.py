"""Reads days and times as people and their PCs write them: 5.6.2016, 06/27/2022 1:53:04 PM, 27-Jun-22, 27. Juni 2022.

No library does this without guessing: dateutil takes the month for first and fills in what is missing from today's
date, dateparser reads almost any text as some day and loads the languages of the world. Here a text is read whole or
not at all, and where the order of day and month is open, both readings are kept until something else decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any, Literal

from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.date_words import HALVES, MONTHS, WEEKDAYS, ZONES

Order = Literal["day", "month", "year"]
"""What a day in figures begins with."""
LONGEST = 80
"""Characters of a text that may be a time; a longer one is not looked at."""
NEAR = timedelta(days=2)
"""How far another clock may be off, with the zones that neither names."""
_CENTURY = 80
"""Two-digit years from here on are of the last century: no digital instrument is older."""
_MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202c\ufeff"))
"""Marks of writing direction, which Windows puts into dates."""
_CLOCK = re.compile(
    r"(?<![\d:.,+-])(?P<before>[^\W\d_]{2}\s?)?(?P<hour>\d{1,2})(?::|h(?=\d\d))(?P<minute>\d{1,2})"
    r"(?:[:m](?P<second>\d{1,2})(?:[.,:](?P<fraction>\d{1,9}))?s?)?(?![\d:])"
    r"(?:\s?(?P<after>[^\W\d_]\.?\s?[^\W\d_]\.?(?![^\W\d_])|vorm\.|nachm\.))?"
)
_DOTTED_CLOCK = re.compile(r"(?P<hour>\d{1,2})\.(?P<minute>\d\d)(?:\.(?P<second>\d\d))?")
_OFFSET = re.compile(r"(?:\b(?:UTC|GMT)\s?)?(?P<sign>[+\u2212-])(?P<hours>\d\d?):?(?P<minutes>\d\d)?(?::00)?$")
_FIGURES = re.compile(r"'?(\d{1,4})\s?([-./:])\s?'?(\d{1,2})\s?\2\s?'?(\d{4}|\d{1,2})\.?")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(?:T| )?(\d\d)(\d\d)(\d\d)?)?")
_EAST_ASIAN = str.maketrans({"年": "-", "月": "-", "日": " ", "년": "-", "월": "-", "일": " "})
_ORDERS: Mapping[Order, tuple[int, int, int]] = {"day": (2, 1, 0), "month": (2, 0, 1), "year": (0, 1, 2)}
"""Where year, month and day stand, by what comes first."""


@dataclass(frozen=True, slots=True)
class WrittenTime:
    """What a text says of a day and a time of day."""

    text: str
    days: Mapping[Order, date]
    """Every day it may mean, by its order; none where it names none."""
    clock: time | None = None
    """Time of day, with its zone where one is written."""
    chosen: Order | None = None
    """The order that is right; None while it is open."""
    doubt: str = ""
    """Why the choice is not certain, in a sentence; "" where it is."""

    @property
    def day(self) -> date | None:
        """The day; None where the text names none or its order is open."""
        if self.chosen is not None:
            return self.days.get(self.chosen)
        meant = set(self.days.values())
        return meant.pop() if len(meant) == 1 else None

    @property
    def moment(self) -> datetime | None:
        """Day and time of day, naive without a zone; None unless both are known."""
        day = self.day
        return None if day is None or self.clock is None else with_offset(datetime.combine(day, self.clock))

    @property
    def open(self) -> bool:
        """Whether there is a day, but it may be one of two."""
        return self.day is None and bool(self.days)

    @property
    def order(self) -> Order | None:
        """The order that this text is proof of; None where several give a day."""
        return next(iter(self.days)) if len(self.days) == 1 else self.chosen

    @property
    def reason(self) -> str:
        """Why the time is doubtful or missing, in a sentence; "" where it is neither."""
        if not self.open:
            return self.doubt
        meant = " or ".join(f"{day.day} {day:%B %Y}" for day in sorted(set(self.days.values())))
        return f"'{self.text}' may be {meant}: nothing in the file tells the order of day and month."


def written(text: object, clock: object = None) -> WrittenTime:
    """Read a day and a time of day, in one text or two.

    Parameters
    ----------
    text
        A day, perhaps with a time of day before, behind or within it (``Mon Jun 27 16:36:48 2022``).
    clock
        The time of day, where it stands apart.
    """
    shown = one_line(" ".join(str(part) for part in (text, clock) if part not in (None, "")), LONGEST)
    rest = _plain(shown)
    nothing = WrittenTime(shown if text not in (None, "") else "", {})
    if not any(character.isdigit() for character in rest):
        return nothing
    compact = _COMPACT.fullmatch(rest)
    if compact is not None:
        return replace(nothing, days=_days_of(*compact.groups()[:3]), clock=_time_of(*compact.groups()[3:]))
    rest, zone = _without_zone(rest)
    rest, found = _without_clock(rest)
    if zone is None and found and (inner := re.search(r"(?<=\s)([A-Z]{3,4})\s(?=\d{4}$)", rest)):
        zone = zone_of(inner[1])  # Mon Jun 27 16:36:48 CEST 2022, as Unix has it
        rest = rest.replace(inner[0], "") if zone else rest
    days = _days(rest)
    if not days or found is False:
        return nothing
    return replace(nothing, days=days, clock=None if found is None else found.replace(tzinfo=zone))


def decided(
    found: WrittenTime,
    order: Order | None = None,
    near: datetime | None = None,
    saved: datetime | None = None,
) -> WrittenTime:
    """Return the time with its order chosen, as far as something tells it.

    Parameters
    ----------
    found
        The time.
    order
        The one the file uses: by its format, its language, or another date of the same PC (see `order_in`).
    near
        What another clock of the file says, in any zone: of two orders the one that is not days away from it is right.
    saved
        When the file was last changed by the file system: it may be a copy's time, so a choice by it is doubtful.
    """
    if not found.open:
        return found
    if order in found.days:
        return replace(found, chosen=order)
    if near is not None and (fitting := _near(found, near)):
        return replace(found, chosen=fitting)
    if saved is not None and (fitting := _near(found, saved)):
        doubt = f"The order of day and month in '{found.text}' is known by the time the file was saved only."
        return replace(found, chosen=fitting, doubt=doubt)
    return found


def order_in(tree: object) -> Order | None:
    """Return the order in which a file's PC writes days, by all entries whose name has to do with dates.

    None where no entry tells it, or two contradict each other.
    """
    orders = {found.order for text in _dates_in(tree) if (found := written(text)).days and _FIGURES.match(text)}
    known = orders - {None, "year"}
    return known.pop() if len(known) == 1 else None


def saved_at(path: Path) -> datetime | None:
    """Return when a file was last changed, in UTC; None for what cannot be looked at."""
    with suppress(OSError, OverflowError, ValueError):
        return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)  # noqa: UP017
    return None


def zone_of(text: object) -> tzinfo | None:
    """Return a time zone by its offset (+02:00), its abbreviation (CEST) or its name (Europe/Vienna); None if unknown.

    An abbreviation that stands for several zones (CST is China's and Chicago's) is not known.
    """
    name = one_line(text, LONGEST)
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        return _offset(offset)
    if name.upper() in ZONES:
        return timezone(timedelta(minutes=ZONES[name.upper()]))
    return named_zone(name) if "/" in name else None


def named_zone(name: str) -> tzinfo | None:
    """Return a time zone by its name in the tz database (Europe/Vienna); None if it has none of this name.

    `zoneinfo` would open a file that is called as the text is; files' texts do not decide what is opened.
    """
    from dateutil.zoneinfo import get_zonefile_instance  # imported late: few files name a zone

    zone: tzinfo | None = get_zonefile_instance().get(name)
    return zone


def with_offset(moment: datetime) -> datetime:
    """Return a time with its offset from UTC instead of the rules of a zone; a naive one as it is."""
    with suppress(OverflowError, ValueError):
        offset = moment.utcoffset()
        return moment if offset is None else moment.replace(tzinfo=timezone(offset))
    return moment.replace(tzinfo=None)


def _plain(text: str) -> str:
    """Return a text with one kind of blank, without marks of direction."""
    plain = text.translate(_MARKS).replace("\u202f", " ").replace("\u00a0", " ").translate(_EAST_ASIAN)
    plain = re.sub(r"(?<=\d)[T#](?=\d)", " ", plain)  # ISO 8601, and Renishaw's own
    return re.sub(r"\s+", " ", plain).strip(' ,;()[]"')


def _without_zone(text: str) -> tuple[str, tzinfo | None]:
    """Divide a text into what stands before the zone, and the zone."""
    offset = _OFFSET.search(text)
    if offset is not None and ":" in text[: offset.start()]:  # 2022-06-27 ends like one
        return text[: offset.start()].rstrip(" ("), _offset(offset)
    before, _blank, last = text.rpartition(" ")
    if "/" in last and last[:1].isalpha():
        return (before, zone) if (zone := zone_of(last)) else (text, None)
    word = re.search(r"(?<![^\W\d_])\(?([A-Za-z]{1,5})\)?$", text)
    if word is not None and word[1].upper() in ZONES and word.start() > 0:
        return text[: word.start()].rstrip(), zone_of(word[1])
    return text, None


def _offset(offset: re.Match[str]) -> tzinfo | None:
    minutes = int(offset["hours"]) * 60 + int(offset["minutes"] or 0)
    if minutes > 14 * 60:
        return None
    return timezone(timedelta(minutes=minutes if offset["sign"] == "+" else -minutes))


def _without_clock(text: str) -> tuple[str, time | Literal[False] | None]:
    """Divide a text into what is not the time of day, and that: None without one, False if it is none that exists."""
    # a day whose parts are divided by colons (TIFF's 2022:06:27) comes first
    colons = re.match(r"\d{4}:\d\d:\d\d(?= |$)", text)
    match = _CLOCK.search(text, colons.end() if colons else 0)
    if match is None:
        day, _blank, last = text.rpartition(" ")
        dotted = _DOTTED_CLOCK.fullmatch(last)
        if dotted is None or not _days(day):
            return text, None
        return day, _time_of(*dotted.group("hour", "minute", "second")) or False
    before, after = (_half(match[side]) for side in ("before", "after"))
    start = match.start("hour") if before is None else match.start()
    end = match.start("after") if match["after"] and after is None else match.end()
    afternoon = before if before is not None else after
    found = _time_of(*match.group("hour", "minute", "second", "fraction"), afternoon=afternoon)
    return f"{text[:start].rstrip(' ,')} {text[end:].lstrip(' ,')}".strip(), found or False


def _half(text: str | None) -> bool | None:
    """Return whether it is the afternoon; None for what is no half of the day."""
    return HALVES.get((text or "").lower().replace(" ", ""))


def _time_of(
    hour: str | None,
    minute: str | None,
    second: str | None = None,
    fraction: str | None = None,
    *,
    afternoon: bool | None = None,
) -> time | None:
    if hour is None or minute is None:
        return None
    hours = int(hour)
    if afternoon is not None and hours <= 12:
        hours = hours % 12 + (12 if afternoon else 0)
    elif afternoon is False:
        return None
    with suppress(ValueError):
        return time(hours, int(minute), int(second or 0), int((fraction or "")[:6].ljust(6, "0")))
    return None


def _days(text: str) -> dict[Order, date]:
    """Return every day that a text may mean, by the order it is then in."""
    figures = _FIGURES.fullmatch(text.strip(" ,"))
    if figures is not None:
        first, mark, second, last = figures.groups()
        return _days_in_figures(first, mark, second, last)
    compact = _COMPACT.fullmatch(text.strip())
    if compact is not None and compact[4] is None:
        return _days_of(*compact.groups()[:3])
    return _named_day(text)


def _days_in_figures(first: str, mark: str, second: str, last: str) -> dict[Order, date]:
    """Read three numbers. With dots no language puts the month first; a number of four digits is the year."""
    if len(first) > 2:
        return _days_of(first, second, last) if len(first) == 4 and len(last) <= 2 else {}
    if mark == ":" or len(last) == 1:
        return {}
    orders: tuple[Order, ...] = ("day",) if mark == "." else ("day", "month")
    days = {order: day for order in orders if (day := _day_in(order, (first, second, last)))}
    if not days and len(last) == 2:  # 99-06-27
        year = _day_in("year", (first, second, last))
        return {"year": year} if year else {}
    return days


def _day_in(order: Order, parts: tuple[str, str, str]) -> date | None:
    year, month, day = (parts[at] for at in _ORDERS[order])
    return _day(year, month, day)


def _days_of(year: str, month: str, day: str) -> dict[Order, date]:
    found = _day(year, month, day)
    return {"year": found} if found else {}


def _day(year: str, month: int | str, day: str) -> date | None:
    number = int(year)
    if len(year) <= 2:
        number += 1900 if number >= _CENTURY else 2000
    with suppress(ValueError):
        return date(number, int(month), int(day))
    return None


def _named_day(text: str) -> dict[Order, date]:
    """Read a day whose month is a name: of the two numbers, one of four digits is the year, else the last."""
    words = re.findall(r"\d+|[^\W\d_]+", text.lower())
    numbers = [word.lstrip("'") for word in words if word.isdigit()]
    names = [word for word in words if not word.isdigit() and word not in WEEKDAYS]
    if len(numbers) != 2 or len(names) != 1 or names[0] not in MONTHS or not re.fullmatch(r"[\w\s.,'/-]+", text):
        return {}
    year_first = len(numbers[0]) == 4
    year, day = numbers if year_first else reversed(numbers)
    if len(year) not in (2, 4) or len(day) > 2:
        return {}
    found = _day(year, MONTHS[names[0]], day)
    month_first = words.index(names[0]) < words.index(numbers[0])
    order: Order = "year" if year_first else "month" if month_first else "day"
    return {order: found} if found else {}


def _near(found: WrittenTime, other: datetime) -> Order | None:
    """Return the order that is not days away from another clock; None where both or neither are."""
    clock = (found.clock or time(12)).replace(tzinfo=None)
    reference = other.replace(tzinfo=None)
    fitting = {order for order, day in found.days.items() if abs(datetime.combine(day, clock) - reference) <= NEAR}
    return fitting.pop() if len(fitting) == 1 else None


def _dates_in(tree: object, depth: int = 0) -> Iterator[str]:
    if not isinstance(tree, Mapping) or depth > 12:
        return
    for key, value in tree.items():
        if isinstance(value, Mapping):
            if str(key) != "Processing":  # done later, perhaps on another PC
                yield from _dates_in(value, depth + 1)
        elif (
            isinstance(value, str) and len(value) <= LONGEST and re.search("date|time|created", str(key), re.IGNORECASE)
        ):
            yield value


def texts_of(tree: Mapping[str, Any], *paths: str) -> Iterable[str]:
    """Return the entries of a tree that are there, as texts."""
    from Services.Builder.extraction.extractors.tree import lookup

    return [text for path in paths if (text := one_line(lookup(tree, path) or "", LONGEST))]
