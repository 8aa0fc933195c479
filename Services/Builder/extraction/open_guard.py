"""Refuses files that a dataset names but does not own, while it is read.

Many formats may name another file: EMPAD's XML, OME-TIFF, JEOL's .ASW and others. Python reports every file
that Python code opens (audit event ``open``, PEP 578); libraries in C, HDF5 above all, do not, so `hostile` looks
into their files before. Landlock, where the kernel has it, stands behind both.

What libraries read for themselves, modules, fonts, units, time zones, is theirs to open. What is opened as an
instrument's data must lie below the dataset's own folder: a library's file is not an instrument's data.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import get_ident
from types import FrameType

from Services.Builder.extraction.extractors.cleaning import one_line

_READING_MODULES = frozenset(
    (
        *("Services", "NexusCore", "rsciio", "numpy", "tifffile", "PIL", "imageio", "h5py", "dask", "fsspec", "zarr"),
        *("numcodecs", "skimage"),
    )
)
"""Top names of modules that open what they are given; their own files they need at most while they are imported."""
_IMPORT = "import"
_IMPORTING = ("_frozen_importlib", "_frozen_importlib_external", "importlib")
_SOURCES = "linecache"
"""Reads lines of modules for the traceback that a reader logs; no file has a say in which."""
_own: tuple[str, ...] = ()
_allowed: tuple[str, ...] | None = None
_refused: list[str] = []
_guarded_thread: int | None = None
_watching = False


@contextmanager
def restrict_reads(
    folders: Sequence[str], libraries: Sequence[str] = (), everywhere: bool = True
) -> Iterator[list[str]]:
    """Refuse to open for reading what is not below the folders, until the block is left.

    Parameters
    ----------
    folders
        Beginnings of names, folders with a slash at their ends.
    libraries
        Likewise, for what only libraries open for themselves, as while a module is imported.
    everywhere
        In all threads of this process, which is there for reading alone; else in this one.

    Yields
    ------
    list of str
        What was refused so far, each once, on one line.
    """
    global _allowed, _own, _guarded_thread, _watching
    if not _watching:
        sys.addaudithook(_audit)  # for good: an audit hook cannot be removed
        _watching = True
    _refused.clear()
    before, _own, _allowed = (_own, _allowed), tuple(folders), tuple(libraries)
    _guarded_thread = None if everywhere else get_ident()
    try:
        yield _refused
    finally:
        _own, _allowed = before


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open" or _allowed is None or (_guarded_thread is not None and _guarded_thread != get_ident()):
        return
    path, _mode, flags = arguments
    if not isinstance(path, str | bytes) or (isinstance(flags, int) and _only_writes(flags)):
        return
    opened = os.fsdecode(path)
    if os.sep not in opened:  # from a folder that is open already, or the current one: the process's scratch folder
        return
    name = os.path.abspath(opened)  # noqa: PTH100 - pathlib would be slow here
    if _is_below(name, _own):
        return
    opener = _opener()
    if _is_below(name, _allowed) and opener not in _READING_MODULES:
        return
    shown = one_line(name)
    # what a library looks up about the process, or where modules or their settings might be, no file has named
    inquiry = name.startswith(("/proc/", "/sys/")) and opener not in _READING_MODULES
    if opener != _IMPORT and not inquiry and name not in sys.path and shown not in _refused:
        _refused.append(shown)
    raise PermissionError(errno.EACCES, "it is not one of the dataset's own files", shown)


def _is_below(name: str, folders: tuple[str, ...]) -> bool:
    return f"{name}{os.sep}".startswith(folders) or name in folders


def _opener() -> str:
    """Return the top name of the module that opens a file, past the standard library; `_IMPORT` during an import."""
    frame: FrameType | None = sys._getframe(2)
    opener = ""
    while frame is not None:
        top = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if top in _IMPORTING:
            return _IMPORT
        if top == _SOURCES:
            return _SOURCES
        if not opener and top not in sys.stdlib_module_names:
            opener = top
        frame = frame.f_back
    return opener


def _only_writes(flags: int) -> bool:
    """Return whether nothing that is there can be read: a new file, or one that is emptied."""
    created = os.O_CREAT | os.O_EXCL
    return flags & os.O_ACCMODE == os.O_WRONLY or bool(flags & os.O_TRUNC) or (flags & created) == created
