"""Files that are written completely or not at all, also in folders that others may write to.

Promises
--------
* Below a `Folder`, no link is followed. Each folder is opened from the one above it, by descriptor, and what is done in
  it happens there, even if its path is replaced a moment later. The path of the `Folder` itself may contain links.
* A file replaces only a file with one name, or nothing. For a link, a hard link, a pipe, a socket, a device or a folder
  `InTheWay` is raised.
* `open_file_below` does not read a file with a second name: a hard link could be any file of the file system.
* A file being written has an unpredictable name, and is opened only if that is free.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path, PurePath
from types import TracebackType
from typing import BinaryIO

from NexusCore.errors import NexusError

UNFINISHED = ".nexuscore-"
"""Default prefix of the names of files being written."""
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | _CLOEXEC
_BINARY = getattr(os, "O_BINARY", 0)
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""How a file system says that it has none."""
_FILE_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


class InTheWay(NexusError):
    """{path} is in the way: it is {kind}. Remove it, and check who may write to {folder}."""


def replace_file(path: Path, *content: bytes | bytearray, sync: bool = False) -> None:
    """Replace a file readable only by its owner, in a folder that only the owner can write to, atomically.

    Parameters
    ----------
    path
        The file, in an existing folder.
    *content
        Its content, in parts.
    sync
        Flush it to the disk itself.
    """
    unfinished = path.with_name(f"{path.name}.{os.urandom(8).hex()}.part")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _BINARY, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123  a descriptor
            file.writelines(content)
            if sync:
                file.flush()
                os.fsync(descriptor)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def write_below(root: Path, path: Path, content: bytes) -> None:
    """Replace a file atomically, and create the folders between it and `root`.

    Parameters
    ----------
    root
        Folder named by the operator, created if missing; it may be a link.
    path
        The file, below `root` without any link.
    content
        Its new content.

    Raises
    ------
    InTheWay
        If something on the way is not a folder, or `path` is not a file.
    OSError
        With the system's reason.
    """
    place = path.relative_to(root)
    with (
        Folder.open(root, create=True) as top,
        top.below(place.parent, create=True) as folder,
        folder.replacing(place.name, sync=False) as file,
    ):
        file.write(content)


def status_below(root: Path, path: Path) -> os.stat_result | None:
    """Return the status of a path, without following links; None if it does not exist or is behind a link."""
    place = path.relative_to(root)
    try:
        with Folder.open(root) as top, top.below(place.parent) as folder:
            return folder.status(place.name)
    except (FileNotFoundError, InTheWay):
        return None


def open_file_below(root: Path, path: Path) -> BufferedReader:
    """Open a file for reading that is below `root` without any link, including hard links.

    Errors as for `write_below`.
    """
    place = path.relative_to(root)
    with Folder.open(root) as top, top.below(place.parent) as folder:
        return folder.open_file(place.name, one_name=True)


def remove_below(root: Path, path: Path) -> None:
    """Remove a file that is below `root` without any link, if it exists; errors as for `write_below`."""
    place = path.relative_to(root)
    with suppress(FileNotFoundError), Folder.open(root) as top, top.below(place.parent) as folder:
        folder.remove(place.name)


def open_below(folder: int, parts: Sequence[str], flags: int = os.O_RDONLY) -> int:
    """Open a file or folder below an open folder; no link is followed on the way, nor at its end.

    Each component is opened from the folder before it, so none can be exchanged for a link meanwhile. A pipe or a
    device is opened without waiting for its other end: look at what was opened before reading it.

    Parameters
    ----------
    folder
        Descriptor of the folder to start from (`os.O_PATH` is enough).
    parts
        Names below it, outermost first.
    flags
        As for `os.open`; flags against following links are added.

    Returns
    -------
    int
        A descriptor, to be closed by the caller.

    Raises
    ------
    OSError
        From `os.open`: ELOOP if the last component is a link, ENOTDIR if one before it is a link or not a folder.
    ValueError
        If a part is empty, ``.`` or ``..``, or contains a slash.
    """
    if not parts or any(part in ("", os.curdir, os.pardir) or os.sep in part for part in parts):
        raise ValueError(f"{list(parts)} does not name a file below a folder")
    *folders, name = parts
    inner = folder
    try:
        for part in folders:
            # O_DIRECTORY makes a link an error, which O_PATH alone would open as such
            step = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=inner)
            if inner != folder:
                os.close(inner)
            inner = step
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=inner)
    finally:
        if inner != folder:
            os.close(inner)


class Folder:
    """An open folder. Names are those of its direct entries; errors as for `write_below`.

    Parameters
    ----------
    descriptor
        Of the folder; closed with this object.
    path
        Its path, for messages.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self.path = path

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> Folder:
        """Open a folder that the operator has named, also through links; with `create`, create it if missing."""
        if create:
            path.mkdir(parents=True, exist_ok=True)
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | _CLOEXEC), path)

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    @property
    def descriptor(self) -> int:
        """The descriptor of the folder, for calls of the system that take one; closed with this object."""
        return self._descriptor

    def sync(self) -> None:
        """Flush the folder's entries to the disk, where its file system can."""
        with suppress(OSError):
            os.fsync(self._descriptor)

    def same_as(self, path: Path) -> bool:
        """Return whether a path leads to this folder."""
        return os.path.samestat(os.fstat(self._descriptor), path.stat())

    # -- folders in it -------------------------------------------------------------------------------------------------

    def folder(self, name: str, *, create: bool = False, sync: bool = False) -> Folder:
        """Open a folder in this one; with `create`, create it if missing, with `sync`, on the disk itself."""
        _check(name)
        with self._naming(name):
            if create:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=self._descriptor)
                    if sync:
                        self.sync()
            try:
                descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK, dir_fd=self._descriptor)
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
                raise self._in_the_way(name, expected=stat.S_ISDIR) from None
        return Folder(descriptor, self.path / name)

    def below(self, place: PurePath, *, create: bool = False, sync: bool = False) -> Folder:
        """Open a folder at a relative path; with `create`, create missing ones, with `sync`, on the disk itself."""
        folder = Folder(os.dup(self._descriptor), self.path)
        for name in place.parts:
            with folder:
                folder = folder.folder(name, create=create, sync=sync)
        return folder

    # -- files in it ---------------------------------------------------------------------------------------------------

    def status(self, name: str) -> os.stat_result | None:
        """Return the status of a name, without following links; None if it is free."""
        _check(name)
        with self._naming(name):
            try:
                return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
            except FileNotFoundError:
                return None

    def check_free(self, name: str) -> None:
        """Raise `InTheWay` unless a name is free, or is that of a file without a second name."""
        status = self.status(name)
        if status is not None and (not stat.S_ISREG(status.st_mode) or status.st_nlink > 1):
            raise self._in_the_way(name)

    def open_file(self, name: str, *, one_name: bool = False) -> BufferedReader:
        """Open a file for reading; with `one_name`, refuse one with a second name, which may be another's file."""
        status = self.status(name)
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise self._in_the_way(name)  # before opening: that may already have an effect on a device
        return open(self._opened(name, os.O_RDONLY, one_name=one_name), "rb")  # noqa: PTH123  a descriptor

    def open_for_writing(self, name: str) -> BinaryIO:
        """Open an existing file with one name to read it and write in it."""
        return open(self._opened(name, os.O_RDWR, one_name=True), "r+b", buffering=0)  # noqa: PTH123  a descriptor

    def open_for_appending(self, name: str) -> BinaryIO:
        """Open a file to append to it, also as a lock; create it if missing."""
        descriptor = self._opened(name, os.O_RDWR | os.O_CREAT | os.O_APPEND, one_name=True)
        return open(descriptor, "ab", buffering=0)  # noqa: PTH123  a descriptor

    @contextmanager
    def replacing(
        self,
        name: str,
        check: Callable[[BufferedReader], None] = lambda file: None,
        *,
        prefix: str = UNFINISHED,
        sync: bool = True,
    ) -> Iterator[BinaryIO]:
        """Yield a new file to write to; after the block it gets the name.

        Parameters
        ----------
        name
            The final name.
        check
            Called with the file opened for reading; raises if it must not get the name.
        prefix
            Prefix of its name until then.
        sync
            Flush it to the disk itself.
        """
        self.check_free(name)
        unfinished = f"{prefix}{os.urandom(16).hex()}"
        try:
            with open(self._opened(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:  # noqa: PTH123
                yield file
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            with self.open_file(unfinished) as written:
                check(written)
            self.check_free(name)
            # A link created just now with this name is itself replaced.
            with self._naming(name):
                os.replace(unfinished, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        finally:
            self.remove(unfinished)
        if sync:
            self.sync()

    def remove(self, name: str) -> None:
        """Remove a file or link, if it exists."""
        _check(name)
        try:
            with self._naming(name), suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._descriptor)
        except IsADirectoryError:  # it has become one since the check
            raise InTheWay(path=self.path / name, kind="a folder", folder=self.path) from None

    def remove_empty(self, name: str) -> None:
        """Remove a folder if it is empty."""
        with suppress(OSError):
            os.rmdir(name, dir_fd=self._descriptor)

    def publish(self, name: str, target: Folder, new_name: str, *, replace: bool = False) -> None:
        """Give a finished file its name in another folder of the same file system; without `replace`, a free one.

        Raises
        ------
        FileExistsError
            If the name is taken; the file stays where it is.
        """
        _check(name)
        _check(new_name)
        with target._naming(new_name):
            if not replace:
                self._claim(name, target, new_name)
            if replace or self.status(name) is not None:
                os.replace(name, new_name, src_dir_fd=self._descriptor, dst_dir_fd=target._descriptor)
        target.sync()

    def _claim(self, name: str, target: Folder, new_name: str) -> None:
        """Give a file a second name, and take the first; where there are no hard links, only take the second."""
        try:
            os.link(name, new_name, src_dir_fd=self._descriptor, dst_dir_fd=target._descriptor, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            os.close(os.open(new_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, dir_fd=target._descriptor))
        else:
            os.unlink(name, dir_fd=self._descriptor)

    # -- all that is in it ---------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return all names in order."""
        return sorted(os.listdir(self._descriptor))  # noqa: PTH208  a descriptor

    def remove_others(self, wanted: Collection[Path]) -> None:
        """Remove everything below except these paths, and the folders that are then empty; links are not followed."""
        for name in self.names():
            status = self.status(name)
            if status is not None and stat.S_ISDIR(status.st_mode):
                with self.folder(name) as inner:
                    inner.remove_others(wanted)
                self.remove_empty(name)
            elif self.path / name not in wanted:
                self.remove(name)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _opened(self, name: str, flags: int, *, one_name: bool = False) -> int:
        """Return the descriptor of a regular file; with `one_name`, of one without a second name."""
        _check(name)
        with self._naming(name):
            try:
                # Non-blocking: opening a pipe would wait for its other end.
                flags |= os.O_NONBLOCK | _NO_LINK
                descriptor = os.open(name, flags, 0o666, dir_fd=self._descriptor)
            except OSError as error:
                # ENXIO: a socket, or a pipe without a reader; ENODEV: a device without a driver.
                if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV):
                    raise
                raise self._in_the_way(name, expected=stat.S_ISREG) from None
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise self._in_the_way(name, expected=stat.S_ISREG)
        if one_name and status.st_nlink > 1:
            os.close(descriptor)
            raise self._in_the_way(name)
        return descriptor

    def _in_the_way(self, name: str, expected: Callable[[int], bool] = lambda mode: False) -> InTheWay:
        """Return the error for the entry with a name; if it is `expected` now, it has just been replaced."""
        status = self.status(name)
        if status is None or expected(status.st_mode):
            kind = "being swapped for something else at this moment"
        else:
            kind = next((kind for test, kind in _FILE_KINDS if test(status.st_mode)), "")
            kind = kind or ("a file" if status.st_nlink == 1 else f"a file with {status.st_nlink} names (hard links)")
        return InTheWay(path=self.path / name, kind=kind, folder=self.path)

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """Put the whole path into errors."""
        try:
            yield
        except OSError as error:
            error.filename = str(self.path / name)
            raise


def _check(name: str) -> None:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"'{name}' is not a name in a folder")
