"""Which elements of a session's reservation a spectrum shows.

A reservation says what somebody expects in a specimen. An element of it is seen where a peak stands at the hardest of
its α lines that beam and detector reach well, or where an energy-loss spectrum jumps at the onset of one of its major
edges; one without is not named. Nor is one whose peak another element's weaker lines explain: vanadium's Kα in the
spectrum of titanium is titanium's Kβ. That is less than `peaks` asks of an element that nobody has named: lines of
several elements may be in one peak. So the record says of those that are named whose they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from Services.Builder.extraction.signals.conditions import Conditions, Labelled
from Services.Builder.extraction.signals.edges import Edge, edge_reach, edges_of, jumps
from Services.Builder.extraction.signals.peaks import (
    Peak,
    found_elements,
    peak_at,
    peaks_of,
    reached_well,
    tolerance,
)
from Services.Builder.extraction.signals.xray import XrayLine, lines_of
from Services.Builder.model import Quantity

Values = NDArray[Any]

LABELLED = "Elements Labelled"
"""Name of the quantity that says which elements of the reservation a preview names."""
_REASON = (
    "Of the elements that the session's reservation names for this sample, or for all where the file names no sample "
    "({booked}): those at whose lines or edges the spectrum has a peak or a jump. The file names no elements."
)
_ALPHAS = ("Ka", "La", "Ma")
_EXPLAINED = 2.0
"""Times the height that a weaker line should have, up to which a peak there is that line's alone."""
_MOST_JUMPS = 12
_DELAY = 2.0
"""Times the reach of an edge, by which its maximum may be beyond its onset: those of M shells rise slowly."""


def seen_elements(energies: Values, counts: Values, conditions: Conditions) -> tuple[str, ...]:
    """Return those of the reservation's elements that an X-ray spectrum has a peak of, in the reservation's order.

    Parameters
    ----------
    energies
        In keV, rising.
    counts
        X-rays that were counted.
    conditions
        What is known of specimen, beam and detector.
    """
    if not any(lines_of(element) for element in conditions.booked):
        return ()
    beam, resolution = conditions.beam, conditions.resolution
    peaks = peaks_of(energies, counts, beam, resolution)
    last = reached_well(float(energies[-1]), beam)
    seen: dict[str, tuple[Peak, ...]] = {}
    for element in conditions.booked:
        at = (peak_at(line.energy, peaks, resolution) for line in _deciding(element, last))
        if found := tuple(peak for peak in at if peak is not None):
            seen[element] = found
    others = {*seen, *found_elements(energies, counts, beam, resolution)} if seen else set()
    weaker = {other: _weaker_lines(other, peaks, resolution) for other in others}

    def is_explained(element: str, peak: Peak) -> bool:
        return any(
            peak.height < min(_EXPLAINED * line.weight, 1.0) * alpha.height
            for other in others - {element}
            for line, alpha in weaker[other]
            if abs(peak.energy - line.energy) < tolerance(line.energy, resolution)
        )

    return tuple(element for element in seen if not all(is_explained(element, peak) for peak in seen[element]))


def _weaker_lines(element: str, peaks: Sequence[Peak], resolution: float) -> list[tuple[XrayLine, Peak]]:
    """Return the lines of an element beside its α lines, each with the peak of its family's α line."""
    lines = lines_of(element)
    alphas = {line.family: peak_at(line.energy, peaks, resolution) for line in lines if line.name in _ALPHAS}
    return [
        (line, alpha) for line in lines if line.name not in _ALPHAS and (alpha := alphas.get(line.family)) is not None
    ]


def _deciding(element: str, last: float) -> list[XrayLine]:
    """Return the α lines of an element one of which must be a peak: the hardest one up to an energy, else any."""
    alphas = [line for line in lines_of(element) if line.name in _ALPHAS]
    return [line for line in alphas if line.energy < last][-1:] or alphas


def labelled_quantities(booked: Sequence[str], labelled: Labelled) -> dict[str, Quantity]:
    """Return what a record says of the elements of the reservation that previews name; nothing where they name none.

    Parameters
    ----------
    booked
        Symbols of all elements that the reservation names for the sample.
    labelled
        Those that the previews name.
    """
    if not labelled.booked:
        return {}
    reason = _REASON.format(booked=", ".join(booked))
    named = ", ".join(element for element in booked if element in labelled.booked)
    return {LABELLED: Quantity(named, warning=True, reason=reason)}


def seen_edges(energies: Values, intensities: Values, elements: Sequence[str]) -> tuple[Edge, ...]:
    """Return the major edges of some elements at which a spectrum jumps, in order of energy.

    Parameters
    ----------
    energies
        Of the channels, in eV, rising and evenly spaced.
    intensities
        Of the channels.
    elements
        Symbols.
    """
    edges = [edge for element in elements for edge in edges_of(element)]
    if not edges:
        return ()
    step = 2.0 * float(energies[1] - energies[0])
    onsets = jumps(energies, intensities, _MOST_JUMPS)

    def jumps_at(edge: Edge) -> bool:
        reach = edge_reach(edge.energy, step)
        return any(-reach < onset - edge.energy < _DELAY * reach for onset in onsets)

    return tuple(sorted(filter(jumps_at, edges), key=lambda edge: edge.energy))
