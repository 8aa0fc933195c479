"""Maxima of a curve, and how far they stand out.

They are those of `scipy.signal.find_peaks` and `peak_prominences`; to import that package takes longer than to find the
peaks of a hundred spectra.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]


def maxima(values: Values) -> NDArray[np.intp]:
    """Return the places that are higher than both neighbours, of a level stretch its middle; the ends are none."""
    changes = np.flatnonzero(np.diff(values))
    if changes.size < 2:
        return changes[:0]
    firsts, lasts = changes[:-1] + 1, changes[1:]
    higher = (values[firsts] > values[firsts - 1]) & (values[lasts] > values[lasts + 1])
    return (firsts[higher] + lasts[higher]) // 2


def prominence(values: Values, at: int) -> float:
    """Return how far one has to go down from a maximum, on the way to a higher place or to the end of the curve."""
    (higher,) = np.nonzero(values > values[at])
    split = int(np.searchsorted(higher, at))
    first = higher[split - 1] + 1 if split else 0
    end = higher[split] if split < higher.size else values.size
    return float(values[at] - max(values[first : at + 1].min(), values[at:end].min()))
