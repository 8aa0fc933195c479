"""Looks into a drop folder: what files there are, without following any link."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from NexusCore.text import shortened

MOST_DEPTH = 64
"""Folders within folders that are looked into."""
LONGEST_SHOWN = 200
"""Characters of a path in a sentence."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A file in a drop folder."""

    folder: tuple[str, ...]
    """Names of the folders between the inbox and the file."""
    name: str
    size: int
    """Bytes."""
    modified_ns: int
    """Nanoseconds since the epoch."""
    changed_ns: int = 0
    """When its state was last changed, by the clock of its file system."""
    inode: int = 0
    fault: str | None = None
    """Why it is not a file that can be filed."""

    @property
    def path(self) -> str:
        """Path below the inbox."""
        return "/".join((*self.folder, self.name))

    @property
    def modified_ts(self) -> int:
        """Microseconds since the epoch."""
        return self.modified_ns // 1000


@dataclass(frozen=True, slots=True)
class Scan:
    """What one look found."""

    files: tuple[Found, ...]
    """In order of path."""
    beside: frozenset[str]
    """Paths of all names, those that were left out too: markers and locks are among them."""
    unreadable: tuple[str, ...] = ()
    """A sentence for each folder that could not be looked into."""


def scan(root: Path, ignore: Sequence[str], *, subfolders: bool, stop: Callable[[], bool] = lambda: False) -> Scan:
    """Look into a drop folder.

    Parameters
    ----------
    root
        The folder; its own path may have links.
    ignore
        Patterns of names that are left out, with everything in them.
    subfolders
        Whether to look into folders in it.
    stop
        Whether to give up; the result is then not complete.

    Raises
    ------
    OSError
        If the folder itself cannot be read.
    """
    walk = _Walk(ignore, subfolders, stop)
    top = os.open(root, _FOLDER)
    try:
        walk.look(top, ())
    finally:
        os.close(top)
    return Scan(tuple(sorted(walk.files, key=_order)), frozenset(walk.beside), tuple(walk.unreadable))


class _Walk:
    """A walk through a folder; each folder is opened from the one above it."""

    def __init__(self, ignore: Sequence[str], subfolders: bool, stop: Callable[[], bool]) -> None:
        self._ignored = re.compile("|".join(map(fnmatch.translate, ignore)) or r"(?!)", re.IGNORECASE)
        self._subfolders = subfolders
        self._stop = stop
        self.files: list[Found] = []
        self.beside: set[str] = set()
        self.unreadable: list[str] = []

    def look(self, descriptor: int, folder: tuple[str, ...]) -> None:
        """Look into an open folder, and those in it."""
        inner: list[str] = []
        prefix = "".join(f"{name}/" for name in folder)
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if self._stop():
                    return
                self.beside.add(prefix + entry.name)
                if self._ignored.match(entry.name):
                    continue
                try:
                    state = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # removed meanwhile
                    continue
                if stat.S_ISDIR(state.st_mode):
                    inner.append(entry.name)
                else:
                    self.files.append(_found(folder, entry.name, state))
        for name in sorted(inner) if self._subfolders else ():
            self._below(descriptor, folder, name)

    def _below(self, descriptor: int, folder: tuple[str, ...], name: str) -> None:
        path = "/".join((*folder, name))
        if len(folder) >= MOST_DEPTH:
            path = shortened(path, LONGEST_SHOWN)
            self.unreadable.append(f"{path} is not looked into: it is more than {MOST_DEPTH} folders deep")
            return
        try:
            below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            try:
                self.look(below, (*folder, name))
            finally:
                os.close(below)
        except FileNotFoundError:
            return
        except OSError as error:
            self.unreadable.append(f"{shortened(path, LONGEST_SHOWN)} cannot be read: {error.strerror or error}")


def invented(names: Iterable[str], root: Path) -> Scan:
    """Return what a look would find if there were files with these paths; empty lines are passed over.

    Parameters
    ----------
    names
        Paths below the drop folder, or absolute ones.
    root
        The drop folder.
    """
    files = []
    for line in names:
        inside = line.removeprefix(f"{root}/")
        *folder, name = inside.split("/")
        if name:
            elsewhere = inside.startswith("/")
            parts = tuple(part for part in folder if part)
            fault = f"it is not below {root}" if elsewhere else None
            files.append(Found(("", *parts) if elsewhere else parts, name, 1, 0, fault=fault))
    return Scan(tuple(sorted(dict.fromkeys(files), key=_order)), frozenset())


def _order(found: Found) -> tuple[tuple[str, ...], str]:
    return found.folder, found.name


def _found(folder: tuple[str, ...], name: str, state: os.stat_result) -> Found:
    fault = None
    if not stat.S_ISREG(state.st_mode):
        kind = next((kind for test, kind in _KINDS if test(state.st_mode)), "not a file")
        fault = f"it is {kind}; only files are filed"
    elif state.st_nlink > 1:
        # It may be another user's file, of which a copy would make the content known.
        fault = f"it has {state.st_nlink} names (hard links), so it may be another file, too"
    return Found(folder, name, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, fault)
