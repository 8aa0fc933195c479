"""Reads single entries of a TIFF's first directory as they are stored, without a library.

Recognising a format means to look into every TIFF of a session. This takes a few reads of some bytes each, and returns
the bytes of an entry where tifffile returns its own interpretation of them (nothing, of XML where it expects an INI
file). The layout is that of the TIFF 6.0 specification, section 2, and of BigTIFF, whose counts and offsets have 8
bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from Services.Builder.extraction.extractors.cleaning import decode

LARGEST_ENTRY = 16_000_000
"""Bytes of one entry that are read; a larger one counts as missing."""
MOST_ENTRIES = 4096
"""Entries of a directory that are looked at."""
IMAGE_DESCRIPTION = 270
"""Number of the entry in which programs keep what TIFF has no entry for."""
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Size of a value by the number of its type."""


def entries(path: Path, *codes: int) -> dict[int, bytes]:
    """Return the bytes of some entries of the first directory; none of a file that is damaged or not a TIFF.

    Parameters
    ----------
    path
        The file.
    codes
        Numbers of the entries.
    """
    try:
        with path.open("rb") as file:
            return dict(_entries(file, codes))
    except (OSError, struct.error, ValueError, OverflowError):
        return {}


def text(path: Path, code: int) -> str:
    """Return an entry as text, without what ends it; "" where there is none."""
    return decode(entries(path, code).get(code, b"")).strip("\0 \r\n")


def rationals(path: Path, *codes: int) -> dict[int, float]:
    """Return the first value of some entries of type RATIONAL; one that is not a positive number is left out.

    Parameters
    ----------
    path
        The file.
    codes
        Numbers of the entries.
    """
    order = byte_order(path)
    values = {}
    for code, raw in entries(path, *codes).items():
        if len(raw) >= 8:
            numerator, denominator = struct.unpack(f"{order}II", raw[:8])
            if numerator and denominator:
                values[code] = numerator / denominator
    return values


def short(path: Path, code: int) -> int | None:
    """Return the first value of an entry of type SHORT; None where there is none."""
    raw = entries(path, code).get(code, b"")
    return int(struct.unpack(f"{byte_order(path)}H", raw[:2])[0]) if len(raw) >= 2 else None


def byte_order(path: Path) -> str:
    """Return the file's byte order as `struct` names it."""
    with path.open("rb") as file:
        return ">" if file.read(2) == b"MM" else "<"


def _entries(file: BinaryIO, codes: tuple[int, ...]) -> Iterator[tuple[int, bytes]]:
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return
    (version,) = struct.unpack_from(f"{order}H", head, 2)
    if version == 42:
        count, entry, size, place = "H", "HHI", 12, "I"
        (offset,) = struct.unpack_from(f"{order}I", head, 4)
    elif version == 43:
        count, entry, size, place = "Q", "HHQ", 20, "Q"
        (offset,) = struct.unpack_from(f"{order}Q", head, 8)
    else:
        return
    file.seek(offset)
    (number,) = struct.unpack(f"{order}{count}", file.read(struct.calcsize(count)))
    directory = file.read(size * min(number, MOST_ENTRIES))
    for at in range(0, len(directory) - size + 1, size):
        code, kind, values = struct.unpack_from(f"{order}{entry}", directory, at)
        length = _BYTES.get(kind, 0) * values
        if code not in codes or not 0 < length <= LARGEST_ENTRY:
            continue
        inline = struct.calcsize(place)
        stored = directory[at + size - inline : at + size]
        if length > inline:
            file.seek(struct.unpack(f"{order}{place}", stored)[0])
            stored = file.read(length)
        yield code, stored[:length]
