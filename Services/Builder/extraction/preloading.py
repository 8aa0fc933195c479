"""What a process that reads files imports before its first one, and the caches that make that quick.

Processes that are forked from one that has it (`fork_server_process`) get all of this for nothing. What only a few
files need is left to those: `sparse`, with numba, for the spectra of Velox, takes longer than all the rest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from Services.Builder.extraction import preloaded
from Services.Builder.extraction.compiling import keep_compiled_sparse
from Services.Builder.extraction.jobs import ReadFunction

ALWAYS = (
    "Services.Builder.extraction.extract",
    "Services.Builder.extraction.extractors.rosettasciio.read",
)
"""Modules that every file needs."""
LIBRARIES = (
    *("h5py", "hdf5plugin", "imagecodecs", "lxml.etree", "tifffile", "zoneinfo", "dateutil.parser"),
    *("PIL.Image", "PIL.ImageDraw", "PIL.ImageFont", "PIL.PngImagePlugin", "PIL.JpegImagePlugin"),
    *("rsciio.utils._units", "Services.Builder.preview.pictures", "Services.Builder.preview.plots"),
    "Services.Builder.preview.text",
)
"""Modules that many files need; one that is not installed is left out."""
READERS = (*("bruker", "digitalmicrograph", "emd", "image", "mrc", "msa", "quantumdetector", "ripple", "tia", "tiff"),)
"""Readers of RosettaSciIO for the formats that microscopes write most; none that imports numba."""
_ONLY_KNOWN = ("sparse", "scipy.sparse", "scipy.fftpack")
"""Modules whose arrays dask.array knows if they are there."""
_FOR_PLOTS_IN_SPACE = ("mpl_toolkits.mplot3d",)
_NEVER_USED = ("numba", "ssl")
"""Modules that HyperSpy's import takes if they are there: encrypted connections, which no process that reads makes."""
_RARELY_USED = ("sympy", "requests", "fontTools.agl")
"""Modules for formulas, for a data base on the web, and for the names of letters in PostScript."""
COMPILED, _UNITS = "numba", "units"
"""Folders in that for caches: of compiled functions, and of definitions of units."""


def preload(function: str, everything: bool = False, cache: Path | None = None) -> ReadFunction:
    """Import what a reading process needs; return what it calls.

    Parameters
    ----------
    function
        ``module:function``, as for `Workers`.
    everything
        Import what many files need, not only what each needs.
    cache
        Folder of `use_cache_folder`.
    """
    # Dask looks for a cluster at every computation, if that package is there: 0.2 s to find that a child has none.
    sys.modules.setdefault("distributed", None)  # type: ignore[arg-type]  # importing it fails then
    module, _, attribute = function.partition(":")
    work: ReadFunction = getattr(import_module(module), attribute)
    if module.startswith("Services.Builder."):  # what the first file would otherwise wait for
        for name in ALWAYS:
            import_module(name)
    if everything:
        share_units(cache)
        _import_dask()
        # whatever goes wrong here, such as for lack of room for a folder, the files that need it say so
        with _not_found(*_FOR_PLOTS_IN_SPACE), _imported_when_used(*_RARELY_USED), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # matplotlib's, that there are no plots in space
            for name in (*LIBRARIES, *(f"rsciio.{reader}._api" for reader in READERS)):
                with suppress(Exception):
                    import_module(name)
        # half a second, for functions that nothing here calls; and as long for formulas that hardly anything asks for
        with suppress(Exception), _not_found(*_NEVER_USED), _imported_when_used(*_RARELY_USED):
            preloaded.preload()
        with suppress(Exception):
            _draw_spectrum()
    return work


def cache_folder(inherited: Mapping[str, str]) -> Path:
    """Return the folder of this user for what reading processes compile once."""
    home = inherited.get("XDG_CACHE_HOME") or os.path.join(inherited.get("HOME") or os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118
    return Path(home, "nexuscore", "readers")


def use_cache_folder(cache: Path) -> Path | None:
    """Make the folder and let numba compile into it; return None where it cannot be used.

    What is in it is run by those that load it: it must belong to this user.
    """
    try:
        for folder in (cache, cache / COMPILED, cache / _UNITS):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            state = folder.stat()
            if state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) & 0o022:
                return None
        os.symlink(cache / COMPILED, COMPILED)  # noqa: PTH211 - in the current folder, where numba looks
    except OSError:
        return None
    return cache


def copy_compiled(cache: Path, scratch: Path) -> None:
    """Give a reading process compiled functions of its own: it may change these, but not those of the others."""
    with suppress(OSError, shutil.Error):
        shutil.copytree(cache / COMPILED, scratch / COMPILED, copy_function=shutil.copyfile, dirs_exist_ok=True)


def _draw_spectrum() -> None:
    """Draw a small spectrum: the first plot of a process takes three times as long as the others."""
    import numpy as np

    from Services.Builder.extraction.extractors.kinds import kind_of
    from Services.Builder.extraction.extractors.signal import Axis, Reading, Signal
    from Services.Builder.preview import png

    signal = Signal(np.arange(4.0), (Axis(4, "Energy", "keV"),), signal_type="EDS_TEM")
    reading = Reading("", "", (signal,), {})
    png(reading, kind_of(reading, ""))


def _import_dask() -> None:
    """Import dask.array without what it would import only to know the types of arrays: a second and a half.

    It gets to know `sparse` when a reader imports that.
    """
    with suppress(ImportError), _not_found(*_ONLY_KNOWN):
        import_module("dask.array")
    keep_compiled_sparse()


@contextmanager
def _not_found(*names: str) -> Iterator[None]:
    """Have modules that have not been imported yet seem not to be installed, until the block is left."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # importing them fails then
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


class _StandIn(ModuleType):
    """A module that imports the one of its name when something in it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


@contextmanager
def _imported_when_used(*names: str) -> Iterator[None]:
    """Give those that import some modules within the block stand-ins of them, which they keep."""
    stand_ins = {name: _StandIn(name) for name in names if name not in sys.modules and _is_installed(name)}
    sys.modules.update(stand_ins)
    for name, stand_in in stand_ins.items():
        package, _, last = name.rpartition(".")
        if package:  # as an import would
            setattr(sys.modules[package], last, stand_in)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


def _is_installed(name: str) -> bool:
    with suppress(ImportError):  # of its package
        return find_spec(name) is not None
    return False


def share_units(cache: Path | None) -> None:
    """Make one registry of units, from a cache of its definitions, for RosettaSciIO, HyperSpy and us."""
    try:
        import pint
    except ImportError:
        return
    made: Any = pint.UnitRegistry
    registry = _registry(made, None if cache is None else cache / _UNITS / _installation(pint.__file__))
    pint.set_application_registry(registry)  # type: ignore[no-untyped-call] # pint leaves it untyped
    pint.UnitRegistry = partial(_same, registry, made)  # type: ignore[misc,assignment]
    try:
        import_module("rsciio.utils._units")  # which makes one for itself
    except ImportError:
        pass
    finally:
        pint.UnitRegistry = made  # type: ignore[misc]


def _installation(file: str) -> str:
    """Return a name for the folder that a package is installed in.

    pint finds what it has cached by the content of its own files, but keeps their paths in it: they are those of
    another installation, perhaps one that is gone.
    """
    return hashlib.sha256(os.fsencode(os.path.abspath(file))).hexdigest()[:16]  # noqa: PTH100 - links stay links


def _registry(made: Any, folder: Path | None) -> Any:
    """Make a registry from what is cached, or without that where it is damaged or finds no room."""
    if folder is not None:
        try:
            return made(cache_folder=str(folder))
        except Exception:  # noqa: BLE001 - what a damaged pickle raises, or what it was made into
            shutil.rmtree(folder, ignore_errors=True)
    return made(cache_folder=None)


def _same(registry: Any, made: Any, *arguments: Any, **options: Any) -> Any:
    """Return the registry where one with the usual definitions is asked for."""
    return made(*arguments, **options) if arguments or options else registry
