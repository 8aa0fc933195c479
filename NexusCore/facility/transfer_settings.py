"""The settings of the file transfer: `Instruments.<pid>.transfer.*` and `Services.Gateway.stores.<name>.*`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from NexusCore.config.catalogue import Collected
from NexusCore.config.forms import PC_PATH
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.errors import ConfigException
from NexusCore.facility.file_walk import DEFAULT_IGNORE
from NexusCore.facility.instruments import INSTRUMENTS_FOLDER
from NexusCore.text import odd_character

STORES_FOLDER = "Services.Gateway.stores"
IGNORED = DEFAULT_IGNORE
"""Patterns of files that are not data; those that the Builder leaves out, too."""
TAKE, HOLD = "take", "hold"
"""What becomes of files that appear after the booked end: they are sent, or wait for their user."""
MOST_FOLDERS = 20
"""Watched folders of one instrument."""
MOST_PATTERNS = 100
_FOLDER_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_STORE_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
_BANDWIDTH = re.compile(rf"(?P<span>{_TIME}-{_TIME})?\s*=\s*(?P<rate>\d{{1,6}}(?:\.\d{{1,3}})?)")
_SPANS = {
    "stable_seconds": (10.0, 1.0, 86_400.0, "Seconds that a file has to stay the same before it is sent."),
    "interval_seconds": (5.0, 1.0, 3600.0, "Seconds between two looks at the folders."),
    "deadline_hours": (24.0, 0.01, 8760.0, "Hours that the files of an ended session are waited for."),
}
"""Default, least and largest value of spans of time, and what they are for."""


@dataclass(frozen=True, slots=True)
class TransferSettings:
    """Present values for one instrument; the names are those of the parameters."""

    on: bool = False
    folders: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Paths on the PC of the watched folders, by name."""
    ignore: tuple[str, ...] = IGNORED
    stable_seconds: float = 10.0
    """How long a file has to stay the same before it is sent."""
    interval_seconds: float = 5.0
    """Between two looks at the folders."""
    store: str = ""
    """Name of the store; empty for the folder of the instrument's files."""
    after_booked_end: str = TAKE
    bandwidth: str = ""
    """As ``08:00-18:00=20; =100``: megabytes per second, by the PC's local time; empty for no limit."""
    deadline_hours: float = 24.0
    """How long the facility waits for the files of a session that has ended, without a sign of life of its PC."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """A store; the names are those of the parameters."""

    name: str
    kind: str = ""
    """directory, google or s3."""
    path: str = ""
    """Of a directory."""
    bucket: str = ""
    prefix: str = ""
    """What the names of all objects begin with."""
    endpoint: str = ""
    """URL of the server; empty for that of Google or Amazon."""
    region: str = ""
    credentials: str = field(default="", repr=False)
    """Path of the file with the key, on the Gateway's machine."""


def declare(config: Collected) -> None:
    """Declare the settings of instruments; see `NexusCore.config.catalogue`."""
    own = config.at(f"{INSTRUMENTS_FOLDER}.*.transfer").may_have
    own("on", False, comment="Whether its PC sends the files of its sessions.")
    own("folders.*", "", comment="Path on the PC of a watched folder.", form=PC_PATH)
    own("ignore", "; ".join(IGNORED), comment="Patterns of names that are left out, with semicolons.")
    own("store", "", comment="Name of the store; empty: the folder of the instrument's files.")
    own("after_booked_end", TAKE, choices=(TAKE, HOLD), comment="What becomes of files after the booked end.")
    own("bandwidth", "", comment="Megabytes per second by the PC's time: 08:00-18:00=20; =100; empty: no limit.")
    for name, (default, least, most, comment) in _SPANS.items():
        own(name, default, comment=comment, minimum=least, maximum=most)


def transfer_settings(config: ReadOnlyConfiguration, pid: str) -> TransferSettings:
    """Return the present settings of an instrument; what has no value counts as not set.

    Parameters
    ----------
    config
        The configuration from its absolute root.
    pid
        The instrument.

    Raises
    ------
    ConfigException
        If one of them cannot be used, with a sentence that names the parameter.
    """
    place = f"{INSTRUMENTS_FOLDER}.{pid}.transfer"
    settings = TransferSettings(
        on=_flag(config, f"{place}.on"),
        folders=MappingProxyType(_folders(config, f"{place}.folders")),
        ignore=_patterns(config, f"{place}.ignore"),
        stable_seconds=_seconds(config, place, "stable_seconds"),
        interval_seconds=_seconds(config, place, "interval_seconds"),
        store=_text(config, f"{place}.store"),
        after_booked_end=_text(config, f"{place}.after_booked_end") or TAKE,
        bandwidth=_text(config, f"{place}.bandwidth"),
        deadline_hours=_seconds(config, place, "deadline_hours"),
    )
    if settings.after_booked_end not in (TAKE, HOLD):
        raise ConfigException(reason=f"{place}.after_booked_end is '{settings.after_booked_end}'; use {TAKE} or {HOLD}")
    if settings.store and not _STORE_NAME.fullmatch(settings.store):
        raise ConfigException(reason=f"{place}.store is '{settings.store}', which is not the name of a store")
    if settings.on and not settings.folders:
        raise ConfigException(reason=f"{place}.on is set, but {place}.folders names no folder on the PC")
    _check_bandwidth(settings.bandwidth, f"{place}.bandwidth")
    return settings


def store_settings(config: ReadOnlyConfiguration, name: str, folder: str = STORES_FOLDER) -> StoreSettings:
    """Return the settings of a store.

    Parameters
    ----------
    config
        The configuration from its absolute root.
    name
        Of the store.
    folder
        Path of the folder that has its parameters in one of its name.

    Raises
    ------
    ConfigException
        If there is none of that name.
    """
    if name not in config.keys(folder):
        raise ConfigException(reason=f"there is no store '{name}'; it is made by setting {folder}.{name}.kind")
    names = [parameter.name for parameter in fields(StoreSettings) if parameter.name != "name"]
    return StoreSettings(name, **{key: _text(config, f"{folder}.{name}.{key}") for key in names})


def store_names(config: ReadOnlyConfiguration) -> list[str]:
    """Return the names of the stores in the configuration."""
    return config.keys(STORES_FOLDER)


def _flag(config: ReadOnlyConfiguration, path: str) -> bool:
    value = config[path]
    if value is not None and not isinstance(value, bool):
        raise ConfigException(reason=f"{path} is '{value}', which is neither true nor false")
    return value is True


def _text(config: ReadOnlyConfiguration, path: str) -> str:
    value = config[path]
    return "" if value is None else str(value).strip()


def _seconds(config: ReadOnlyConfiguration, place: str, name: str) -> float:
    path, (default, least, most, _) = f"{place}.{name}", _SPANS[name]
    if config[path] is None:
        return default
    value = config.number(path)
    if not least <= value <= most:
        raise ConfigException(reason=f"{path} is {value:g}; it has to be between {least:g} and {most:g}")
    return float(value)


def _folders(config: ReadOnlyConfiguration, place: str) -> dict[str, str]:
    folders = {name: _text(config, f"{place}.{name}") for name in config.keys(place)}
    for name, path in folders.items():
        if not _FOLDER_NAME.fullmatch(name):
            raise ConfigException(
                reason=f"{place} has '{name}'; the name of a folder has up to 40 letters, digits, '-' and '_'"
            )
        if not path or odd_character(path) is not None:
            raise ConfigException(reason=f"{place}.{name} is not the path of a folder on the PC, such as D:/Data")
    if len(folders) > MOST_FOLDERS:
        raise ConfigException(reason=f"{place} has {len(folders)} folders; at most {MOST_FOLDERS} are watched")
    return folders


def _patterns(config: ReadOnlyConfiguration, path: str) -> tuple[str, ...]:
    if config[path] is None:
        return IGNORED
    patterns = tuple(pattern.strip() for pattern in _text(config, path).split(";") if pattern.strip())
    if len(patterns) > MOST_PATTERNS:
        raise ConfigException(reason=f"{path} has {len(patterns)} patterns; at most {MOST_PATTERNS} are possible")
    return patterns


def _check_bandwidth(text: str, path: str) -> None:
    always = 0
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        match = _BANDWIDTH.fullmatch(entry)
        if match is None or float(match["rate"]) <= 0:
            raise ConfigException(reason=f"{path} has '{entry}'; use for example 08:00-18:00=20; =100")
        always += match["span"] is None
    if always > 1:
        raise ConfigException(reason=f"{path} has several entries without times of day; one is possible")
