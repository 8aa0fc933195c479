"""Compiles functions of readers that numba would otherwise compile in each process that reads such a file.

They are called once with a few values of the types that files have; numba keeps the result in its cache
(`NUMBA_CACHE_DIR`). Only a process that has read no file does this.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from contextlib import suppress
from pathlib import Path

from Services.Builder.extraction.preloading import COMPILED

_PACKAGES = ("rosettasciio", "sparse", "numba", "numpy")


def _mark(cache: Path) -> Path:
    versions = [platform.machine(), f"python{sys.version_info.major}.{sys.version_info.minor}"]
    for package in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package}{importlib.metadata.version(package)}")
    return cache / f"compiled-{'-'.join(versions)}"


def is_filled(cache: Path) -> bool:
    """Return whether all has been compiled for the packages that are installed."""
    return _mark(cache).exists()


def fill(cache: Path) -> None:
    """Compile what is not compiled yet, in the folder for caches of `preloading.use_cache_folder`."""
    with suppress(ImportError):
        _velox_spectra()
    (cache / COMPILED).mkdir(exist_ok=True)
    _mark(cache).touch()


def _velox_spectra() -> None:
    """Read a stream of counts, as RosettaSciIO's reader of Velox files does, and draw it as previews are."""
    import numpy as np
    from rsciio.utils._fei_stream_readers import stream_to_sparse_COO_array

    stream = np.array([1, 1, 2, 65535, 0, 65535, 3, 65535, 65535, 2], dtype=np.uint16)
    for summed in (True, False):
        image = stream_to_sparse_COO_array(stream, (2, 2), 4, 1, sum_frames=summed)
        for step in (1, 2):
            image[..., ::step, ::step, ::step].compute(scheduler="synchronous")
