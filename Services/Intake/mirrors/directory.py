"""A mirror in a folder of this machine, or of a share that is mounted here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from NexusCore.facility.file_copy import CopyState, FileCopy
from NexusCore.files import Folder, InTheWay
from Services.Intake.mirrors import CopyFailed, MirrorAway
from Services.Intake.mirrors.source_file import open_source
from Services.Intake.settings import MirrorSettings

CHUNK = 1 << 20
"""Bytes that are read at once."""


class DirectoryMirror:
    """Copies in a folder, which is never created: what is missing may be a file system that is not mounted.

    Parameters
    ----------
    settings, stop
        As for `make_mirror`.
    """

    reads = True

    def __init__(self, settings: MirrorSettings, stop: Callable[[], bool]) -> None:
        self.name = settings.name
        self._root = Path(settings.path)
        self._mount = settings.mount
        self._stop = stop

    def check(self) -> None:
        """Raise `MirrorAway` if the folder is not there, or nothing is mounted where it should be."""
        if self._mount and not os.path.ismount(self._mount):
            raise MirrorAway(mirror=self.name, reason=f"nothing is mounted on {self._mount}")
        if not self._root.is_dir():
            raise MirrorAway(mirror=self.name, reason=f"{self._root} is not a folder (is it mounted?)")

    def put(self, copy: FileCopy, source: Path) -> None:
        """Write a copy under a hidden name, read it again, and give it its name."""
        place = PurePosixPath(copy.path)
        with Folder.open(self._root) as top, top.below(place.parent, create=True) as folder:
            status = folder.status(place.name)
            if status is not None and copy.state is CopyState.WAITING and not self._is_ours(folder, place.name, copy):
                # Never written by this mirror, so it is somebody else's.
                raise self._failed(copy, f"there is another file at {self._root / place}")
            with (
                open_source(source) as file,
                folder.replacing(place.name, lambda written: self._compare(copy, written)) as new,
            ):
                self._write(copy, file, new)
                new.flush()  # before the time is set, which a later write would change
                state = os.fstat(file.fileno())
                os.utime(new.fileno(), ns=(state.st_atime_ns, state.st_mtime_ns))
                os.fsync(new.fileno())
                # So that what is compared comes from the disk, where the system allows that.
                os.posix_fadvise(new.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def fault(self, copy: FileCopy, source: Path) -> str | None:
        """Read a copy; return what is wrong with it, None if it is right."""
        self.check()
        place = PurePosixPath(copy.path)
        try:
            with (
                Folder.open(self._root) as top,
                top.below(place.parent) as folder,
                folder.open_file(place.name, one_name=True) as file,
            ):
                size = os.fstat(file.fileno()).st_size
                if size != copy.size:
                    return f"it has {size:,} bytes instead of {copy.size:,}"
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                return None if self._sum(copy, file) == copy.sha256 else "its content has changed"
        except FileNotFoundError:
            return "it is missing"
        except InTheWay as error:
            return str(error)

    @contextmanager
    def lend(self, copy: FileCopy, folder: Path) -> Iterator[Path | None]:
        """Yield the path of a copy."""
        self.check()
        yield self._root / copy.path

    def _is_ours(self, folder: Folder, name: str, copy: FileCopy) -> bool:
        with suppress(InTheWay, OSError), folder.open_file(name, one_name=True) as file:
            return self._sum(copy, file) == copy.sha256
        return False

    def _write(self, copy: FileCopy, file: BufferedReader, new: BinaryIO) -> None:
        while data := file.read(CHUNK):
            if self._stop():
                raise self._failed(copy, "Intake is to end")
            new.write(data)

    def _compare(self, copy: FileCopy, written: BufferedReader) -> None:
        if self._sum(copy, written) != copy.sha256:
            raise self._failed(copy, "what was written is not what was filed")

    def _sum(self, copy: FileCopy, file: BufferedReader) -> str:
        digest = hashlib.sha256()
        while data := file.read(CHUNK):
            if self._stop():
                raise self._failed(copy, "Intake is to end")
            digest.update(data)
        return digest.hexdigest()

    def _failed(self, copy: FileCopy, reason: str) -> CopyFailed:
        return CopyFailed(path=copy.path, mirror=self.name, reason=reason)
