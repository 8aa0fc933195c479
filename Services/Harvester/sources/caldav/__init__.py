"""A calendar on a CalDAV server (RFC 4791)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from NexusCore.config import NamedConfiguration
from NexusCore.facility import Instrument, Reservation
from NexusCore.network import Login, login_of
from Services.Harvester.sources.web import Patience, patience_of, web_address


@dataclass(frozen=True, slots=True)
class CalDAV:
    """The source ``caldav``: `Instruments.<pid>.api_url` is the address of a calendar."""

    name: ClassVar[str] = "caldav"

    patience: Patience
    most_bookings: int
    login: Login | None = None

    def fetch(self, instrument: Instrument, start: datetime, end: datetime) -> list[Reservation]:
        """Return the bookings of an instrument in a span, those of series one by one."""
        from Services.Harvester.sources.caldav.report import bookings

        return bookings(self, web_address(instrument), instrument, start, end)


def make(config: NamedConfiguration) -> CalDAV:
    """Return the source with the settings it has now; those that are missing get their defaults."""
    patience = patience_of(config)
    config.set_default(
        "most_bookings", 10_000, comment="Bookings that one calendar may have in the time asked for.", minimum=1
    )
    return CalDAV(patience, int(config.number("most_bookings")), login_of(CalDAV.name))
