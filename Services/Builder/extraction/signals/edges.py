"""Edges of energy-loss spectra: those of the elements a file names, from exspy's table, or jumps that are found.

A jump is a place beyond which a spectrum stays above the power law that it followed before (Egerton, EELS in the
Electron Microscope, 3rd ed., section 4.4.1: the background before an edge is A·E⁻ʳ). Which element's it is follows from
the nearest onset of a major edge in exspy's table; the preview says that it was found, the record has nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from Services.Builder.extraction.signals.libraries import exspy

Values = NDArray[Any]

LOWEST = 90.0
"""eV below which plasmons and their multiples look like edges."""
_MULTIPLES = 5.9
"""Of the plasmon's energy, below which its multiples do so where a specimen is thick."""
_PLASMONS = (5.0, 45.0)
"""eV between which the plasmons of all elements are."""
_RISE = 0.06
"""Of the background by which a spectrum rises at a jump at least."""
_SIGNIFICANCE = 6.0
"""The same in standard deviations of what the power law predicts."""
_MOST_JUMPS = 4
_NEVER = frozenset(
    ("He", "Ne", "Kr", "Xe", "Tc", "Pm", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Pa", "Np", "Pu", "Am", "Cm")
)
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SHELLS = "KLMNO"


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge of an element."""

    element: str
    """Symbol."""
    shell: str
    """As exspy spells it: K, L3, M5."""
    energy: float
    """Of the onset, in eV."""

    @property
    def label(self) -> str:
        """Name for a person: Fe L₃."""
        return f"{self.element} {self.shell.translate(_SUBSCRIPTS)}"


@cache
def edges_of(element: str) -> tuple[Edge, ...]:
    """Return the major edges of an element, of each shell the one of the lowest energy; none for an unknown element."""
    table = _table().get(element, {}).get("Atomic_properties", {}).get("Binding_energies", {})
    edges: dict[str, Edge] = {}
    for name, shell in table.items():
        if shell.get("relevance") == "Major" and not name.endswith("a"):
            edge = Edge(element, name, float(shell["onset_energy (eV)"]))
            first = edges.setdefault(name[0], edge)
            if edge.energy < first.energy:
                edges[name[0]] = edge
    return tuple(edges.values())


@cache
def _table() -> dict[str, Any]:
    table = exspy().material.elements.as_dictionary()
    # beside the elements, the tree has entries of its own
    return {
        symbol: entry for symbol, entry in table.items() if isinstance(entry, dict) and "Atomic_properties" in entry
    }


def named_edges(elements: Sequence[str], first: float, last: float) -> tuple[Edge, ...]:
    """Return the major edges of some elements between two energies in eV, in order."""
    margin = 0.01 * (last - first)
    edges = [edge for element in elements for edge in edges_of(element)]
    return tuple(sorted((edge for edge in edges if first + margin < edge.energy < last - margin), key=_energy))


def found_edges(energies: Values, intensities: Values) -> tuple[Edge, ...]:
    """Return the edges at which a spectrum jumps, in order of energy; none where nothing is sure.

    Parameters
    ----------
    energies
        Of the channels, in eV, rising and evenly spaced.
    intensities
        Of the channels.
    """
    edges: list[Edge] = []
    for energy in _jumps(energies, intensities):
        edge = _nearest(energy, 2.0 * float(energies[1] - energies[0]))
        if edge is not None and edge.label not in {known.label for known in edges}:
            edges.append(edge)
    return tuple(sorted(edges, key=_energy))


def _energy(edge: Edge) -> float:
    return edge.energy


def _nearest(energy: float, step: float) -> Edge | None:
    """Return the major edge whose onset is at an energy; of several the innermost shell's."""
    reach = max(6.0, step, 0.008 * energy)
    names = exspy().utils.eels.get_edges_near_energy(energy, width=2 * reach, only_major=True)
    edges = [
        edge for name in names for edge in edges_of(name.partition("_")[0]) if f"{edge.element}_{edge.shell}" == name
    ]
    known = [edge for edge in edges if edge.element not in _NEVER]
    return min(known, key=lambda edge: (_SHELLS.index(edge.shell[0]), abs(edge.energy - energy)), default=None)


def _jumps(energies: Values, intensities: Values) -> list[float]:
    """Return the energies at which a spectrum leaves its power law upwards, the clearest ones first."""
    if energies.size < 60 or not np.isfinite(intensities).all():
        return []
    step = float(energies[1] - energies[0])
    rises = np.zeros(energies.size)
    lowest = _lowest(energies, intensities)
    for at in range(energies.size):
        energy = float(energies[at])
        wide = max(8, round(max(0.04 * energy, 12.0) / step))
        before, after = slice(at - 2 * wide, at - 1), slice(at + 1, at + 1 + wide)
        if energy < lowest or at < 2 * wide or at + wide >= energies.size:
            continue
        rises[at] = _rise(energies, intensities, before, after)
    found: list[float] = []
    while len(found) < _MOST_JUMPS and rises.max() > 0:
        at = int(np.argmax(rises))
        onset = _onset(energies, intensities, at)
        if onset >= lowest:
            found.append(onset)
        reach = 0.12 * energies[at] + 20.0
        rises[np.abs(energies - energies[at]) < reach] = 0
    return found


def _lowest(energies: Values, intensities: Values) -> float:
    """Return the energy from which a jump may be an edge: beyond the multiples of the plasmon, where that is seen."""
    (losses,) = np.nonzero((energies > _PLASMONS[0]) & (energies < _PLASMONS[1]))
    if energies[0] > 0 or losses.size < 3:
        return LOWEST
    smooth = np.convolve(intensities[losses], np.ones(3) / 3, "same")
    at = int(np.argmax(smooth))
    inside = 1 < at < losses.size - 1 and smooth[at] > 1.2 * smooth[1:at].min()
    return max(LOWEST, _MULTIPLES * float(energies[losses[at]])) if inside else LOWEST


def _rise(energies: Values, intensities: Values, before: slice, after: slice) -> float:
    """Return by how much of the background the spectrum is above its power law, 0 where that is not sure."""
    known = intensities[before]
    if known.min() <= 0:
        return 0.0
    places, levels = np.log(energies[before]), np.log(known)
    slope, level = np.polyfit(places, levels, 1)
    if slope > 0.5:  # no background rises
        return 0.0
    expected = np.exp(level + slope * np.log(energies[after]))
    spread = float(np.std(levels - (level + slope * places)))
    relative = intensities[after] / expected - 1
    # of a line through n values, as predicted for a place beyond them; and of the mean of the values there
    beyond = float(np.mean(np.log(energies[after]))) - float(places.mean())
    variance = 1 / places.size + beyond**2 / (places.size * float(places.var())) + 1 / relative.size
    rise = float(relative.mean())
    return rise if rise > max(_RISE, _SIGNIFICANCE * spread * float(np.sqrt(variance))) else 0.0


def _onset(energies: Values, intensities: Values, at: int) -> float:
    """Return where, about a channel, the spectrum rises most."""
    step = float(energies[1] - energies[0])
    reach = max(4, round(15.0 / step))
    first = max(1, at - reach)
    smooth = np.convolve(intensities, np.ones(3) / 3, "same")
    slopes = np.diff(smooth)[first : at + reach]
    return float(energies[first + int(np.argmax(slopes)) + 1]) if slopes.size else float(energies[at])
