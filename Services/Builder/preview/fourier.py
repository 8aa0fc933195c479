"""Puts Fourier transforms in order for the eye: whole, and with the zero frequency in the middle.

The transform of a real image is symmetric, F(-k) = F(k)*, so programs store one half of its columns: from the zero
frequency to the highest one. Velox stores no more (its reader calls it "Half FFT"); of DigitalMicrograph's packed
complex numbers (data types 27 and 28) RosettaSciIO makes the other half by turning left and right, not through the
centre, which shows each spot that is off the axes at a wrong place, too. Others store all of it with the zero
frequency in a corner, as it is computed.

What a transform is stored as is decided by its values alone: the zero frequency is the largest, and the symmetry of
its column and of those beside it tells a half from a whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Transform = NDArray[Any]

_TOLERANCE = 1e-3
"""Difference of symmetric values, as a share of the column's largest, that single precision may cause."""


def centred(transform: Transform) -> NDArray[np.float32]:
    """Return the moduli of a transform, completed where it is a half, with the zero frequency in the middle.

    Parameters
    ----------
    transform
        Rows and columns, complex or real. What is neither a half nor has its zero frequency at an edge stays as it is.
    """
    if min(transform.shape) < 3:
        return _moduli(transform)
    if _is_turned(transform):
        return _completed(transform[:, transform.shape[1] // 2 :: -1])
    peak = _peak(transform)
    if peak is None or peak[1] != 0 or not _symmetric(transform[:, 0], transform[:, 0], peak[0]):
        return _moduli(transform)
    if _symmetric(transform[:, 1], transform[:, -1], peak[0]):
        return _rolled(_moduli(transform), -peak[0], transform.shape[1] // 2)
    return _completed(transform)


def _moduli(transform: Transform) -> NDArray[np.float32]:
    moduli = np.abs(transform) if transform.dtype.kind in "cb" else transform
    return moduli.astype(np.float32)


def _is_turned(transform: Transform) -> bool:
    """Return whether the right half of the columns is the left one, turned about the zero frequency's column."""
    width = transform.shape[1]
    middle = width // 2
    if transform.dtype.kind != "c" or width % 2:
        return False
    left, right = transform[:, 1:middle], transform[:, middle + 1 :]
    return bool(left.any()) and bool(np.array_equal(left[:, ::-1], np.conjugate(right)))


def _peak(transform: Transform) -> tuple[int, int] | None:
    """Return row and column of the largest modulus; None where no value stands out."""
    moduli = np.nan_to_num(_moduli(transform), nan=0.0, posinf=0.0, neginf=0.0)
    row, column = divmod(int(np.argmax(moduli)), moduli.shape[1])
    return (row, column) if moduli[row, column] > np.abs(moduli).mean() else None


def _symmetric(first: Transform, second: Transform, zero: int) -> bool:
    """Return whether one column is the other one's conjugate, with the rows in reverse about the zero frequency's."""
    rolled, reverse = np.roll(first, -zero), np.roll(np.roll(second, -zero)[::-1], 1)
    largest = float(np.nanmax(np.abs(rolled[1:]), initial=0.0))
    if not np.isfinite(largest) or largest == 0:
        return False
    return bool(np.allclose(rolled[1:], np.conjugate(reverse[1:]), rtol=0, atol=_TOLERANCE * largest))


def _completed(half: Transform) -> NDArray[np.float32]:
    """Return all moduli of a transform of which the columns from the zero frequency on are there."""
    zero = int(np.argmax(np.nan_to_num(np.abs(half[:, 0]))))
    # with an even number of columns the last one, the highest frequency, is its own counterpart
    alone = _symmetric(half[:, -1], half[:, -1], zero)
    right = np.roll(_moduli(half), -zero, axis=0)
    left = np.roll(right[::-1], 1, axis=0)[:, :0:-1]  # F(-k): rows and columns in reverse
    whole = np.hstack((left, right[:, : -1 if alone else None]))
    return _rolled(whole, 0, 0)


def _rolled(whole: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Return the moduli with the row that is first after `rows` in the middle, and so many columns further right."""
    return np.roll(whole, (rows + whole.shape[0] // 2, columns), axis=(0, 1))
