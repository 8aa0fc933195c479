"""Takes from an array, which may lie on disk and be larger than the memory, what a preview can show of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_VALUES = 16_000_000
"""Values that are fetched at most for one picture."""

SampledValues = NDArray[Any]


def fetched(data: Any, *indexes: Sequence[slice | int]) -> list[SampledValues]:
    """Return parts of a numpy or dask array as numpy arrays; what several of them need from disk is read once."""
    parts = [data[tuple(index)] for index in indexes]
    if hasattr(data, "dask"):
        from dask.base import compute

        # in this thread: others would each hold a chunk, and the memory of a worker is bounded
        parts = list(compute(*parts, scheduler="synchronous"))  # type: ignore[no-untyped-call] # dask has no types
    return [np.asarray(part.todense() if hasattr(part, "todense") else part) for part in parts]


def strided(shape: Sequence[int], most: Mapping[int, int]) -> list[slice]:
    """Return slices that leave at most `most[dimension]` evenly spaced elements of each dimension named.

    Parameters
    ----------
    shape
        Lengths of the dimensions.
    most
        Elements to leave, by the number of the dimension.
    """
    return [slice(None, None, max(1, ceil(length / most.get(at, length)))) for at, length in enumerate(shape)]


def plane(data: Any, dimensions: tuple[int, int], fixed: Mapping[int, int], most: int) -> SampledValues:
    """Return two dimensions of an array as rows and columns, thinned to about `most` each.

    Parameters
    ----------
    data
        numpy or dask array.
    dimensions
        Those of the rows and of the columns; twice the same where there is one only.
    fixed
        Position on the others; their middle by default.
    most
        Rows and columns; the picture is averaged from at least as many as it shows.
    """
    index: list[slice | int] = list(strided(data.shape, dict.fromkeys(dimensions, most)))
    for at, length in enumerate(data.shape):
        if at not in dimensions:
            index[at] = fixed.get(at, length // 2)
    (values,) = fetched(data, index)
    if dimensions[0] == dimensions[1]:  # a lone dimension, of colours, is a single row
        return values[np.newaxis, :]
    return values if dimensions[0] < dimensions[1] else values.swapaxes(0, 1)


def reduced(values: SampledValues, most: int) -> SampledValues:
    """Return rows and columns as the means of blocks, at least `most` of each where there are as many."""
    down, across = (max(1, length // most) for length in values.shape)
    if down == across == 1:
        return values
    rows, columns = values.shape[0] // down, values.shape[1] // across
    blocks = values[: rows * down, : columns * across].reshape(rows, down, columns, across)
    mean: SampledValues = blocks.mean(axis=(1, 3))
    return mean


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean to be taken over all dimensions but some."""

    keep: tuple[int, ...]
    """Dimensions of the result, in this order."""
    most: int | None = None
    """Elements of each of them that are wanted at most."""


def means(data: Any, *wanted: Mean) -> list[SampledValues]:
    """Return means of an array, each from an evenly spaced sample of at most about `MOST_VALUES` values."""
    samples = fetched(data, *(_sample(data.shape, wish) for wish in wanted))
    return [_mean(numbers(sample), wish.keep) for sample, wish in zip(samples, wanted, strict=True)]


def _sample(shape: Sequence[int], wanted: Mean) -> list[slice]:
    limits = {at: min(shape[at], wanted.most or shape[at]) for at in wanted.keep}
    averaged = [at for at in range(len(shape)) if at not in wanted.keep]
    room = MOST_VALUES / max(1, prod(limits.values()))
    excess = prod(shape[at] for at in averaged) / max(1.0, room)
    if averaged and excess > 1:
        limits.update({at: max(1, int(shape[at] / excess ** (1 / len(averaged)))) for at in averaged})
    return strided(shape, limits)


def _mean(values: NDArray[np.float32], keep: tuple[int, ...]) -> SampledValues:
    gone = tuple(at for at in range(values.ndim) if at not in keep)
    with np.errstate(all="ignore"):
        known = np.isfinite(values)
        total = np.where(known, values, 0).sum(axis=gone, dtype=np.float64)
        result: SampledValues = total / np.maximum(known.sum(axis=gone), 1)
    return result.transpose([sorted(keep).index(at) for at in keep])


def numbers(values: SampledValues) -> NDArray[np.float32]:
    """Return values as real numbers: the modulus of complex ones, what is not finite as NaN."""
    real = np.abs(values) if values.dtype.kind == "c" else values
    real = real.astype(np.float32)
    return np.where(np.isfinite(real), real, np.float32(np.nan))
