"""Makes colours of values: of structured pixels, and of arrays that have an axis of the colours.

Values are taken as what they can be: bytes, the 12 or 16 bits of a camera, or shares from 0 to 1. What is transparent
lets white through, as on paper; opacity that is zero everywhere was never set (DigitalMicrograph's colour images).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def pixels(values: NDArray[Any]) -> Pixels:
    """Return red, green and blue as bytes.

    Parameters
    ----------
    values
        Of a structured type with three or four fields, or with the colours as the last dimension.
    """
    if values.dtype.names:
        values = np.stack([values[name] for name in values.dtype.names[:4]], axis=-1)
    shares = _shares(values)
    colours = shares[..., :3]
    if shares.shape[-1] == 4 and values[..., 3].any():
        opacity = shares[..., 3:]
        colours = colours * opacity + (1 - opacity)
    return (colours * 255 + 0.5).astype(np.uint8)


def _shares(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return values as shares of the brightest one that they could have."""
    real = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    highest = float(real[..., :3].max(initial=0.0))
    if values.dtype.kind == "b" or (values.dtype.kind == "f" and highest <= 1):
        full = 1.0
    else:
        full = next((top for top in (255.0, 4095.0, 65535.0) if highest <= top), highest)
    if values.shape[-1] == 4:  # opacity fills its range, even in an image that is dark
        real = np.concatenate((real[..., :3] / full, _opacity(values[..., 3:], real[..., 3:], full)), axis=-1)
    else:
        real = real / full
    return real.clip(0, 1).astype(np.float32)


def _opacity(values: NDArray[Any], real: NDArray[np.float32], full: float) -> NDArray[np.float32]:
    if values.dtype.kind in "ui":
        highest = float(real.max(initial=0.0))
        full = max(full, next((top for top in (255.0, 4095.0, 65535.0) if highest <= top), highest))
    return real / np.float32(full)
