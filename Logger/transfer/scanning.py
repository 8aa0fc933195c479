"""Scans of the watched folders: a scan is the truth about which files there are.

Promises
--------
* Links are not followed; nothing is opened, created or changed.
* A folder that cannot be read is reported with its reason, and has no effect on the rest.
* A folder that does not answer holds up the scan for `SCAN_SECONDS` at most, and no other folder.
"""

from __future__ import annotations

import fnmatch
import ntpath
import os
import queue
import re
import stat
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, NamedTuple, Sequence

SCAN_SECONDS = 60.0
DATASET_FOLDERS = (".zspy", ".zarr")
"""Endings of folders that are one dataset: nothing in them is left out, for Zarr's own files begin with a dot."""
SILENT = "it does not answer"
_LINK_ON_WINDOWS = 0x400
"""FILE_ATTRIBUTE_REPARSE_POINT: a folder that leads elsewhere, which Python 3.8 does not take for a link."""


class Signature(NamedTuple):
    """What a scan sees of a file; unchanged as long as all of it is."""

    size: int
    mtime_ns: int
    identity: str
    """Device and inode; empty where the system does not tell in a scan."""


@dataclass(frozen=True)
class FolderScan:
    """What is in a watched folder."""

    files: dict[str, Signature] = field(default_factory=dict)
    """By path, relative to the folder, with forward slashes."""
    newest: dict[str, int] = field(default_factory=dict)
    """By path: when a file was last changed or created, in nanoseconds since the epoch; see `newest_of`."""
    unread: dict[str, str] = field(default_factory=dict)
    """Folders in it that could not be read, and why; the folder itself is ``""``."""
    unsure: set[str] = field(default_factory=set)
    """Folders of which something went while they were read: whether that, or a folder above it, is not known."""
    disk: str = ""
    """The disk or share that the folder is on; empty where that is not known."""

    @property
    def unseen(self) -> set[str]:
        """All folders of which the scan does not know what is in them."""
        return self.unsure.union(self.unread)

    def covers(self, path: str) -> bool:
        """Return whether the scan has seen the place of a file, so that a missing file is a file that is gone."""
        return not any(is_below(path, folder) for places in (self.unread, self.unsure) for folder in places)


class Scanner:
    """Scans one watched folder, on a thread that is left behind if the folder does not answer.

    Parameters
    ----------
    root
        Path of the folder.
    ignore
        Patterns of names, as of `fnmatch`, in upper or lower case.
    limit
        Seconds for a scan.
    """

    def __init__(self, root: str, ignore: Sequence[str], limit: float = SCAN_SECONDS) -> None:
        self.root = root
        self._ignored = matcher(ignore)
        self._limit = limit
        self._thread: threading.Thread | None = None

    def scan(self) -> FolderScan:
        """Return what is there now."""
        if self._thread is not None and self._thread.is_alive():
            return FolderScan(unread={"": SILENT})
        answers: queue.SimpleQueue[FolderScan] = queue.SimpleQueue()
        deadline = time.monotonic() + self._limit
        self._thread = threading.Thread(
            target=lambda: answers.put(scan(self.root, self._ignored, deadline)), name="scan", daemon=True
        )
        self._thread.start()
        try:
            return answers.get(timeout=self._limit)
        except queue.Empty:
            return FolderScan(unread={"": SILENT})


def scan(root: str, ignored: Callable[[str], bool], deadline: float = float("inf")) -> FolderScan:
    """Return what is in a folder; give up at a moment of the monotonic clock, with the rest as unread."""
    found = FolderScan(disk=disk_of(root))
    unread = found.unread
    folders: list[tuple[str, bool]] = [("", False)]
    while folders:
        folder, whole = folders.pop()
        if time.monotonic() > deadline:
            unread[folder] = SILENT
            continue
        try:
            with os.scandir(native(root, folder)) as entries:
                for entry in entries:
                    if not whole and ignored(entry.name):
                        continue
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    _look(entry, path, found, folders, whole)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path of the settings
            unread[folder] = getattr(error, "strerror", None) or str(error)
    if disk_of(root) != found.disk:  # it went, or came, in the middle of this
        found.unsure.add("")
    return found


def _look(entry: os.DirEntry[str], path: str, found: FolderScan, folders: list[tuple[str, bool]], whole: bool) -> None:
    try:
        if entry.is_file(follow_symlinks=False):
            state = entry.stat(follow_symlinks=False)
            found.files[path] = Signature(state.st_size, state.st_mtime_ns, _identity(state))
            found.newest[path] = newest_of(state)
        elif entry.is_dir(follow_symlinks=False):
            attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
            if not attributes & _LINK_ON_WINDOWS:
                folders.append((path, whole or entry.name.lower().endswith(DATASET_FOLDERS)))
        else:
            entry.stat(follow_symlinks=False)  # what is gone is neither file nor folder: this tells it from a pipe
    except FileNotFoundError:
        # If the folder itself is away for a moment, this is so for all that was in it.
        found.unsure.add(path.rpartition("/")[0])
    except OSError as error:
        found.unread[path] = error.strerror or str(error)


def look(root: str, path: str) -> Signature | None:
    """Return what a file is now; None if there is no such file."""
    try:
        state = os.lstat(native(root, path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Signature(state.st_size, state.st_mtime_ns, _identity(state)) if stat.S_ISREG(state.st_mode) else None


def disk_of(root: str) -> str:
    """Return which disk or share a watched folder is on; empty if the folder cannot be reached."""
    try:
        state = Path(native(root)).stat()
    except (OSError, ValueError):  # ValueError: a NUL in the path of the settings
        return ""
    return str(state.st_dev) if stat.S_ISDIR(state.st_mode) else ""


def newest_of(state: os.stat_result) -> int:
    """Return when a file was last changed or created, in nanoseconds since the epoch.

    It is the newer one of its modification and, on Windows, its creation, or elsewhere the last change of its entry,
    which no program can set back.
    """
    return max(state.st_mtime_ns, state.st_ctime_ns)


def same(first: Signature, second: Signature) -> bool:
    """Return whether two looks at a file saw the same; an identity that is not known makes no difference."""
    if first[:2] != second[:2]:
        return False
    return first.identity == second.identity or not first.identity or not second.identity


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a function that tells whether a name matches one of the patterns, in upper or lower case."""
    alternatives = "|".join(fnmatch.translate(pattern) for pattern in patterns) or r"(?!)"
    expression = re.compile(alternatives, re.IGNORECASE)
    return lambda name: expression.match(name) is not None


def is_below(path: str, folder: str) -> bool:
    """Return whether a path is a folder, or in it; everything is in ``""``."""
    return not folder or path == folder or path.startswith(f"{folder}/")


def native(root: str, path: str = "") -> str:
    """Return the path of a file as the system wants it; on Windows in the form that may be long."""
    if os.name == "nt":
        return long_on_windows(root, path)
    return f"{root}/{path}" if path else root


def long_on_windows(root: str, path: str) -> str:
    r"""Return a path in the form that Windows takes with more than 260 characters: ``\\?\C:\data\file``."""
    joined = ntpath.normpath(ntpath.join(root, *path.split("/")))
    if joined.startswith("\\\\?\\"):
        return joined
    return f"\\\\?\\UNC\\{joined[2:]}" if joined.startswith("\\\\") else f"\\\\?\\{joined}"


def _identity(state: os.stat_result) -> str:
    return f"{state.st_dev}:{state.st_ino}" if state.st_ino else ""
