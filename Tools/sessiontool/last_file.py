"""The last file of an instrument, which shows when a forgotten session ended."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from NexusCore.errors import NexusError
from NexusCore.facility.sessions import Session
from Tools.common.time_parser import local


class NoFileSince(NexusError):
    """{folder} has no files since the session started, {start}. Give the end of the session with --at TIME or --now."""


class FolderSilent(NexusError):
    """The folder {folder} cannot be searched ({reason}). Give the end of the session with --at TIME or --now."""


@dataclass(frozen=True, slots=True)
class LastFile:
    """A file and when it was modified."""

    path: Path
    ts: int
    """Microseconds since the epoch, rounded up, so that the file is within the session."""


def last_file(folder: Path, session: Session, until: int, ignore: Sequence[str], limit: float) -> LastFile:
    """Return the last modified file below a folder, since the start of a session.

    Parameters
    ----------
    folder
        Folder of the instrument.
    session
        The session.
    until
        Later files are ignored, because of a wrong clock. Microseconds since the epoch.
    ignore
        Patterns of the names of files and folders to ignore.
    limit
        Seconds that the search may take; a file server may hang.

    Raises
    ------
    NoFileSince, FolderSilent
        If the folder has no such files, or cannot be searched.
    """
    search = _Search(folder, session.start_ts, until, ignore)
    # A thread that waits for a dead file server cannot be interrupted; the daemon thread is abandoned.
    thread = threading.Thread(target=search.run, name="last file", daemon=True)
    thread.start()
    thread.join(limit)
    search.stop.set()
    if thread.is_alive():
        raise FolderSilent(folder=folder, reason=f"it took longer than {limit:g} s")
    if search.error is not None:
        raise FolderSilent(folder=folder, reason=search.error.strerror or search.error)
    if search.last is None:
        raise NoFileSince(folder=folder, start=local(session.start_ts))
    return search.last


class _Search:
    def __init__(self, folder: Path, since: int, until: int, ignore: Sequence[str]) -> None:
        self._folder = folder
        self._since, self._until = since, until
        self._ignore = [pattern.lower() for pattern in ignore]
        self.stop = threading.Event()
        self.last: LastFile | None = None
        self.error: OSError | None = None

    def run(self) -> None:
        folders = [self._folder]
        while folders and not self.stop.is_set():
            folder = folders.pop()
            try:
                folders += self._look_into(folder)
            except OSError as error:
                if folder == self._folder:  # an unreadable folder below is skipped
                    self.error = error

    def _look_into(self, folder: Path) -> list[Path]:
        below = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if any(fnmatchcase(entry.name.lower(), pattern) for pattern in self._ignore):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    self._look_at(entry)
        return below

    def _look_at(self, entry: os.DirEntry[str]) -> None:
        ts = -(-entry.stat(follow_symlinks=False).st_mtime_ns // 1000)
        if self._since <= ts <= self._until and (self.last is None or ts > self.last.ts):
            self.last = LastFile(Path(entry.path), ts)
