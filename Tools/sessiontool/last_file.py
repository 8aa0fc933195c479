"""The file that an instrument left last: what tells when a session ended that nobody has closed."""

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
    """No file in {folder} is from the time since the session began, {start}.

    Say when it ended, with --at TIME or with --now.
    """


class FolderSilent(NexusError):
    """The folder {folder} cannot be searched ({reason}). Say when the session ended, with --at TIME or with --now."""


@dataclass(frozen=True, slots=True)
class LastFile:
    """A file and when it was modified."""

    path: Path
    ts: int
    """Microseconds since the epoch, rounded up, so that the session has the file."""


def last_file(folder: Path, session: Session, until: int, ignore: Sequence[str], limit: float) -> LastFile:
    """Return the file below a folder that was modified last since a session began.

    Parameters
    ----------
    folder
        The instrument's.
    session
        The session.
    until
        Files from after this time don't count: a clock is wrong there. Microseconds since the epoch.
    ignore
        Patterns of names, of files and folders, that don't count.
    limit
        Seconds that the search may take; a file server may hang.

    Raises
    ------
    NoFileSince, FolderSilent
        If there is none, or the folder cannot be searched.
    """
    search = _Search(folder, session.start_ts, until, ignore)
    # A thread that waits for a dead file server cannot be interrupted, only left behind.
    thread = threading.Thread(target=search.run, name="last file", daemon=True)
    thread.start()
    thread.join(limit)
    search.stop.set()
    if thread.is_alive():
        raise FolderSilent(folder=folder, reason=f"it took longer than {limit:g} s")
    if search.trouble is not None:
        raise FolderSilent(folder=folder, reason=search.trouble.strerror or search.trouble)
    if search.found is None:
        raise NoFileSince(folder=folder, start=local(session.start_ts))
    return search.found


class _Search:
    def __init__(self, folder: Path, since: int, until: int, ignore: Sequence[str]) -> None:
        self._folder = folder
        self._since, self._until = since, until
        self._ignore = [pattern.lower() for pattern in ignore]
        self.stop = threading.Event()
        self.found: LastFile | None = None
        self.trouble: OSError | None = None

    def run(self) -> None:
        folders = [self._folder]
        while folders and not self.stop.is_set():
            folder = folders.pop()
            try:
                folders += self._look_into(folder)
            except OSError as error:
                if folder == self._folder:  # one below that nobody may read hides no more than itself
                    self.trouble = error

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
        if self._since <= ts <= self._until and (self.found is None or ts > self.found.ts):
            self.found = LastFile(Path(entry.path), ts)
