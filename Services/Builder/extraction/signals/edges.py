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
from numpy.lib.stride_tricks import sliding_window_view
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
MOST_JUMPS = 4
"""Jumps that are looked for where nothing is known of the specimen."""
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
    for energy in jumps(energies, intensities):
        edge = _nearest(energy, 2.0 * float(energies[1] - energies[0]))
        if edge is not None and edge.label not in {known.label for known in edges}:
            edges.append(edge)
    return tuple(sorted(edges, key=_energy))


def _energy(edge: Edge) -> float:
    return edge.energy


def edge_reach(energy: float, step: float) -> float:
    """Return how far from an edge's onset, in eV, the jump may be that it makes.

    Parameters
    ----------
    energy
        Of the onset, in eV.
    step
        From one channel to the next, in eV.
    """
    return max(6.0, step, 0.008 * energy)


def _nearest(energy: float, step: float) -> Edge | None:
    """Return the major edge whose onset is at an energy; of several the innermost shell's."""
    reach = edge_reach(energy, step)
    names = exspy().utils.eels.get_edges_near_energy(energy, width=2 * reach, only_major=True)
    edges = [
        edge for name in names for edge in edges_of(name.partition("_")[0]) if f"{edge.element}_{edge.shell}" == name
    ]
    known = [edge for edge in edges if edge.element not in _NEVER]
    return min(known, key=lambda edge: (_SHELLS.index(edge.shell[0]), abs(edge.energy - energy)), default=None)


def jumps(energies: Values, intensities: Values, most: int = MOST_JUMPS) -> list[float]:
    """Return the energies at which a spectrum leaves its power law upwards, the clearest ones first.

    Parameters
    ----------
    energies, intensities
        As for `found_edges`.
    most
        Jumps that are looked for.
    """
    if energies.size < 60 or not np.isfinite(intensities).all():
        return []
    lowest = _lowest(energies, intensities)
    rises = _rises(energies, intensities, lowest)
    found: list[float] = []
    while len(found) < most and rises.max() > 0:
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


def _rises(energies: Values, intensities: Values, lowest: float) -> Values:
    """Return, of each channel from `lowest` on, by what share of it the spectrum exceeds its background's power law.

    It is 0 where that is not sure. Channels that look equally far are taken together: one by one, a spectrum takes half
    a second.
    """
    step = float(energies[1] - energies[0])
    wide = np.maximum(8, np.round(np.maximum(0.04 * energies, 12.0) / step)).astype(int)
    channels = np.arange(energies.size)
    looked_at = (energies >= lowest) & (channels >= 2 * wide) & (channels + wide < energies.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        known = (np.log(energies), np.log(intensities))
    rises = np.zeros(energies.size)
    for reach in np.unique(wide[looked_at]):
        at = channels[looked_at & (wide == reach)]
        # a power law has no values of zero or below
        at = at[sliding_window_view(intensities, 2 * reach - 1)[at - 2 * reach].min(axis=1) > 0]
        if at.size:
            rises[at] = _rises_of(at, int(reach), energies, intensities, known)
    return rises


def _rises_of(at: Values, wide: int, energies: Values, intensities: Values, known: tuple[Values, Values]) -> Values:
    """Return `_rises` of some channels; `known` are the logarithms of energies and intensities."""
    places, levels = (sliding_window_view(of, 2 * wide - 1)[at - 2 * wide] for of in known)
    centre, height = places.mean(axis=1, keepdims=True), levels.mean(axis=1, keepdims=True)
    places, levels = places - centre, levels - height
    variance = np.mean(places**2, axis=1, keepdims=True)
    slope = np.mean(places * levels, axis=1, keepdims=True) / variance
    spread = np.std(levels - slope * places, axis=1)
    beyond = sliding_window_view(known[0], wide)[at + 1] - centre
    relative = sliding_window_view(intensities, wide)[at + 1] / np.exp(height + slope * beyond) - 1
    # of a line through n values, as predicted for a place beyond them; and of the mean of the values there
    count = places.shape[1]
    doubt = 1 / count + beyond.mean(axis=1) ** 2 / (count * variance[:, 0]) + 1 / wide
    rise: Values = relative.mean(axis=1)
    sure = rise > np.maximum(_RISE, _SIGNIFICANCE * spread * np.sqrt(doubt))
    return np.where(sure & (slope[:, 0] <= 0.5), rise, 0.0)  # no background rises


def _onset(energies: Values, intensities: Values, at: int) -> float:
    """Return where, about a channel, the spectrum rises most."""
    step = float(energies[1] - energies[0])
    reach = max(4, round(15.0 / step))
    first = max(1, at - reach)
    smooth = np.convolve(intensities, np.ones(3) / 3, "same")
    slopes = np.diff(smooth)[first : at + reach]
    return float(energies[first + int(np.argmax(slopes)) + 1]) if slopes.size else float(energies[at])
