"""Hints from the system that something has changed in a drop folder; a look into it is the truth.

Events do not come from other machines of a network share, and the queue of the system may overflow: without any hint,
the next look comes after the usual interval.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from NexusCore.threads import start_thread

PAUSE_MS = 500
"""Milliseconds for which further events are gathered."""


class Hints:
    """Watches folders on a thread of its own."""

    def __init__(self) -> None:
        self._changed = threading.Event()
        self._end = threading.Event()
        self._watched: tuple[tuple[Path, ...], bool] = ((), False)

    def watch(self, folders: Sequence[Path], *, subfolders: bool) -> None:
        """Watch these folders from now on; those that cannot be watched are looked at by the clock alone."""
        wanted = (tuple(sorted(set(folders))), subfolders)
        if wanted == self._watched:
            return
        self.close()
        self._watched, self._end = wanted, threading.Event()
        if folders:
            end = self._end
            start_thread(lambda: self._run(*wanted, end), "drop folder events")

    def take(self) -> bool:
        """Return whether something has changed since the last call."""
        changed = self._changed.is_set()
        self._changed.clear()
        return changed

    def close(self) -> None:
        """End the watching."""
        self._end.set()
        self._watched = ((), False)

    def _run(self, folders: tuple[Path, ...], subfolders: bool, end: threading.Event) -> None:
        try:
            from watchfiles import watch
        except ImportError:
            return
        there = [folder for folder in folders if folder.is_dir()]
        with suppress(OSError, RuntimeError):  # too many watches, or a folder that went away
            for _ in watch(
                *there,
                stop_event=end,
                debounce=PAUSE_MS,
                recursive=subfolders,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                self._changed.set()
