r"""Separating a session's files into acquisition activities by the times at which they were written.

The times of the files are smoothed to a density (a Gaussian kernel density estimate); where it has a deep minimum,
one activity ends and the next begins. Everything hangs on the width :math:`h` of the kernel. It is the one for which
the density predicts each file best from the others: the leave-one-out likelihood cross-validation of Habbema,
Hermans and van den Broek (1974) and Duin (IEEE Trans. Comput. C-25 (1976) 1175), see Silverman, *Density Estimation*
(1986), 3.4.4. For a Gaussian kernel :math:`\varphi_h` it needs no refits, since leaving out a file takes away just its
own kernel at its own place:

.. math::

    \ln L(h) = \sum_{i=1}^n \ln \frac{1}{n} \Bigl[ \sum_{j=1}^n \varphi_h(t_i - t_j) - \varphi_h(0) + \frac{1}{T} \Bigr]
               - \frac{1}{2} \Bigl( \frac{\ln (h / h_0)}{\sigma} \Bigr)^2

The sum over :math:`j` is a convolution: the times are counted in cells of :math:`h/16` and smoothed by fast Fourier
transform (Silverman, Appl. Stat. 31 (1982) 93, algorithm AS 176), for any number of files.

Two terms are not in the textbook:

- :math:`1/T`, one file's worth spread evenly over the time :math:`T` from first to last. Without it a single file far
  from all others, which no narrow Gaussian predicts, forces a wide kernel on the whole session (Hall, Ann. Stat. 15
  (1987) 1491, on the Gaussian kernel's short tails).
- a log-normal expectation of the width (:math:`h_0` = 2 min, :math:`\sigma` = 1.5). Likelihood knows no units of time:
  two files are one pair, whether 3 s or 3 h apart. It decides for sessions of a few files and is overruled by many.

A minimum is a boundary where the density falls to less than half of the lower of the peaks beside it. Mere local
minima would do for well separated groups, but cut a perfectly regular series between any two files, by ripples of a
relative height of :math:`10^{-8}`.

`sensitivity` divides the width found. The number of maxima of a Gaussian estimate never grows with the width
(Silverman, J. R. Stat. Soc. B 43 (1981) 97), so that, as a rule, one above 1 splits more and one below 1
less; 0 makes one activity of everything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from NexusCore.errors import EXIT_USAGE, NexusError

Floats = NDArray[np.float64]

NARROWEST_KERNEL = 10.0
"""Seconds. No kernel is narrower (at a sensitivity of 1): files written by one act of saving, seconds apart, would
otherwise be separated, and equal times would make the likelihood infinite."""
EXPECTED = 120.0
"""Seconds. The width expected before any file is seen, :math:`h_0`."""
SPREAD = 1.5
"""Standard deviation of that expectation, :math:`\\sigma`, as a natural logarithm: a factor of 4.5 either way."""
DEPTH = 2.0
"""How many times lower than the lower of the two peaks beside it a minimum must be to separate them."""

_STEP = 1.15
"""Ratio of successive widths that are tried."""
_CELLS = 16
"""Cells per kernel width, on which the times are counted; each time is shared between the two cells beside it."""
_REACH = 8
"""Kernel widths after which a Gaussian has ended (:math:`10^{-14}` of its height)."""
_MOST_WIDTHS = 2**15
"""A session is at most so many kernel widths long: one left open for weeks must not exhaust the memory."""
_NOTHING = 1e-9
"""Part of the highest density below which a density is zero: rounding in the Fourier transform is far below it."""


class SensitivityRefused(NexusError, ValueError):
    """The sensitivity of the grouping into activities must be a number of 0 or more, not {value}."""

    exit_code = EXIT_USAGE


class TimesRefused(NexusError, ValueError):
    """The times of files cannot be grouped into activities: {reason}."""


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """How times fall into activities, and why."""

    times: Floats
    """In ascending order, in seconds after the first."""
    bandwidth: float
    """Standard deviation of the kernel in seconds, divided by the sensitivity; infinite where none was needed."""
    boundaries: tuple[float, ...]
    """Seconds after the first time at which an activity ends and the next begins."""
    groups: tuple[tuple[int, ...], ...]
    """Indices into the times as they were given: the groups, and each group's members, in order of time."""


def analyse(times: Sequence[float] | Floats, *, sensitivity: float = 1.0) -> Grouping:
    """Group times, with the density and the boundaries that lead to the groups.

    Parameters
    ----------
    times
        In seconds, from any origin and in any order.
    sensitivity
        Divides the kernel's width; see above.
    """
    if not (math.isfinite(sensitivity) and sensitivity >= 0):
        raise SensitivityRefused(value=sensitivity)
    values = np.asarray(times, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise TimesRefused(reason="they must be a row of finite numbers of seconds")
    order = np.argsort(values, kind="stable")
    ordered = values[order] - values[order[:1]]
    if len(ordered) < 2 or ordered[-1] == 0 or sensitivity == 0:
        bandwidth, cuts = math.inf, []
    else:
        # within what memory and numbers allow, for sensitivities from a millionth to a million
        least, most = ordered[-1] / _MOST_WIDTHS, ordered[-1] * _MOST_WIDTHS
        bandwidth = min(max(_bandwidth(ordered) / sensitivity, least), most)
        cuts = _cuts(ordered, bandwidth)
    groups = np.split(order, [index + 1 for index, _ in cuts]) if len(order) else []
    return Grouping(
        ordered,
        float(bandwidth),
        tuple(boundary for _, boundary in cuts),
        tuple(tuple(members.tolist()) for members in groups),
    )


# -- the density -------------------------------------------------------------------------------------------------


class _Curve(NamedTuple):
    step: float
    """Seconds from one cell to the next; the first cell is at the first file."""
    density: Floats
    """Files per second in each cell, with empty ones behind the last file."""
    lefts: NDArray[np.intp]
    """The cell at each file or next before it."""
    fractions: Floats
    """How far from that cell to the next the file is."""

    def at_files(self) -> Floats:
        """Return the density at each file."""
        return (1 - self.fractions) * self.density[self.lefts] + self.fractions * self.density[self.lefts + 1]


def _smooth(times: Floats, width: float) -> _Curve:
    step = width / _CELLS
    lefts = np.floor(times / step).astype(np.intp)
    fractions = times / step - lefts
    # room behind the last file, since the transform joins the end to the beginning
    size = 1 << int(lefts[-1] + _REACH * _CELLS).bit_length()
    counts = np.bincount(lefts, 1 - fractions, size) + np.bincount(lefts + 1, fractions, size)
    frequencies = 2 * np.pi * np.fft.rfftfreq(size)
    density: Floats = np.fft.irfft(np.fft.rfft(counts) * np.exp(-0.5 * (frequencies * _CELLS) ** 2), size) / step
    return _Curve(step, density, lefts, fractions)


def _bandwidth(times: Floats) -> float:
    """Return the width of greatest likelihood, in seconds."""
    span = float(times[-1])
    narrowest = max(NARROWEST_KERNEL, span / _MOST_WIDTHS)
    steps = math.ceil(math.log(max(span / narrowest, 1)) / math.log(_STEP))
    widths = narrowest * _STEP ** np.arange(steps + 1)
    return float(max(widths, key=lambda width: _likelihood(times, width)))


def _likelihood(times: Floats, width: float) -> float:
    curve = _smooth(times, width)
    # A file's own kernel as it is in the curve: shared between two cells, and looked up between the same two.
    apart = 2 * curve.fractions * (1 - curve.fractions)
    own = (1 - apart + apart * math.exp(-0.5 / _CELLS**2)) / (width * math.sqrt(2 * math.pi))
    predicted = (np.maximum(curve.at_files() - own, 0) + 1 / times[-1]) / len(times)
    return float(np.log(predicted).sum() - 0.5 * (math.log(width / EXPECTED) / SPREAD) ** 2)


def _cuts(times: Floats, bandwidth: float) -> list[tuple[int, float]]:
    """Return, for each boundary, the last file before it and its time.

    A boundary lies between two files, so that it is enough to look at the density at each file and at the least density
    between it and the next. One pass goes from peak to valley to peak: a valley counts once the density has fallen
    from the last peak, and risen again, by the factor `DEPTH`.
    """
    curve, depth = _smooth(times, bandwidth), math.log(DEPTH)
    least = curve.density.max() * _NOTHING
    heights = np.log(np.maximum(curve.density, least))[: curve.lefts[-1] + 2]
    valleys = np.minimum.reduceat(heights, curve.lefts[:-1]).tolist()
    peaks = np.log(np.maximum(curve.at_files(), least)).tolist()
    peak, valley, lowest, cuts = peaks[0], math.inf, -1, []
    for index, (low, high) in enumerate(zip(valleys, peaks[1:], strict=True)):
        if (lowest >= 0 or low <= peak - depth) and low < valley:
            valley, lowest = low, index
        if lowest < 0:
            peak = max(peak, high)
        elif high >= valley + depth:
            cuts.append(lowest)
            peak, valley, lowest = high, math.inf, -1
    return [(index, _bottom(heights, curve, times, index)) for index in cuts]


def _bottom(heights: Floats, curve: _Curve, times: Floats, index: int) -> float:
    """Return the time of the least density between a file and the next: the middle, where that is flat."""
    first, last = curve.lefts[index], curve.lefts[index + 1]
    between = heights[first : last + 1]
    middle = first + np.flatnonzero(between == between.min()).mean()
    return float(np.clip(middle * curve.step, times[index], times[index + 1]))
