"""The MD5 of a file, which decides whether the store has it."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, BinaryIO, Callable

if TYPE_CHECKING:
    from hashlib import _Hash

PIECE = 1024 * 1024


class Stopped(Exception):
    """The logger ends; what was begun is taken up the next time."""


def new_md5() -> _Hash:
    """Return an MD5 that is not for security, as computers with strict rules demand it to be declared."""
    try:
        return hashlib.md5(usedforsecurity=False)
    except TypeError:  # Python 3.8
        return hashlib.md5()  # noqa: S324  it finds errors, and is what the stores keep


def md5_of(file: BinaryIO, stopped: Callable[[], bool] = lambda: False) -> str:
    """Return the MD5 of an open file, from its beginning, in hexadecimal digits.

    Raises
    ------
    Stopped
        If `stopped` returned True between two pieces.
    """
    digest = new_md5()
    file.seek(0)
    while True:
        if stopped():
            raise Stopped
        piece = file.read(PIECE)
        if not piece:
            return digest.hexdigest()
        digest.update(piece)


def content_md5(content: bytes) -> str:
    """Return the MD5 of some bytes as the header ``Content-MD5`` has it."""
    digest = new_md5()
    digest.update(content)
    return base64.b64encode(digest.digest()).decode("ascii")
