"""A crash-proof journal on local disk: `append` returns when the record is written, and never waits for a database.

A journal belongs to one process, which holds a lock on it while it lives; a journal whose lock is free was left behind
by a process that died, and any other may adopt it. It consists of numbered segments, deleted as they are delivered.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import socket
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from NexusCore.clock import Clock
from NexusCore.delivery.frames import Damage, Frame, Reader, encode
from NexusCore.delivery.thinning import thin

SEGMENT_SIZE = 4 * 1024 * 1024
"""Bytes after which a new segment is begun."""
MEMORY_RECORDS = 50_000
"""Records kept in memory while no folder can be written to."""

_LOG = logging.getLogger("NexusCore.delivery")

_own: dict[str, object] = {}
"""Journals that this process writes or delivers: locks don't tell, since a process can always take its own."""
_complained_of: set[Path] = set()
"""Places that could not be written to; once said, children do not say it again."""
_numbers = itertools.count(1)
_CLAIMS = 10
"""Attempts to make a lock before another process takes it."""


class Readable:
    """What the shipper knows of a journal."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.delivered = 0
        """Number of the last record known to be in the database."""
        self._reader = Reader(folder, name)

    def read(self, size: int) -> list[Frame]:
        """Return undelivered records in order, about `size` bytes of them; [] when there are no more.

        Goes on where it stopped: after a failed delivery call `rewind` first.
        """
        while pieces := self._reader.read(size, complete=self._complete()):
            frames = keep_frames(pieces, self.folder, self.name)
            frames = [frame for frame in frames if frame.sequence > self.delivered]
            if frames:
                return frames
        return []

    def rewind(self) -> None:
        """Read again from the oldest segment; what was delivered is passed over."""
        self._reader = Reader(self.folder, self.name)

    def resume(self, cursor: int) -> None:
        """Take the database's word for how far delivery has come."""
        self.delivered = cursor

    def acknowledge(self, sequence: int) -> None:
        """Note that records up to `sequence` are in the database, and give their room back."""
        self.delivered = max(self.delivered, sequence)
        self._reader.drop_read_segments()

    def _complete(self) -> bool:
        """Tell whether nobody writes to the journal any more."""
        return True


class Journal(Readable):
    """The journal that this process writes.

    Parameters
    ----------
    folder
        Where journals for one destination lie; made if need be.
    clock
        For the name.
    wake
        Called when there is something to deliver after there was nothing; from the thread that appends, so it must be
        quick.
    """

    def __init__(self, folder: Path, clock: Clock, wake: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._wake = wake
        self._begin(folder)
        _journals.add(self)

    def _begin(self, folder: Path) -> None:
        super().__init__(folder, self._new_name())
        self._lock = threading.RLock()  # the handler of a signal may come in where its thread is already
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
        """Records accepted that will never arrive: no room on disk and in memory, or damaged on disk."""
        self._fd = -1
        self._lock_fd = -1
        self._size = 0
        self._segment = 0
        self._overflow: deque[Frame] = deque()

    def _new_name(self) -> str:
        # The number, because two journals of a process may be begun within one tick of the clock.
        return f"{socket.gethostname()[:60]}-{os.getpid()}-{self._clock.now():x}-{next(_numbers)}"

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(self, payload: bytes) -> None:
        """Accept a record: when this returns, a crash of the process no longer loses it. Never raises, never waits."""
        with self._lock:
            if self._appending:  # the handler of a signal logs, which came while this very thread was in here
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
        if self._fd < 0 or self._overflow or self._size > SEGMENT_SIZE:
            self._append_slowly(sequence, payload)
        elif not self._write(encode(sequence, payload)):
            self._remember(Frame(sequence, payload))

    def _write(self, frame: bytes) -> bool:
        try:
            written = os.write(self._fd, frame)
        except OSError as error:
            self._complain(error)
            return False
        if written == len(frame):
            self._size += written
            return True
        with suppress(OSError):  # the disk is full: no half frame may stay
            os.ftruncate(self._fd, self._size)
        self._complain(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        return False

    def _append_slowly(self, sequence: int, payload: bytes) -> None:
        """Append where a segment must be begun first, or where earlier records wait in memory and must go first."""
        if not self._overflow:
            self._next_segment()
            if self._fd >= 0 and self._write(encode(sequence, payload)):
                return
        self._remember(Frame(sequence, payload))

    def _remember(self, frame: Frame) -> None:
        if len(self._overflow) >= MEMORY_RECORDS:
            self._overflow.popleft()
            self.lost += 1
        self._overflow.append(frame)

    def _next_segment(self) -> None:
        """Begin a segment; where that fails, the one there is goes on, or memory serves."""
        try:
            if self._lock_fd < 0:
                self._lock_fd = self._claim()
            path = self.folder / f"{self.name}-{self._segment + 1:08d}.nxj"
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | getattr(os, "O_BINARY", 0)
            fd = os.open(path, flags, 0o600)
        except OSError as error:
            self._complain(error)
            return
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._size, self._segment = fd, 0, self._segment + 1

    def _claim(self) -> int:
        """Make the journal's lock and return it, locked."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for _ in range(_CLAIMS):
            path = self.folder / f"{self.name}.lock"
            _own[self.name] = self
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if lock_file(fd) and path.exists():
                return fd
            # Another process saw it before it was locked, and may remove whatever has this name.
            os.close(fd)
            del _own[self.name]
            super().__init__(self.folder, self._new_name())
        raise BlockingIOError(errno.EAGAIN, "its lock is taken by others again and again")

    def _complain(self, error: OSError) -> None:
        place = self.folder.parent  # that of the log's journal and of the status's
        if place not in _complained_of:
            _complained_of.add(place)
            # Straight to standard error: a log line would end up here again.
            print(  # noqa: T201
                f"NexusCore: the journals in {place} cannot be written ({error.strerror}); "
                f"up to {MEMORY_RECORDS} records of each are kept in memory until they are delivered.",
                file=sys.stderr,
            )

    # -- delivering (the shipper's thread only) ----------------------------------------------------------------------

    def accepted(self) -> int:
        """Return the number of the last record accepted; all up to it are written completely."""
        with self._lock:
            return self._sequence

    def read(self, size: int) -> list[Frame]:
        """Return undelivered records in order: those on disk, then those in memory."""
        frames = super().read(size)
        if not frames:
            with self._lock:
                frames = [frame for frame in self._overflow if frame.sequence > self.delivered]
        return frames

    def acknowledge(self, sequence: int) -> None:
        """Note that records up to `sequence` are in the database, and give their room back."""
        with self._lock:
            while self._overflow and self._overflow[0].sequence <= sequence:
                self._overflow.popleft()
            if sequence == self._sequence and self._size > SEGMENT_SIZE // 4:
                self._next_segment()
        super().acknowledge(sequence)

    def settle(self, sequence: int) -> None:
        """Give up on records up to `sequence` that could not be read back: they are counted as lost."""
        self.lost += max(0, sequence - self.arrived - self.refused - self.lost)
        if sequence > self.delivered:
            self.acknowledge(sequence)

    def _complete(self) -> bool:
        return False

    def thin(self, limit: int, expendable: Callable[[bytes], bool]) -> int:
        """Drop the least important of the oldest records while the journal is larger than `limit` bytes.

        Returns how many were dropped; they are counted as lost.
        """
        with self._lock:
            current = self._segment
        finished = [path for path in self._reader.segments() if int(path.stem.rpartition("-")[2]) < current]
        dropped = thin(finished, limit, expendable, self.delivered)
        if dropped:
            self.lost += dropped
            self.rewind()
        return dropped

    @property
    def left(self) -> int:
        """How many accepted records are still to be delivered."""
        return max(0, self._sequence - self.arrived - self.refused - self.lost)

    def close(self) -> None:
        """Release the journal; its files go if all was delivered, else they wait to be adopted."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1
            if self._lock_fd >= 0:
                if self.delivered >= self._sequence:
                    remove(self.folder, self.name)
                os.close(self._lock_fd)
                self._lock_fd = -1
                _own.pop(self.name, None)

    def _forked(self) -> None:
        """Give a forked child a journal of its own; what the parent accepted stays the parent's."""
        for fd in (self._fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self._begin(self.folder)


_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


def _after_fork() -> None:
    _own.clear()
    for journal in _journals:
        journal._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Abandoned(Readable):
    """A journal whose process is gone, held by this process while it delivers it."""

    def __init__(self, folder: Path, name: str, lock_fd: int) -> None:
        super().__init__(folder, name)
        self._lock_fd = lock_fd

    def close(self, *, delivered: bool) -> None:
        """Give the lock back; with `delivered`, the files go."""
        if delivered:
            remove(self.folder, self.name)
        with suppress(OSError):
            os.close(self._lock_fd)
        _own.pop(self.name, None)


def has_journals(folder: Path) -> bool:
    """Tell whether any process, living or dead, has a journal in `folder`."""
    return any(folder.glob("*.lock"))


def abandoned(folder: Path) -> Iterator[Abandoned]:
    """Yield the journals in `folder` whose process is gone, each locked for this process."""
    for path in sorted(folder.glob("*.lock")):
        mine = object()
        if _own.setdefault(path.stem, mine) is not mine:
            continue
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            _own.pop(path.stem, None)
            continue
        if lock_file(fd) and path.exists():
            yield Abandoned(folder, path.stem, fd)
        else:
            os.close(fd)
            _own.pop(path.stem, None)


def keep_frames(pieces: list[Frame | Damage], folder: Path, name: str) -> list[Frame]:
    """Return the frames; damaged bytes go to a side file, and the loss is logged."""
    damaged = [piece for piece in pieces if isinstance(piece, Damage)]
    if damaged:
        side = folder / f"{name}.damaged"
        with suppress(OSError), side.open("ab") as file:
            file.writelines(piece.data for piece in damaged)
        count = sum(len(piece.data) for piece in damaged)
        _LOG.warning("%d damaged bytes in journal %s were skipped; they are kept in %s", count, name, side)
    return [piece for piece in pieces if isinstance(piece, Frame)]


def remove(folder: Path, name: str) -> None:
    """Delete a journal's segments, then its lock: in this order, a crash in between leaves nothing undeliverable."""
    for path in (*sorted(folder.glob(f"{name}-*.nxj")), folder / f"{name}.lock"):
        with suppress(OSError):
            path.unlink()


def lock_file(fd: int) -> bool:
    """Take the lock on an open file, without waiting; return whether it is ours.

    A POSIX record lock, which a forked child does not inherit; it is free when its process is gone, however it ended.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
