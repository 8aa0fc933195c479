"""Which events of a feed are an instrument's: facilities often have one feed for all of them."""

from __future__ import annotations

import re
from collections.abc import Callable

import icalendar

from NexusCore.facility import Instrument
from Services.Harvester.sources.ical.fields import booked_things, first_line
from Services.Harvester.sources.ical.zones import all_of
from Services.Harvester.sources.text import text

_WORDS_IN = ("SUMMARY", "DESCRIPTION", "CATEGORIES", "COMMENT")


def belongs(event: icalendar.Component, instrument: Instrument) -> bool:
    """Return whether an event fits all that an instrument's settings ask for; upper and lower case are the same.

    Parameters
    ----------
    event
        An occurrence.
    instrument
        Its `calendar_location`, `calendar_resource` and `calendar_words`, each several with commas between them, of
        which one is enough.
    """
    return (
        _fits(instrument.calendar_location, lambda: [first_line(event.get("LOCATION")) or ""])
        and _fits(instrument.calendar_resource, lambda: list(booked_things(event)))
        and _fits(instrument.calendar_words, lambda: _words(event))
    )


def _fits(wanted: str, texts: Callable[[], list[str]]) -> bool:
    names = [" ".join(name.split()) for name in wanted.split(",") if name.strip()]
    if not names:
        return True
    found = texts()
    return any(_contains(text, name) for text in found for name in names)


def _contains(text: str, name: str) -> bool:
    """Return whether a name stands in a text as words of its own: 'TEM 1' is not in 'TEM 12', nor in 'STEM 1'."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", " ".join(text.split()), re.IGNORECASE) is not None


def _words(event: icalendar.Component) -> list[str]:
    values = [value for name in _WORDS_IN for value in all_of(event.get(name))]
    found: list[str] = []
    for value in values:
        found += [str(category) for category in getattr(value, "cats", [])] or [text(value) or ""]
    return found
