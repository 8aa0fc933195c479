"""Lets one Uploader of a home run at a time, so that the leases of a dead one can be recognised."""

from __future__ import annotations

import fcntl
import os
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path

LOCK = "uploader.lock"
_NAME_LENGTH = 36
"""Characters of a name: those of a UUID."""
_HOST = 80


class InstanceLock:
    """A lock on a home, and the name under which the Uploaders of it hold leases in the database.

    The lock ends with the process, even a killed one: holding it guarantees that no other instance is running.
    Where it cannot be had (a home that cannot be written to), one may go on, under a name of its own; then the leases
    alone keep two from sending the same.

    Parameters
    ----------
    home
        The folder `NEXUSCORE_HOME`.
    host
        Name of this machine: homes may be copied.
    """

    def __init__(self, home: Path, host: str) -> None:
        self._home = home
        self._host = host[:_HOST]
        self._release: Callable[[], object] | None = None
        self.owner = f"{self._host}:{uuid.uuid4()}"
        """Unique among all Uploaders that may be at work at once."""

    def take(self) -> bool:
        """Keep other Uploaders with this home from sending; return whether this one may."""
        if self._release is not None:
            return True
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            file = os.open(self._home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.owner = f"{self._host}:{_name_in(file)}"
        except BlockingIOError:
            os.close(file)
            return False
        except OSError:
            os.close(file)
            return True
        # Not at Python's exit but when the process ends: a thread may be at work until then.
        release = weakref.finalize(self, os.close, file)
        release.atexit = False
        self._release = release
        return True

    def leave(self) -> None:
        """Let others in."""
        if self._release is not None:
            self._release()
            self._release = None


def _name_in(file: int) -> str:
    """Return the name that stands in a file, written if there is none."""
    name = os.pread(file, _NAME_LENGTH, 0).decode("ascii", "replace").strip()
    if not name:
        name = str(uuid.uuid4())
        os.pwrite(file, name.encode(), 0)
    return name
