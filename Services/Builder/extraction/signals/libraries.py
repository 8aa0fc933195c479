"""Imports HyperSpy and exspy without the side effects of their imports.

At import each makes a folder in the home folder and writes its preferences there, reads those that are there, and
HyperSpy gives its logger a handler that writes to standard output. Preferences of whoever runs the service are none of
the facility's, and the home folder of a service may not exist.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from threading import RLock
from typing import Any

LOGGERS = ("hyperspy", "exspy")
_HOMES = ("HOME", "USERPROFILE")
_importing = RLock()


@cache
def hyperspy() -> Any:
    """Return the module `hyperspy.io`, whose `dict2signal` makes signals; raises ImportError without the package."""
    with _importing, _quietly():
        api = import_module("hyperspy.api")
        api.preferences.General.show_progressbar = False
        module = import_module("hyperspy.io")
        import_module("hyperspy._signals.lazy")
    _silence()
    return module


@cache
def exspy() -> Any:
    """Return the package exspy; raises ImportError without it."""
    hyperspy()
    with _importing, _quietly():
        package = import_module("exspy")
    _silence()
    return package


def _silence() -> None:
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False


@contextmanager
def _quietly() -> Iterator[None]:
    """Let a package take an empty folder for the home folder, as long as it is imported.

    The variable is the whole process's: what another thread looks up in the home folder at this moment, it does not
    find. matplotlib's list of fonts stays where it is, for it takes a second to make.
    """
    fonts = {} if "MPLCONFIGDIR" in os.environ else {"MPLCONFIGDIR": str(_font_lists())}
    folder = mkdtemp(prefix="nexuscore-home-")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        changed = {**dict.fromkeys(_HOMES, folder), **fonts}
        before = {name: os.environ.get(name) for name in changed}
        os.environ.update(changed)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            _remove(Path(folder))


def _remove(folder: Path) -> None:
    """Remove a folder without opening it, which is refused while a file is read (`open_guard`), as `shutil` would."""
    with suppress(OSError):
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                _remove(entry)
            else:
                entry.unlink()
        folder.rmdir()


def _font_lists() -> Path:
    """Return where matplotlib keeps its list of the fonts of this machine."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser(), "matplotlib")
