"""What the files that are made of a raw file are called."""

from __future__ import annotations

import hashlib
import os

LONGEST_FILE_NAME = 215
"""Bytes of a raw file's name that are kept whole: a file system takes 255, and what is made of it has more to it, such
as a signal's number, and while it is being written a dot and the number of the process."""


def beside(name: str, suffix: str) -> str:
    """Return the name of a preview (``.png``) or of metadata (``.json``): the raw file's with `suffix`.

    One that is too long is cut, and has eight digits of its SHA-256 instead of the rest: it stays unambiguous.
    """
    raw = os.fsencode(name)
    if len(raw) > LONGEST_FILE_NAME:
        name = f"{raw[: LONGEST_FILE_NAME - 9].decode('utf-8', 'ignore')}-{hashlib.sha256(raw).hexdigest()[:8]}"
    return name + suffix
