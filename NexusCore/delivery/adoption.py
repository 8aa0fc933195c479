"""Journals of dead processes: any other process of this machine may adopt and deliver them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from NexusCore.delivery import losses
from NexusCore.delivery.frames import FrameReader, is_newer
from NexusCore.delivery.lock import OWN, lock_file, read_mark, unlock_file
from NexusCore.delivery.readable import ReadableJournal, frames_in, remove
from NexusCore.forks import renew_in_children


class AbandonedJournal(ReadableJournal):
    """A journal of a dead process, locked by this process while it delivers it."""

    def __init__(self, folder: Path, name: str, lock_fd: int) -> None:
        super().__init__(folder, name)
        self._lock_fd = lock_fd
        renew_in_children(self)

    def forked(self) -> None:
        """Close the child's copy of the lock, with which the journal would still seem locked."""
        with suppress(OSError):
            os.close(self._lock_fd)
        self._lock_fd = -1

    def _can_be(self, cursor: int) -> bool:
        return cursor <= 0 or could_be(self.folder, self.name, cursor, self._lock_fd)

    def close(self, *, delivered: bool) -> None:
        """Release the lock; with `delivered`, delete the files."""
        if delivered:
            remove(self.folder, self.name)
        with suppress(OSError):
            unlock_file(self._lock_fd)
            os.close(self._lock_fd)
        self._lock_fd = -1
        OWN.pop(self.name, None)


def could_be(folder: Path, name: str, cursor: int, lock_fd: int) -> bool:
    """Return whether an abandoned journal may have been delivered up to `cursor`.

    That is, whether a record with that number is on disk, or was sent according to the journal's lock. After a restart
    of the machine the last records may be missing on disk, so that any cursor is possible.
    """
    mark = read_mark(lock_fd)
    if mark is not None and (cursor <= mark.sequence or not mark.complete):
        return True
    for path in reversed(FrameReader(folder, name).segments()):
        if highest := max((frame.sequence for frame in frames_in(path)), default=0):
            return cursor <= highest
    return True  # nothing is left to deliver


def written_by_newer(folder: Path, name: str) -> bool:
    """Return whether a newer NexusCore wrote a journal, in a form that this one cannot read.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    # The first that holds anything decides: all of a journal is from the same process.
    data = next(filter(None, (path.read_bytes() for path in FrameReader(folder, name).segments())), b"")
    return is_newer(data)


def has_journals(folder: Path) -> bool:
    """Return whether there is a journal in `folder`, of a living or dead process, or a note of what one has lost."""
    return any(folder.glob("*.lock")) or any(True for _ in losses.notes(folder))


def abandoned(folder: Path) -> Iterator[AbandonedJournal]:
    """Yield the journals of dead processes in `folder`, each locked for this process."""
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
