"""The facility's instruments, as defined in the configuration, `Instruments.<pid>.*`."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.config.store import near_miss
from NexusCore.errors import ConfigException, NoInstrumentForHost, NoSuchInstrument

INSTRUMENTS_FOLDER = "Instruments"
MICROSCOPES = ("TEM", "STEM", "SEM")
"""Kinds of microscopes that a record may name."""
_COLUMN = re.compile(r"(?<![A-Za-z])(?:S?TEM|SEM)(?![A-Za-z])")


@dataclass(frozen=True, slots=True)
class Instrument:
    """A microscope, as described in the configuration."""

    pid: str
    """Persistent identifier; the folder's name in the configuration. It has no dots."""
    name: str = ""
    """What people call it; the pid where it isn't given."""
    schema_name: str = ""
    """What records call it; `name` where it isn't given."""
    location: str = ""
    property_tag: str = ""
    filestore_path: str = ""
    """Folder below which it leaves its files; relative to `Facility.data_root`."""
    computer_name: str = ""
    """Host name of the PC that its users sit at."""
    computer_ip: str = ""
    computer_mount: str = ""
    """Where that PC has the file store, for example ``M:/``."""
    calendar_name: str = ""
    calendar_location: str = ""
    """Of a calendar that several instruments share: only events at this location are its own. Several with commas."""
    calendar_resource: str = ""
    """Likewise: only events that book this room or resource, by name or address."""
    calendar_words: str = ""
    """Likewise: only events with one of these in title, description or categories."""
    calendar_url: str = ""
    """Where people see its reservations."""
    api_url: str = ""
    """Where programs read its reservations: URL, or path of an iCalendar file."""
    harvester: str = ""
    """Kind of calendar behind `api_url`: a folder of `Services/Harvester/sources`; empty for none."""
    microscope: str = ""
    """``TEM``, ``STEM`` or ``SEM``; empty: what its names say (see `column`)."""
    timezone: str = ""
    """IANA name of the zone its PC and its calendar run on; empty for this machine's."""

    @property
    def column(self) -> str | None:
        """The kind of microscope: `microscope`, else the one that its names contain as a word; None if neither says."""
        if self.microscope in MICROSCOPES:
            return self.microscope
        words = set(_COLUMN.findall(f"{self.pid} {self.name} {self.schema_name}"))
        return words.pop() if len(words) == 1 else None

    @property
    def zone(self) -> tzinfo | None:
        """The instrument's time zone; None for this machine's.

        Raises
        ------
        ConfigException
            If the zone is unknown.
        """
        if not self.timezone:
            return None
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            path = f"{INSTRUMENTS_FOLDER}.{self.pid}.timezone"
            raise ConfigException(
                reason=f"{path} is '{self.timezone}', which is not a time zone; use for example Europe/Oslo"
            ) from None


_INSTRUMENT_FIELDS = tuple(field.name for field in fields(Instrument) if field.name != "pid")


class Instruments:
    """Finds instruments in the configuration, in its current state.

    Parameters
    ----------
    config
        The configuration from its absolute root.
    """

    def __init__(self, config: ReadOnlyConfiguration) -> None:
        self._config = config

    def all(self) -> list[Instrument]:
        """Return every instrument, in order of pid."""
        return [self._read(pid) for pid in self._config.keys(INSTRUMENTS_FOLDER)]

    def get(self, pid: str) -> Instrument:
        """Return one instrument.

        Raises
        ------
        NoSuchInstrument
            If the configuration has none with that pid.
        """
        known = self._config.keys(INSTRUMENTS_FOLDER)
        if pid not in known:
            raise NoSuchInstrument(pid=pid, hint=near_miss(pid, known))
        return self._read(pid)

    def of_host(self, host: str) -> Instrument:
        """Return the instrument whose PC has a host name, ignoring case and domain.

        Raises
        ------
        NoInstrumentForHost
            If none has it.
        """
        short = host.partition(".")[0].lower()
        for instrument in self.all():
            if short and instrument.computer_name.partition(".")[0].lower() == short:
                return instrument
        raise NoInstrumentForHost(host=host)

    def folder(self, instrument: Instrument) -> Path:
        """Return the folder of an instrument's files; relative ones lie in `Facility.data_root`.

        Raises
        ------
        ConfigException
            If `filestore_path` isn't set.
        """
        if not instrument.filestore_path:
            path = f"{INSTRUMENTS_FOLDER}.{instrument.pid}.filestore_path"
            raise ConfigException(reason=f"{path} is not set, so the folder of the instrument's files is unknown")
        return self.data_root() / Path(instrument.filestore_path).expanduser()

    def data_root(self) -> Path:
        """Return the folder that file store paths are relative to: `Facility.data_root`, or the current one."""
        return Path(str(self._config["Facility.data_root"] or ".")).expanduser().absolute()

    def _read(self, pid: str) -> Instrument:
        stored = {name: self._config[f"{INSTRUMENTS_FOLDER}.{pid}.{name}"] for name in _INSTRUMENT_FIELDS}
        values = {name: str(value) for name, value in stored.items() if value is not None}
        name = values.get("name", pid)
        return Instrument(pid=pid, **{"name": name, "schema_name": name, **values})
