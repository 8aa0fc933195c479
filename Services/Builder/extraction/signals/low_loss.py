"""The zero-loss peak of an energy-loss spectrum, and the thickness of the specimen that follows from it.

t/λ = ln(I_total / I_zero-loss), the log-ratio method (Egerton, EELS in the Electron Microscope, 3rd ed., eq. 5.1), by
exspy's `estimate_thickness`. The zero-loss peak ends at the lowest point before the first loss; exspy's
`estimate_elastic_scattering_threshold` takes the flattest point of a window, which may be the plasmon's maximum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from Services.Builder.extraction.signals.libraries import exspy, hyperspy

Values = NDArray[Any]

FARTHEST = 5.0
"""eV from zero at which the zero-loss peak of a spectrometer that was set up may be."""
_WIDEST = 6.0
"""eV, full width at half maximum of a zero-loss peak."""
_VALLEY = 15.0
"""eV beyond the peak within which a spectrum has its lowest point between the peak and the first loss."""
_REACH = 50.0
"""eV beyond the peak that a spectrum must reach at least, for the single losses to be in it."""
_DOMINANT = 1.5
"""The peak's height as a multiple of what is highest beyond it, at least."""
_THICKEST = 5.0
"""t/λ beyond which there is no zero-loss peak to speak of."""


@dataclass(frozen=True, slots=True)
class ZeroLoss:
    """A zero-loss peak."""

    position: float
    """eV"""
    width: float
    """Full width at half maximum in eV."""


def zero_loss(energies: Values, intensities: Values) -> ZeroLoss | None:
    """Return the zero-loss peak of a spectrum; None where there is none, or the detector was saturated.

    Parameters
    ----------
    energies
        Of the channels, in eV, rising and evenly spaced.
    intensities
        Of the channels.
    """
    if energies.size < 20 or not np.isfinite(intensities).all() or intensities.max() <= 0:
        return None
    at = int(np.argmax(intensities))
    highest = float(intensities[at])
    if abs(energies[at]) > FARTHEST or int((intensities == highest).sum()) > 2:
        return None
    left, right = _half(energies, intensities, at, -1), _half(energies, intensities, at, 1)
    if left is None or right is None or right - left > _WIDEST:
        return None
    beyond = intensities[energies > energies[at] + 1.5 * (right - left) + 1.0]
    if beyond.size == 0 or highest < _DOMINANT * float(beyond.max()):
        return None
    return ZeroLoss(_centre(energies, intensities, at), right - left)


def _half(energies: Values, intensities: Values, at: int, direction: int) -> float | None:
    """Return where the peak has half its height, on one side; None where the spectrum ends before."""
    half = intensities[at] / 2
    place = at
    while 0 <= place + direction < energies.size:
        inner, outer = intensities[place], intensities[place + direction]
        if outer <= half:
            share = (inner - half) / (inner - outer)
            return float(energies[place] + share * (energies[place + direction] - energies[place]))
        place += direction
    return None


def _centre(energies: Values, intensities: Values, at: int) -> float:
    """Return the maximum between the channels, by a parabola."""
    if not 0 < at < energies.size - 1:
        return float(energies[at])
    left, middle, right = intensities[at - 1 : at + 2]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return float(energies[at] + shift * (energies[at + 1] - energies[at]))


def relative_thickness(energies: Values, intensities: Values, peak: ZeroLoss) -> float | None:
    """Return t/λ; None where the spectrum ends too early, or no end of the peak is found.

    Parameters
    ----------
    energies, intensities
        As for `zero_loss`.
    peak
        What that returned.
    """
    if energies[-1] < peak.position + _REACH or energies[0] > peak.position - peak.width:
        return None
    end = _valley(energies - peak.position, intensities, peak.width)
    if end is None:
        return None
    spectrum = _spectrum(energies - peak.position, np.clip(intensities, 0, None))
    thickness = spectrum.estimate_thickness(threshold=end)
    value = float(np.ravel(thickness.data)[0])
    return value if np.isfinite(value) and 0 < value < _THICKEST else None


def _valley(losses: Values, intensities: Values, width: float) -> float | None:
    """Return the loss at which the first loss begins to outweigh the peak's tail; None where nothing rises again."""
    smooth = np.convolve(intensities, np.ones(3) / 3, "same")
    (places,) = np.nonzero((losses > 0.8 * width) & (losses < _VALLEY + width))
    if places.size < 3:
        return None
    lowest = places[0]
    for at in places:
        if smooth[at] < smooth[lowest]:
            lowest = at
        elif smooth[at] > 1.05 * smooth[lowest]:
            return float(losses[lowest])
    return None


def _spectrum(energies: Values, intensities: Values) -> Any:
    exspy()
    step = float(energies[1] - energies[0])
    axis = {"name": "Energy loss", "units": "eV", "size": energies.size, "offset": float(energies[0]), "scale": step}
    made = hyperspy().dict2signal(
        {
            "data": intensities,
            "axes": [{**axis, "navigate": False}],
            "metadata": {"General": {}, "Signal": {}},
            "original_metadata": {},
        }
    )
    made.set_signal_type("EELS")
    return made
