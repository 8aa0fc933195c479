"""Names of objects: those that a PC may choose, and what a name becomes that is taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

LONGEST_NAME = 255
"""Bytes of one name in a path; file systems take no more."""
DEEPEST = 64
"""Folders in a path."""
MOST_COPIES = 1000
"""Names that are tried if others are taken."""


def name_mistake(path: str) -> str | None:
    """Return why a path below a watched folder cannot become an object's name; None if it can."""
    parts = path.split("/")
    if len(parts) > DEEPEST:
        return f"a path has at most {DEEPEST} folders"
    for part in parts:
        if part in ("", ".", ".."):
            return "a path is relative, without empty names, '.' and '..'"
        if "\\" in part:
            return "a path has forward slashes, not backslashes"
        if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in part):
            return "a path has no control characters"
        try:
            size = len(part.encode("utf-8"))
        except UnicodeEncodeError:
            return "a path has only characters that can be stored"
        if size > LONGEST_NAME:
            return f"a name in a path has at most {LONGEST_NAME} bytes"
    return None


def with_number(name: str, number: int) -> str:
    """Return the name of the object that is the `number`-th of its name: ``raw/a.dm4``, ``raw/a (2).dm4``."""
    if number == 1:
        return name
    path = PurePosixPath(name)
    addition = f" ({number}){path.suffix}"
    stem = path.stem.encode("utf-8")[: LONGEST_NAME - len(addition.encode("utf-8"))].decode("utf-8", "ignore")
    return str(path.with_name(f"{stem}{addition}"))


def candidates(name: str, first: str | None) -> Iterator[str]:
    """Yield the names that an object may get: the one that it has, and then the first free one of its own."""
    if first is not None:
        yield first
    for number in range(1, MOST_COPIES + 1):
        candidate = with_number(name, number)
        if candidate != first:
            yield candidate
