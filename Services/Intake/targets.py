"""What is at the targets now: each folder is listed once, without following links."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import Protocol

from NexusCore.errors import NexusError
from NexusCore.files import open_below
from Services.Intake.planning import Existing, Parts
from Services.Intake.scanning import Found

CHUNK = 1 << 20
"""Bytes that are read at once."""


class TargetAway(NexusError):
    """The folder {path} for filed files cannot be used ({reason}). Is it mounted, and may this user write there?"""  # noqa: D400


class Hash(Protocol):
    """What a checksum is made with."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Return the checksum."""


class DiskTargets:
    """The targets on disk; made anew for each plan, since others may change them.

    Parameters
    ----------
    inbox
        Absolute path of the drop folder.
    """

    def __init__(self, inbox: Path) -> None:
        self._inbox = inbox
        self._folders: dict[tuple[Path, Parts], dict[str, Existing]] = {}
        self._sums: dict[tuple[Path, Parts], str] = {}

    def at(self, root: Path, parts: Parts) -> Existing | None:
        """Return what is at a path; None if it is free.

        Raises
        ------
        TargetAway
            If the root cannot be read.
        """
        return self._listing(root, parts[:-1]).get(parts[-1])

    def same_content(self, found: Found, root: Path, parts: Parts) -> bool:
        """Return whether a file has the content of what is at a path."""
        existing = self.at(root, parts)
        if existing is None or not existing.is_file or existing.size != found.size:
            return False
        return self._sum(self._inbox, (*found.folder, found.name)) == self._sum(root, parts)

    def same_files(self, one: Found, other: Found) -> bool:
        """Return whether two files of the inbox have the same content."""
        if one.size != other.size:
            return False
        sums = {self._sum(self._inbox, (*found.folder, found.name)) for found in (one, other)}
        return len(sums) == 1

    def _listing(self, root: Path, folder: Parts) -> dict[str, Existing]:
        known = self._folders.get((root, folder))
        if known is not None:
            return known
        # A folder below one that is not there is not there either: the system need not be asked.
        if folder and folder[-1] not in self._listing(root, folder[:-1]):
            listing: dict[str, Existing] = {}
        else:
            listing = _listed(root, folder)
        self._folders[root, folder] = listing
        return listing

    def _sum(self, root: Path, parts: Parts) -> str:
        known = self._sums.get((root, parts))
        if known is None:
            known = self._sums[root, parts] = sha256_at(root, parts)
        return known


def sha256_at(root: Path, parts: Parts) -> str:
    """Return the checksum of a file below a root; a text that equals no checksum, nor another one's, if it is none."""
    try:
        top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            descriptor = open_below(top, parts)
        finally:
            os.close(top)
        with open(descriptor, "rb") as file:  # noqa: PTH123  a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return f"not a file: {root} {parts}"
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{error.strerror}: {root} {parts}"


def _listed(root: Path, folder: Parts) -> dict[str, Existing]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        top = os.open(root, flags)
    except OSError as error:
        raise TargetAway(path=root, reason=error.strerror or error) from None
    try:
        try:
            descriptor = open_below(top, folder, flags) if folder else os.dup(top)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return {}
            raise TargetAway(path=root.joinpath(*folder), reason=error.strerror or error) from None
        try:
            with os.scandir(descriptor) as entries:
                return {entry.name: _existing(entry) for entry in entries}
        except OSError as error:
            raise TargetAway(path=root.joinpath(*folder), reason=error.strerror or error) from None
        finally:
            os.close(descriptor)
    finally:
        os.close(top)


def _existing(entry: os.DirEntry[str]) -> Existing:
    if entry.is_dir(follow_symlinks=False):
        return Existing(is_folder=True)
    if not entry.is_file(follow_symlinks=False):
        return Existing(is_folder=False)
    return Existing(is_folder=False, size=_size(entry), is_file=True)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return -1
