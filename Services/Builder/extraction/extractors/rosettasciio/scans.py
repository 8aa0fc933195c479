"""Finds the scan that a series of diffraction patterns belongs to, where its reader has to be told of it.

EMD 1.0 (emdfile, py4DSTEM) has arrays of other kinds beside one another, which the EMD reader would put into one stack.
A TVIPS stream has a number in each frame's header that counts the points of the scan (``rotidx``, 0 without a scan).
"""

from __future__ import annotations

from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DIFFRACTION = 2
"""Mode of the microscope in the header of a TVIPS frame; 1 is imaging."""
_MOST_PARTS = 1000
EMD_EXTENSIONS = (".emd", ".de5")


def is_emd(path: Path) -> bool:
    """Return whether an HDF5 file is of the EMD format: by its extension, or by what emdfile writes into it."""
    if path.suffix.lower() in EMD_EXTENSIONS:
        return True
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return any("emd_group_type" in group.attrs for group in _upper_groups(file))
    except (OSError, RuntimeError, KeyError):  # damaged
        return False


def _upper_groups(file: Any) -> list[Any]:
    """Return the file and its upper groups: EMD 0.2 has its arrays below a folder (``data/scan``)."""
    below = _groups(file)
    return [file, *below, *(group for upper in below[:_MOST_PARTS] for group in _groups(upper)[:_MOST_PARTS])]


def _groups(file: Any) -> list[Any]:
    import h5py

    links = [name for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)]
    return [file[name] for name in links if isinstance(file[name], h5py.Group)]


def emd_options(path: Path) -> dict[str, Any]:
    """Return the EMD reader's arguments: the arrays of EMD 1.0 are read one by one."""
    import h5py

    with h5py.File(path, "r") as file:
        return {"stack_group": False} if "emd_group_type" in file.attrs else {}


def tvips_options(path: Path) -> dict[str, Any]:
    """Return the TVIPS reader's arguments: to arrange the frames as the square scan that their headers tell of.

    The reader can do that for square scans only; it takes other frames as a series.
    """
    try:
        points, mode = _points(path)
    except (OSError, ValueError, IndexError, KeyError):
        return {}  # the reader says what is wrong
    if mode != _DIFFRACTION or points.size < 4:
        return {}
    steps = np.diff(points)
    (moved,) = np.nonzero(steps)
    if not moved.size or np.any(steps < 0):
        return {}
    last = int(points[moved[-1] + 1])
    return {"scan_shape": "auto"} if last >= 4 and isqrt(last) ** 2 == last else {}


def _points(path: Path) -> tuple[NDArray[np.int64], int]:
    """Return the number of the scan's point in each frame of all parts of the stream, and the mode of the first."""
    from rsciio.tvips import _api

    header = np.fromfile(path, dtype=_api.TVIPS_RECORDER_GENERAL_HEADER, count=1)[0]
    fields = np.dtype(_api.TVIPS_RECORDER_FRAME_HEADER)
    length = fields.itemsize if header["version"] == 1 else int(header["frameheaderbytes"])
    pixels = int(header["dimx"]) * int(header["dimy"]) * int(header["bitsperpixel"]) // 8
    if length < fields.itemsize or pixels <= 0:
        raise ValueError("the header of the frames is shorter than known")
    record = np.dtype([("header", fields), ("rest", np.void, length - fields.itemsize + pixels)])
    numbers, mode = [], 0
    for part in range(_MOST_PARTS):
        file = path.with_name(f"{path.name[: -len('000.tvips')]}{part:03d}{path.suffix}")
        start = int(header["size"]) if part == 0 else 0
        if not file.is_file() or file.stat().st_size < start + record.itemsize:
            break
        there = (file.stat().st_size - start) // record.itemsize
        frames = np.memmap(file, mode="r", dtype=record, offset=start, shape=there)
        mode = mode or int(frames["header"]["mode"][0])
        numbers.append(frames["header"]["rotidx"].astype(np.int64))
    return np.concatenate(numbers), mode
