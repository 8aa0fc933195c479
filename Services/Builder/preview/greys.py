"""Makes pixels of values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from Services.Builder.preview.sampling import numbers

Pixels = NDArray[np.uint8]

CLIPPED = (0.3, 99.7)
"""Percentiles of the values that become black and white: a few hot pixels must not make the rest dark."""


def linear(values: NDArray[Any]) -> Pixels:
    """Return grey values that follow the values between two percentiles."""
    return _stretched(numbers(values), CLIPPED)


def logarithmic(values: NDArray[Any]) -> Pixels:
    """Return grey values that follow the logarithm: a diffraction pattern's centre outshines all the rest."""
    real = numbers(values)
    known = real[np.isfinite(real)]
    if known.size == 0 or known.max() <= known.min():
        return linear(real)
    low = float(np.percentile(known, 1))
    positive = np.clip(real - low, 0, None)
    # one grey level above the noise floor, so that the noise does not fill the lower half of the scale
    floor = max(float(np.percentile(positive[np.isfinite(positive)], 50)), float(np.nanmax(positive)) * 1e-5)
    return _stretched(np.log1p(positive / floor), (1, 99.99))


def _stretched(real: NDArray[np.float32], percentiles: tuple[float, float]) -> Pixels:
    known = real[np.isfinite(real)]
    if known.size == 0:
        return np.zeros(real.shape, np.uint8)
    low, high = (float(bound) for bound in np.percentile(known, percentiles))
    if high <= low:
        low, high = float(known.min()), float(known.max())
    if high <= low:  # every value the same
        return np.full(real.shape, 128, np.uint8)
    shares = np.where(np.isfinite(real), (real - low) / (high - low), np.float32(0))
    return (shares.clip(0, 1) * 255).astype(np.uint8)
