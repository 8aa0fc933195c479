"""A store that is a directory: the Gateway takes the chunks and writes them into hidden files.

Promises
--------
* Below the root no link is followed, and nothing outside of it is read or written.
* A chunk that was acknowledged is on the disk. How much has arrived is what the hidden file says, also after a crash.
* A file gets its name when it is whole and has the right MD5. It replaces nothing but the version that it may replace.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from NexusCore.clock import SECOND
from NexusCore.facility.stores.model import (
    CHUNKS,
    READ_SIZE,
    Incomplete,
    NameTaken,
    NewObject,
    NoRoom,
    Progress,
    Ref,
    StoredObject,
    StoreFull,
    StoreUnavailable,
    UploadGone,
    WrongContent,
)
from NexusCore.files import Folder, InTheWay
from NexusCore.resources import bytes_text

UPLOADS = ".nexuscore-uploads"
"""Folder in the root for what is arriving. It also shows that the root is the right, mounted one."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LONGEST_TIME = 1 << 33
"""Seconds from the epoch within which file systems keep a modification time."""


class DirectoryStore:
    """A directory.

    Parameters
    ----------
    name
        As in the settings; empty for an instrument's own folder.
    root
        An existing folder; it may be a link.
    chunk
        Bytes of a chunk.
    """

    upload_kind = CHUNKS

    def __init__(self, name: str, root: Path, chunk: int) -> None:
        self.name = name
        self._root = root
        self._chunk = chunk

    def chunk_size(self, size: int) -> int:
        """Return the size of a chunk."""
        return self._chunk

    def check(self) -> None:
        """Raise if the root is not a folder that can be written to."""
        with self._reasons(), Folder.open(self._root):
            if not os.access(self._root, os.W_OK | os.X_OK):
                raise StoreUnavailable(store=self._shown, reason=f"{self._root} cannot be written to")

    def prepare(self, has_objects: Callable[[], bool]) -> None:
        """Make the hidden folder; a root without it should not have objects."""
        with self._reasons(), Folder.open(self._root) as root:
            if root.status(UPLOADS) is None:
                if has_objects():
                    reason = f"{self._root} has no folder {UPLOADS}, so it seems that its file system is not mounted"
                    raise StoreUnavailable(store=self._shown, reason=reason)
                root.folder(UPLOADS, create=True, sync=True).__exit__(None, None, None)

    def status(self, name: str) -> StoredObject | None:
        """Return what is at a path."""
        place = PurePosixPath(name)
        with self._reasons(), Folder.open(self._root) as root:
            try:
                with root.below(place.parent) as folder:
                    found = folder.status(place.name)
            except FileNotFoundError:
                return None
        if found is None:
            return None
        return StoredObject(found.st_size if stat.S_ISREG(found.st_mode) else -1, _version(found))

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content of a file, from the disk where the system can be told so."""
        place = PurePosixPath(name)
        with (
            self._reasons(),
            Folder.open(self._root) as root,
            root.below(place.parent) as folder,
            folder.open_file(place.name) as file,
        ):
            with suppress(OSError):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while data := file.read(READ_SIZE):
                yield data

    # -- an upload -----------------------------------------------------------------------------------------------------

    def begin(self, new: NewObject, replaces: str | None) -> Ref:
        """Make the hidden file, if the disk has room for all of it."""
        with self._uploads() as uploads:
            room = os.statvfs(uploads.path)
            free = room.f_bavail * room.f_frsize
            if free < new.size:
                raise NoRoom(store=self._shown, free=bytes_text(free), needed=bytes_text(new.size))
            with uploads.open_for_appending(_part(new)):
                pass
            uploads.sync()
        return {}

    def progress(self, new: NewObject, ref: Ref) -> Progress:
        """Return how long the hidden file is."""
        with self._uploads() as uploads:
            found = uploads.status(_part(new))
            if found is None:
                raise UploadGone
            return Progress(found.st_size)

    def append(self, new: NewObject, offset: int, data: bytes) -> int:
        """Add bytes to the hidden file, and flush them to the disk."""
        with self._uploads() as uploads:
            try:
                file = uploads.open_for_writing(_part(new))
            except FileNotFoundError:
                raise UploadGone from None
            with file:
                # The same chunk may come twice at the same time.
                fcntl.flock(file.fileno(), fcntl.LOCK_EX)
                received = os.fstat(file.fileno()).st_size
                if offset > received:
                    raise Incomplete(received)
                rest = memoryview(data)[received - offset :]
                while rest:
                    written = os.pwrite(file.fileno(), rest, received)
                    received, rest = received + written, rest[written:]
                os.fsync(file.fileno())
                return received

    def finish(self, new: NewObject, ref: Ref, replaces: str | None) -> None:
        """Read what has arrived, and give it its name."""
        place = PurePosixPath(new.name)
        with self._uploads() as uploads, Folder.open(self._root) as root:
            self._check(new, uploads)
            with root.below(place.parent, create=True, sync=True) as folder:
                there = folder.status(place.name)
                if there is not None and os.path.samestat(there, _status(uploads, new)):
                    uploads.remove(_part(new))  # a crash came between the new name and the end of the old one
                    return
                if there is not None and (replaces is None or _version(there) != replaces):
                    raise NameTaken
                try:
                    uploads.publish(_part(new), folder, place.name, replace=there is not None)
                except (FileExistsError, IsADirectoryError):
                    raise NameTaken from None

    def abandon(self, new: NewObject, ref: Ref) -> None:
        """Remove the hidden file."""
        with self._uploads() as uploads:
            uploads.remove(_part(new))

    def sweep(self, before_ts: int) -> int:
        """Remove hidden files that have not changed since a time."""
        removed = 0
        with self._uploads() as uploads:
            for name in uploads.names():
                found = uploads.status(name)
                if name.endswith(".part") and found is not None and found.st_mtime * SECOND < before_ts:
                    uploads.remove(name)
                    removed += 1
        return removed

    def write(self, name: str, content: bytes) -> None:
        """Replace a small file."""
        place = PurePosixPath(name)
        with (
            self._reasons(),
            Folder.open(self._root) as root,
            root.below(place.parent, create=True, sync=True) as folder,
            folder.replacing(place.name) as file,
        ):
            file.write(content)

    # -- private -------------------------------------------------------------------------------------------------------

    @property
    def _shown(self) -> str:
        return self.name or str(self._root)

    def _check(self, new: NewObject, uploads: Folder) -> None:
        """Raise if the hidden file is not what it should be; else give it its modification time."""
        digest = hashlib.md5(usedforsecurity=False)
        size = 0
        _status(uploads, new)
        with uploads.open_file(_part(new)) as file:
            received = os.fstat(file.fileno()).st_size
            if received < new.size:
                raise Incomplete(received)
            while data := file.read(READ_SIZE):
                digest.update(data)
                size += len(data)
            if size != new.size or digest.hexdigest() != new.md5:
                uploads.remove(_part(new))
                raise WrongContent
            if abs(new.modified_ts) < _LONGEST_TIME * SECOND:
                with suppress(OSError):  # a file system may keep fewer
                    os.utime(file.fileno(), ns=(new.modified_ts * 1000, new.modified_ts * 1000))
            os.fsync(file.fileno())

    @contextmanager
    def _uploads(self) -> Iterator[Folder]:
        with self._reasons(), Folder.open(self._root) as root:
            try:
                folder = root.folder(UPLOADS)
            except FileNotFoundError:
                raise UploadGone from None
            with folder:
                yield folder

    @contextmanager
    def _reasons(self) -> Iterator[None]:
        """Raise the system's errors as ours."""
        try:
            yield
        except InTheWay as error:
            raise StoreUnavailable(store=self._shown, reason=str(error)) from error
        except OSError as error:
            if error.errno in _FULL:
                raise StoreFull(store=self._shown) from error
            reason = f"{error.strerror or error}: {error.filename or self._root}"
            raise StoreUnavailable(store=self._shown, reason=reason) from error


def _part(new: NewObject) -> str:
    return f"{uuid.UUID(new.upload)}.part"


def _status(uploads: Folder, new: NewObject) -> os.stat_result:
    found = uploads.status(_part(new))
    if found is None:
        raise UploadGone
    return found


def _version(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"
