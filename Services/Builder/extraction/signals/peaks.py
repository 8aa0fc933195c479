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

from Services.Builder.extraction.signals.maxima import maxima, prominence
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
_SEEN = 3.0
"""The same for a weaker line, whose place is known."""
_ALONE = 4.0
"""The same, in one channel, for a line that nothing confirms."""
_ARTEFACT = 0.03
"""Share of a strong peak that its sum or escape peaks have at most."""
_NEVER = frozenset(
    (
        "He",
        "Li",
        "Be",
        "Ne",
        "Ar",
        "Kr",
        "Xe",
        "Tc",
        "Pm",
        "Po",
        "At",
        "Rn",
        "Fr",
        "Ra",
        "Ac",
        "Pa",
        "Np",
        "Pu",
        "Am",
        "Cm",
    )
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
    spectrum = _spectrum(energies, counts, beam, resolution)
    if spectrum is None or not spectrum.peaks:
        return ()
    families = _candidates(spectrum)
    while families:
        weights = _weights(spectrum, families)
        doubts = [_doubt(spectrum, lines, weight, weights) for lines, weight in zip(families, weights, strict=True)]
        if max(doubts) <= 0:
            break
        # the most doubtful one goes first: what it had of a peak becomes its neighbours'
        del families[int(np.argmax(doubts))]
    strengths: dict[str, float] = {}
    for lines, weight in zip(families, _weights(spectrum, families) if families else (), strict=True):
        element = lines[0].element
        strengths[element] = max(strengths.get(element, 0.0), float(weight))
    reached = {lines[0].element for lines in families if not _misses_harder(spectrum, lines, families)}
    return tuple(sorted(reached, key=lambda element: -strengths[element]))


def peaks_of(energies: Values, counts: Values, beam: float | None, resolution: float) -> tuple[Peak, ...]:
    """Return the peaks of a spectrum that are of lines, the highest first; parameters as for `found_elements`."""
    spectrum = _spectrum(energies, counts, beam, resolution)
    return spectrum.peaks if spectrum is not None else ()


@dataclass(frozen=True, slots=True)
class _Spectrum:
    """A spectrum above its background."""

    energies: Values
    net: Values
    noise: Values
    """Standard deviation of each channel."""
    peaks: tuple[Peak, ...]
    """The highest first."""
    resolution: float
    beam: float | None


def _spectrum(energies: Values, counts: Values, beam: float | None, resolution: float) -> _Spectrum | None:
    """Return the usable part of a spectrum above its background; None where there is too little of it."""
    usable = (energies > LOWEST) & np.isfinite(counts)
    if beam is not None:
        usable &= energies < beam
    energies, counts = energies[usable], np.clip(counts[usable], 0, None)
    if energies.size < 50 or counts.max(initial=0) <= 0:
        return None
    energies, counts = _binned(energies, counts)
    net, noise = _above_background(energies, counts, resolution)
    peaks = _peaks(energies, net, noise, resolution)
    return _Spectrum(energies, net, noise, tuple(peaks), resolution, beam)


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

    step = float(np.median(np.diff(energies)))
    sigma = max(0.5, 0.35 * float(width(min(2.0, float(energies[-1])), resolution)) / step / 2.355)
    smooth = gaussian_filter1d(net, sigma)
    # averaging over so many channels reduces the noise by their root
    level = gaussian_filter1d(noise, sigma) / np.sqrt(max(1.0, 2 * np.sqrt(np.pi) * sigma))
    high = smooth >= np.maximum(SIGNIFICANCE * level, SHARE * smooth.max())
    places = [at for at in maxima(smooth) if high[at] and prominence(smooth, at) > SIGNIFICANCE / 2 * level[at]]
    peaks = [Peak(float(_centre(energies, smooth, at)), float(smooth[at])) for at in places]
    return sorted(_genuine(peaks, resolution), key=lambda peak: -peak.height)


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
        partners = [other for other in peaks if 2 * peak.height < other.height]
        sums = (first.energy + second.energy for first in strong for second in partners)
        escapes = (other.energy - _ESCAPE for other in strong if other.energy > _ESCAPE + 0.1)
        return any(abs(peak.energy - place) < near for place in (*sums, *escapes))

    return [peak for peak in peaks if not caused(peak)]


def tolerance(energy: float, resolution: float) -> float:
    """Return how far from a line its peak may be in keV: neighbours shift it, and so does a coarse calibration."""
    return 0.015 + 0.15 * float(width(energy, resolution))


def peak_at(energy: float, peaks: Sequence[Peak], resolution: float) -> Peak | None:
    """Return the highest peak that a line of an energy in keV may be; None without one."""
    near = [peak for peak in peaks if abs(peak.energy - energy) < tolerance(energy, resolution)]
    return max(near, key=lambda peak: peak.height, default=None)


def reached_well(last: float, beam: float | None) -> float:
    """Return the energy in keV up to which lines are seen that are there.

    Parameters
    ----------
    last
        At which the spectrum ends, in keV.
    beam
        Energy of the beam in keV; None where it is not known.
    """
    # a detector of half a millimetre of silicon lets most of the X-rays beyond 18 keV pass
    return min(last, beam / 1.8 if beam else last / 1.5, 18.0)


def _candidates(spectrum: _Spectrum) -> list[tuple[XrayLine, ...]]:
    """Return the families of lines whose strongest one is at a peak."""
    first, last = float(spectrum.energies[0]), float(spectrum.energies[-1])
    families = []
    for element in symbols():
        for family in "KLM" if element not in _NEVER else "":
            lines = tuple(
                line
                for line in lines_of(element)
                if line.family == family and first < line.energy < last and line.weight >= 0.01
            )
            if lines and peak_at(_strongest(lines).energy, spectrum.peaks, spectrum.resolution):
                families.append(lines)
    # the lines of the M shells of lanthanides and lighter elements are a matter for people
    return [lines for lines in families if lines[0].family != "M" or _strongest(lines).energy > 1.5]


def _strongest(lines: Sequence[XrayLine]) -> XrayLine:
    return max(lines, key=lambda line: line.weight)


def _weights(spectrum: _Spectrum, families: Sequence[Sequence[XrayLine]]) -> Values:
    """Return the areas of the families that describe the spectrum best, none of them negative."""
    from scipy.optimize import nnls

    templates = np.stack(
        [np.sum([shape(spectrum.energies, line, spectrum.resolution) for line in lines], axis=0) for lines in families],
        axis=1,
    )
    weights, _rest = nnls(templates / spectrum.noise[:, None], spectrum.net / spectrum.noise)
    return np.asarray(weights)


def _doubt(spectrum: _Spectrum, lines: Sequence[XrayLine], weight: float, _all: Values) -> float:
    """Return how doubtful a family of lines is: 0 where the spectrum agrees with it.

    Three doubts, the greatest first: none of the weaker lines can be told from the strongest one or the noise, and the
    family is not the K shell's, of which others share no peak; a weaker line that ought to be seen is not there; the
    peak is mostly of another element.
    """
    strongest = _strongest(lines)
    peak = peak_at(strongest.energy, spectrum.peaks, spectrum.resolution)
    height = weight * float(shape(np.array([strongest.energy]), strongest, spectrum.resolution)[0])
    if peak is None or height <= 0:
        return 4.0
    confirmed = 0
    for line in lines:
        expected = height * line.weight / strongest.weight
        at = int(np.argmin(np.abs(spectrum.energies - line.energy)))
        apart = abs(line.energy - strongest.energy) > 0.8 * float(width(line.energy, spectrum.resolution))
        if apart and expected > _SEEN * spectrum.noise[at]:
            if _mean_near(spectrum.net, at) < 0.4 * expected:
                return 2.0
            confirmed += 1
    at = int(np.argmin(np.abs(spectrum.energies - strongest.energy)))
    if not confirmed and (strongest.family != "K" or height < _ALONE * spectrum.noise[at]):
        return 3.0 + 1.0 / (1.0 + height)
    if height < SHARE * spectrum.peaks[0].height:
        return 1.5
    share = height / peak.height
    return 1.0 - share if share < 0.5 else 0.0


def _mean_near(values: Values, at: int) -> float:
    return float(values[max(0, at - 1) : at + 2].mean())


def _misses_harder(spectrum: _Spectrum, lines: Sequence[XrayLine], families: Sequence[Sequence[XrayLine]]) -> bool:
    """Return whether the element's harder lines are missing that beam and detector reach."""
    element = lines[0].element
    harder = {"L": "K", "M": "L"}.get(lines[0].family)
    alpha = next((line for line in lines_of(element) if line.name == f"{harder}a"), None)
    if alpha is None or alpha.energy > reached_well(float(spectrum.energies[-1]), spectrum.beam):
        return False
    return not any(other[0].element == element and other[0].family == harder for other in families)
