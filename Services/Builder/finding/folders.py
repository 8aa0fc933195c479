"""Folders that are one dataset: formats that keep an array as many small files, as Zarr does.

Such a folder is dated by its newest file and as large as all of them together. All files in it belong to it,
under any name: Zarr's own begin with a dot.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from NexusCore.facility.file_walk import FOLDER_FORMATS


def is_dataset(folder: Path) -> bool:
    """Return whether a path is a folder that is one dataset."""
    return folder.suffix.lower() in FOLDER_FORMATS and not folder.is_symlink() and folder.is_dir()


def members(folder: Path, links: bool = False) -> list[tuple[str, os.stat_result]]:
    """Return the regular files of such a folder: relative path with forward slashes, and state; in order of path.

    As in the search for files, links are not followed, and what cannot be looked at is left out. In a `DatasetView`,
    where all files are links of our own, they are asked for.
    """
    return sorted(_members(folder, links), key=lambda member: os.fsencode(member[0]))


def size_and_time(folder: Path, links: bool = False) -> tuple[int, int]:
    """Return the bytes of all files of such a folder, and the newest one's time in nanoseconds since the epoch."""
    states = [state for _, state in members(folder, links)]
    return sum(state.st_size for state in states), max((state.st_mtime_ns for state in states), default=0)


def _members(folder: Path, links: bool) -> Iterator[tuple[str, os.stat_result]]:
    for where, _folders, names in os.walk(folder):
        for name in names:
            path = Path(where, name)
            try:
                state = path.stat(follow_symlinks=links)
            except OSError:
                continue
            if stat.S_ISREG(state.st_mode):
                yield path.relative_to(folder).as_posix(), state
