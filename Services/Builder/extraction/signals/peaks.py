"""Finds elements by the peaks of an X-ray spectrum, carefully: what is named in a preview is believed.

The background is taken off (SNIP: Ryan and others, Nucl. Instrum. Methods B 34 (1988) 396), then the spectrum is
described by the lines of all elements at once, with weights that are not negative: overlapping lines (S Kα, Mo Lα,
Pb Mα) share what is there by all lines of their families. An element is found where its strongest line is a peak of
the spectrum, where the other lines of the family that the detector can separate are there, and where its harder
family, if beam and detector reach that, is there too. Peaks that two strong ones make together in the detector (sum
peaks), and those of strong ones without silicon's 1.74 keV (escape peaks), count for no element.

The result labels a preview as peaks that were found. It is not written into the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from Services.Builder.extraction.signals.xray import XrayLine, lines_of, shape, symbols, width

Values = NDArray[Any]

LOWEST = 0.25
"""keV below which the electronics' noise is taken for lines too easily."""
SIGNIFICANCE = 6.0
"""Standard deviations of the background's noise that a peak rises above it."""
SHARE = 0.004
"""Of the highest peak's height that another one has at least."""
_ESCAPE = 1.740
"""keV, silicon's Kα line, which may leave the detector."""
_ARTEFACT = 0.02
"""Share of a strong peak that its sum or escape peaks have at most."""
_NEVER = frozenset(
    ("He", "Li", "Be", "Ne", "Kr", "Xe", "Tc", "Pm", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Pa", "Np", "Pu", "Am", "Cm")
)
"""Elements that a detector cannot see, or that are in no specimen unless somebody says so."""
_MOST_CHANNELS = 4096


@dataclass(frozen=True, slots=True)
class Peak:
    """A place where a spectrum rises above its background."""

    energy: float
    """keV"""
    height: float
    """Above the background, in the spectrum's unit."""


def found_elements(energies: Values, counts: Values, beam: float | None, resolution: float) -> tuple[str, ...]:
    """Return the symbols of elements whose lines are there, the strongest first; none where nothing is sure.

    Parameters
    ----------
    energies
        Of the channels, in keV, rising.
    counts
        Of the channels. Numbers of X-rays: their noise is estimated from them.
    beam
        Energy of the beam in keV; None where it is not known.
    resolution
        Of the detector at Mn Kα, in eV.
    """
    from scipy.optimize import nnls

    usable = (energies > LOWEST) & np.isfinite(counts)
    if beam is not None:
        usable &= energies < beam
    energies, counts = energies[usable], np.clip(counts[usable], 0, None)
    if energies.size < 50 or counts.max(initial=0) <= 0:
        return ()
    energies, counts = _binned(energies, counts)
    net, noise = _above_background(energies, counts, resolution)
    peaks = _peaks(energies, net, noise, resolution)
    if not peaks:
        return ()
    families = _candidates(energies, peaks, resolution)
    if not families:
        return ()
    templates = np.stack([_template(energies, lines, resolution) for lines in families], axis=1)
    weights, _rest = nnls(templates / noise[:, None], net / noise, maxiter=20 * len(families))
    fitted = {(lines[0].element, lines[0].family): weight for lines, weight in zip(families, weights, strict=True)}
    strengths: dict[str, float] = {}
    for lines, weight in zip(families, weights, strict=True):
        if weight > 0 and _agrees(lines, weight, fitted, peaks, (energies, net, noise), resolution, beam):
            element = lines[0].element
            strengths[element] = max(strengths.get(element, 0.0), float(weight))
    return tuple(sorted(strengths, key=lambda element: -strengths[element]))


def _binned(energies: Values, counts: Values) -> tuple[Values, Values]:
    factor = -(-energies.size // _MOST_CHANNELS)
    if factor == 1:
        return energies, counts
    length = energies.size // factor * factor
    return energies[:length].reshape(-1, factor).mean(1), counts[:length].reshape(-1, factor).sum(1)


def background(energies: Values, counts: Values, resolution: float) -> Values:
    """Return what a spectrum has below its peaks (SNIP), by windows of three times the lines' width."""
    step = float(np.median(np.diff(energies))) or 1.0
    reach = np.maximum(1, np.round(1.5 * width(energies, resolution) / step)).astype(int)
    level = np.log(np.log(np.sqrt(counts + 1) + 1) + 1)
    places = np.arange(level.size)
    for distance in range(int(reach.max()), 0, -1):
        sides = (level[np.maximum(places - distance, 0)] + level[np.minimum(places + distance, level.size - 1)]) / 2
        inside = (distance <= reach) & (places >= distance) & (places < level.size - distance)
        level = np.where(inside, np.minimum(level, sides), level)
    result: Values = (np.exp(np.exp(level) - 1) - 1) ** 2 - 1
    return np.clip(result, 0, None)


def _above_background(energies: Values, counts: Values, resolution: float) -> tuple[Values, Values]:
    """Return the counts above the background and the noise of each channel.

    The noise of counted X-rays is the root of their number. Where a spectrum was divided or smoothed, the differences
    of neighbours, which no line of many channels' width has, show what its noise is.
    """
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(counts, 1.0)
    below = background(energies, smooth, resolution)
    scale = _noise_scale(counts, smooth)
    return counts - below, np.sqrt(np.maximum(smooth, 1.0 / max(scale, 1e-300)) * scale) + 1e-12 * counts.max()


def _noise_scale(counts: Values, smooth: Values) -> float:
    """Return the variance of a channel's counts as a multiple of the counts; 1 where X-rays were counted."""
    known = smooth > 0
    differences = np.diff(counts, n=2)[known[1:-1]]
    if differences.size < 20 or np.array_equal(counts, np.round(counts)):
        return 1.0
    # the variance of second differences is six times that of the values
    spread = np.median(differences**2 / np.maximum(smooth[1:-1][known[1:-1]], 1e-300)) / (6 * 0.455)
    return float(spread) or 1.0


def _peaks(energies: Values, net: Values, noise: Values, resolution: float) -> list[Peak]:
    """Return the peaks that rise above the noise, the highest first."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    step = float(np.median(np.diff(energies)))
    sigma = max(0.5, 0.35 * float(width(min(2.0, float(energies[-1])), resolution)) / step / 2.355)
    smooth = gaussian_filter1d(net, sigma)
    # averaging over so many channels reduces the noise by their root
    level = gaussian_filter1d(noise, sigma) / np.sqrt(max(1.0, 2 * np.sqrt(np.pi) * sigma))
    places, _ = find_peaks(smooth, height=np.maximum(SIGNIFICANCE * level, SHARE * smooth.max()))
    places = [at for at in places if _prominent(smooth, at, SIGNIFICANCE / 2 * level[at])]
    peaks = [Peak(float(_centre(energies, smooth, at)), float(smooth[at])) for at in places]
    return sorted(_genuine(peaks, resolution), key=lambda peak: -peak.height)


def _prominent(values: Values, at: int, least: float) -> bool:
    from scipy.signal import peak_prominences

    return bool(peak_prominences(values, [at])[0][0] > least)


def _centre(energies: Values, values: Values, at: int) -> float:
    """Return the place of a maximum between the channels, by a parabola."""
    if not 0 < at < values.size - 1:
        return float(energies[at])
    left, middle, right = values[at - 1 : at + 2]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return float(energies[at] + shift * (energies[at + 1] - energies[at]))


def _genuine(peaks: Sequence[Peak], resolution: float) -> list[Peak]:
    """Return the peaks without those that strong ones cause in the detector."""

    def caused(peak: Peak) -> bool:
        near = 0.5 * float(width(peak.energy, resolution))
        strong = [other for other in peaks if peak.height < _ARTEFACT * other.height]
        sums = (first.energy + second.energy for first in strong for second in strong)
        escapes = (other.energy - _ESCAPE for other in strong if other.energy > _ESCAPE + 0.1)
        return any(abs(peak.energy - place) < near for place in (*sums, *escapes))

    return [peak for peak in peaks if not caused(peak)]


def _tolerance(energy: float, resolution: float) -> float:
    """Return how far from a line its peak may be in keV: neighbours shift it, and so does a coarse calibration."""
    return 0.015 + 0.15 * float(width(energy, resolution))


def _peak_at(energy: float, peaks: Sequence[Peak], resolution: float) -> Peak | None:
    near = [peak for peak in peaks if abs(peak.energy - energy) < _tolerance(energy, resolution)]
    return max(near, key=lambda peak: peak.height, default=None)


def _candidates(energies: Values, peaks: Sequence[Peak], resolution: float) -> list[tuple[XrayLine, ...]]:
    """Return the families of lines whose strongest one is at a peak."""
    families = []
    for element in symbols():
        if element in _NEVER:
            continue
        for family in "KLM":
            lines = tuple(
                line
                for line in lines_of(element)
                if line.family == family and energies[0] < line.energy < energies[-1] and line.weight >= 0.01
            )
            if lines and _peak_at(max(lines, key=lambda line: line.weight).energy, peaks, resolution):
                families.append(lines)
    return families


def _template(energies: Values, lines: Sequence[XrayLine], resolution: float) -> Values:
    total: Values = np.sum([shape(energies, line, resolution) for line in lines], axis=0)
    return total


def _agrees(
    lines: Sequence[XrayLine],
    weight: float,
    fitted: dict[tuple[str, str], float],
    peaks: Sequence[Peak],
    spectrum: tuple[Values, Values, Values],
    resolution: float,
    beam: float | None,
) -> bool:
    """Return whether the spectrum says that this element is there, by one family of its lines."""
    energies, net, noise = spectrum
    strongest = max(lines, key=lambda line: line.weight)
    peak = _peak_at(strongest.energy, peaks, resolution)
    height = weight * float(shape(np.array([strongest.energy]), strongest, resolution)[0])
    # most of the peak is this line's: of a neighbour's peak, the fit gives others a little
    if peak is None or height < 0.5 * peak.height or height < SHARE * peaks[0].height:
        return False
    for line in lines:
        apart = abs(line.energy - strongest.energy) > float(width(line.energy, resolution))
        expected = height * line.weight / strongest.weight
        at = int(np.argmin(np.abs(energies - line.energy)))
        if apart and expected > SIGNIFICANCE * noise[at] and _mean_near(net, at) < 0.4 * expected:
            return False
    if strongest.family == "M" and not strongest.energy > 1.5:
        return False  # the lines of lanthanides' M shells are a matter for people
    return _harder_family(strongest, fitted, energies, beam)


def _mean_near(values: Values, at: int) -> float:
    return float(values[max(0, at - 1) : at + 2].mean())


def _harder_family(
    strongest: XrayLine, fitted: dict[tuple[str, str], float], energies: Values, beam: float | None
) -> bool:
    """Return whether the element's harder lines are there, as far as beam and detector reach."""
    harder = {"L": "K", "M": "L"}.get(strongest.family)
    if harder is None:
        return True
    reached = min(float(energies[-1]), beam / 1.8 if beam else float(energies[-1]) / 1.5)
    alpha = next((line for line in lines_of(strongest.element) if line.name == f"{harder}a"), None)
    # a detector of half a millimetre of silicon lets most of the X-rays beyond 20 keV pass
    if alpha is None or alpha.energy > min(reached, 18.0):
        return True
    return fitted.get((strongest.element, harder), 0.0) > 0
