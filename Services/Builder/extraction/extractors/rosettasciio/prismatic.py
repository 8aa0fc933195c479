"""Puts the axes of Prismatic's simulated images right: it writes ångströms as [n_m], and radians as [mrad].

That it does is inferred from its own parameters, which are in the same file: the step of the probe (in Å, like the cell
that it scans) and of the detector's angle (in mrad). An axis is corrected where its step is theirs in the wrong unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.tree import lookup


def corrected(_path: Path, signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the EMD reader returned, with the axes of Prismatic's signals in nm and mrad."""
    return [
        {**signal, "axes": [_axis(axis, parameters) for axis in signal["axes"]]}
        if isinstance(parameters := lookup(signal["original_metadata"], "simulation_parameters"), Mapping)
        else signal
        for signal in signals
    ]


def _axis(axis: dict[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
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
