"""Files that are there whole or not at all, in folders that several may write to."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

HIDDEN = ".nexuscore"
"""Folder in a destination's own for what only Uploaders need."""
PART = ".nexuscore-"
"""How the names of unfinished files begin."""
WAIT_SECONDS = 30.0
"""How long to wait for another who is writing into a folder: some records' time."""
_LOOK_SECONDS = 0.05


@contextlib.contextmanager
def writing_into(folder: Path) -> Iterator[bool]:
    """Keep others out of a folder while the block runs, for whom it waits some time; say whether one may write there.

    They may be other Uploaders, or other destinations with the same folder. What others left unfinished is then
    nobody's, and removed.
    """
    (folder / HIDDEN).mkdir(exist_ok=True)
    with (folder / HIDDEN / "lock").open("a") as lock:
        if not _locked(lock):
            yield False
            return
        for leftover in folder.glob(f"{PART}*"):
            leftover.unlink(missing_ok=True)
        yield True


def _locked(lock: IO[str]) -> bool:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOTSUP):  # shares without locks; names still don't collide
                return True
        else:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_SECONDS)


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
