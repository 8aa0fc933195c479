"""Takes from an array, which may lie on disk and be larger than the memory, what a preview can show of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 16_000_000
"""Values that are fetched at most for one picture."""

Values = NDArray[Any]


def fetched(data: Any, index: Sequence[slice | int]) -> Values:
    """Return a part of a numpy or dask array as a numpy array."""
    part = data[tuple(index)]
    if hasattr(part, "compute"):
        # in this thread: others would each hold a chunk, and the memory of a worker is bounded
        part = part.compute(scheduler="synchronous")
    if hasattr(part, "todense"):
        part = part.todense()
    return np.asarray(part)


def strided(shape: Sequence[int], most: Mapping[int, int]) -> list[slice]:
    """Return slices that leave at most `most[dimension]` evenly spaced elements of each dimension named."""
    return [slice(None, None, max(1, ceil(length / most.get(at, length)))) for at, length in enumerate(shape)]


def plane(data: Any, dimensions: tuple[int, int], fixed: Mapping[int, int], most: int) -> Values:
    """Return two dimensions of an array as rows and columns, thinned to about `most` each.

    Parameters
    ----------
    data
        numpy or dask array.
    dimensions
        Those of the rows and of the columns.
    fixed
        Where to stand on the others; in their middle where nothing is said.
    most
        Rows and columns; the picture is averaged from at least as many as it shows.
    """
    index: list[slice | int] = list(strided(data.shape, dict.fromkeys(dimensions, most)))
    for at, length in enumerate(data.shape):
        if at not in dimensions:
            index[at] = fixed.get(at, length // 2)
    values = fetched(data, index)
    return values if dimensions[0] < dimensions[1] else values.swapaxes(0, 1)


def mean(data: Any, keep: tuple[int, ...], most: Mapping[int, int]) -> Values:
    """Return the mean over all dimensions but `keep`, of an evenly spaced sample that `MOST` allows.

    The dimensions that are averaged are thinned until the sample fits; those kept are thinned to `most`.
    """
    kept = {at: most.get(at, length) for at, length in enumerate(data.shape) if at in keep}
    wanted = int(np.prod([min(kept[at], data.shape[at]) for at in keep], dtype=np.int64)) if keep else 1
    averaged = [at for at in range(data.ndim) if at not in keep]
    share = max(1.0, MOST / max(1, wanted))
    total = float(np.prod([data.shape[at] for at in averaged], dtype=np.float64)) if averaged else 1.0
    thin = (total / share) ** (1 / len(averaged)) if averaged and total > share else 1.0
    limits = {**kept, **{at: max(1, int(data.shape[at] / thin)) for at in averaged}}
    values = numbers(fetched(data, strided(data.shape, limits)))
    result: Values = np.nanmean(values, axis=tuple(averaged)) if averaged else values
    order = [sorted(keep).index(at) for at in keep]
    return result.transpose(order)


def numbers(values: Values) -> NDArray[np.float32]:
    """Return values as real numbers: the modulus of complex ones, what is not finite as NaN."""
    real = np.abs(values) if values.dtype.kind == "c" else values
    real = real.astype(np.float32)
    return np.where(np.isfinite(real), real, np.float32(np.nan))
