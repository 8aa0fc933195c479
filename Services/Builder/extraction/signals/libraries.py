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
        import_module("hyperspy._signals.lazy")
        return import_module("hyperspy.io")


@cache
def exspy() -> Any:
    """Return the package exspy; raises ImportError without it."""
    hyperspy()
    with _importing, _quietly():
        return import_module("exspy")


@contextmanager
def _quietly() -> Iterator[None]:
    """Let a package take an empty folder for the home folder, as long as it is imported, and no handlers of its own.

    The variable is the whole process's: what another thread looks up in the home folder at this moment, it does not
    find. matplotlib's list of fonts stays where it is, for it takes a second to make.
    """
    fonts = {} if "MPLCONFIGDIR" in os.environ else {"MPLCONFIGDIR": str(_font_lists())}
    loggers = [logging.getLogger(name) for name in LOGGERS]
    handlers = [logger.handlers or [logging.NullHandler()] for logger in loggers]
    folder = mkdtemp(prefix="nexuscore-home-")
    changed = {**dict.fromkeys(_HOMES, folder), **fonts}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        for logger, own in zip(loggers, handlers, strict=True):
            logger.handlers, logger.propagate = own, False
        _remove(folder)


def _remove(folder: str) -> None:
    """Remove a folder with what is in it, and open nothing for that: while a file is read, `open_guard` refuses it."""
    for place, _folders, files in os.walk(folder, topdown=False):
        with suppress(OSError):
            for name in files:
                os.unlink(os.path.join(place, name))  # noqa: PTH108, PTH118 - names as the walk has them
            os.rmdir(place)  # noqa: PTH106 - as above


def _font_lists() -> Path:
    """Return where matplotlib keeps its list of the fonts of this machine."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser(), "matplotlib")
