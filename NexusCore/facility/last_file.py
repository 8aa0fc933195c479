"""The last file of an instrument, which shows when a forgotten session ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from NexusCore.facility.file_walk import absolute, walk


@dataclass(frozen=True, slots=True)
class LastFile:
    """A file and when it was modified."""

    path: Path
    ts: int
    """Microseconds since the epoch, rounded up, so that the file is within the session."""


def last_file(folder: Path, since: int, until: int, ignore: Sequence[str], limit: float) -> LastFile | None:
    """Return the last modified file below a folder, by the same walk as the Builder's search for files.

    Parameters
    ----------
    folder
        Folder of the instrument.
    since, until
        Files from before, and later ones (because of a wrong clock), do not count. Microseconds since the epoch.
    ignore
        Patterns of the names of files and folders to ignore.
    limit
        Seconds that the search may take; a file server may hang.

    Raises
    ------
    FileStoreUnreadable, SearchTimedOut
        If the folder cannot be searched.
    """
    root = folder.absolute()
    span = since * 1000, until * 1000
    inside = (file for file in walk(root, span, ignore=ignore, limit=limit).seen if span[0] <= file.mtime <= span[1])
    last = max(inside, key=lambda file: (file.mtime, file.path), default=None)
    return None if last is None else LastFile(absolute(root, last.path), -(-last.mtime // 1000))
