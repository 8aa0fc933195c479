"""iCalendar (RFC 5545) from a file or a web server."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from NexusCore.config import NamedConfiguration
from NexusCore.facility import Instrument, Reservation
from NexusCore.http import HttpLimits, Login, login_of
from NexusCore.plugins import Credentials
from Services.Harvester.sources import SourceFailed
from Services.Harvester.sources.ical.cancelled import CANCELLED_TITLES, cancelled_titles_of
from Services.Harvester.sources.web import address_of, download, fetch_limits_of, host_of, most_bookings_of, too_big

CREDENTIALS = Credentials.OPTIONAL


@dataclass(frozen=True, slots=True)
class ICal:
    """The source ``ical``: `Instruments.<pid>.api_url` is a path, or a URL with file, http or https."""

    name: ClassVar[str] = "ical"

    limits: HttpLimits
    most_bookings: int
    login: Login | None = None
    cancelled_titles: tuple[str, ...] = CANCELLED_TITLES

    def fetch(self, instrument: Instrument, start: datetime, end: datetime) -> list[Reservation]:
        """Return the bookings of an instrument in a span, those of series one by one."""
        from Services.Harvester.sources.ical.events import bookings

        where, content = self._read(instrument)
        return bookings(content, where, instrument, start, end, self.most_bookings, self.cancelled_titles)

    def _read(self, instrument: Instrument) -> tuple[str, bytes]:
        address = address_of(instrument)
        scheme, separator, _ = address.partition("://")
        if not separator:
            return address, self._file(Path(address).expanduser(), address)
        if scheme.lower() in ("http", "https"):
            return host_of(address), download(address, self.limits, self.login)
        if scheme.lower() == "file":
            path = unquote(urlsplit(address).path)
            return path, self._file(Path(path), path)
        raise SourceFailed(where=host_of(address), reason=f"'{scheme}' is not one of http, https and file")

    def _file(self, path: Path, where: str) -> bytes:
        most = self.limits.most_bytes
        try:
            # Without O_NONBLOCK, opening a named pipe would wait for someone to write into it.
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123  a descriptor
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise SourceFailed(where=where, reason="it is not a file")
                content = file.read(most + 1)
        except (OSError, ValueError) as error:
            raise SourceFailed(where=where, reason=getattr(error, "strerror", None) or error) from None
        if len(content) > most:
            raise too_big(where, self.limits)
        return content


def make(config: NamedConfiguration) -> ICal:
    """Return the source with the settings it has now; those that are missing get their defaults."""
    return ICal(fetch_limits_of(config), most_bookings_of(config), login_of(ICal.name), cancelled_titles_of(config))
