"""Which file is at the path of an SQLite database: it may be removed or replaced while programs have it open.

An open file stays the same whatever happens to its path, so what is written to it then would be lost without a word.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from NexusCore.errors import DatabaseFileDenied, DatabaseUnusable
from NexusCore.settings import DatabaseURL
from NexusCore.text import shell_quote

FileId = tuple[int, int]
"""Device and inode."""


def file_at(path: str) -> FileId | None:
    """Return which file is at a path; None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116  called at each transaction
    except OSError:
        return None
    return status.st_dev, status.st_ino


def present_file(url: DatabaseURL) -> FileId | None:
    """Return which file is at the path of a database now; None if there is none, and for a server."""
    return file_at(url.name) if url.kind == "sqlite" else None


def is_read_only(path: Path) -> bool:
    """Return whether the file system of a path, which need not exist, is mounted read-only."""
    try:
        while not path.exists() and path != path.parent:
            path = path.parent
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except (OSError, AttributeError):  # Windows has no statvfs
        return False


def unusable(url: DatabaseURL, error: Exception) -> DatabaseUnusable | DatabaseFileDenied:
    """Return the error for a database file that cannot be created, or whose folder or lock cannot be."""
    return why_unusable(Path(url.name)) or DatabaseUnusable(where=url, reason=error)


def why_unusable(file: Path, *, opening: bool = False) -> DatabaseUnusable | DatabaseFileDenied | None:
    """Return the error if a file cannot be used because of its file system or of this user's rights; None otherwise.

    Parameters
    ----------
    file
        The database.
    opening
        Whether it could not even be opened. While no other program has it open, its log has to be created for that.
    """
    where = f"sqlite:///{file}"
    if is_read_only(file):
        return DatabaseUnusable(where=where, reason="its file system is read-only")
    refusal = denied(file)
    if refusal is None and (refusal := denied(file, write=True)) is not None and opening:
        reason = f"while no service has it open, that takes the right to write, but {refusal.facts['reason']}"
        return DatabaseFileDenied(where=where, kind="read", reason=reason)
    return refusal


def denied(file: Path, *, write: bool = False) -> DatabaseFileDenied | None:
    """Return the error if this user may not use a database file, or a folder on the way to it; None if it may.

    Parameters
    ----------
    file
        The file, which need not exist.
    write
        Whether it is to be changed. That takes the right to write to its folder, too: its log is written beside it.
    """
    wanted = [(place, os.X_OK) for place in reversed(file.parents)]
    if write:
        wanted[-1] = (file.parent, os.X_OK | os.W_OK)
    wanted.append((file, os.R_OK | os.W_OK if write else os.R_OK))
    try:
        for place, access in wanted:
            if not os.access(place, access) and place.exists():
                return DatabaseFileDenied(
                    where=f"sqlite:///{file}", kind="write" if write else "read", reason=_whose(place, access)
                )
    except OSError:  # it was removed meanwhile
        return None
    return None


def _whose(place: Path, access: int) -> str:
    """Return whom a file or folder belongs to and, if its group has this access, how a user gets it."""
    status = place.stat()
    try:
        import grp
        import pwd

        owner, group = pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid)
        user = pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError):
        return f"{place} is closed to it"
    closed = f"{place} is only for the user {owner}"
    if (remedy := to_share(place)) is not None:
        return f"{closed}, although its folder is shared. To share it too: {remedy}"
    if status.st_gid in (0, os.getegid(), *os.getgroups()) or access & ~(status.st_mode >> 3):
        return closed
    closed += f" and the group {group.gr_name}"
    if user in group.gr_mem:
        return f"{closed}; {user} is in that group from the next login on"
    return f"{closed}. To add {user} to that group: sudo usermod -aG {group.gr_name} {user}; then log in again"


def shared_by_group(folder: Path) -> bool:
    """Return whether a folder is shared by a group: its members may write, and new files belong to the group."""
    try:
        mode = folder.stat().st_mode
    except OSError:
        return False
    return bool(mode & stat.S_ISGID and mode & stat.S_IWGRP)


def to_share(file: Path) -> str | None:
    """Return the command that gives a database file to the group that shares its folder; None if it needs none."""
    folder = file.parent
    if not file.is_file() or not shared_by_group(folder):
        return None
    status, wanted = file.stat(), folder.stat()
    if status.st_gid == wanted.st_gid and status.st_mode & stat.S_IRGRP:  # 0640 is a choice: the group may only read
        return None
    files = f"{shell_quote(str(file))}*"
    return f"sudo chown {folder.owner()}:{folder.group()} {files} && sudo chmod 660 {files}"


def mode_in(folder: Path) -> int:
    """Return the mode of a database file, or its lock, in a folder: nothing of it is for users outside of the group.

    SQLite gives the mode of the database to its log and shared memory, whatever the umask says, and the folder gives
    them the group.
    """
    return 0o660 if shared_by_group(folder) else 0o600


def set_aside_log(url: DatabaseURL, file: FileId | None, log: FileId | None) -> None:
    """Rename the write-ahead log of a file that was replaced, if it is still beside the new one.

    SQLite would take its pages for those of the new file. A file that was only moved away keeps its log: it may return.

    Parameters
    ----------
    url
        The database.
    file, log
        The former file and its log.
    """
    if log is not None and present_file(url) not in (None, file) and file_at(f"{url.name}-wal") == log:
        with suppress(OSError):
            os.replace(f"{url.name}-wal", f"{url.name}-wal-of-the-former-file")  # noqa: PTH105
            os.unlink(f"{url.name}-shm")  # noqa: PTH108
