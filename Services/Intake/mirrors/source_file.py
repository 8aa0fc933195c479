"""Opens the file that a copy is made of."""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path


def open_source(path: Path) -> BufferedReader:
    """Open a file, not what a link leads to.

    Raises
    ------
    OSError
        If it cannot be read, or is not a file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(2, "it is not a file any more", str(path))
    return open(descriptor, "rb")  # noqa: PTH123  a descriptor
