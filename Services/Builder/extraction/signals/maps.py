"""Maps of the elements in a spectrum image of X-rays: the counts in each element's line, less the background's.

They are those of exspy's `get_lines_intensity`, on the channels of HyperSpy's axis. That function itself copies the
signal, with its axes and metadata, several times for each line, which takes longer than adding the counts up.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil, prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.signal import Axis, Signal
from Services.Builder.extraction.signals.conditions import Conditions
from Services.Builder.extraction.signals.layout import library_axis, spectra_last
from Services.Builder.extraction.signals.xray import XrayLine, lines_of, width

MOST_ELEMENTS = 9
MOST_VALUES = 400_000_000
"""Values that are read for maps; of a larger spectrum image every second or third row and column."""
_WINDOW = 1.2
"""Width of a line's window, in the width that the detector gives the line (exspy's default is 2)."""
_GAP = 1.2
"""Between a line and the windows of its background, in the same unit; each is as wide as this unit."""
_OVERVOLTAGE = 1.5
"""The beam's energy as a multiple of that of a line that it excites well."""


@dataclass(frozen=True, slots=True)
class ElementMap:
    """Where an element is."""

    line: XrayLine
    counts: NDArray[Any]
    """Of the line, by rows and columns."""
    less_background: bool
    """Whether the background beside the line was taken off."""


@dataclass(frozen=True, slots=True)
class ElementMaps:
    """The maps of one spectrum image."""

    maps: tuple[ElementMap, ...]
    axes: tuple[Axis, Axis]
    """Of the rows and of the columns."""
    thinned: int
    """Every so many rows and columns were read; 1 for all."""


def mapped_lines(elements: Sequence[str], axis: Axis, conditions: Conditions) -> tuple[XrayLine, ...]:
    """Return the line that shows each element best: the hardest α line that beam and detector reach well.

    Parameters
    ----------
    elements
        Symbols.
    axis
        Of the energies.
    conditions
        Beam and detector.
    """
    scale = 0.001 if axis.unit == "eV" else 1.0
    low, high = (end * scale for end in axis.ends)
    reach = min(high, conditions.beam / _OVERVOLTAGE) if conditions.beam else high
    chosen = []
    for element in elements:
        alphas = [line for line in lines_of(element) if line.name in ("Ka", "La", "Ma")]
        inside = [line for line in alphas if low + 0.1 < line.energy < high - 0.1]
        excited = [line for line in inside if line.energy < reach] or inside[:1]
        # beyond 15 keV, X-rays pass through a detector of silicon
        best = [line for line in excited if line.energy < 15.0] or excited
        if best:
            chosen.append(best[-1])
    return tuple(chosen)


def element_maps(signal: Signal, kind: Kind, conditions: Conditions, lines: Sequence[XrayLine]) -> ElementMaps:
    """Return the maps of some lines, read in one pass, chunk by chunk.

    Parameters
    ----------
    signal
        A spectrum image: two dimensions are scanned; of further ones the sum is taken.
    kind
        What it is.
    conditions
        Beam and detector.
    lines
        One for each map.
    """
    step = max(1, ceil(sqrt(prod(signal.shape) / MOST_VALUES)))
    rows, columns = kind.scanned[-2:]
    thinned = _thinned(signal, (rows, columns), step)
    (at,) = kind.measured
    spectra, energies = spectra_last(thinned, kind), library_axis(thinned.axes[at])
    unit = 1000.0 if thinned.axes[at].unit == "eV" else 1.0
    images, cleared = [], []
    for line, window in zip(lines, _windows(lines, conditions.resolution), strict=True):
        beside = _beside(line, lines, conditions.resolution)
        counted = _channels(energies, *window, unit)
        image, inside = spectra[..., counted].sum(axis=-1), beside is not None
        if beside is not None:
            inside = energies.low_value < beside[0] * unit and beside[3] * unit < energies.high_value
        if inside and beside is not None:
            sides = [_channels(energies, low, high, unit) for low, high in (beside[:2], beside[2:])]
            background = sum(spectra[..., side].sum(axis=-1) for side in sides)
            image = image - background * (_length(counted) / sum(map(_length, sides)))
        images.append(image)
        cleared.append(inside)
    planes = _computed(images)
    return ElementMaps(
        tuple(
            ElementMap(line, _plane(plane, len(kind.scanned)), less)
            for line, plane, less in zip(lines, planes, cleared, strict=True)
        ),
        (thinned.axes[rows], thinned.axes[columns]),
        step,
    )


def _channels(energies: Any, low: float, high: float, unit: float) -> slice:
    """Return the channels of a window, as HyperSpy cuts it out; the nearest one where it is narrower than that.

    Parameters
    ----------
    energies
        HyperSpy's axis.
    low, high
        In keV.
    unit
        1 keV in the unit of the axis.
    """
    first, end = 0, int(energies.size)
    with suppress(ValueError):  # beyond the first or the last channel
        first = int(energies.value2index(low * unit))
    with suppress(ValueError):
        end = int(energies.value2index(high * unit))
    return slice(first, max(first + 1, end))


def _length(channels: slice) -> int:
    return int(channels.stop - channels.start)


def _thinned(signal: Signal, dimensions: tuple[int, int], step: int) -> Signal:
    if step == 1:
        return signal
    index = tuple(slice(None, None, step if at in dimensions else None) for at in range(len(signal.axes)))
    data = signal.data[index]
    axes = tuple(
        replace(axis, size=int(length), scale=axis.scale * step, values=axis.values and axis.values[::step])
        if at in dimensions
        else axis
        for at, (axis, length) in enumerate(zip(signal.axes, data.shape, strict=True))
    )
    return replace(signal, data=data, axes=axes)


def _windows(lines: Sequence[XrayLine], resolution: float) -> list[tuple[float, float]]:
    half = [_WINDOW / 2 * float(width(line.energy, resolution)) for line in lines]
    return [(line.energy - reach, line.energy + reach) for line, reach in zip(lines, half, strict=True)]


def _beside(line: XrayLine, lines: Sequence[XrayLine], resolution: float) -> tuple[float, float, float, float] | None:
    """Return windows of background left and right of a line; None where another mapped element has a line in one."""
    wide = float(width(line.energy, resolution))
    left, right = line.energy - _GAP * wide, line.energy + _GAP * wide
    windows = (left - wide, left, right, right + wide)
    others = [other for each in lines for other in lines_of(each.element) if other.weight >= 0.1 and other != line]
    reach = 0.4 * wide
    for other in others:
        if windows[0] - reach < other.energy < left + reach or right - reach < other.energy < windows[3] + reach:
            return None
    return windows


def _computed(images: Sequence[Any]) -> list[NDArray[Any]]:
    """Compute the maps together, so that each chunk is read once, in this thread (see `sampling.fetched`)."""
    if any(hasattr(image, "dask") for image in images):
        from dask.base import compute

        images = compute(*images, scheduler="synchronous")  # type: ignore[no-untyped-call] # dask has no types
    return [np.asarray(image.todense() if hasattr(image, "todense") else image, np.float64) for image in images]


def _plane(values: NDArray[Any], scanned: int) -> NDArray[Any]:
    """Return rows and columns, the sum over further dimensions that were scanned."""
    return values.sum(axis=tuple(range(scanned - 2))) if scanned > 2 else values
