"""Names of the files that are made from a raw file."""

from __future__ import annotations

import hashlib
import os

LONGEST_FILE_NAME = 215
"""Bytes of a raw file's name that are kept: a file system takes 255, and names of files made from it are longer, by
such as a signal's number, and during writing a dot and the number of the process."""


def beside(name: str, suffix: str) -> str:
    """Return the name of a preview (``.png``) or of metadata (``.json``): the raw file's with `suffix`.

    A name that is too long is cut, and ends in eight digits of its SHA-256, so that it stays unambiguous.
    """
    raw = os.fsencode(name)
    if len(raw) > LONGEST_FILE_NAME:
        name = f"{raw[: LONGEST_FILE_NAME - 9].decode('utf-8', 'ignore')}-{hashlib.sha256(raw).hexdigest()[:8]}"
    return name + suffix
