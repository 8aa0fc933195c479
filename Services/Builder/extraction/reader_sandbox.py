"""Confines a process that reads instrument files, since any of the files may be hostile.

It reads the instrument's folder in the file store, Python, its packages, and what every program reads of the system; it
writes into a scratch folder of its own; it has neither network nor programs to start, and an environment without the
service's passwords and tokens. The kernel enforces this (`NexusCore.confinement`,
`NexusCore.call_filter`).
"""

from __future__ import annotations

import compileall
import os
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import cache_from_source
from pathlib import Path

from NexusCore import call_filter, confinement
from Services.Builder.extraction.dataset_view import view_folder
from Services.Builder.extraction.preloading import COMPILED

KEPT = (
    *("PATH", "LANG", "LANGUAGE", "TZ", "TZDIR", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONUTF8", "PYTHONDEVMODE"),
    *("PYTHONWARNINGS", "HDF5_USE_FILE_LOCKING"),
)
"""Variables that a reader keeps, besides those of the language (``LC_*``); all others are taken away."""
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")
_FOLDERS = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
_HDF5 = ("HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX", "HDF5_EXTFILE_PREFIX")
"""Where HDF5 looks first for files that others name."""
_SYSTEM = (
    *("/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64", "/usr/local/lib", "/usr/local/lib64"),
    *("/usr/share", "/usr/local/share/fonts", "/etc/fonts", "/etc/ld.so.cache", "/etc/localtime", "/etc/timezone"),
    *("/etc/mime.types", "/etc/locale.alias", "/dev/urandom", "/dev/random", "/dev/zero"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems"),
    *("/sys/devices/system", "/sys/fs/cgroup"),
)
ANYONES = ("/usr/share/zoneinfo/", "/etc/localtime", os.devnull)
"""Beginnings of the names of files that any code may open: `zoneinfo` opens them on behalf of its caller."""
_OWN_STATE = ("status", "stat", "statm", "maps", "mountinfo", "cgroup")
_PROJECT = Path(__file__).resolve().parents[3]
_MODULES = (".py", ".so", ".dist-info", ".egg-info")

_entered: list[Path] = []


def environment(inherited: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Return the environment of a reader: what is known to be harmless, and folders in its scratch folder.

    Parameters
    ----------
    inherited
        The environment of the process that starts it.
    scratch
        The reader's own folder.
    """
    variables = {name: value for name, value in inherited.items() if name in KEPT or name.startswith("LC_")}
    return {
        **variables,
        **dict.fromkeys(_ONE_THREAD, "1"),
        **own_variables(scratch),
        "MPLCONFIGDIR": str(_font_lists(inherited)),
        "PYTHONPATH": os.pathsep.join(_searched()),
    }


def _searched() -> list[str]:
    """Return the folders that Python searches for modules, without one in which it was only started.

    Anyone may have put a module into the folder of an instrument, in which `python -m` was called.
    """
    paths = [os.path.abspath(path or os.curdir) for path in sys.path]  # noqa: PTH100 - "" is this folder
    here = os.path.realpath(os.curdir)
    if paths and not sys.flags.safe_path and os.path.realpath(paths[0]) == here != str(_PROJECT):
        del paths[0]
    return paths


def own_variables(scratch: Path) -> dict[str, str]:
    """Return the variables that name a reader's own folders, from which it works.

    numba and HDF5 remember theirs when they are imported, perhaps in a process that this one is forked from: theirs are
    relative to the current folder.
    """
    return {
        **dict.fromkeys(_FOLDERS, str(scratch)),
        **dict.fromkeys(_HDF5, view_folder(scratch).name),
        "NUMBA_CACHE_DIR": COMPILED,
    }


def prepare() -> None:
    """Do what cannot be done once the process is confined: matplotlib's list of fonts, and our modules' bytecode.

    Each is made where there is none yet; otherwise every process would make its own, in a second.
    """
    here = Path(__file__).parents[1]
    if not Path(cache_from_source(str(here / "preview" / "plots.py"))).exists():
        compileall.compile_dir(here, quiet=2)
    if any(_font_lists(os.environ).glob("fontlist-*.json")):
        return
    with suppress(Exception):  # no matplotlib, or a broken one: previews say so where they are drawn
        import_module("matplotlib.font_manager")


def own_scratch() -> Path | None:
    """Return the scratch folder of this process; None where it is not a confined one."""
    return _entered[0] if _entered else None


def enter(root: Path | None, scratch: Path) -> None:
    """Confine this process for good.

    Parameters
    ----------
    root
        Folder of the file store that may be read; None for none.
    scratch
        Folder that may be written.

    Raises
    ------
    OSError
        If the kernel can confine and refuses to.
    """
    _entered.append(scratch)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # a folder that is one dataset may have thousands of files
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folders, modules = _libraries()
    store, nothing = () if root is None else (root,), Path(os.devnull)
    confinement.confine(
        read=[*folders, *modules, *map(Path, _SYSTEM), Path("/proc/self"), _font_lists(os.environ), *store],
        look={module.parent for module in modules},
        # what the name leads to may be written, so it has to be the device
        write=[scratch, *([nothing] if nothing.is_char_device() else [])],
    )
    call_filter.refuse_calls()


@cache
def readable() -> tuple[str, ...]:
    """Return the beginnings of the names of files that libraries may open for themselves."""
    folders, modules = _libraries()
    places = (*folders, *modules, *map(Path, _SYSTEM), _font_lists(os.environ))
    state = (f"/proc/{process}/{name}" for process in ("self", os.getpid()) for name in _OWN_STATE)
    return (*(f"{place}{os.sep}" if place.is_dir() else str(place) for place in places), *state)


def _libraries() -> tuple[list[Path], list[Path]]:
    """Return Python's own folders, and the packages and modules that are found elsewhere.

    Of another folder that Python searches, only what can be imported: it may be the one a service was started in, and
    hold its settings, or be the root of the file system.
    """
    prefixes = [
        Path(prefix) for prefix in dict.fromkeys((sys.prefix, sys.base_prefix, sys.exec_prefix)) if prefix != os.sep
    ]
    # a package that was installed to be edited is found by its name, and not in a folder of `sys.path`
    loaded = {
        Path(module.__path__[0])
        for name, module in list(sys.modules.items())
        if "." not in name and _is_package(module)
    }
    modules = [module for module in loaded if not any(module.is_relative_to(prefix) for prefix in prefixes)]
    for entry in map(Path, dict.fromkeys(os.path.abspath(entry or os.curdir) for entry in sys.path)):  # noqa: PTH100
        if not any(entry.is_relative_to(prefix) for prefix in prefixes):
            with suppress(OSError):
                modules += [path for path in entry.iterdir() if _is_of_a_package(path)]
    return prefixes, modules


def _is_of_a_package(path: Path) -> bool:
    """Return whether it is a module, a package, or the folder of shared libraries that a wheel puts beside its own."""
    return path.suffix in _MODULES or (path / "__init__.py").is_file() or (path.suffix == ".libs" and path.is_dir())


def _is_package(module: object) -> bool:
    return bool(getattr(module, "__path__", None)) and getattr(module, "__file__", None) is not None


def _font_lists(inherited: Mapping[str, str]) -> Path:
    """Return where matplotlib keeps its list of the fonts of this machine."""
    if inherited.get("MPLCONFIGDIR"):
        return Path(inherited["MPLCONFIGDIR"])
    home = inherited.get("XDG_CACHE_HOME") or os.path.join(inherited.get("HOME") or os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118
    return Path(home, "matplotlib")
