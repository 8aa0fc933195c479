"""A crash-proof journal on local disk: `append` returns when the record is written, and never waits for a database.

A journal belongs to one process, which locks it while it lives; a journal with a free lock was left behind by a dead
process, and any other may adopt it. It consists of numbered segments, which are deleted when they are delivered.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from NexusCore import resources
from NexusCore.clock import Clock
from NexusCore.delivery import segments
from NexusCore.delivery.eviction import thin
from NexusCore.delivery.frames import HEADER, Frame, number_of
from NexusCore.delivery.lock import OWN, file_of, lock_file, unlock_file, write_mark
from NexusCore.delivery.readable import ReadableJournal, relocate_files, remove
from NexusCore.forks import in_children

MEMORY_RECORDS = 50_000
"""Records kept in memory while no folder can be written to."""

_complained_of: set[Path] = set()
"""Folders already reported as not writable; also by the parent of this process."""
_numbers = itertools.count(1)
_SEGMENTS = 8
"""Minimum number of segments of a full journal, so that the oldest records can be dropped first."""
_CLAIMS = 10
"""Attempts to make a lock before another process takes it."""


class Journal(ReadableJournal):
    """The journal that this process writes.

    Parameters
    ----------
    folder
        Folder of the journals for one destination; created if needed.
    clock
        For the name of the journal.
    wake
        Called by the appending thread when the first record after a pause waits for delivery; must be fast.
    limit
        Bytes that it may take while it cannot be delivered: see `thin`. A segment is at most a fraction of that.
    sync
        Flush records to the disk itself, safe from a power failure, before they are delivered; at least once a second
        while the database is away.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        wake: Callable[[], None] = lambda: None,
        *,
        limit: int = segments.LARGEST_SEGMENT * 128,
        sync: bool = False,
    ) -> None:
        self._clock = clock
        self._wake = wake
        self._limit = limit
        self._sync = sync
        self._begin(folder)
        _journals.add(self)

    def _begin(self, folder: Path) -> None:
        super().__init__(folder, self._new_name())
        self._lock = threading.RLock()  # the handler of a signal may come in where its thread is already
        self.handed = 0
        """Number of the last record that was sent to the database."""
        self.behind = 0
        """Records left in earlier journals of this process."""
        self._settled = 0
        """Number up to which nothing is left to deliver."""
        self._appending = False
        self._nested: deque[bytes] = deque()
        self._sequence = 0
        self.arrived = 0
        """Records known to be in the database."""
        self.refused = 0
        """Records that the database refused; they are in a side file."""
        self.quiet = True
        """Nothing waits to be delivered: the next record must wake the shipper."""
        self.lost = 0
        """Accepted records that will never arrive: disk and memory full, or damaged on disk."""
        self.unreadable = 0
        """Lost records that could not be read back: damaged, or their files are gone."""
        self._lock_fd = -1
        self._lock_file: tuple[int, int] | None = None
        """Device and inode of the lock file."""
        self._segment: segments.Segment | None = None
        self._number = 0
        """Number of the segment."""
        self._synced = (0, 0)
        """Number of the last segment flushed to disk, and how many bytes of it."""
        self._overflow: deque[Frame] = deque()

    def _new_name(self) -> str:
        # With a number, since a process may create two journals within one tick of the clock.
        return f"{socket.gethostname()[:60]}-{os.getpid()}-{self._clock.now():x}-{next(_numbers)}"

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(self, payload: bytes) -> None:
        """Accept a record: once this returns, a crash of the process does not lose it. Never raises, never waits."""
        with self._lock:
            if self._appending:  # a signal handler that interrupted this method logs
                self._nested.append(payload)
                return
            self._appending = True
            try:
                self._accept(payload)
                while self._nested:
                    self._accept(self._nested.popleft())
            finally:
                self._appending = False
        if self.quiet:
            self.quiet = False
            self._wake()

    def _accept(self, payload: bytes) -> None:
        sequence = self._sequence = self._sequence + 1
        # Records that wait in memory must go first.
        if self._overflow or not (self._write(sequence, payload) or self._write_to_next(sequence, payload)):
            self._remember(Frame(sequence, payload))

    def _write(self, sequence: int, payload: bytes) -> bool:
        """Append to the segment; return whether that succeeded."""
        if self._segment is None:
            return False
        try:
            return self._segment.append(sequence, payload)
        except OSError as error:
            self._complain(error)
            return False
        except ValueError:  # a signal handler has forked in here, and this is the child
            self._segment = None
            return False

    def _write_to_next(self, sequence: int, payload: bytes) -> bool:
        """Create a segment and append to it; return whether that succeeded."""
        self._next_segment(HEADER + len(payload))
        return self._write(sequence, payload)

    def _remember(self, frame: Frame) -> None:
        if len(self._overflow) >= MEMORY_RECORDS:
            self._overflow.popleft()
            self.lost += 1
        self._overflow.append(frame)

    def _next_segment(self, needed: int = 0) -> None:
        """Create a segment with room for a frame; if that fails, the present one or memory is used."""
        before = self._segment
        # Larger if the last one was full before it was delivered.
        room = segments.SMALLEST_SEGMENT if before is None or not needed else before.capacity * segments.GROWTH
        room = min(room, max(self._limit // _SEGMENTS, segments.SMALLEST_SEGMENT))
        try:
            if self._lock_fd < 0:
                self._lock_fd = self._claim()
                self._lock_file = file_of(self._lock_fd)
            path = self.folder / f"{self.name}-{self._number + 1:08d}.nxj"
            self._segment = segments.begin_segment(path, min(room, segments.LARGEST_SEGMENT), needed)
        except OSError as error:
            self._complain(error)
            if before is not None:
                before.stretch()
            return
        if before is not None:
            self._finish(before)
        self._number += 1

    def _finish(self, segment: segments.Segment) -> None:
        """Finish the current segment; remove its file if it is empty, as on a full disk."""
        segment.finish()
        if not segment.size and self._holds_lock():
            with suppress(OSError):
                (self.folder / f"{self.name}-{self._number:08d}.nxj").unlink()

    def _claim(self) -> int:
        """Create the journal's lock and return its descriptor, locked."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for _ in range(_CLAIMS):
            path = self.folder / f"{self.name}.lock"
            OWN[self.name] = self
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if lock_file(fd) and path.exists():
                return fd
            # Another process saw it before it was locked, and may remove the files with this name.
            os.close(fd)
            del OWN[self.name]
            super().__init__(self.folder, self._new_name())
        raise BlockingIOError(errno.EAGAIN, "its lock is taken by others again and again")

    def _complain(self, error: OSError) -> None:
        place = self.folder.parent  # that of the log's journal and of the status's
        if place not in _complained_of:
            _complained_of.add(place)
            # Directly to standard error: a log line would come back here.
            full = f"The disk is full: {resources.place_text(place)}. " if resources.is_disk_full(error) else ""
            resources.complain(
                f"NexusCore: {full}The journals in {place} cannot be written ({error.strerror}); "
                f"up to {MEMORY_RECORDS} records of each are kept in memory until they are delivered."
            )

    # -- delivering (the shipper's thread only) ----------------------------------------------------------------------

    def accepted(self) -> int:
        """Return the number of the last record accepted; all up to it are written completely."""
        with self._lock:
            return self._sequence

    def read(self, size: int) -> list[Frame]:
        """Return undelivered records in order: those on disk, then those in memory."""
        if self._sync:
            self._sync_segments()
        frames = super().read(size)
        if not frames:
            with self._lock:
                frames = [frame for frame in self._overflow if frame.sequence > self.delivered]
        return frames

    def _sync_segments(self) -> None:
        """Flush what was written to the disk itself."""
        with self._lock:
            written = self._number, self._segment.size if self._segment is not None else 0
        if written != self._synced:
            segments.sync(path for path in self._reader.segments() if number_of(path) >= self._synced[0])
            self._synced = written

    def acknowledge(self, sequence: int) -> None:
        """Note that records up to `sequence` are in the database, and free their space."""
        self._give_back(sequence)
        super().acknowledge(sequence)

    def _give_back(self, sequence: int) -> None:
        """Free the space of records up to `sequence`, which are in the database or lost."""
        with self._lock:
            while self._overflow and self._overflow[0].sequence <= sequence:
                self._overflow.popleft()
            if sequence == self._sequence and self._segment is not None and self._segment.outgrown:
                self._next_segment()

    def _can_be(self, cursor: int) -> bool:
        return cursor <= self.handed

    def hand_over(self, sequence: int) -> None:
        """Note that records up to `sequence` are about to be sent."""
        with self._lock:
            if self._lock_fd >= 0:
                if not self._holds_lock():
                    self.close()
                    raise OSError(errno.EBADF, "the program has closed the journal's lock; another journal is begun")
                write_mark(self._lock_fd, max(self.handed, sequence))
            self.handed = max(self.handed, sequence)

    def _holds_lock(self) -> bool:
        """Return whether the lock is still open: a program may close all descriptors, for example to become a daemon.

        The descriptor may then be of another file, and another process may have the journal.
        """
        return file_of(self._lock_fd) == self._lock_file

    def save(self) -> int:
        """Write records from memory to disk, if possible again; return how many remain in memory."""
        with self._lock:
            while self._overflow and self._overflow[0].sequence <= self.delivered:
                self._overflow.popleft()
            while self._overflow:
                frame = self._overflow[0]
                if not (
                    self._write(frame.sequence, frame.payload) or self._write_to_next(frame.sequence, frame.payload)
                ):
                    break
                self._overflow.popleft()
            return len(self._overflow)

    def relocate(self, folder: Path) -> None:
        """Move the journal with its files to another folder."""
        with self._lock:
            if self._lock_fd >= 0:
                relocate_files(self.folder, self.name, folder)
            self.folder = folder
            self.rewind()

    def move_to(self, folder: Path, leaving_it_in: Path | None = None) -> None:
        """Continue in another folder under another name; the remaining records wait to be adopted.

        Records in memory (if the disk was full) are lost, except before anything was written.

        Parameters
        ----------
        folder
            New folder.
        leaving_it_in
            Folder for the remaining files; by default the present one.
        """
        with self._lock:
            if self._lock_fd >= 0:
                self.lost += len(self._overflow)
                self._overflow.clear()
                if leaving_it_in is not None and leaving_it_in != self.folder:
                    relocate_files(self.folder, self.name, leaving_it_in)
                    self.folder = leaving_it_in
                self.close()
            super().__init__(folder, self._new_name())

    def settle(self, sequence: int) -> None:
        """Give up on records up to `sequence` that could not be read back: they count as lost.

        `delivered` does not change, since the database's cursor does not either.
        """
        unread = max(0, sequence - self.arrived - self.refused - self.lost - self.behind)
        self.unreadable += unread
        self.lost += unread
        if sequence > max(self.delivered, self._settled):
            self._settled = sequence
            self._give_back(sequence)
            self._reader.drop_read_segments()

    def _complete(self) -> bool:
        return False

    def _written(self) -> tuple[int, int] | None:
        with self._lock:
            return None if self._segment is None else (self._number, self._segment.size)

    def thin(self, limit: int, expendable: Callable[[bytes], bool]) -> int:
        """Drop the least important of the oldest records while the journal is larger than `limit` bytes.

        Returns how many were dropped; they are counted as lost.
        """
        with self._lock:
            current = self._number
        finished = [path for path in self._reader.segments() if number_of(path) < current]
        dropped = thin(finished, limit, expendable, self.delivered)
        if dropped:
            self.lost += dropped
            self.rewind()
        return dropped

    @property
    def in_memory(self) -> int:
        """How many records are only in memory, since nothing can be written."""
        return len(self._overflow)

    @property
    def left(self) -> int:
        """How many accepted records are still to be delivered."""
        return max(0, self._sequence - self.arrived - self.refused - self.lost)

    def close(self) -> None:
        """Release the journal; its files go if all was delivered, else they wait to be adopted.

        What is appended later begins another one: this one may be in other hands by then.
        """
        with self._lock:
            if self._segment is not None:
                self._finish(self._segment)
            self._segment = None
            if self._lock_fd >= 0:
                if self._holds_lock():
                    if max(self.delivered, self._settled) >= self._sequence:
                        remove(self.folder, self.name)
                    unlock_file(self._lock_fd)
                    os.close(self._lock_fd)
                self._lock_fd = -1
                OWN.pop(self.name, None)
                self.behind = self.left - len(self._overflow)
                super().__init__(self.folder, self._new_name())
                self.handed = self._number = self._settled = 0
                self._synced = (0, 0)

    def _forked(self) -> None:
        """Give a forked child its own journal; accepted records stay with the parent."""
        if self._segment is not None:
            self._segment.abandon()
        if self._lock_fd >= 0 and self._holds_lock():
            os.close(self._lock_fd)
        self._begin(self.folder)


_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


@in_children
def _after_fork() -> None:
    OWN.clear()
    for journal in _journals:
        journal._forked()
