"""Moves one file: by a rename, or to another file system by a copy that is compared before the source goes.

Promises
--------
* The file exists whole, once, after the move, and after an error at any point of it.
* Nothing is replaced, and no link is followed.
* A file that changes meanwhile is not moved.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from NexusCore.errors import NexusError
from NexusCore.facility.intake_move import Method
from NexusCore.files import Folder
from Services.Intake.renaming import rename_new
from Services.Intake.stability import open_for_writing, seen_of

CHUNK = 1 << 20
"""Bytes that are read at once."""
PART = ".nexuscore-intake-"
"""How the name of a copy begins that is not complete; the number of its filing follows."""
_CHANGED = "it changed while it was copied"
_BY_EFFECTIVE_USER = os.access in os.supports_effective_ids
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NotMoved(NexusError):
    """{path} was not moved: {reason}."""


class SourceStays(NotMoved):
    """{path} was not moved: {reason}."""


class ClaimLost(NexusError):
    """{path} was not moved: another Intake has taken it over."""


class FilingInterrupted(Exception):
    """The service is to end; the file is where it was."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A name in an open folder."""

    folder: Folder
    name: str

    @property
    def path(self) -> str:
        """Its path, for messages."""
        return str(self.folder.path / self.name)

    def state(self) -> os.stat_result | None:
        """Return what is there, without following a link; None if it is free."""
        return self.folder.status(self.name)


@dataclass(frozen=True, slots=True)
class Carried:
    """A file that was moved."""

    sha256: str
    method: Method


@dataclass(frozen=True, slots=True)
class Carrier:
    """Moves files."""

    stop: Callable[[], bool]
    """Whether the service is to end; a file of which only a part has been read then stays where it is."""
    alive: Callable[[], object] = lambda: None
    """Called from time to time, so that the claim is held."""

    def carry(
        self,
        source: Spot,
        target: Spot,
        seen: tuple[int, int, int],
        part: str,
        publishing: Callable[[int, str | None], bool],
        *,
        check_writers: bool = True,
        sha256: str | None = None,
    ) -> Carried:
        """Move a file.

        Parameters
        ----------
        source, target
            Where it is, and where it is to be.
        seen
            Its size, time of modification in nanoseconds, and number.
        part
            Name of its copy in the target's folder until that is complete.
        publishing
            Called with the number of the copy and the checksum before the copy gets its name; returns False if it must
            not, since another Intake has taken over.
        check_writers
            Whether a file that a program has open for writing is left alone.
        sha256
            What its content must be; None for anything.

        Raises
        ------
        NotMoved, ClaimLost, FilingInterrupted, OSError
            The file is where it was.
        """
        with self._opened(source) as descriptor:
            # A short one is checked once, just before it is moved.
            self._check(source, descriptor, seen, check_writers and seen[0] > CHUNK)
            if os.fstat(descriptor).st_dev != os.fstat(target.folder.descriptor).st_dev:
                return self._copied(source, target, descriptor, seen, part, publishing, sha256)
            found = self.sum(descriptor, seen[0])
            _compare(source, found, sha256)
            self._check(source, descriptor, seen, check_writers)
            try:
                _rename(source, target)
            except OSError as error:
                if error.errno != errno.EXDEV:  # as between two mounts of one file system
                    raise
                return self._copied(source, target, descriptor, seen, part, publishing, sha256)
            state = target.state()
            if state is None or seen_of(state) != seen or seen_of(os.fstat(descriptor)) != seen:
                # Exchanged or written to at the last moment: it goes back, and is looked at again.
                rename_new(target.folder, target.name, source.folder, source.name)
                raise NotMoved(path=source.path, reason="it changed while it was moved")
            return Carried(found, Method.RENAME)

    def drop_duplicate(self, source: Spot, target: Spot, seen: tuple[int, int, int]) -> Carried:
        """Remove a file whose target has the same content; errors as for `carry`."""
        with self._opened(source) as descriptor, self._opened(target) as there:
            self._check(source, descriptor, seen, check_writers=True)
            if os.path.samestat(os.fstat(descriptor), os.fstat(there)):
                raise NotMoved(path=source.path, reason=f"{target.path} is the same file")
            found = self.sum(descriptor)
            if self.sum(there) != found:
                raise NotMoved(path=source.path, reason=f"{target.path} has another content now")
            self._check(source, descriptor, seen, check_writers=True)
            self._remove(source, seen)
            return Carried(found, Method.SAME)

    def duplicate(self, source: Spot, target: Spot, part: str, sha256: str) -> None:
        """Copy a file to a free name, and leave it where it is; errors as for `carry`."""
        with self._opened(source) as descriptor:
            seen = seen_of(os.fstat(descriptor))
            self._write_part(source, target, descriptor, seen, part, sha256)
            try:
                _rename(Spot(target.folder, part), target)
            except BaseException:
                target.folder.remove(part)
                raise
            target.folder.sync()

    def sum(self, descriptor: int, most: int | None = None) -> str:
        """Return the checksum of an open file.

        Parameters
        ----------
        descriptor
            Of the file.
        most
            Bytes after which to stop: a file that grows as fast as it is read has no end.
        """
        digest = hashlib.sha256()
        os.lseek(descriptor, 0, os.SEEK_SET)
        left = os.fstat(descriptor).st_size if most is None else most
        while left >= 0 and (data := os.read(descriptor, CHUNK)):
            digest.update(data)
            left -= len(data)
            self._go_on()
        return digest.hexdigest()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self.stop():
            raise FilingInterrupted
        self.alive()

    def _opened(self, spot: Spot) -> _Opened:
        return _Opened(spot)

    def _check(self, source: Spot, descriptor: int, seen: tuple[int, int, int], check_writers: bool) -> None:
        """Raise `NotMoved` unless a file is what was seen, and nobody writes to it."""
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1:
            raise NotMoved(path=source.path, reason="it is not a file with one name any more")
        if seen_of(state) != seen:
            raise NotMoved(path=source.path, reason="it has changed")
        if check_writers and open_for_writing(descriptor):
            raise NotMoved(path=source.path, reason="another program has it open for writing")

    def _copied(
        self,
        source: Spot,
        target: Spot,
        descriptor: int,
        seen: tuple[int, int, int],
        part: str,
        publishing: Callable[[int, str | None], bool],
        sha256: str | None,
    ) -> Carried:
        # Before much is copied for nothing: the folder's disk may be mounted for reading alone.
        if not os.access(".", os.W_OK | os.X_OK, dir_fd=source.folder.descriptor, effective_ids=_BY_EFFECTIVE_USER):
            raise NotMoved(path=source.path, reason=f"this user cannot remove it from {source.folder.path}")
        found = self._write_part(source, target, descriptor, seen, part, sha256)
        copy = Spot(target.folder, part)
        try:
            made = copy.state()
            if made is None or not publishing(made.st_ino, found):
                raise ClaimLost(path=source.path)
            _rename(copy, target)
        except BaseException:
            target.folder.remove(part)
            raise
        target.folder.sync()
        try:
            self._remove(source, seen)
        except (NotMoved, OSError) as error:
            # Whatever keeps it there: it was written to at the last moment, or its disk refuses.
            if _take_back(source, target, made):
                if isinstance(error, NotMoved):
                    raise
                reason = f"it cannot be removed ({error.strerror or error}), so its copy was taken back"
                raise SourceStays(path=source.path, reason=reason) from error
        return Carried(found, Method.COPY)

    def _write_part(
        self, source: Spot, target: Spot, descriptor: int, seen: tuple[int, int, int], part: str, sha256: str | None
    ) -> str:
        """Copy a file's content, flush and compare it; return the checksum."""
        if target.state() is not None:  # before much is copied for nothing
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target.path)
        state = os.fstat(descriptor)
        target.folder.remove(part)  # of one that was killed
        written = os.open(part, _WRITE_NEW, 0o600, dir_fd=target.folder.descriptor)
        try:
            try:
                digest = hashlib.sha256()
                os.lseek(descriptor, 0, os.SEEK_SET)
                left = seen[0]
                while left >= 0 and (data := os.read(descriptor, CHUNK)):
                    digest.update(data)
                    _write_all(written, data)
                    left -= len(data)
                    self._go_on()
                if left < 0:
                    raise NotMoved(path=source.path, reason=_CHANGED)
                os.fchmod(written, stat.S_IMODE(state.st_mode) & 0o777)
                os.utime(written, ns=(state.st_atime_ns, state.st_mtime_ns))
                os.fsync(written)
                # So that what is compared comes from the disk, where the system allows that.
                os.posix_fadvise(written, 0, 0, os.POSIX_FADV_DONTNEED)
                found = self.sum(written)
            finally:
                os.close(written)
            if found != digest.hexdigest():
                raise NotMoved(path=source.path, reason=f"its copy in {target.folder.path} has another content")
            _compare(source, found, sha256)
            if seen_of(os.fstat(descriptor)) != seen:
                raise NotMoved(path=source.path, reason=_CHANGED)
        except BaseException as error:
            target.folder.remove(part)
            if isinstance(error, OSError) and error.filename is None:
                error.filename = target.path
            raise
        return found

    def _remove(self, source: Spot, seen: tuple[int, int, int]) -> None:
        """Remove a file that is filed, if its name still is that of the file that was read."""
        state = source.state()
        if state is None:
            return
        if seen_of(state) != seen:
            raise NotMoved(path=source.path, reason=_CHANGED)
        source.folder.remove(source.name)
        source.folder.sync()


class _Opened:
    """A file opened for reading without following a link, for a block."""

    def __init__(self, spot: Spot) -> None:
        self._descriptor = -1
        self._spot = spot

    def __enter__(self) -> int:
        try:
            self._descriptor = os.open(self._spot.name, _READ, dir_fd=self._spot.folder.descriptor)
        except OSError as error:
            error.filename = self._spot.path
            raise
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _take_back(source: Spot, target: Spot, made: os.stat_result) -> bool:
    """Remove the copy of a file that is still there; return False if it is gone, so that the copy is the only one."""
    state = source.state()
    if state is None:
        return False
    there = target.state()
    if there is not None and os.path.samestat(there, made):
        target.folder.remove(target.name)
        target.folder.sync()
    return True


def _rename(source: Spot, target: Spot) -> None:
    rename_new(source.folder, source.name, target.folder, target.name)


def _compare(source: Spot, found: str, sha256: str | None) -> None:
    if sha256 is not None and found != sha256:
        raise NotMoved(path=source.path, reason="its content is not what was filed")


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
