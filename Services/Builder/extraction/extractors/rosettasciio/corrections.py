"""Corrects what single readers of RosettaSciIO return.

A NeXus file keeps an axis as a dataset of its own beside the data (manual of the NeXus format, NXdata), and the NeXus
reader returns every dataset that holds numbers: positions along axes are left out.

Prismatic's simulated images have ångströms as [n_m], and radians as [mrad]. This is inferred from its own parameters,
which are in the same file: the step of the probe (in Å, like the cell that it scans) and of the detector's angle (in
mrad). An axis is corrected where its step is theirs in the wrong unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np

from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.tree import lookup

LONGEST_AXIS = 1_000_000
"""Positions along an axis; what is longer is data."""


def signals_only(_path: Path, signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the NeXus reader returned, without the axes of other signals."""
    return [signal for signal in signals if not _is_axis(signal)] or list(signals)


def _is_axis(signal: Mapping[str, Any]) -> bool:
    """Return whether the data are only positions along their only axis."""
    data, axes = signal["data"], signal["axes"]
    if data.ndim != 1 or len(axes) != 1 or data.size > LONGEST_AXIS or data.dtype.kind not in "iuf":
        return False
    positions = number(axes[0].get("offset")) + number(axes[0].get("scale")) * np.arange(data.size)
    return data.size > 1 and np.allclose(np.asarray(data), positions)


def prismatic_axes(_path: Path, signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the EMD reader returned, with the axes of Prismatic's signals in nm and mrad."""
    return [
        {**signal, "axes": [_prismatic_axis(axis, parameters) for axis in signal["axes"]]}
        if isinstance(parameters := lookup(signal["original_metadata"], "simulation_parameters"), Mapping)
        else signal
        for signal in signals
    ]


def _prismatic_axis(axis: dict[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    ways = (
        ("nm", "probeStepX", 1.0, 0.1),
        ("nm", "probeStepY", 1.0, 0.1),
        ("mrad", "detectorAngleStep", 0.001, 1000.0),
    )
    for unit, parameter, written, factor in ways:
        step = number(lookup(parameters, parameter)) * written
        scale = number(axis.get("scale"))
        if axis.get("units") == unit and step and isclose(scale, step, rel_tol=1e-3):
            return {**axis, "scale": scale * factor, "offset": number(axis.get("offset")) * factor}
    return axis
