"""A calendar on a CalDAV server (RFC 4791)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from NexusCore.config import NamedConfiguration
from NexusCore.facility import Instrument, Reservation
from NexusCore.http import HttpLimits, Login, login_of
from NexusCore.plugins import Credentials
from Services.Harvester.sources.ical.cancelled import CANCELLED_TITLES, cancelled_titles_of
from Services.Harvester.sources.web import Visit, fetch_limits_of, most_bookings_of, web_address

CREDENTIALS = Credentials.OPTIONAL


@dataclass(frozen=True, slots=True)
class CalDAV:
    """The source ``caldav``: `Instruments.<pid>.api_url` is the address of a calendar."""

    name: ClassVar[str] = "caldav"

    limits: HttpLimits
    most_bookings: int
    login: Login | None = None
    cancelled_titles: tuple[str, ...] = CANCELLED_TITLES

    def fetch(self, instrument: Instrument, start: datetime, end: datetime) -> list[Reservation]:
        """Return the bookings of an instrument in a span, those of series one by one."""
        from Services.Harvester.sources.caldav.report import bookings

        url = web_address(instrument)
        with Visit(self.limits, self.login, self.name) as visit:
            return bookings(visit, url, instrument, start, end, self.most_bookings, self.cancelled_titles)


def make(config: NamedConfiguration) -> CalDAV:
    """Return the source with the settings it has now; those that are missing get their defaults."""
    return CalDAV(fetch_limits_of(config), most_bookings_of(config), login_of(CalDAV.name), cancelled_titles_of(config))
