"""Journals whose process is gone: any other process of this machine may adopt and deliver them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from NexusCore.delivery.frames import FrameReader
from NexusCore.delivery.lock import OWN, lock_file, read_mark, unlock_file
from NexusCore.delivery.readable import ReadableJournal, frames_in, remove
from NexusCore.forks import renew_in_children


class AbandonedJournal(ReadableJournal):
    """A journal whose process is gone, held by this process while it delivers it."""

    def __init__(self, folder: Path, name: str, lock_fd: int) -> None:
        super().__init__(folder, name)
        self._lock_fd = lock_fd
        renew_in_children(self)

    def forked(self) -> None:
        """Give up the child's part in the lock: as long as it is open there, the journal would seem to be held."""
        with suppress(OSError):
            os.close(self._lock_fd)
        self._lock_fd = -1

    def _can_be(self, cursor: int) -> bool:
        return cursor <= 0 or could_be(self.folder, self.name, cursor, self._lock_fd)

    def close(self, *, delivered: bool) -> None:
        """Give the lock back; with `delivered`, the files go."""
        if delivered:
            remove(self.folder, self.name)
        with suppress(OSError):
            unlock_file(self._lock_fd)
            os.close(self._lock_fd)
        self._lock_fd = -1
        OWN.pop(self.name, None)


def could_be(folder: Path, name: str, cursor: int, lock_fd: int) -> bool:
    """Return whether a journal that is left behind may have been delivered up to `cursor`.

    That is, whether a record of that number is on disk, or was handed over according to the journal's lock. Where the
    machine was started again since, the last records may be missing on disk: then there is nothing to doubt it by.
    """
    mark = read_mark(lock_fd)
    if mark is not None and (cursor <= mark.sequence or not mark.complete):
        return True
    for path in reversed(FrameReader(folder, name).segments()):
        if highest := max((frame.sequence for frame in frames_in(path)), default=0):
            return cursor <= highest
    return True  # there is nothing to be delivered


def has_journals(folder: Path) -> bool:
    """Return whether any process, living or dead, has a journal in `folder`."""
    return any(folder.glob("*.lock"))


def abandoned(folder: Path) -> Iterator[AbandonedJournal]:
    """Yield the journals in `folder` whose process is gone, each locked for this process."""
    for path in sorted(folder.glob("*.lock")):
        mine = object()
        if OWN.setdefault(path.stem, mine) is not mine:
            continue
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            OWN.pop(path.stem, None)
            continue
        if lock_file(fd) and path.exists():
            yield AbandonedJournal(folder, path.stem, fd)
        else:
            os.close(fd)
            OWN.pop(path.stem, None)
