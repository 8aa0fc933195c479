"""Files that are there whole or not at all, in folders that several may write to."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

HIDDEN = ".nexuscore"
"""Folder in a destination's own for what only Uploaders need."""
PART = ".nexuscore-"
"""How the names of unfinished files begin."""


@contextlib.contextmanager
def writing_into(folder: Path) -> Iterator[bool]:
    """Keep other Uploaders out of a folder while the block runs; say whether this one may write there.

    What others left unfinished is then nobody's, and removed.
    """
    (folder / HIDDEN).mkdir(exist_ok=True)
    with (folder / HIDDEN / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP):  # shares without locks; names still don't collide
                yield False
                return
        for leftover in folder.glob(f"{PART}*"):
            leftover.unlink(missing_ok=True)
        yield True


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Lend a path in the same folder to write to; what is there at the end of the block takes the target's place."""
    unfinished = target.with_name(f"{PART}{uuid.uuid4().hex}")  # of its own length: the target's may be the longest
    try:
        yield unfinished
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync(target.parent)


def _sync(folder: Path) -> None:
    """Make a rename last through a power cut, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
