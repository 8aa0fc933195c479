"""Names the lines in plots of X-ray spectra and the edges in plots of energy-loss spectra.

Elements are those that the file names; of a file that names none, those of the session's reservation that the spectrum
shows; where there are none of these either, those whose lines or edges are found in it. The plot says who names them. A
failure here costs the names, never the plot.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.quantities import factor
from Services.Builder.extraction.extractors.signal import Axis
from Services.Builder.extraction.signals.conditions import Conditions, is_loss, is_xray
from Services.Builder.preview.plot_labels import PlotLabel, place_above, place_at_lines

Values = NDArray[Any]

FROM_FILE, FOUND = "elements named in the file", "peaks that were found"
FOUND_EDGES = "jumps that were found"
BOOKED = "elements of the reservation"
_log = logging.getLogger("hyperspy.nexuscore")
_HEADROOM = 1.3
_NOISE = 0.15
"""keV below which the counts of an X-ray detector are its electronics' own."""
_LOWEST_LINE = 0.25
"""keV below which little but noise is seen."""
_FEW = 10.0
"""Counts of a spectrum's highest peak below which it is shown whole."""
_EMPTY = 0.002
"""Of the highest count, below which the end of a spectrum is left out."""


@dataclass(frozen=True, slots=True)
class PlottedSpectrum:
    """A spectrum as it was plotted."""

    positions: Values
    """In the axis' unit."""
    values: Values
    axis: Axis
    averaged: int = 1
    """Number of spectra that it is the mean of."""


def annotate(axes: Axes, spectrum: PlottedSpectrum, kind: Kind, conditions: Conditions) -> str:
    """Name what can be named in a plot; return what the names are from, "" where there are none.

    Parameters
    ----------
    axes
        The plot, with its limits set.
    spectrum
        What it shows.
    kind
        What the spectrum is.
    conditions
        What is known of specimen, beam and detector.
    """
    axis = spectrum.axis
    if axis.dimension != "energy" or axis.values is not None or axis.size < 3 or axis.scale <= 0:
        return ""
    known = np.isfinite(spectrum.values)
    if not known.any() or np.nanmax(spectrum.values) <= 0:
        return ""
    try:
        if is_xray(kind):
            return _name_lines(axes, spectrum, conditions)
        if is_loss(kind):
            return _name_edges(axes, spectrum, conditions)
    except Exception as error:  # noqa: BLE001 - the names are worth less than the plot; it is recorded
        _log.warning("Lines or edges could not be named: %s", one_line(error))
    return ""


def _name_lines(axes: Axes, spectrum: PlottedSpectrum, conditions: Conditions) -> str:
    from Services.Builder.extraction.signals.xray import lines_of, width

    unit = factor(spectrum.axis.unit or "", "keV") or 1.0
    energies, values = spectrum.positions * unit, np.nan_to_num(spectrum.values)
    elements, origin = elements_of(energies, values * spectrum.averaged, conditions)
    axes.set_xlim(*(end / unit for end in _used(energies, values, spectrum.averaged)))
    low, high = (end * unit for end in axes.get_xlim())
    axes.set_ylim(0, axes.get_ylim()[1] * _HEADROOM)
    labels: list[PlotLabel] = []
    for element in elements:
        lines = [line for line in lines_of(element) if line.name in ("Ka", "Kb", "La", "Lb1", "Ma")]
        for line in [line for line in lines if low < line.energy < high and line.energy > _NOISE]:
            reach = float(width(line.energy, conditions.resolution))
            height = _rise(energies, values, line.energy, reach)
            first = line.weight >= 1
            apart = first or not any(
                other.weight >= 1 and other is not line and abs(other.energy - line.energy) < reach for other in lines
            )
            if apart and (height > 0 or (first and origin == FROM_FILE and not labels_of(labels, element))):
                labels.append(PlotLabel(line.energy / unit, line.label, max(height, 0.0) * (1.0 if first else 0.3)))
    shown = place_above(axes, labels, spectrum.positions, values)
    if origin == BOOKED:
        conditions.labelled.add(*_symbols(shown))
    return origin if shown else ""


def _symbols(labels: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label.partition(" ")[0] for label in labels))


def labels_of(labels: list[PlotLabel], element: str) -> bool:
    """Return whether an element has a label."""
    return any(label.text.startswith(f"{element} ") for label in labels)


def elements_of(energies: Values, counts: Values, conditions: Conditions) -> tuple[tuple[str, ...], str]:
    """Return the elements of an X-ray spectrum, and who names them: the file, the reservation or their peaks.

    Parameters
    ----------
    energies
        In keV.
    counts
        X-rays that were counted.
    conditions
        What is known of specimen, beam and detector.
    """
    from Services.Builder.extraction.signals.booked import seen_elements
    from Services.Builder.extraction.signals.peaks import found_elements
    from Services.Builder.extraction.signals.xray import lines_of

    named = tuple(element for element in conditions.elements if lines_of(element))
    if named:
        return named, FROM_FILE
    if seen := seen_elements(energies, counts, conditions):
        return seen, BOOKED
    return found_elements(energies, counts, conditions.beam, conditions.resolution), FOUND


def _used(energies: Values, values: Values, averaged: int) -> tuple[float, float]:
    """Return where a spectrum begins, and where it ends but for the part in which nothing was counted."""
    beyond = energies > _LOWEST_LINE
    highest = values[beyond].max(initial=0.0)
    width = max(1, energies.size // 400)
    smooth = np.convolve(values, np.ones(width) / width, "same")
    (filled,) = np.nonzero(beyond & (smooth > _EMPTY * highest))
    first, last = max(float(energies[0]), -0.1), float(energies[-1])
    if filled.size == 0 or highest * averaged < _FEW:
        return float(energies[0]), last
    return min(first, 0.0) if energies[0] < 0 else first, min(last, max(1.06 * float(energies[filled[-1]]), 1.0))


def _rise(energies: Values, values: Values, energy: float, reach: float) -> float:
    """Return how far a line stands above the lowest values beside it, 0 where that is within their noise."""
    inside = np.abs(energies - energy) < 0.3 * reach
    sides = [
        values[(energies > low) & (energies < high)]
        for low, high in ((energy - 1.6 * reach, energy - 0.8 * reach), (energy + 0.8 * reach, energy + 1.6 * reach))
    ]
    if not inside.any() or any(side.size == 0 for side in sides):
        return 0.0
    base = float(np.mean([np.median(side) for side in sides]))
    spread = float(max(np.std(np.diff(side)) / np.sqrt(2) if side.size > 2 else 0.0 for side in sides))
    rise = float(values[inside].mean()) - base
    return rise if rise > 2 * spread and rise > 0.05 * base else 0.0


def _name_edges(axes: Axes, spectrum: PlottedSpectrum, conditions: Conditions) -> str:
    from Services.Builder.extraction.signals.booked import seen_edges
    from Services.Builder.extraction.signals.edges import found_edges, named_edges

    unit = factor(spectrum.axis.unit or "", "eV") or 1.0
    energies, values = spectrum.positions * unit, np.nan_to_num(spectrum.values)
    _logarithmic_if_needed(axes, energies, values)
    edges = named_edges(conditions.elements, float(energies[0]), float(energies[-1]))
    origin = FROM_FILE
    if not edges:
        edges, origin = seen_edges(energies, values, conditions.booked), BOOKED
    if not edges:
        edges, origin = found_edges(energies, values), FOUND_EDGES
    labels = [PlotLabel(edge.energy / unit, edge.label, -edge.energy) for edge in edges]
    shown = place_at_lines(axes, labels)
    if origin == BOOKED:
        conditions.labelled.add(*_symbols(shown))
    return origin if shown else ""


def _logarithmic_if_needed(axes: Axes, energies: Values, values: Values) -> None:
    """Show a spectrum in logarithms where its zero-loss peak outshines the losses."""
    at = int(np.argmax(values))
    losses = values[energies > energies[at] + 5.0]
    if energies[0] > 0 or abs(energies[at]) > 5.0 or losses.size < 10:
        return
    if values[at] > 10 * losses.max():
        positive = losses[losses > 0]
        floor = float(np.percentile(positive, 1)) if positive.size else float(values[at]) * 1e-5
        axes.set_yscale("log")
        axes.set_ylim(max(0.7 * floor, 1e-7 * float(values[at])), 2.0 * float(values[at]))
