"""Corrects what single readers of RosettaSciIO return.

A NeXus file keeps an axis as a dataset of its own beside the data (manual of the NeXus format, NXdata), and the NeXus
reader returns every dataset that holds numbers: positions along axes are left out.

An MRC file whose cell, or number of intervals along it, is 0 does not know its sampling (MRC2014, words 8 to 13), and
the MRC reader gives it pixels of 0 or 1 nm.

Prismatic's simulated images have ångströms as [n_m], their reciprocals as [n_m^-1], and radians as [mrad]. This is
inferred from its own parameters, which are in the same file: the step of the probe (in Å, like the cell that it scans,
its slices and its pixels) and of the detector's angle (in mrad). An axis is corrected where its step is theirs in the
wrong unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from Services.Builder.extraction.extractors.cleaning import LONGEST_LIST, decode
from Services.Builder.extraction.extractors.quantities import symbol
from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.tree import lookup

_CELL = ("cellDimension", "tile")
"""Prismatic's parameters of the cell that is repeated, in Å, and how often."""
LONGEST_AXIS = 1_000_000
"""Positions along an axis; what is longer is data."""


def signals_only(_path: Path, signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the NeXus reader returned, without the axes of other signals."""
    known = [axis for signal in signals if signal["data"].ndim > 1 for axis in signal["axes"]]
    return [signal for signal in signals if not _is_text(signal) and not _is_axis(signal, known)] or list(signals)


def _is_text(signal: Mapping[str, Any]) -> bool:
    """Return whether the data are texts, such as the names of elements."""
    return signal["data"].dtype.kind in "SUO"


def _is_axis(signal: Mapping[str, Any], known: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the data are only positions along their only axis, or along one of another signal."""
    data, axes = signal["data"], signal["axes"]
    if data.ndim != 1 or len(axes) != 1 or data.size > LONGEST_AXIS or data.dtype.kind not in "iuf":
        return False
    values = np.asarray(data)
    return data.size > 1 and any(np.allclose(values, positions) for positions in _positions(data.size, axes, known))


def _positions(
    size: int, own: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]
) -> Iterator[NDArray[Any]]:
    for axis in (*own, *(axis for axis in known if axis.get("size") == size and axis.get("axis") is None)):
        yield number(axis.get("offset")) + number(axis.get("scale")) * np.arange(size)


def with_plain_texts(signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the NeXus reader returned, the short arrays in its metadata as lists: it leaves them on disk."""
    return [
        {**signal, **{key: _plain(signal[key]) for key in ("metadata", "original_metadata") if signal.get(key)}}
        for signal in signals
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(below) for key, below in value.items()}
    if hasattr(value, "compute") and value.size <= LONGEST_LIST:
        items = np.asarray(value).tolist()
        texts = items if isinstance(items, list) else [items]
        return [decode(item) if isinstance(item, bytes) else item for item in texts]
    return value


def sampled_axes(_path: Path, signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the MRC reader returned, without a calibration that the header does not have."""
    return [{**signal, "axes": [_sampled_axis(axis, signal) for axis in signal["axes"]]} for signal in signals]


def _sampled_axis(axis: dict[str, Any], signal: Mapping[str, Any]) -> dict[str, Any]:
    header = lookup(signal.get("original_metadata") or {}, "std_header")
    letter = str(axis.get("name")).lower()
    if not isinstance(header, Mapping) or letter not in ("x", "y", "z"):
        return axis
    cell, intervals = number(header.get(f"{letter.upper()}len")), number(header.get(f"M{letter.upper()}"))
    return axis if cell > 0 and intervals > 0 else {**axis, "scale": 1.0, "offset": 0.0, "units": None}


def prismatic_axes(_path: Path, signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the EMD reader returned, with the axes of Prismatic's signals in nm and mrad."""
    return [
        {**signal, "axes": [_prismatic_axis(axis, parameters) for axis in signal["axes"]]}
        if isinstance(parameters := lookup(signal["original_metadata"], "simulation_parameters"), Mapping)
        else signal
        for signal in signals
    ]


def _prismatic_axis(axis: dict[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    factor, steps = _prismatic_steps(symbol(axis.get("units")), number(axis.get("size")), parameters)
    scale = number(axis.get("scale"))
    if any(step and isclose(scale, step, rel_tol=1e-3) for step in steps):
        return {**axis, "scale": scale * factor, "offset": number(axis.get("offset")) * factor}
    return axis


def _prismatic_steps(unit: str | None, size: float, parameters: Mapping[str, Any]) -> tuple[float, list[float]]:
    """Return the factor that mends an axis of this unit, and the steps by which one is known that needs it."""

    def of(*names: str) -> list[float]:
        return [number(lookup(parameters, name)) for name in names]

    if unit == "mrad":
        return 1000.0, [step * 0.001 for step in of("detectorAngleStep")]
    extents = [length * tiles for length, tiles in zip(*map(_three, (parameters, parameters), _CELL), strict=True)]
    if unit == "nm":
        pixels = [extent / size for extent in extents] if size else []
        return 0.1, [*of("probeStepX", "probeStepY", "sliceThickness"), *pixels]
    if unit == "1/nm":
        every = [1.0, *of("interpolationFactorX", "interpolationFactorY")]
        return 10.0, [kept / extent for extent in extents if extent for kept in every]
    return 1.0, []


def _three(parameters: Mapping[str, Any], name: str) -> list[float]:
    """Return the three numbers of a parameter; zeros where they are not there."""
    values = np.ravel(np.asarray(lookup(parameters, name), dtype=object))
    return [number(value) for value in values] if values.size == 3 else [0.0] * 3
