"""Instrument profiles: what is known to be wrong in the files of one microscope, in any format.

A profile has five entries, each a text as it stands in the configuration below ``Instruments.<pid>.profile``, or a
table or list as TOML has them, in a file of the facility's own:

``rename``
    ``Spot Size = Gun Lens``: a quantity's name on this microscope.
``scale``
    ``Camera Length = 1.07``: what its values have to be multiplied by.
``set``
    ``Instrument = FEI Titan 80-300; Spherical Aberration = 1.2 mm``: what its files leave out or get wrong.
``drop``
    ``Stage Beta``: what says nothing, as on a holder without a second tilt.
``warn``
    ``Beam Current; Creation Time``: what is shown, but marked as unreliable.

They apply in this order, so that ``scale`` and what follows use the new names.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from pathlib import Path

from NexusCore.errors import NexusError
from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.quantities import KNOWN, Known, quantity, rounded, symbol
from Services.Builder.model import Quantity

DISTRUSTED = "The facility has found it to be unreliable on this instrument."
"""Reason of the entries in `warn`."""
ENTRIES = ("rename", "scale", "set", "drop", "warn")
_MEASURED = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\s\d]\S*)")


class ProfileNotUnderstood(NexusError):
    """The instrument profile's entry {entry} is not understood: {reason}."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Corrections for the files of one microscope."""

    rename: Mapping[str, str] = field(default_factory=dict)
    """New name by old name."""
    scale: Mapping[str, float] = field(default_factory=dict)
    """Factor by name; a text is left alone."""
    set: Mapping[str, Quantity] = field(default_factory=dict)
    """Quantity by name, whether the file has one of that name or not."""
    drop: frozenset[str] = frozenset()
    """Names of quantities to be left out."""
    warn: frozenset[str] = frozenset()
    """Names of quantities that are unreliable; ``Creation Time`` may be one."""
    zone: tzinfo | None = None
    """The zone that the instrument's clock runs in; None for that of the machine which reads the files."""

    def corrected(self, meta: Mapping[str, Quantity]) -> dict[str, Quantity]:
        """Return the quantities of a file with the corrections applied."""
        quantities = {self.rename.get(name, name): value for name, value in meta.items()}
        quantities = {name: self._scaled(name, value) for name, value in quantities.items()}
        quantities.update(self.set)
        return {
            name: replace(value, warning=True, reason=DISTRUSTED) if name in self.warn else value
            for name, value in quantities.items()
            if name not in self.drop
        }

    def aware(self, moment: datetime) -> datetime:
        """Return a time of the instrument's clock with its zone; one that has a zone is returned as it is."""
        if moment.tzinfo is not None:
            return moment
        return moment.replace(tzinfo=self.zone) if self.zone else moment.astimezone()

    def _scaled(self, name: str, value: Quantity) -> Quantity:
        multiplier = self.scale.get(name)
        if multiplier is None or isinstance(value.value, str | bool):
            return value
        return replace(value, value=rounded(value.value * multiplier))


NOTHING_KNOWN = Profile()
"""The profile of a microscope whose files need no corrections and whose clock runs in this machine's zone."""


def profile(entries: Mapping[str, object], zone: tzinfo | None = None) -> Profile:
    """Return the profile that some entries describe; raises `ProfileNotUnderstood`.

    Parameters
    ----------
    entries
        By the names in `ENTRIES`; each may be missing, None or empty.
    zone
        Time zone of the instrument's clock.
    """
    for entry in entries:
        if entry not in ENTRIES:
            raise ProfileNotUnderstood(entry=f"'{entry}'", reason=f"there are only {', '.join(ENTRIES)}")
    return Profile(
        rename=_pairs("rename", entries),
        scale={name: _factor(name, text) for name, text in _pairs("scale", entries).items()},
        set={name: _quantity(name, text) for name, text in _pairs("set", entries).items()},
        drop=_names("drop", entries),
        warn=_names("warn", entries),
        zone=zone,
    )


def profile_file(path: Path, zone: tzinfo | None = None) -> Profile:
    """Return the profile in a TOML file; raises `ProfileNotUnderstood` and OSError."""
    try:
        return profile(tomllib.loads(path.read_text("utf-8")), zone)
    except ValueError as error:  # TOML's and UTF-8's errors alike
        raise ProfileNotUnderstood(entry=f"file {path.name}", reason=one_line(error)) from error


def _pairs(entry: str, entries: Mapping[str, object]) -> dict[str, str]:
    given = entries.get(entry) or {}
    if isinstance(given, Mapping):
        return {one_line(name): one_line(value) for name, value in given.items()}
    pairs: dict[str, str] = {}
    for item in _items(given):
        name, equals, value = item.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise ProfileNotUnderstood(entry=entry, reason=f"'{item}' is not of the form 'name = value'")
        pairs[name.strip()] = value.strip()
    return pairs


def _names(entry: str, entries: Mapping[str, object]) -> frozenset[str]:
    value = entries.get(entry) or ()
    return frozenset(one_line(name) for name in value) if isinstance(value, list | tuple) else frozenset(_items(value))


def _items(text: object) -> list[str]:
    return [item.strip() for item in str(text or "").split(";") if item.strip()]


def _factor(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ProfileNotUnderstood(entry="scale", reason=f"'{text}' for {name} is not a number")
    return value


def _quantity(name: str, text: str) -> Quantity:
    measured = _MEASURED.fullmatch(text) if KNOWN.get(name, Known()).numeric else None
    value = quantity(name, float(measured[1]), symbol(measured[2])) if measured else quantity(name, text)
    return value or Quantity(text)  # a zero that a person sets is meant, though files write it for what they don't know
