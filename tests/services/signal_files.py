"""Small files of HyperSpy's formats that tests make: one signal or several, and a folder of chunks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from rsciio import hspy, msa, zspy

WRITERS = {".hspy": hspy, ".msa": msa, ".zspy": zspy}


def axis(size: int, name: str, units: str, scale: float = 1.0, navigate: bool = False) -> dict[str, Any]:
    return {
        "_type": "UniformDataAxis", "size": size, "name": name, "units": units, "scale": scale, "offset": 0.0,
        "navigate": navigate, "is_binned": False,
    }  # fmt: skip


def saved(path: Path, data: np.ndarray[Any, Any], axes: Sequence[dict[str, Any]], **metadata: dict[str, Any]) -> Path:
    """Write a file of HyperSpy's."""
    content = {
        "data": data, "axes": axes, "original_metadata": {}, "attributes": {"_lazy": False, "ragged": False},
        "metadata": {"General": {"title": ""}, "Signal": {"signal_type": ""}, **metadata}, "learning_results": {},
        "package_info": {"package": "hyperspy", "package_version": "2.0"}, "models": {}, "tmp_parameters": {},
    }  # fmt: skip
    quiet = {} if path.suffix == ".msa" else {"show_progressbar": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the writer's own, of the next version of Zarr
        WRITERS[path.suffix].file_writer(str(path), content, **quiet)
    return path


def image(path: Path, side: int = 8) -> Path:
    """Write an image; as .zspy it becomes a folder."""
    data = np.arange(float(side * side)).reshape(side, side)
    return saved(path, data, [axis(side, "y", "nm"), axis(side, "x", "nm")])


def several(path: Path, signals: int = 3) -> Path:
    """Write an .hspy file of several images, the last of which is the largest."""
    for number in range(signals):
        image(path.with_suffix(f".{number}.hspy"), 8 + number)
    with h5py.File(path, "w") as whole:
        for number in range(signals):
            part = path.with_suffix(f".{number}.hspy")
            with h5py.File(part) as single:
                whole.attrs.update(single.attrs)
                (name,) = single["Experiments"]
                single.copy(f"Experiments/{name}", whole, f"Experiments/signal {number}")
            part.unlink()
    return path


def date(path: Path, moment: float) -> None:
    """Have a file, or all files in a folder, be modified at a time in seconds since the epoch."""
    for one in path.rglob("*") if path.is_dir() else [path]:
        os.utime(one, (moment, moment))
