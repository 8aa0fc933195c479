"""Spectra of the sample: X-rays (EDS) and energy losses (EELS), as counted.

Energies are in keV for X-rays and in eV for losses. Spectra have the energy last.
"""

from __future__ import annotations

import math

import numpy as np

from Services.Builder.sample.crystal import FloatArray
from Services.Builder.sample.images import HIGH_TENSION

EMISSION_LINES: dict[str, tuple[tuple[float, float], ...]] = {
    "C": ((0.277, 1.0),),
    "O": ((0.525, 1.0),),
    "Mn": ((5.899, 1.0), (6.490, 0.13), (0.637, 0.5)),
    "Co": ((6.930, 1.0), (7.649, 0.13), (0.776, 0.5)),
    "Ni": ((7.478, 1.0), (8.265, 0.13), (0.851, 0.5)),
    "Cu": ((8.048, 1.0), (8.905, 0.13), (0.930, 0.5)),
}
"""Energy in keV and relative strength of each element's lines, the strongest first (X-ray Data Booklet, LBNL)."""
RESOLUTION = 0.130
"""Width of Mn Ka at half height, in keV."""

OXYGEN_EDGE = 532.0
WHITE_LINES: dict[str, tuple[float, float]] = {"Mn": (640.0, 651.0), "Co": (779.0, 794.0), "Ni": (855.0, 872.0)}
"""Energy loss of the L3 and L2 edges, in eV (EELS Atlas, Ahn and Krivanek 1983)."""
PLASMON = 24.0
"""Energy of the sample's bulk plasmon, in eV."""

PARTICLE = {"O": 0.62, "Mn": 0.10, "Co": 0.10, "Ni": 0.80, "C": 0.05, "Cu": 0.10}
"""Relative height of the X-ray lines over NMC811 on a carbon film and a copper grid."""
FILM = {"C": 0.30, "O": 0.02, "Cu": 0.12}
"""The same beside the particles."""


def xray(energy: FloatArray, elements: dict[str, float]) -> FloatArray:
    """Mean X-ray spectrum of unit area, over `energy` in keV (uniform, rising).

    Each line is a Gaussian whose width grows with energy as FWHM² = 2.5 (E - E_ref) + FWHM_ref², in eV (Fiori and
    Newbury 1978); below lies Kramers' bremsstrahlung as the detector's window lets it pass.
    """
    spectrum = np.zeros(energy.size)
    for element, amount in elements.items():
        for line, strength in EMISSION_LINES[element]:
            width = math.sqrt(RESOLUTION**2 + 0.0025 * (line - 5.895)) / 2.3548
            area = amount * strength / width
            spectrum += area * np.exp(-(((energy - line) / width) ** 2) / 2)
    above = np.maximum(energy, 0.05)
    spectrum += 0.35 * (HIGH_TENSION - above) / HIGH_TENSION / above * np.exp(-((0.45 / above) ** 2.5))
    return np.asarray(spectrum / spectrum.sum())


def xray_map(rng: np.random.Generator, thickness: FloatArray, energy: FloatArray, counts: float) -> FloatArray:
    """Spectrum at each position of a scan: Ni-rich in the particles' core, Mn-rich in their rim.

    Parameters
    ----------
    rng
        Decides the counting noise.
    thickness
        Of the crystal at each position, in nm, shape (rows, columns).
    energy
        In keV.
    counts
        X-rays from a position 100 nm thick.
    """
    core = xray(energy, PARTICLE)
    rim = xray(energy, PARTICLE | {"Mn": 0.45, "Ni": 0.45})
    film = xray(energy, FILM)
    amount = thickness[..., None] / 100
    shell = np.exp(-thickness[..., None] / 12)
    mean = counts * (amount * (shell * rim + (1 - shell) * core) + 0.06 * film)
    return rng.poisson(mean).astype(float)


def low_loss(energy: FloatArray, thickness: float, counts: float) -> FloatArray:
    """Mean spectrum of the zero-loss peak, the plasmon and its multiples, over `energy` in eV.

    Parameters
    ----------
    energy
        In eV, uniform and rising.
    thickness
        In mean free paths: t/lambda. The n-fold losses follow Poisson's distribution.
    counts
        Electrons in the whole spectrum.
    """
    step = energy[1] - energy[0]
    spectrum = np.exp(-((energy / 0.38) ** 2) / 2) + 0.004 / (1 + (energy / 1.2) ** 2)  # 0.9 eV wide, with tails
    spectrum *= math.exp(-thickness) / spectrum.sum()
    for times in range(1, 4):
        above = np.maximum(energy, 0.01)
        centre, width = times * PLASMON, 9.0 * math.sqrt(times)
        loss = above * width * centre / ((above**2 - centre**2) ** 2 + (above * width) ** 2)  # Drude
        loss[energy <= 0] = 0
        probability = math.exp(-thickness) * thickness**times / math.factorial(times)
        spectrum += probability * loss / loss.sum()
    spectrum += 0.0003 * step * _edge(energy, 67.0, 6.0)  # Ni M2,3 with Li K before it
    return np.asarray(counts * spectrum)


def core_loss(energy: FloatArray, thickness: float, rim: float = 0.0) -> FloatArray:
    """Mean spectrum of O K and the L edges of Mn, Co and Ni on a power-law background, in electrons per channel.

    Parameters
    ----------
    energy
        In eV.
    thickness
        Of the crystal, in nm.
    rim
        Share of reduced, rock-salt-like surface, 0 to 1: there the peak before the O K edge disappears.
    """
    amount = thickness / 50
    spectrum = 900 * (amount + 0.08) * (energy / 500.0) ** -3.1
    ionised = 0.30 * _edge(energy, OXYGEN_EDGE + 6, 3.0) + 0.45 * _peak(energy, OXYGEN_EDGE + 8.5, 6.0)
    ionised += 0.30 * (1 - rim) * _peak(energy, OXYGEN_EDGE - 3, 2.2)
    for element, share in (("Mn", 0.10 + 0.2 * rim), ("Co", 0.10), ("Ni", 0.80 - 0.2 * rim)):
        third, second = WHITE_LINES[element]
        ionised += share * (2.2 * _peak(energy, third, 3.0) + 0.9 * _peak(energy, second, 4.0))
        ionised += share * (0.35 * _edge(energy, third, 1.5) + 0.17 * _edge(energy, second, 1.5))
    return np.asarray(spectrum + 550 * amount * ionised * (energy / 600.0) ** -1.2)


def _peak(energy: FloatArray, centre: float, width: float) -> FloatArray:
    """Lorentzian of unit height; `width` at half height."""
    return np.asarray(1 / (1 + ((energy - centre) / (width / 2)) ** 2))


def _edge(energy: FloatArray, onset: float, softness: float) -> FloatArray:
    """Step of unit height that decays slowly above."""
    step = 0.5 + np.arctan((energy - onset) / softness) / math.pi
    return np.asarray(step * np.exp(-np.clip(energy - onset, 0, None) / 400))
