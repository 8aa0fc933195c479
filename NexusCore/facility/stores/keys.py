"""The files with the keys of stores, on the Gateway's machine."""

from __future__ import annotations

import stat
from pathlib import Path

from NexusCore.facility.stores.model import StoreUnavailable


def key_file(store: str, path: str) -> Path:
    """Return the path of a file with a key, if others cannot read it.

    Raises
    ------
    StoreUnavailable
        If it does not exist, or others may read it.
    """
    file = Path(path).expanduser()
    try:
        mode = file.stat().st_mode
    except OSError as error:
        raise StoreUnavailable(store=store, reason=f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise StoreUnavailable(store=store, reason=f"{path} is not a file")
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        raise StoreUnavailable(store=store, reason=f"other users may read or change {path}; run: chmod 600 {path}")
    return file


def key_version(path: str) -> tuple[int, ...] | None:
    """Return what changes whenever a file with a key is changed or replaced; None if there is none, or no path."""
    if not path:
        return None
    try:
        status = Path(path).expanduser().stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def below(prefix: str, name: str) -> str:
    """Return the key of an object in its bucket."""
    return f"{prefix}/{name}" if prefix else name
