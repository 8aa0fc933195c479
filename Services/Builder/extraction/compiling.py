"""Compiles functions of readers that numba would otherwise compile in each process that reads such a file.

They are called once with a few values of the types that files have; numba keeps the result in its cache
(`NUMBA_CACHE_DIR`). Only a process that has read no file does this. `sparse` keeps nothing of itself: it is told to
when it is imported, which takes a second with numba and is left to the files that need it.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

COMPILING = (".emd", ".pts")
"""Extensions of files for which some readers compile functions with numba."""
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
    _mark(cache).touch()


def keep_compiled_sparse() -> None:
    """Have numba keep what it compiles of `sparse`, as soon as that is imported; safe to repeat."""
    if "sparse" not in sys.modules and not any(isinstance(finder, _SparseFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _SparseFinder())


class _SparseFinder(MetaPathFinder):
    """Finds `sparse` as all others do, and sees to it that it is set up once it has been imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "sparse":
            return None
        spec = PathFinder.find_spec(fullname, path, target)  # not removed here: to be found is not to be imported
        if spec is not None and spec.loader is not None:
            spec.loader = _SparseLoader(spec.loader)
        return spec


class _SparseLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _SparseFinder)]
        self._loader.exec_module(module)
        with suppress(Exception):  # a later release may be built otherwise: then it is compiled each time
            _set_up(module)


def _set_up(sparse: Any) -> None:
    from dask.array import register_chunk_type
    from numba.core.dispatcher import Dispatcher

    # which dask.array does itself where it finds the package; it has no types
    register_chunk_type(sparse.SparseArray)  # type: ignore[no-untyped-call]
    for name, module in list(sys.modules.items()):
        if name.startswith("sparse."):
            for function in list(vars(module).values()):
                if isinstance(function, Dispatcher):
                    function.enable_caching()


def _velox_spectra() -> None:
    """Read a stream of counts, as RosettaSciIO's reader of Velox files does, and draw it as previews are."""
    import numpy as np
    from rsciio.utils._fei_stream_readers import stream_to_sparse_COO_array

    stream = np.array([1, 1, 2, 65535, 0, 65535, 3, 65535, 65535, 2], dtype=np.uint16)
    for summed in (True, False):
        image = stream_to_sparse_COO_array(stream, (2, 2), 4, 1, sum_frames=summed)
        for step in (1, 2):
            image[..., ::step, ::step, ::step].compute(scheduler="synchronous")
