"""The lock of a journal: who holds it writes or delivers the journal; in it stands how far that one has handed it over.

What is handed over may be in the database although no record of it is on disk any more (it was kept in memory while the
disk was full, or was damaged since). Without the number, a cursor that is right could not be told from one that is not.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

# Not where they are used: a finalizer that logs comes at a time when nothing can be imported any more.
if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

OWN: dict[str, object] = {}
"""Journals that this process writes or delivers: locks don't tell, since a process can always take its own."""
_MARK = struct.Struct("<Q36s")
_FLOCK = struct.Struct("@hhqqixxxx")
"""A `struct flock` of 64-bit Linux: type, whence, start, length, process (fcntl(2))."""
_AT = 16
"""Where it stands: some systems lock the first byte against reading, too."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a journal was handed over."""

    sequence: int
    """Number of the last record that was sent to the database, whether or not it arrived."""
    boot: str
    """Which start of the machine that was; empty where it has no name."""

    @property
    def complete(self) -> bool:
        """Whether nothing written after it can be missing: a machine that lost its power forgets the last seconds."""
        return self.boot == boot()


def lock_file(fd: int) -> bool:
    """Take the lock on an open file, without waiting; return whether it is ours.

    It is free when its process is gone, however it ended. Where the system has them, it is a lock of the open file
    itself: one of the process would be given up as soon as any part of the program closes that file, a backup of the
    home for example. A forked child closes what it shares of it.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        elif not _lock_open_file(fd):
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock_open_file(fd: int) -> bool:
    """Lock the open file itself; return whether there is such a lock here.

    Raises
    ------
    OSError
        If it is locked.
    """
    if sys.platform != "linux" or struct.calcsize("l") != 8:
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise
        return False  # a kernel or file system without
    return True


def unlock_file(fd: int) -> None:
    """Give the lock back, whoever else still has the file open: a forked child that has not come to close it."""
    if sys.platform == "linux" and struct.calcsize("l") == 8:
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0))


def file_of(fd: int) -> tuple[int, int] | None:
    """Return device and inode of an open file; None where nothing is open."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def write_mark(fd: int, sequence: int) -> None:
    """Write into a lock that all up to a record is handed over; what cannot be written is not known later."""
    with suppress(OSError):
        os.lseek(fd, _AT, os.SEEK_SET)
        os.write(fd, _MARK.pack(sequence, boot().encode("ascii", "replace")))


def read_mark(fd: int) -> Mark | None:
    """Return what stands in a lock; None where nothing was handed over, or by a release that did not write it."""
    with suppress(OSError):
        os.lseek(fd, _AT, os.SEEK_SET)
        data = os.read(fd, _MARK.size)
        if len(data) == _MARK.size:
            sequence, name = _MARK.unpack(data)
            return Mark(sequence, name.rstrip(b"\0").decode("ascii", "replace"))
    return None


@lru_cache(maxsize=1)
def boot() -> str:
    """Return the name of this start of the machine; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()[:36]
    except (OSError, ValueError):
        return ""
