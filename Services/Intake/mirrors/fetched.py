"""Files for copies that are fetched from one mirror for another; they last as long as that takes."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import BinaryIO


@contextmanager
def fetched_file(folder: Path, name: str) -> Iterator[tuple[Path, BinaryIO]]:
    """Lend an empty file; files of Intakes that were killed go first.

    Parameters
    ----------
    folder
        Where it is made, in a folder of its own; the folder is created.
    name
        Of the file.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in folder.iterdir():
        with suppress(OSError), _locked(path):
            shutil.rmtree(path)
    own = Path(mkdtemp(dir=folder))
    try:
        with _locked(own), (own / name).open("xb") as file:
            yield own / name, file
    finally:
        shutil.rmtree(own, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, as whoever uses it does; raises OSError if another one does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
