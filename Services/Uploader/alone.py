"""One Uploader at a time sends from a machine: two that look for a record before they store it could both store it."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

LOCK = "uploader.lock"


@contextlib.contextmanager
def alone(home: Path) -> Iterator[bool]:
    """Keep other Uploaders of this machine from sending while the block runs; say whether this one may.

    The lock ends with the process, however that ends. Where no lock can be had at all (a home that cannot be written
    to), one may go on: destinations reduce to one what was stored twice.

    Parameters
    ----------
    home
        The folder `NEXUSCORE_HOME`.
    """
    with contextlib.ExitStack() as held:
        try:
            home.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context((home / LOCK).open("a"))
        except OSError:
            yield True
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass
        yield True
