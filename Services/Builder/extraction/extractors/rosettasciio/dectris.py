"""Reads the frames of a DECTRIS detector (ARINA) from a master file, as many at a time as are asked for.

The master file follows NeXus' NXmx: ``entry/data`` links to the files of frames, ``entry/instrument/detector``
describes the detector, with the size of its pixels in ``x_pixel_size`` and ``y_pixel_size``. RosettaSciIO's reader
takes all frames into memory, which are tens of gigabytes, converts 32-bit counts to 16 bits, and reads none of this.

The shape of the scan is not stored: a square number of frames is a square scan, as RosettaSciIO takes it to be; any
other number a series. The step of the scan may be in a file that has the name of the master file without
``_master``: attribute ``Pixel Size`` of ``STEM Metadata``, in nm.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from math import inf, isqrt
from pathlib import Path
from typing import Any

CHUNK = 32 * 1024 * 1024
"""Bytes of frames that are read at a time, about."""
_MASTER = "_master"


def signals(path: Path) -> list[dict[str, Any]]:
    """Return the frames as RosettaSciIO's readers return a signal, with what the file says of the detector.

    Raises
    ------
    FileNotFoundError
        None of the files of frames is there.
    ValueError
        The master file names none.
    """
    import h5py

    with suppress(ImportError):
        import hdf5plugin  # noqa: F401 - the filters that the frames are packed with
    file = h5py.File(path, "r")  # stays open: the frames are read when they are asked for
    entry = file["entry"]
    parts = list(_parts(entry["data"]))
    if not parts:
        raise ValueError("it names no files of frames")
    data = _joined(parts)
    detector = entry.get("instrument/detector", {})
    pixels = [_pixel(detector, f"{letter}_pixel_size") for letter in "yx"]
    frame = [
        {"name": name, "size": size, "scale": pixel or 1.0, "offset": 0.0, "units": "m" if pixel else None,
         "navigate": False}
        for name, size, pixel in zip(("ky", "kx"), data.shape[-2:], pixels, strict=True)
    ]  # fmt: skip
    return [
        {
            "data": data,
            "axes": [*_scan(data.shape[:-2], _step(path)), *frame],
            "metadata": {"General": {}, "Signal": {"signal_type": "electron_diffraction"}},
            "original_metadata": {"entry": _tree(entry)},
        }
    ]


def _parts(group: Any) -> Iterator[Any]:
    """Yield the arrays of frames, in order; what is missing is left out, unless it is all."""
    import h5py

    missing, there = [], 0
    for name in sorted(group):
        link = group.get(name, getlink=True)
        try:
            part = group[name]
        except (KeyError, OSError):
            missing.append(getattr(link, "filename", name))
            continue
        if isinstance(part, h5py.Dataset) and part.ndim == 3 and part.size:
            there += 1
            yield part
    if missing and not there:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), missing[0])


def _joined(parts: list[Any]) -> Any:
    """Return the frames of all files as one array that is read when it is needed."""
    from dask.array import concatenate, from_array

    frames = sum(part.shape[0] for part in parts)
    side = isqrt(frames)
    height, width = parts[0].shape[1:]
    at_a_time = max(1, CHUNK // (height * width * parts[0].dtype.itemsize))
    square = side * side == frames and frames > 1
    if square and side <= at_a_time:
        at_a_time = max(side, at_a_time // side * side)  # whole lines of the scan
    arrays = [
        from_array(part, chunks=(at_a_time, height, width))  # type: ignore[no-untyped-call] # dask leaves it untyped
        for part in parts
        if part.shape[1:] == (height, width)
    ]
    data = concatenate(arrays) if len(arrays) > 1 else arrays[0]  # type: ignore[no-untyped-call]
    return data.reshape(side, side, height, width) if square and data.shape[0] == frames else data


def _scan(shape: tuple[int, ...], step: float | None) -> list[dict[str, Any]]:
    if len(shape) == 1:
        return [{"name": "frame", "size": shape[0], "scale": 1.0, "offset": 0.0, "units": None, "navigate": True}]
    return [
        {"name": name, "size": size, "scale": step or 1.0, "offset": 0.0, "units": "nm" if step else None,
         "navigate": True}
        for name, size in zip("yx", shape, strict=True)
    ]  # fmt: skip


def _pixel(detector: Any, name: str) -> float | None:
    """Return the size of a pixel in m; None where it is not known, or in another unit."""
    import h5py

    pixel = detector.get(name) if isinstance(detector, h5py.Group) else None
    if not isinstance(pixel, h5py.Dataset) or pixel.size != 1:
        return None
    unit = pixel.attrs.get("units", b"m")
    unit = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else str(unit)
    try:
        size = float(pixel[()].item())
    except (AttributeError, TypeError, ValueError):  # a text, or a number with parts
        return None
    return size if 0 < size < inf and unit == "m" else None


def _step(path: Path) -> float | None:
    """Return the step of the scan in nm from the file beside the master file."""
    import h5py

    beside = path.with_name(f"{path.stem.removesuffix(_MASTER)}{path.suffix}")
    if beside == path or not beside.is_file():
        return None
    try:
        with h5py.File(beside, "r") as file:
            step = float(file["STEM Metadata"].attrs["Pixel Size"][0])
    except (OSError, KeyError, ValueError, TypeError, IndexError):
        return None
    return step if step > 0 else None


_LONGEST = 64
"""Elements of an array that is kept among the metadata: tables of corrections and masks of pixels are not."""
_LARGEST = 1024 * 1024
"""Bytes of one, where its elements are texts."""
_DEEPEST = 32
"""Groups within groups that are looked through."""


def _tree(group: Any, above: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Return the values of a group and those below it, without the frames and large tables; no link is followed.

    A group that is also below itself is left out there.
    """
    import h5py

    tree: dict[str, Any] = {}
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        child = group[name]
        if isinstance(child, h5py.Group):
            if len(above) < _DEEPEST and child not in (group, *above):
                tree[name] = _tree(child, (group, *above))
        elif isinstance(child, h5py.Dataset) and _is_short(child):
            value = child[()]
            tree[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return tree


def _is_short(dataset: Any) -> bool:
    size = dataset.size
    return size is not None and size <= _LONGEST and size * dataset.dtype.itemsize <= _LARGEST
