"""X-ray lines of the elements, from exspy's table, and the width that a detector gives them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from Services.Builder.extraction.signals.libraries import exspy

MN_KA = 5.8987
"""Energy of manganese's Kα line in keV, at which the resolution of detectors is stated."""
USUAL_RESOLUTION = 130.0
"""eV at Mn Kα of a silicon drift detector, for windows where the file states none; never for the record."""
_GREEK = str.maketrans({"a": "α", "b": "β", "g": "γ", "z": "ζ", "n": "η", "l": "ℓ"})


@dataclass(frozen=True, slots=True)
class XrayLine:
    """One line of an element."""

    element: str
    """Symbol."""
    name: str
    """As exspy spells it: Ka, Lb1, Mz."""
    energy: float
    """keV"""
    weight: float
    """Intensity, relative to the strongest line of its family."""

    @property
    def family(self) -> str:
        """The shell: K, L or M."""
        return self.name[0]

    @property
    def label(self) -> str:
        """Name for a person: Fe Kα."""
        return f"{self.element} {self.name[0]}{self.name[1:].translate(_GREEK)}"


@cache
def lines_of(element: str) -> tuple[XrayLine, ...]:
    """Return the lines of an element, in order of their energies; none where the table has none.

    Parameters
    ----------
    element
        Symbol.
    """
    table = _table().get(element, {}).get("Atomic_properties", {}).get("Xray_lines", {})
    lines = [
        XrayLine(element, name, float(line["energy (keV)"]), float(line["weight"]))
        for name, line in table.items()
        if name[:1] in "KLM" and name[1:2].islower()  # M2N4 and the like are too weak to be seen
    ]
    return tuple(sorted(lines, key=lambda line: line.energy))


def symbols() -> tuple[str, ...]:
    """Return the symbols of all elements in the table, the lightest first."""
    table = _table()
    return tuple(sorted(table, key=lambda symbol: table[symbol]["General_properties"]["Z"]))


@cache
def _table() -> dict[str, Any]:
    table = exspy().material.elements.as_dictionary()
    # beside the elements, the tree has entries of its own
    return {
        symbol: entry for symbol, entry in table.items() if isinstance(entry, dict) and "Atomic_properties" in entry
    }


def width(energy: float | NDArray[Any], resolution: float) -> NDArray[Any]:
    """Return the full width at half maximum of a line in keV, as Fiori and Newbury give it (SEM/1978/I, p. 401).

    Parameters
    ----------
    energy
        Of the line, in keV.
    resolution
        Of the detector at Mn Kα, in eV.
    """
    squared = 2.5 * (np.asarray(energy, np.float64) - MN_KA) * 1000.0 + resolution**2
    # far below the reference, the formula's square gets negative: no line is narrower than the electronics' noise
    return np.sqrt(np.maximum(squared, (0.3 * resolution) ** 2)) / 1000.0


def shape(energies: NDArray[Any], line: XrayLine, resolution: float) -> NDArray[Any]:
    """Return a line as the detector sees it, with its weight as its area."""
    sigma = float(width(line.energy, resolution)) / (2 * math.sqrt(2 * math.log(2)))
    values = np.exp(-0.5 * ((energies - line.energy) / sigma) ** 2)
    return line.weight * values / (sigma * math.sqrt(2 * math.pi))
