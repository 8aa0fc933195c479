"""Chooses which dimensions of a signal a preview shows: the map of the specimen, what was measured, the colours."""

from __future__ import annotations

from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.signal import SPECTRAL, Axis, Signal

_RESOLVED = ("time", "angle")
"""What a detector behind a spectrometer resolves besides the energy or wavelength."""

_COLOUR_AXES = ("rgb", "rgba", "color", "colour", "colors", "colours", "sample", "samples", "s")
"""Names of an axis that numbers the colours of a pixel."""


def colour_axis(signal: Signal) -> int | None:
    """Return the dimension that numbers red, green, blue (and opacity) of each pixel; None where there is none."""
    named = [
        at
        for at, axis in enumerate(signal.axes)
        if axis.name.lower() in _COLOUR_AXES and axis.size in (3, 4) and axis.unit is None
    ]
    others = sum(axis.size > 1 for at, axis in enumerate(signal.axes) if at not in named)
    return named[0] if len(named) == 1 and others == 2 and not signal.colour else None


def scan_plane(signal: Signal, kind: Kind) -> tuple[int, int] | None:
    """Return the dimensions of the rows and of the columns of the map of the specimen; None where it is no map.

    The two fastest of those that are lengths; where fewer are known to be lengths, the two fastest that were not
    resolved by the detector.
    """
    scanned = [at for at in kind.scanned if signal.axes[at].size > 1]
    lengths = [at for at in scanned if signal.axes[at].dimension == "length"]
    chosen = lengths if len(lengths) > 1 else [at for at in scanned if not _is_resolved(signal.axes[at])]
    return (chosen[-2], chosen[-1]) if len(chosen) > 1 else None


def measured_plane(signal: Signal, kind: Kind) -> tuple[int, int] | None:
    """Return the dimensions of a picture whose sides measure different things; None where none was measured.

    Such as time and wavelength of a streak camera, angle and wavelength of an angle-resolved spectrum. The wavelength
    or energy runs to the right.
    """
    dimensions: tuple[int, ...] = kind.measured
    if len(dimensions) == 1 and len(kind.scanned) > 1:
        scanned = [at for at in kind.scanned if _is_resolved(signal.axes[at])]
        lengths = [at for at in kind.scanned if signal.axes[at].dimension == "length"]
        # before the map it counts frames
        behind = [at for at in scanned if all(at > length for length in lengths)]
        dimensions = (*behind[-1:], *dimensions)
    # a spectrum with two dimensions was resolved by both, whatever the second one is called
    spectra = len(kind.measured) == 2 and kind.layout in ("spectrum", "spectrum image")
    if len(dimensions) != 2 or not (spectra or _differ(*(signal.axes[at] for at in dimensions))):
        return None
    slow, fast = dimensions
    return (slow, fast) if _rank(signal.axes[fast]) >= _rank(signal.axes[slow]) else (fast, slow)


def _differ(first: Axis, second: Axis) -> bool:
    """Return whether two axes are known to measure different things, one of them energy, time or the like."""
    spectral = [axis.dimension in (*SPECTRAL, "time") for axis in (first, second)]
    known = all(axis.dimension or _is_resolved(axis) for axis in (first, second))
    return any(spectral) and known and first.dimension != second.dimension


def _is_resolved(axis: Axis) -> bool:
    return axis.dimension in _RESOLVED or axis.name.lower().startswith(_RESOLVED)


def _rank(axis: Axis) -> int:
    if axis.dimension in SPECTRAL:
        return 3
    # beside a time, nanometres are the wavelengths of a streak camera, or positions: either runs to the right
    return {"length": 2, "time": 1}.get(axis.dimension, 0)
