"""What a machine can run out of (disk space, open files, memory), and the message that names it first.

A full disk appears as many different errors: the system's, a database's, or one of ours that was made from those.
`explained` finds it behind all of them, so that not every place that writes needs to check.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from NexusCore.errors import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    DatabaseFull,
    DiskFull,
    NexusError,
    OutOfMemory,
    TooManyOpenFiles,
    TooManyProcesses,
)
from NexusCore.text import one_line

NO_ROOM = 64 * 1024
"""A disk with fewer bytes left than this cannot take the next file."""
MYSQL_FULL = frozenset({1021, 1114})
"""Errors of MySQL and MariaDB: ER_DISK_FULL, ER_RECORD_FILE_FULL. Others name the system's error in their text."""
MOUNTS = Path("/proc/self/mountinfo")

_DISK = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_TOO_MANY_FILES = {errno.EMFILE, errno.ENFILE}
_NO_THREAD = "can't start new thread"
"""What Python says when the system starts no more of them."""
_SQLITE_URL = "sqlite:///"
_SQLITE_FULL, _SQLITE_IOERR, _SQLITE_CANTOPEN = 13, 10, 14
_BYTE_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system where it is mounted."""

    point: str
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class Room:
    """What is left on a disk."""

    free: int
    """Bytes that this user may still write."""
    total: int
    inodes: int | None
    """Files that may still be created; None where the file system does not count them."""

    @property
    def none(self) -> bool:
        """Whether nothing more can be written."""
        return self.free < NO_ROOM or self.inodes == 0


def filesystem_of(path: Path) -> Mount | None:
    """Return the file system that a path is on; None if unknown."""
    try:
        lines = MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    mount: Mount | None = None
    real = os.path.realpath(path)
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = fields.split()[4].encode().decode("unicode_escape")  # blanks are written as \040
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and (mount is None or len(point) >= len(mount.point)):
            kind, source = rest.split()[:2]
            mount = Mount(point, kind, source)
    return mount


def room_of(path: Path) -> Room:
    """Return what is left on the disk of a path that exists."""
    stat = os.statvfs(path)
    return Room(stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize, stat.f_favail if stat.f_files else None)


def bytes_text(count: float) -> str:
    """Return a number of bytes: ``1.3 GiB``."""
    if count == 1:
        return "1 byte"
    unit = 0
    while count >= 1024 and unit < len(_BYTE_UNITS) - 1:
        count /= 1024
        unit += 1
    return f"{count:.0f} {_BYTE_UNITS[unit]}" if unit == 0 or count >= 100 else f"{count:.1f} {_BYTE_UNITS[unit]}"


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error of the system says that a disk, or this user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in _DISK


def has_no_room(path: Path) -> bool:
    """Return whether the disk of `path`, which need not exist, is full; False if unknown."""
    try:
        return room_of(_existing(path)).none
    except (OSError, AttributeError):  # Windows has no statvfs
        return False


def place_text(path: Path | None, places: Iterable[Path] = ()) -> str:
    """Return how full the disk of a path is, for a message; without a path, that of the first place that is full."""
    path = path or next(filter(has_no_room, (*places, temporary_folder(), Path.cwd())), None)
    if path is None:
        return "it has no room left"
    try:
        path = _existing(path)
        room, mount = room_of(path), filesystem_of(path)
    except (OSError, AttributeError):
        return f"nothing more can be written to {path}"
    left = f"{bytes_text(room.free)} of {bytes_text(room.total)} are free"
    if room.inodes == 0:
        left = "no more files can be created"
    if mount is None:
        return f"{left} where {path} is"
    return f"{left} on {mount.point} ({mount.source if '/' in mount.source else mount.kind})"


def explained(error: BaseException, places: Iterable[Path] = ()) -> NexusError | None:
    """Return the error to show when the machine has run out of something; None if it has not.

    Parameters
    ----------
    error
        What was raised; what caused it counts as well.
    places
        Where it may have happened, if the error does not say.
    """
    what = f"{error} " if isinstance(error, NexusError) else ""
    path = _path_of(error)
    for cause in _chain(error):
        if isinstance(cause, (DatabaseFull, DiskFull)):
            return cause
        if is_disk_full(cause) or is_full_database(cause, path) or _has_no_temporary_folder(cause):
            return DiskFull(place=place_text(path, places), what=what)
        if isinstance(cause, OSError) and cause.errno in _TOO_MANY_FILES:
            return TooManyOpenFiles(limit=_open_files(), what=what)
        if isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM):
            return OutOfMemory(what=what)
        if isinstance(cause, RuntimeError) and str(cause) == _NO_THREAD:
            return TooManyProcesses(limit=_processes(), what=what)
    return None


def start_failure(error: OSError) -> str:
    """Return why a process could not be started, as the end of a sentence.

    The system calls it unavailable where this user has as many processes and threads as it may have (fork(2)).
    """
    return f"the system starts no more processes ({_processes()})" if error.errno == errno.EAGAIN else str(error)


def sentence_of(error: BaseException, places: Iterable[Path] = ()) -> str:
    """Return the message of an error; first what the machine has run out of, if that is the cause."""
    return str(explained(error, places) or error)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a program that ends with an error."""
    return error.exit_code if isinstance(error, NexusError) else EXIT_FAILURE


def temporary_folder() -> Path:
    """Return where temporary files go, or would go if there were room."""
    import tempfile  # imported only when needed: it brings many modules

    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:  # it tries to write there
        return Path(os.environ.get("TMPDIR", f"{os.sep}tmp"))


def _has_no_temporary_folder(error: BaseException) -> bool:
    """Return whether Python has found no temporary folder because the disk is full."""
    text = "No usable temporary directory"
    return isinstance(error, FileNotFoundError) and text in str(error) and has_no_room(temporary_folder())


def complain(sentence: str) -> None:
    """Write one line on standard error, if there is one, in one piece: other threads write, too."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{one_line(sentence)}\n")
        sys.stderr.flush()


def reported(work: Callable[[], int], prefix: str = "") -> int:
    """Run a program and return its exit code; an error is reported in one line on standard error."""
    try:
        return work()
    except (NexusError, OSError, MemoryError) as error:
        complain(f"{prefix}{sentence_of(error)}")
        return exit_code_of(error)
    except RuntimeError as error:
        if (shortage := explained(error)) is None:
            raise
        complain(f"{prefix}{shortage}")
        return exit_code_of(shortage)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def is_full_database(error: BaseException, path: Path | None) -> bool:
    """Return whether a database driver's own error says that a disk is full.

    Parameters
    ----------
    error
        The driver's error.
    path
        A database file, or its folder; None for a server.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return bool(
        code == _SQLITE_FULL
        # Where a file beside the database's cannot be created or grow, SQLite does not say why.
        or (code in (_SQLITE_IOERR, _SQLITE_CANTOPEN) and path is not None and has_no_room(path))
        or (type(error).__module__.startswith(("mysql.", "_mysql")) and getattr(error, "errno", 0) in MYSQL_FULL)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, the outermost first."""
    visited: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in visited:
        visited.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _path_of(error: BaseException) -> Path | None:
    """Return the path that could not be written, if an error or one of its causes names it."""
    for cause in _chain(error):
        facts = cause.facts if isinstance(cause, NexusError) else {}
        names: list[object] = [facts.get(name) for name in ("path", "folder", "target")]
        if (where := str(facts.get("where"))).startswith(_SQLITE_URL):
            names.append(where.removeprefix(_SQLITE_URL))
        if isinstance(cause, OSError):
            names = [cause.filename]
        for name in names:
            if isinstance(name, bytes):
                name = os.fsdecode(name)
            if isinstance(name, (str, Path)) and name:
                return Path(name)
    return None


def _existing(path: Path) -> Path:
    """Return the path, or the innermost of its folders that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _processes() -> str:
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    except (ImportError, AttributeError):
        return "the system's limit"
    if limit == resource.RLIM_INFINITY:
        return "the limit of the machine, a service or a container"
    return f"the limit is {limit} for all of this user; that of a service or a container may be lower"


def _open_files() -> str:
    try:
        import resource
    except ImportError:
        return "the system's limit"
    return f"the limit is {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"
