"""Names of files: as a store can have them, as they are reported, and as they are shown."""

from __future__ import annotations

import os

from Logger.transfer.hashing import new_md5

LONGEST_PART, LONGEST_PATH, DEEPEST = 255, 1000, 64
"""Bytes of a name, characters of a path, and names in it."""
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_KEPT = 180
"""Bytes of a name that is too long that are reported."""


def is_storable(path: str) -> bool:
    """Return whether a path can become the name of an object: the rules are those of the Gateway."""
    return not why_not_storable(path)


def why_not_storable(path: str) -> str:
    """Return why a path cannot become the name of an object, as a part of a sentence; empty if it can."""
    odd = next(filter(_is_odd, path), None)
    if odd is not None:
        return f"its name has a character that the store cannot have: {_named(odd)}; rename it"
    parts = path.split("/")
    longest = max(len(part.encode("utf-8")) for part in parts)
    if longest > LONGEST_PART:
        return f"its name, or that of a folder, has {longest} bytes, and the store takes {LONGEST_PART}; rename it"
    if len(path) > LONGEST_PATH:
        return f"its path has {len(path)} characters, and the store takes {LONGEST_PATH}; rename it or its folders"
    if len(parts) > DEEPEST:
        return f"it is {len(parts) - 1} folders deep, and the store takes {DEEPEST - 1}; move it"
    return ""


def _named(letter: str) -> str:
    if letter == "\\":
        return "a backslash"
    number = ord(letter)
    if 0xDC80 <= number <= 0xDCFF:
        return f"the byte {number - 0xDC00:#04x}, which is not UTF-8"
    return {"\n": "a line break", "\t": "a tab"}.get(letter, f"U+{number:04X}")


def reported_path(path: str) -> str:
    """Return a path as it is reported: itself, or if it is not storable another one that no other file has."""
    if is_storable(path):
        return path
    digest = new_md5()
    digest.update(os.fsencode(path))
    name = "".join(UNKNOWN if _is_odd(letter) else letter for letter in path.rpartition("/")[2])
    short = name.encode("utf-8")[:_KEPT].decode("utf-8", "ignore")
    return f"{short} ({digest.hexdigest()[:8]})"


def printable(text: str) -> str:
    """Return a text with a replacement for each character that cannot be shown."""
    return "".join(letter if letter.isprintable() else UNKNOWN for letter in text)


def shown(folder: str, path: str) -> str:
    """Return a file for a person: the name of its folder, and its path."""
    return printable(f"{folder}/{path}")


def _is_odd(letter: str) -> bool:
    number = ord(letter)
    return letter == "\\" or number < 32 or 127 <= number < 160 or 0xD800 <= number <= 0xDFFF
