"""What a format's reader returns: signals with their axes, and what is known about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import prod
from typing import Any

from Services.Builder.extraction.extractors.quantities import dimension, factor
from Services.Builder.model import Quantity

SPECTRAL = ("energy", "wavelength", "wavenumber", "mass")


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension of a signal."""

    size: int
    name: str = ""
    unit: str | None = None
    """Unit symbol; None for an axis that is not calibrated."""
    scale: float = 1.0
    offset: float = 0.0
    navigate: bool | None = None
    """The reader's opinion: True for a dimension that was scanned, None where it has none."""
    values: tuple[float, ...] | None = None
    """The positions, where they are not evenly spaced."""

    @property
    def dimension(self) -> str:
        """What the axis measures: length, reciprocal, angle, energy, wavelength, wavenumber, mass, time or ""."""
        name = self.name.lower()
        if "wavelength" in name:
            return "wavelength"
        if "raman" in name or "wavenumber" in name:
            return "wavenumber"
        if self.unit in ("Da", "u", "amu"):
            return "mass"
        return dimension(self.unit)

    @property
    def ends(self) -> tuple[float, float]:
        """Positions of the first and the last element."""
        if self.values:
            return self.values[0], self.values[-1]
        return self.offset, self.offset + self.scale * (self.size - 1)


def in_one_unit(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """Return axes of which neighbours that measure the same, as height and width do, are in the unit of the last."""
    alike = list(axes)
    for at in range(len(alike) - 2, -1, -1):
        one, next_one = alike[at], alike[at + 1]
        if one.unit == next_one.unit or one.dimension != next_one.dimension or one.navigate != next_one.navigate:
            continue
        multiplier = factor(one.unit, next_one.unit) if one.unit and next_one.unit else None
        if multiplier is not None and one.values is None:
            scale, offset = one.scale * multiplier, one.offset * multiplier
            alike[at] = replace(one, unit=next_one.unit, scale=scale, offset=offset)
    return tuple(alike)


@dataclass(frozen=True, slots=True)
class Signal:
    """One array of a file with its axes, slowest dimension first."""

    data: Any
    """numpy or dask array; colour images have a structured type with the fields R, G, B (and A)."""
    axes: tuple[Axis, ...]
    title: str = ""
    signal_type: str = ""
    """As RosettaSciIO names it (``EELS``, ``EDS_TEM``, ``diffraction``); "" where unknown."""
    quantity: str = ""
    """What the values are (``X-rays (Counts)``), the label of a spectrum's ordinate."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    original_metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the dimensions, colour not counted."""
        return tuple(int(length) for length in self.data.shape)

    @property
    def colour(self) -> bool:
        """Whether the values are colours."""
        return bool(getattr(self.data.dtype, "names", None))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a format's `read` found in a file."""

    format: str
    """Display name of the format."""
    reader: str
    """Name and version of what read it."""
    signals: tuple[Signal, ...] = ()
    meta: Mapping[str, Quantity] = field(default_factory=dict)
    """Of the main signal, by display name."""
    acquired: datetime | None = None
    """Naive where the file does not give the zone of the instrument's clock."""
    clock_doubtful: bool = False
    """Whether that time may be off, by a time zone for instance."""
    column: str | None = None
    """``TEM``, ``STEM``, ``SEM``, ``FIB`` or ``HIM`` (helium ions), as far as the file says."""
    text: str | None = None
    """Content of a text file."""
    warnings: tuple[str, ...] = ()

    @property
    def main(self) -> Signal | None:
        """The signal the record describes (see `main_signal`)."""
        return main_signal(self.signals)


def main_signal(signals: tuple[Signal, ...]) -> Signal | None:
    """Choose the signal that stands for a file that holds several.

    It is the largest, because a spectrum image comes with the survey image it was placed on, and a picture with its
    thumbnail or histogram; of equally large ones a calibrated one, then the first.
    """

    def rank(signal: Signal) -> tuple[int, int]:
        return prod(signal.shape), sum(axis.unit is not None for axis in signal.axes)

    return max(signals, key=rank, default=None)
