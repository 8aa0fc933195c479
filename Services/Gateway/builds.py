"""Builds of the session logger that microscope PCs can fetch: the files of one folder.

A file's name says its version and for what it is: ``SessionLogger-1.4.0-windows.zip``.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

_NAME = re.compile(r"SessionLogger-(\d{1,9}(?:\.\d{1,9}){0,3})-([a-z0-9]{1,20})\.(?:zip|exe|msi|tar\.gz)")
_PIECE = 1024 * 1024
_Identity = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class LoggerBuild:
    """A build of the session logger."""

    path: Path
    version: str
    system: str
    """Such as ``windows`` or ``linux``."""
    size: int
    sha256: str


class LoggerBuilds:
    """The builds in a folder; each file is read once, for its SHA-256, as long as it does not change."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[_Identity, str]] = {}
        self._lock = Lock()

    def newest(self, folder: str, system: str) -> LoggerBuild | None:
        """Return the newest build for an operating system; None if there is none, or no folder."""
        found = [(_numbers(match[1]), path, match) for path, match in _files(folder) if match[2] == system]
        if not found:
            return None
        _, path, match = max(found, key=lambda one: (one[0], one[1].name))
        return self._build(path, match)

    def named(self, folder: str, name: str) -> LoggerBuild | None:
        """Return the build with a file name; None if there is none."""
        for path, match in _files(folder):
            if path.name == name:
                return self._build(path, match)
        return None

    def _build(self, path: Path, match: re.Match[str]) -> LoggerBuild | None:
        with self._lock:  # two PCs that ask at once have it read once
            try:
                with path.open("rb") as file:
                    state = os.fstat(file.fileno())
                    identity = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
                    known = self._known.get(path)
                    if known is None or known[0] != identity:
                        digest = hashlib.sha256()
                        while piece := file.read(_PIECE):
                            digest.update(piece)
                        known = self._known[path] = (identity, digest.hexdigest())
            except OSError:  # taken away meanwhile, or not for the Gateway's user
                return None
        return LoggerBuild(path, match[1], match[2], state.st_size, known[1])


def _files(folder: str) -> Iterator[tuple[Path, re.Match[str]]]:
    """Yield the regular files of a folder that are named like builds."""
    if not folder:
        return
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        match = _NAME.fullmatch(entry.name)
        if match is not None and stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            yield Path(entry.path), match


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
