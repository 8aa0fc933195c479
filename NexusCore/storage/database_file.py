"""Which file is at the path of an SQLite database: it may be removed or replaced while programs have it open.

An open file stays the same whatever happens to its path, so what is written to it then would be lost without a word.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from NexusCore.errors import DatabaseUnusable
from NexusCore.settings import DatabaseURL

FileId = tuple[int, int]
"""Device and inode."""


def file_at(path: str) -> FileId | None:
    """Return which file is at a path; None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116  called at each transaction
    except OSError:
        return None
    return status.st_dev, status.st_ino


def present_file(url: DatabaseURL) -> FileId | None:
    """Return which file is at the path of a database now; None if there is none, and for a server."""
    return file_at(url.name) if url.kind == "sqlite" else None


def is_read_only(path: Path) -> bool:
    """Return whether the file system of a path, which need not exist, is mounted read-only."""
    try:
        while not path.exists() and path != path.parent:
            path = path.parent
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except (OSError, AttributeError):  # Windows has no statvfs
        return False


def unusable(url: DatabaseURL, error: Exception) -> DatabaseUnusable:
    """Return the error for a database file that cannot be created, or whose folder or lock cannot be."""
    reason = "its file system is read-only" if is_read_only(Path(url.name)) else error
    return DatabaseUnusable(where=url, reason=reason)


def set_aside_log(url: DatabaseURL, file: FileId | None, log: FileId | None) -> None:
    """Rename the write-ahead log of a file that was replaced, if it is still beside the new one.

    SQLite would take its pages for those of the new file. A file that was only moved away keeps its log: it may return.

    Parameters
    ----------
    url
        The database.
    file, log
        The former file and its log.
    """
    if log is not None and present_file(url) not in (None, file) and file_at(f"{url.name}-wal") == log:
        with suppress(OSError):
            os.replace(f"{url.name}-wal", f"{url.name}-wal-of-the-former-file")  # noqa: PTH105
            os.unlink(f"{url.name}-shm")  # noqa: PTH108
