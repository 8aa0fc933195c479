"""Recognises text by what it does not hold: binary zeros and control characters."""

from __future__ import annotations

import codecs
from pathlib import Path

BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CONTROLS = bytes(set(range(32)) - {7, 8, 9, 10, 12, 13, 27})


def recognise(head: bytes, path: Path) -> bool:
    """Return whether the file begins like text; an empty file is text, too."""
    return head.startswith(BYTE_ORDER_MARKS) or not any(byte in head for byte in _CONTROLS)
