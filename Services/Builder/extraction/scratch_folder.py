"""Temporary folders that do not outlive their process: what a killed one leaves, the next one removes.

Each folder carries a lock (flock(2)) that ends with the process, even a killed one. A folder of ours without a lock has
no owner any more.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "nexuscore-scratch-"
"""How the names of these folders begin, in the folder for temporary files (`TMPDIR`)."""
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class ScratchFolder:
    """A folder of this process, until it is removed or the process ends. As a context, removed at its end."""

    def __init__(self) -> None:
        self._lock, self.path = _make_locked()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_error: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the folder, with all that is in it; safe to repeat."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def remove_abandoned() -> None:
    """Remove the folders of this user's processes that have ended without doing so."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # not ours, locked, or just removed by another process
            lock = os.open(path, _FOLDER_FLAGS)
            try:
                if os.fstat(lock).st_uid == os.geteuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _make_locked() -> tuple[int, Path]:
    """Make a folder and lock it; where another process takes it for abandoned before it is locked, make another."""
    while True:
        path = Path(os.path.realpath(tempfile.mkdtemp(prefix=PREFIX)))
        try:
            lock = os.open(path, _FOLDER_FLAGS)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), path.stat()):
                return lock, path
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
