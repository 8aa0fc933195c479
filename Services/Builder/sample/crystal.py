"""The crystal of the sample: layered LiNi0.8Mn0.1Co0.1O2 (NMC811), space group R-3m, and what electrons see of it.

Lengths are in nm, reciprocal lengths in 1/nm (without 2 pi), so that the length of a reciprocal lattice vector is 1/d.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

A = 0.2872
"""Edge a of the hexagonal cell, as of pristine NMC811 (compare Kondrakov et al., J. Phys. Chem. C 121 (2017) 3286)."""
C = 1.4204
"""Edge c of the hexagonal cell: three layers of transition metal."""

_Z_OXYGEN = 0.2588  # height of oxygen on 6c, in units of c, with the transition metal on 3a and lithium on 3b
_METAL, _LITHIUM, _OXYGEN = (5.6, 27.6), (3.3, 3.0), (2.0, 8.0)
# Amplitude f(0) in 0.1 nm (rounded from Doyle and Turner, Acta Cryst. A24 (1968) 390) and (mean) atomic number.
_BOHR = 0.0529
_DEBYE_WALLER = 0.005  # B in nm²


def wavelength(kilovolts: float) -> float:
    """Relativistic de Broglie wavelength of an electron, in nm (0.002508 at 200 kV).

    The numbers are h/sqrt(2 m e) in nm·V½ and e/(2 m c²) in 1/V (Williams and Carter, Transmission Electron
    Microscopy, 2009, section 1.4).
    """
    volts = kilovolts * 1e3
    return 1.226426 / math.sqrt(volts * (1 + 0.97848e-6 * volts))


def spacing(h: int, k: int, l: int) -> float:  # noqa: E741  hkl are the names of Miller indices
    """Distance d of the lattice planes (hkl) of the hexagonal cell, in nm."""
    return 1 / math.sqrt(4 / 3 * (h * h + h * k + k * k) / A**2 + l * l / C**2)


@dataclass(frozen=True, slots=True)
class Reflections:
    """Allowed reflections, strongest first, without the direct beam."""

    indices: npt.NDArray[np.int64]
    """Miller indices, shape (n, 3)."""
    vectors: FloatArray
    """Reciprocal lattice vectors in 1/nm: shape (n, 2) in a zone, (n, 3) else."""
    factors: FloatArray
    """Structure factors relative to the strongest; real, since the structure has a centre of symmetry."""

    @property
    def lengths(self) -> FloatArray:
        """Length of each vector, 1/d, in 1/nm."""
        return np.asarray(np.linalg.norm(self.vectors, axis=1))


def reflections(limit: float) -> Reflections:
    """All reflections with 1/d below `limit` (1/nm) that the rhombohedral centring allows: -h + k + l = 3n."""
    reach_a, reach_c = math.ceil(limit * A * 1.2), math.ceil(limit * C)
    span_a, span_c = np.arange(-reach_a, reach_a + 1), np.arange(-reach_c, reach_c + 1)
    hkl = np.stack(np.meshgrid(span_a, span_a, span_c, indexing="ij"), axis=-1).reshape(-1, 3)
    vectors = hkl @ np.linalg.inv(_cell())  # its rows are the reciprocal vectors
    length = np.linalg.norm(vectors, axis=1)
    keep = (length > 0) & (length < limit) & ((-hkl[:, 0] + hkl[:, 1] + hkl[:, 2]) % 3 == 0)
    hkl, vectors, length = hkl[keep], vectors[keep], length[keep]
    index = hkl[:, 2]
    factors = (
        _atom(_METAL, length)
        + _atom(_LITHIUM, length) * np.where(index % 2, -1.0, 1.0)
        + 2 * _atom(_OXYGEN, length) * np.cos(2 * np.pi * index * _Z_OXYGEN)
    ) * np.exp(-_DEBYE_WALLER * length**2 / 4)
    factors /= np.abs(factors).max()
    order = np.argsort(-np.abs(factors), kind="stable")
    return Reflections(hkl[order], vectors[order], factors[order])


def zone(axis: tuple[int, int, int], limit: float) -> Reflections:
    """Reflections of the zone [uvw] below `limit` (1/nm), their vectors in the plane of the pattern.

    The first axis of the pattern points along c*, the direction of (003).
    """
    everything = reflections(limit)
    keep = everything.indices @ np.array(axis) == 0
    vectors = everything.vectors[keep]
    first = np.array([0.0, 0.0, 1.0])
    beam = _cell() @ np.array(axis, dtype=float)
    second = np.cross(beam / np.linalg.norm(beam), first)
    frame = np.stack([first, second], axis=1)
    return Reflections(everything.indices[keep], vectors @ frame, everything.factors[keep])


def _cell() -> FloatArray:
    """Cartesian vectors of the hexagonal cell as columns, in nm."""
    return np.array([[A, -A / 2, 0], [0, A * math.sqrt(3) / 2, 0], [0, 0, C]])


def _atom(kind: tuple[float, float], length: FloatArray) -> FloatArray:
    """Scattering amplitude of a screened atom in 0.1 nm, with the screening radius that gives the right f(0).

    Wentzel's model (Lenz, Z. Naturforsch. 9a (1954) 185): f = f(0) / (1 + (2 pi R g)²) with f(0) = 2 Z R² / a_Bohr.
    """
    forward, number = kind
    radius = math.sqrt(forward * 0.1 * _BOHR / (2 * number))
    return np.asarray(forward / (1 + (2 * np.pi * radius * length) ** 2))
