"""Puts the samples of a TIFF's pixels where they belong: RosettaSciIO takes them for colours only in one arrangement.

TIFF 6.0 lets the samples of a pixel stand together (chunky) or each in a plane of its own (planar). Its reader knows
colours where they stand together and are RGB; planar ones it gives up, and others it takes for columns of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_CHANNELS = "RGBA"


def arrange_samples(path: Path, signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the TIFF reader returned, one dictionary a series, with the samples arranged.

    Colours become one value of a structured type; other samples (a picture with its opacity, inks) a stack of images.
    """
    if not any(
        signal["data"].dtype.names or any(axis["name"] == "sample" for axis in signal["axes"]) for signal in signals
    ):
        return list(signals)  # a pixel is one value; looking through many pages again would take long
    from tifffile import TiffFile

    with TiffFile(path) as file:
        series = list(file.series)
    if len(series) != len(signals):
        return list(signals)
    return [
        _arrange_series(path, number, of, signal)
        for number, (of, signal) in enumerate(zip(series, signals, strict=True))
    ]


def _arrange_series(path: Path, number: int, series: Any, signal: dict[str, Any]) -> dict[str, Any]:
    place = series.axes.find("S")
    if place < 0 or (signal["data"].dtype.names and place == len(series.shape) - 1):
        return signal
    coloured = series.keyframe.photometric.name in ("RGB", "YCBCR") and series.shape[place] in (3, 4)
    if not coloured:
        axes = [{**axis, "navigate": series.axes[at] not in "YX"} for at, axis in enumerate(signal["axes"])]
        return {**signal, "axes": axes}
    dimensions = [at for at in range(len(series.shape)) if at != place]
    stated = {str(axis["name"]): axis for axis in signal["axes"]}
    height = stated.get("height", signal["axes"][0])
    axes = [
        {**stated.get(name, height), "name": name, "size": series.shape[at], "navigate": series.axes[at] not in "YX"}
        for at in dimensions
        for name in [{"Y": "height", "X": "width"}.get(series.axes[at], "page")]
    ]
    return {**signal, "axes": axes, "data": _colours(path, number, series, place)}


def _colours(path: Path, number: int, series: Any, place: int) -> Any:
    """Return the colours as an array that is read when it is needed."""
    from dask.array import from_delayed
    from dask.delayed import delayed

    kind = np.dtype([(name, series.dtype) for name in _CHANNELS[: series.shape[place]]])
    shape = tuple(length for at, length in enumerate(series.shape) if at != place)
    wanted = delayed(_read, pure=True)(path, number, place, kind)
    return from_delayed(wanted, shape=shape, dtype=kind)  # type: ignore[no-untyped-call] # dask leaves it untyped


def _read(path: Path, number: int, place: int, kind: np.dtype[Any]) -> np.ndarray:
    from tifffile import TiffFile

    with TiffFile(path) as file:
        pixels = np.ascontiguousarray(np.moveaxis(file.series[number].asarray(), place, -1))
    return pixels.astype(kind[0], copy=False).view(kind)[..., 0]
