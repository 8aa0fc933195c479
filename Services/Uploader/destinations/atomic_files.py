"""Folders that several Uploaders, and others, may write to."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from NexusCore.files import UNFINISHED, Folder

UPLOADERS_FOLDER = ".nexuscore"
"""Folder in a destination's own for what only Uploaders need."""
FOLDER_WAIT_SECONDS = 30.0
"""How long to wait for another process that writes into a folder: some records' time."""
_RETRY_SECONDS = 0.05


@contextlib.contextmanager
def writing_into(path: Path) -> Iterator[Folder | None]:
    """Open a folder and keep others out of it while the block runs, after waiting for them; None if they go on.

    They may be other Uploaders, or other destinations with the same folder. Files that others left unfinished are
    then abandoned, and removed.
    """
    with (
        Folder.open(path) as folder,
        folder.folder(UPLOADERS_FOLDER, create=True) as hidden,
        hidden.open_for_appending("lock") as lock,
    ):
        if not _locked(lock):
            yield None
            return
        for name in folder.names():
            if name.startswith(UNFINISHED):
                folder.remove(name)
        yield folder


def _locked(lock: BinaryIO) -> bool:
    deadline = time.monotonic() + FOLDER_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOTSUP):  # shares without locks; names still don't collide
                return True
        else:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_RETRY_SECONDS)
