"""The lock of a journal: its holder writes or delivers the journal, and notes in it how far it has sent the records.

A sent record may be in the database although it is not on disk (it was in memory while the disk was full, or was
damaged since). Without the number, a correct cursor could not be distinguished from a wrong one.
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

# Imported here, since imports fail when finalizers log.
if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

OWN: dict[str, object] = {}
"""Journals that this process writes or delivers: its own locks would not exclude it."""
_MARK = struct.Struct("<Q36s")
_FLOCK = struct.Struct("@hhqqixxxx")
"""A `struct flock` of 64-bit Linux: type, whence, start, length, process (fcntl(2))."""
_AT = 16
"""Offset of the mark: some systems lock the first byte against reading, too."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a journal was sent."""

    sequence: int
    """Number of the last record that was sent to the database, whether or not it arrived."""
    boot: str
    """Boot id of the machine at that time; empty if unknown."""

    @property
    def complete(self) -> bool:
        """Whether nothing written after it can be missing: a power failure loses the last seconds."""
        return self.boot == boot()


def lock_file(fd: int) -> bool:
    """Take the lock on an open file without waiting; return whether it was taken.

    The end of the process releases it. If possible it belongs to the open file: a lock of the process would be released
    when any part of the program closes the file, for example a backup. A forked child closes its copy.
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
    """Lock the open file itself; return False if the system does not support that.

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
        return False  # not supported by kernel or file system
    return True


def unlock_file(fd: int) -> None:
    """Release the lock, even if a forked child still has the file open."""
    if sys.platform == "linux" and struct.calcsize("l") == 8:
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0))


def file_of(fd: int) -> tuple[int, int] | None:
    """Return device and inode of a descriptor; None if it is not open."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def write_mark(fd: int, sequence: int) -> None:
    """Note in a lock that all records up to a number were sent; errors are ignored."""
    with suppress(OSError):
        os.lseek(fd, _AT, os.SEEK_SET)
        os.write(fd, _MARK.pack(sequence, boot().encode("ascii", "replace")))


def read_mark(fd: int) -> Mark | None:
    """Return the mark in a lock; None if nothing was sent, or by a release that did not write it."""
    with suppress(OSError):
        os.lseek(fd, _AT, os.SEEK_SET)
        data = os.read(fd, _MARK.size)
        if len(data) == _MARK.size:
            sequence, name = _MARK.unpack(data)
            return Mark(sequence, name.rstrip(b"\0").decode("ascii", "replace"))
    return None


@lru_cache(maxsize=1)
def boot() -> str:
    """Return the boot id of this machine; empty if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()[:36]
    except (OSError, ValueError):
        return ""
