"""Files of transferred sessions on this machine's disk, fetched from a store that is no folder.

Promises
--------
* A file in the cache has the MD5 that was verified in the store: it is checked after it was fetched, and each time that
  it is used again.
* The cache does not grow beyond its limit: sessions that were not used for longest are removed. One in use never is.
* It can be deleted at any time; what is needed is fetched again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import BinaryIO, Protocol

from NexusCore.errors import NexusError
from NexusCore.facility.transfer_changes import CHANGED, MISSING
from NexusCore.files import Folder, InTheWay

GIB = 1 << 30
READ_SIZE = 1 << 20
_LOCK = ".lock"


class TransferCacheTooSmall(NexusError):
    """The files of the session {identifier} have {need} GiB, more than the {limit} GiB of the Builder's cache.

    Set a higher limit: ConfigTool Services.Builder.transfer_cache_gib={larger}
    """


class TransferCacheInUse(NexusError):
    """The files of the session {identifier} are in use by another Builder on this machine; it is tried again."""


class WrongFetched(Exception):
    """What the store has is not what was verified there; with what is wrong."""


class ObjectReader(Protocol):
    """A store, for reading."""

    def status(self, name: str) -> object | None:
        """Return what the store knows of an object; None if there is none."""
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content of an object."""
        ...


@dataclass(frozen=True, slots=True)
class Fetch:
    """A file that is needed."""

    path: PurePosixPath
    """Below the session's folder."""
    object: str
    """Its name in the store."""
    size: int
    md5: str
    modified_ts: int
    """What it is dated; microseconds since the epoch, UTC."""


class TransferCache:
    """The cached files of all sessions; one session is in use at a time.

    Parameters
    ----------
    folder
        Where they lie; made when first needed, closed to other users.
    limit
        Most bytes.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self._limit = limit
        self._held = ExitStack()

    def take(self, identifier: str, size: int) -> Path:
        """Make room for a session's files, and keep them from being removed; return their folder.

        Parameters
        ----------
        identifier, size
            The session, and the bytes of all its files.

        Raises
        ------
        TransferCacheTooSmall
            If they are more than the cache may have.
        TransferCacheInUse
            If another Builder reads, or removes, them.
        """
        self.release()
        if size > self._limit:
            larger = size // GIB + 1
            need, limit = (f"{number / GIB:.3g}" for number in (size, self._limit))
            raise TransferCacheTooSmall(identifier=identifier, need=need, limit=limit, larger=larger)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = hashlib.sha256(identifier.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        with Folder.open(self.folder) as folder:
            lock = self._held.enter_context(folder.open_for_appending(f"{name}{_LOCK}"))
            if not _locked(lock) or folder.status(f"{name}{_LOCK}") is None:
                self.release()
                raise TransferCacheInUse(identifier=identifier)
            os.utime(lock.fileno())  # the order in which sessions were used
            self._make_room(folder, name, size)
            with folder.folder(name, create=True):
                pass
        return self.folder / name

    def fetch(self, session: Path, wanted: Fetch, store: Callable[[], ObjectReader], check: Callable[[], None]) -> None:
        """Have a file in the folder of the session that was taken.

        Parameters
        ----------
        session
            The folder.
        wanted
            The file.
        store
            Opens the store, where that is needed.
        check
            Called now and then; may raise to give up.

        Raises
        ------
        WrongFetched
            If the store has another content, or none.
        """
        place = wanted.path
        with Folder.open(session) as top, top.below(place.parent, create=True) as folder:
            if self._has(folder, place.name, wanted, check):
                return
            folder.remove(place.name)
            source = store()
            if source.status(wanted.object) is None:
                raise WrongFetched(MISSING)
            digest, size = hashlib.md5(usedforsecurity=False), 0
            with folder.replacing(place.name, sync=False) as file:
                for data in source.read(wanted.object):
                    check()
                    digest.update(data)
                    size += len(data)
                    if size > wanted.size:
                        break
                    file.write(data)
                if size != wanted.size or digest.hexdigest() != wanted.md5:
                    raise WrongFetched(CHANGED)
            with folder.open_file(place.name) as file:
                _date(file, wanted)

    def release(self) -> None:
        """Let the session that is in use be removed when there is need."""
        self._held.close()

    def _has(self, folder: Folder, name: str, wanted: Fetch, check: Callable[[], None]) -> bool:
        """Return whether a file is there, with the right content."""
        status = folder.status(name)
        if status is None or not S_ISREG(status.st_mode) or status.st_size != wanted.size:
            return False
        digest = hashlib.md5(usedforsecurity=False)
        with folder.open_file(name) as file:
            while data := file.read(READ_SIZE):
                check()
                digest.update(data)
            if digest.hexdigest() != wanted.md5:
                return False
            _date(file, wanted)
        return True

    def _make_room(self, folder: Folder, name: str, size: int) -> None:
        """Remove sessions until another one has room, the one that was not used for longest first."""
        sessions = []
        for lock in folder.names():
            status = folder.status(lock)
            if lock.endswith(_LOCK) and lock != f"{name}{_LOCK}" and status is not None:
                other = lock.removesuffix(_LOCK)
                sessions.append((status.st_mtime_ns, other, _size(self.folder / other)))
        total = size + sum(found for _, _, found in sessions)
        for _, other, found in sorted(sessions):
            if total <= self._limit:
                return
            if self._removed(folder, other):
                total -= found

    def _removed(self, folder: Folder, name: str) -> bool:
        """Remove a session; return False if it is in use."""
        with folder.open_for_appending(f"{name}{_LOCK}") as lock:
            if not _locked(lock):
                return False
            with suppress(FileNotFoundError, InTheWay), folder.folder(name) as session:
                session.remove_others(())
            folder.remove_empty(name)
            folder.remove(f"{name}{_LOCK}")
        return True


def _locked(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _date(file: BinaryIO, wanted: Fetch) -> None:
    """Give a file the time of its source: what was read from it then counts as unchanged."""
    with suppress(OSError, OverflowError):
        os.utime(file.fileno(), ns=(wanted.modified_ts * 1000,) * 2)


def _size(folder: Path) -> int:
    total = 0
    for where, _folders, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(where, name).lstat().st_size
    return total
