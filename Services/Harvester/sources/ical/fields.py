"""What an event says of a booking: who, what for, whether it takes place, and whether the instrument is taken."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import icalendar

from NexusCore.facility import Instrument, Reservation
from Services.Harvester.sources import source_of
from Services.Harvester.sources.ical.descriptions import description_of
from Services.Harvester.sources.ical.zones import all_of
from Services.Harvester.sources.text import LINE_LENGTH, MOST_PEOPLE, consent, line, link, text

_NOT_PEOPLE = re.compile(r"@(?:[a-z.]+\.)?calendar\.google\.com$", re.IGNORECASE)
"""Addresses of Google's calendars (group.calendar.google.com) and of what is booked with them (resource.)."""


@dataclass(frozen=True, slots=True)
class Booker:
    """A calendar user."""

    name: str | None
    address: str | None
    thing: bool = False
    """A room, an instrument or a calendar rather than a person."""
    declined: bool = False
    accepted: bool = False

    @property
    def shown(self) -> str | None:
        """Name, else address."""
        return self.name or self.address


def reservation_of(
    event: icalendar.Component,
    uid: str,
    kind: str,
    instrument: Instrument,
    times: tuple[int, int],
    cancelled_titles: Collection[str],
) -> Reservation:
    """Return the reservation that an event comes to.

    Parameters
    ----------
    event
        An occurrence.
    uid, kind, instrument
        Its name, the kind of its source, and whose booking it is.
    times
        Start and end, in microseconds since the epoch.
    cancelled_titles
        Beginnings of titles that say that a meeting was cancelled, in small letters.
    """
    title = first_line(event.get("SUMMARY"))
    free = is_free(event)
    named_cancelled = (title or "").casefold().startswith((*cancelled_titles, *map(_in_brackets, cancelled_titles)))
    user, others = _people(event, instrument)
    return Reservation(
        source=source_of(kind, instrument),
        uid=uid,
        instrument=instrument.pid,
        start_ts=times[0],
        end_ts=times[1],
        # Who cancels in Outlook leaves an entry that begins so; one that the calendar still shows as busy may be real.
        cancelled=_word(event, "STATUS") == "CANCELLED" or (named_cancelled and not _is_busy(event)),
        title=title,
        user=user.shown if user else None,
        user_id=user.address if user else None,
        collaborators=tuple(dict.fromkeys(others))[:MOST_PEOPLE],
        purpose=_purpose(event),
        url=link(_first(event.get("URL"))),
        consent=consent(_first(event.get("X-CONSENT"))),
        free=free or named_cancelled,
        reservation_id=first_line(event.get("UID")),
    )


def _in_brackets(beginning: str) -> str:
    """Return how people write what Outlook writes with a colon: ``[canceled]``."""
    return f"[{beginning.rstrip(' :')}]"


def is_free(event: icalendar.Component) -> bool:
    """Return whether a calendar counts the time of an event as free."""
    return _word(event, "TRANSP") == "TRANSPARENT" or _word(event, "X-MICROSOFT-CDO-BUSYSTATUS") == "FREE"


def _is_busy(event: icalendar.Component) -> bool:
    marks = (_word(event, "TRANSP"), _word(event, "X-MICROSOFT-CDO-BUSYSTATUS"))
    return not is_free(event) and any(mark in ("OPAQUE", "BUSY", "OOF", "TENTATIVE") for mark in marks)


def booked_things(event: icalendar.Component) -> Iterator[str]:
    """Yield names and addresses of the rooms and instruments that an event books."""
    for item in all_of(event.get("RESOURCES")):
        yield first_line(item) or ""
    for item in (*all_of(event.get("ATTENDEE")), *all_of(event.get("ORGANIZER"))):
        booker = _booker(item)
        if booker.thing:
            yield f"{booker.name or ''} {booker.address or ''}"


def _people(event: icalendar.Component, instrument: Instrument) -> tuple[Booker | None, list[str]]:
    """Return whose booking it is, and the others.

    An organizer that is a calendar or an instrument has booked nothing: it is one of those invited then, first of all
    one who has accepted. Those who declined, and things that are invited, are not among the others.
    """
    own = {name.casefold() for name in (instrument.pid, instrument.name, instrument.calendar_name) if name}
    invited = [_booker(item) for item in all_of(event.get("ATTENDEE"))]
    things = {booker.address for booker in invited if booker.thing}
    people = [
        booker
        for booker in invited
        if booker.shown and not (booker.thing or booker.declined or (booker.name or "").casefold() in own)
    ]
    organizer: Booker | None = _booker(_first(event.get("ORGANIZER"))) if event.get("ORGANIZER") else None
    if organizer is not None and (
        organizer.thing
        or not organizer.shown
        or (organizer.address is not None and organizer.address in things)
        or (organizer.name or "").casefold() in own
    ):
        organizer = None
    user = organizer or next((booker for booker in people if booker.accepted), next(iter(people), None))
    address = user.address if user else None
    return user, [
        booker.shown or "" for booker in people if booker is not user and (address is None or booker.address != address)
    ]


def _booker(value: Any) -> Booker:
    parameters = getattr(value, "params", {})
    address = re.sub(r"^mailto:", "", first_line(value) or "", flags=re.IGNORECASE).strip() or None
    state = str(parameters.get("PARTSTAT", "")).upper()
    thing = str(parameters.get("CUTYPE", "")).upper() in ("ROOM", "RESOURCE") or bool(_NOT_PEOPLE.search(address or ""))
    return Booker(line(parameters.get("CN")), address, thing, state == "DECLINED", state == "ACCEPTED")


def _purpose(event: icalendar.Component) -> str | None:
    # Outlook has the formatted text beside the plain one, or instead of it.
    written = text(_first(event.get("DESCRIPTION"))) or text(_first(event.get("X-ALT-DESC")))
    return text(description_of(written))


def _word(event: icalendar.Component, name: str) -> str:
    return (first_line(event.get(name)) or "").upper()


def _first(value: Any) -> Any:
    return next(iter(all_of(value)), None)


def first_line(value: Any, longest: int = LINE_LENGTH) -> str | None:
    """Return the first value of a property as a text of one line; None if empty."""
    return line(_first(value), longest)
