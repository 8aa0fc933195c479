"""What a format's reader returns: signals with their axes, and what is known about them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import prod
from typing import Any

from Services.Builder.extraction.extractors.quantities import dimension, factor
from Services.Builder.model import Quantity

SPECTRAL = ("energy", "wavelength", "wavenumber", "mass")
_MASS_UNITS = ("da", "u", "amu", "m/z", "th", "thomson")
_Q_NAMES = frozenset(("kx", "ky", "qx", "qy", "q_x", "q_y"))
_AUXILIARY = re.compile(r"(?<![a-z])(histogram|thumbnail|icon|line ?profile|legend)(?![a-z])", re.IGNORECASE)
"""Titles of what a program puts beside its measurements."""
_COMPUTED = re.compile(r"(?<![a-z])(fft|power ?spectrum|diffractogram)(?![a-z])", re.IGNORECASE)
"""Titles of transforms, which a program shows beside the picture that they are of."""


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
        name, unit = self.name.lower(), (self.unit or "").lower()
        if unit in _MASS_UNITS or name in ("m/z", "mass-to-charge ratio"):
            return "mass"
        measured = dimension(self.unit)
        # WiRE's reader calls an axis in nm Wavenumber; an axis without a unit is pixels, whatever it is called
        if measured == "length" and ("wavelength" in name or "wavenumber" in name):
            return "wavelength"
        if unit.endswith("1/cm") or (measured == "reciprocal" and ("raman" in name or "wavenumber" in name)):
            return "wavenumber"
        return measured

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


def split(signal: Signal) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Divide the dimensions into those that were scanned and those of one measurement.

    An axis of energy or wavelength makes spectra, wherever it stands: DigitalMicrograph stores spectrum images as a
    stack of images, one for each energy. What the reader counts to a spectrum (time in a streak image, angle in an
    angle-resolved spectrum) belongs to the measurement, too. Likewise, two axes of reciprocal space make patterns.
    Otherwise the reader's opinion counts if it leaves one or two dimensions for the measurement; else the last two are
    an image. Dimensions of one element are not counted.
    """
    used = [index for index, axis in enumerate(signal.axes) if axis.size != 1] or list(range(len(signal.axes)))
    spectral = [index for index in used if signal.axes[index].dimension in SPECTRAL]
    # in degrees, it is rather a stage or a filter that was turned
    reciprocal = [
        index
        for index in used
        if signal.axes[index].dimension in ("reciprocal", "angle") and signal.axes[index].unit != "°"
    ]
    flagged = [index for index in used if signal.axes[index].navigate is False]
    if signal.colour or len(used) == 1:
        measured = used[-2:]
    elif len(spectral) == 1:
        measured = [index for index in used if index in spectral or _belongs_to_spectrum(signal.axes[index])]
        measured = measured if len(measured) == 2 else spectral
    elif len(reciprocal) == 2:
        measured = reciprocal
    elif len(flagged) in (1, 2):
        measured = flagged
    else:
        measured = used[-2:]
    return tuple(index for index in used if index not in measured), tuple(measured)


def _belongs_to_spectrum(axis: Axis) -> bool:
    """Return whether an axis beside that of a spectrum was recorded with it, not scanned."""
    if axis.navigate is not False or axis.dimension in SPECTRAL:
        return False
    return axis.dimension in ("time", "angle", "reciprocal") or axis.name.lower().startswith("angle")


def is_spectral(signal: Signal, measured: tuple[int, ...]) -> bool:
    """Return whether a measurement is a spectrum by one of its axes."""
    return any(signal.axes[index].dimension in SPECTRAL for index in measured)


def is_diffraction(signal: Signal) -> bool:
    """Return whether a reader calls a signal diffraction: patterns or profiles, not lists of their spots (pyxem's)."""
    stated = signal.signal_type.lower()
    return "diffraction" in stated and "vectors" not in stated


def is_pattern(signal: Signal, scanned: tuple[int, ...], measured: tuple[int, ...]) -> bool:
    """Return whether frames are diffraction patterns by what the reader says, by their axes or those of the scan.

    A frame for each point of a scanned area is one of a diffraction camera, though it may not be calibrated.
    """
    if len(measured) != 2 or signal.colour:
        return False
    if is_diffraction(signal):
        return True
    dimensions = {signal.axes[index].dimension for index in measured}
    if dimensions <= {"reciprocal", "angle"} or {signal.axes[index].name.lower() for index in measured} <= _Q_NAMES:
        return True
    points = [index for index in scanned if signal.axes[index].dimension == "length"]
    return len(points) == 2 and dimensions == {""} and not signal.signal_type


def main_signal(signals: tuple[Signal, ...]) -> Signal | None:
    """Choose the signal that stands for a file that holds several.

    The measurement comes before the pictures beside it, whatever their size: spectra or patterns of scanned points,
    then spectra, then pictures, then transforms, profiles and series of numbers, and last what is named as a histogram
    or thumbnail. Among these, one whose technique is stated comes before one without, then the largest, then one with
    more calibrated axes, then the first.
    """
    return signals[0] if len(signals) == 1 else max(signals, key=_rank, default=None)


def _rank(signal: Signal) -> tuple[int, bool, int, int]:
    calibrated = sum(axis.unit is not None for axis in signal.axes)
    return _importance(signal), bool(signal.signal_type), prod(signal.shape), calibrated


def _importance(signal: Signal) -> int:
    if not signal.shape or _AUXILIARY.search(signal.title):
        return 0
    scanned, measured = split(signal)
    lines = len(measured) == 1 and not signal.colour
    if is_spectral(signal, measured) or (lines and signal.signal_type):
        return 4 if scanned or len(measured) == 2 else 3
    if is_pattern(signal, scanned, measured) and scanned:
        return 4
    if lines or _COMPUTED.search(signal.title):
        return 1
    return 2
