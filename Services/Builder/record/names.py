"""Names of the files that are made from a raw file."""

from __future__ import annotations

import hashlib
import os
import re

from NexusCore.facility.record_page.links import location_text

LONGEST_FILE_NAME = 215
"""Bytes of a raw file's name that are kept: a file system takes 255, and names of files made from it are longer, by
such as a signal's number, and during writing a dot and the number of the process."""

_LOST_SPACE = re.compile(r"\A | \Z|(?<= ) ")
"""Spaces that XML may take away: the first and the last, and those that follow another one."""


def beside(name: str, suffix: str) -> str:
    """Return the name of a preview (``.png``) or of metadata (``.json``): the raw file's with `suffix`.

    A name that is too long is cut, and ends in eight digits of its SHA-256, so that it stays unambiguous.
    """
    return as_text(name) + suffix


def as_text(name: str) -> str:
    """Return a name of a file or folder as one that a record and a link can hold as it is.

    What is not text is percent-encoded (`links.location_text`), and so are spaces that XML does not keep.
    """
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()
    raw = _LOST_SPACE.sub("%20", location_text(name)).encode()
    if len(raw) <= LONGEST_FILE_NAME:
        return raw.decode()
    return f"{raw[: LONGEST_FILE_NAME - 9].decode('utf-8', 'ignore')}-{digest[:8]}"
