"""The file that a journal is appended to: a memory-mapped segment, or if that is not possible, a written one.

A mapped segment needs no system call per record, and its contents survive the death of the process, since the pages
belong to the system. Its space is allocated at the start, so a full disk is an error then and never a SIGBUS later. A
frame becomes valid with its marker, which is written last. Unused space is zeros, cut off when the segment is finished.

Promises
--------
* Files are mapped only on local file systems that keep allocated space; on others the segment is written, with the
  same promises to the caller.
* Only the process that created a segment writes to it, neither a forked child nor a process that adopts it.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from zlib import crc32

from NexusCore.delivery.frames import HEADER, MARKER, WRITTEN_VERSION, encode, pack_checksum, pack_numbers
from NexusCore.delivery.lock import file_of

SMALLEST_SEGMENT = 128 * 1024
"""Bytes of the first segment of a journal: what an idle process uses on disk and in memory."""
LARGEST_SEGMENT = 4 * 1024 * 1024
"""Bytes of a segment if records come faster than they are delivered."""
GROWTH = 4
"""Growth factor of the next segment if one is full before it was delivered."""
MAPPABLE = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "overlay"})
"""Names in /proc/self/mountinfo of file systems that keep allocated space."""

_MARKER_SIZE = len(MARKER)
_left_open: list[mmap.mmap] = []
"""Maps that must not be closed, as they would be without a reference."""


class Segment(Protocol):
    """A file of frames."""

    size: int
    """Bytes of its frames."""
    capacity: int
    """Bytes that it may take."""

    @property
    def outgrown(self) -> bool:
        """Whether a small one is to take its place once all that is in it is delivered."""
        ...

    def append(self, sequence: int, payload: bytes) -> bool:
        """Append a record; return whether there was room.

        Raises
        ------
        OSError
            If it cannot be written; no part of it remains then.
        """
        ...

    def stretch(self) -> None:
        """Raise the capacity if possible, since no other segment can be created."""
        ...

    def finish(self) -> None:
        """Cut off what is not used of it, and close it."""
        ...

    def abandon(self) -> None:
        """Close it in a forked child: the file is the parent's."""
        ...


class WrittenSegment:
    """A segment to which each frame is written by a system call.

    Parameters
    ----------
    fd
        An empty file, open for appending.
    capacity
        Bytes after which another segment is needed.
    """

    def __init__(self, fd: int, capacity: int) -> None:
        self._fd, self._file = fd, file_of(fd)
        self.capacity = capacity
        self.size = 0

    def append(self, sequence: int, payload: bytes) -> bool:
        """Append a record; return whether there was room."""
        if self.size > self.capacity or file_of(self._fd) != self._file:
            return False
        frame = encode(sequence, payload)
        written = os.write(self._fd, frame)
        if written == len(frame):
            self.size += written
            return True
        with suppress(OSError):  # the disk is full: no half frame may stay
            os.ftruncate(self._fd, self.size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @property
    def outgrown(self) -> bool:
        """Whether a small one is to take its place once all that is in it is delivered."""
        return self.size > LARGEST_SEGMENT // 4

    def stretch(self) -> None:
        """Raise the capacity."""
        self.capacity += LARGEST_SEGMENT

    def finish(self) -> None:
        """Close it."""
        if file_of(self._fd) == self._file:  # else the program has closed it, and the descriptor may be of another file
            os.close(self._fd)

    def abandon(self) -> None:
        """Close it in a forked child: the file is the parent's."""
        self.finish()


class MappedSegment:
    """A segment into which frames are copied.

    Parameters
    ----------
    fd
        An empty file, open for reading and writing.
    capacity
        Bytes to allocate.

    Raises
    ------
    OSError
        If the disk is full, or the file system does not map files.
    """

    def __init__(self, fd: int, capacity: int) -> None:
        os.posix_fallocate(fd, 0, capacity)
        self._map = mmap.mmap(fd, capacity)
        self._fd, self._file, self._pid = fd, file_of(fd), os.getpid()
        self.capacity = capacity
        self.size = 0

    def append(self, sequence: int, payload: bytes) -> bool:
        """Append a record; return whether there was room."""
        start = self.size
        end = start + HEADER + len(payload)
        if end > self.capacity:
            return False
        body = pack_numbers(WRITTEN_VERSION | len(payload), sequence) + payload
        behind = start + _MARKER_SIZE
        self._map[behind:end] = pack_checksum(crc32(body)) + body
        # Before the marker: a signal handler that raises in between leaves a gap, never two records in one place.
        self.size = end
        self._map[start:behind] = MARKER
        return True

    @property
    def outgrown(self) -> bool:
        """Whether a small one is to take its place once all that is in it is delivered."""
        return self.size > SMALLEST_SEGMENT // 2 or self.capacity > SMALLEST_SEGMENT

    def stretch(self) -> None:
        """Do nothing: a map cannot grow."""

    def finish(self) -> None:
        """Cut off what is not used of it, and close it."""
        if not self._close_map():
            return
        if os.getpid() == self._pid:  # else a fork happened in between, and the parent uses it
            with suppress(OSError):  # zeros at the end are harmless
                os.ftruncate(self._fd, self.size)
        os.close(self._fd)

    def abandon(self) -> None:
        """Close it in a forked child: the file is the parent's."""
        if self._close_map():
            os.close(self._fd)

    def _close_map(self) -> bool:
        """Close the map; return False, and leave it open, if the program has closed its descriptors.

        They may be of other files then, and closing the map would close the one that its own descriptor is now.
        """
        if file_of(self._fd) != self._file:
            _left_open.append(self._map)
            return False
        self._map.close()
        return True


def begin_segment(path: Path, room: int, least: int = 0) -> Segment:
    """Create a file and return its segment: a mapped one if possible.

    Parameters
    ----------
    path
        Path of the new file.
    room
        Bytes that it should have; on a full disk it is smaller, or written instead of mapped.
    least
        Bytes that it must have.

    Raises
    ------
    OSError
        If the file cannot be created.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags, 0o600)
    if mapping_refused(path.parent) is None:
        for capacity in dict.fromkeys((max(room, least), max(SMALLEST_SEGMENT, least))):
            try:
                return MappedSegment(fd, capacity)
            except (OSError, ValueError):
                with suppress(OSError):
                    os.ftruncate(fd, 0)
    return WrittenSegment(fd, max(room, least))


def sync(paths: Iterable[Path]) -> None:
    """Flush files and their folders to the disk itself.

    Raises
    ------
    OSError
        If that fails; missing files are ignored.
    """
    folders = set()
    for path in paths:
        with suppress(FileNotFoundError):
            _sync(path)
            folders.add(path.parent)
    for folder in folders:
        _sync(folder)


def _sync(path: Path) -> None:
    # Any descriptor flushes all that was written to the file.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def mapping_refused(folder: Path) -> str | None:
    """Return why segments in a folder, which need not exist, cannot be mapped; None if they can."""
    if not hasattr(os, "posix_fallocate"):
        return "this system does not allocate room for files in advance"
    kind = _file_system(folder)
    if kind in MAPPABLE:
        return None
    return f"its file system ({kind}) may not keep the room that it allocates" if kind else "its file system is unknown"


def _file_system(folder: Path) -> str | None:
    """Return the kind of file system that a folder is on, as the kernel names it; None if unknown."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return _kind_of(folder.resolve())
    except OSError:
        return None


def _kind_of(folder: Path) -> str | None:
    # See proc(5), /proc/pid/mountinfo: the fifth field is the mount point, the first after " - " the kind. Of several
    # at one place, the last is on top.
    best, kind = "", None
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        place = before.split(" ")[4]
        for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
            place = place.replace(code, letter)
        if len(place) >= len(best) and folder.is_relative_to(place):
            best, kind = place, after.split(" ")[0]
    return kind
