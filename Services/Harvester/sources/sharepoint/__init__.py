"""A calendar list on a SharePoint server: the Atom feed of its ``ListData.svc``, behind a Windows log-in (NTLM)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from NexusCore.config import NamedConfiguration
from NexusCore.facility import Instrument, Reservation
from NexusCore.http import HttpLimits, Login, login_of
from Services.Harvester.sources.web import Visit, fetch_limits_of, host_of, most_bookings_of, web_address


@dataclass(frozen=True, slots=True)
class SharePoint:
    """The source ``sharepoint``: `Instruments.<pid>.api_url` is ``https://.../_vti_bin/ListData.svc/<List>``."""

    name: ClassVar[str] = "sharepoint"

    limits: HttpLimits
    most_bookings: int
    expand: str
    """Columns that hold people, whose names are asked for."""
    stylesheet: str
    """Path of the facility's own stylesheet; empty for the one in this folder."""
    login: Login | None = None

    def fetch(self, instrument: Instrument, start: datetime, end: datetime) -> list[Reservation]:
        """Return the bookings of an instrument in a span."""
        from Services.Harvester.sources.sharepoint.feed import bookings, pages

        url = web_address(instrument)
        with Visit(self.limits, self.login, self.name) as visit:
            feeds = pages(visit, url, self.expand, instrument.zone, (start, end))
            return bookings(feeds, host_of(url), instrument, (start, end), self.stylesheet, self.most_bookings)


def make(config: NamedConfiguration) -> SharePoint:
    """Return the source with the settings it has now; those that are missing get their defaults."""
    default = config.set_default
    default("expand", "CreatedBy,UserName", comment="Columns of the lists that hold people, with commas.")
    default("stylesheet", "", comment="Path of an XSLT that takes the place of the one that comes with NexusCore.")
    return SharePoint(
        fetch_limits_of(config),
        most_bookings_of(config),
        str(config["expand"] or ""),
        str(config["stylesheet"] or ""),
        login_of(SharePoint.name),
    )
