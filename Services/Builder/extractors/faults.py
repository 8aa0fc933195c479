"""Turns the exception of a foreign reader into the reason a person reads."""

from __future__ import annotations

import os.path
import re
import struct
from pathlib import Path

from NexusCore.errors import NexusError
from Services.Builder.extractors.cleaning import one_line

_ENDS_EARLY = re.compile(
    r"unpack requires|buffer (is )?(too small|smaller)|cannot reshape array|mmap length is greater|"
    r"\bend of file|\bEOF\b|truncat|not enough (data|values|items)|unexpected end|incomplete",
    re.IGNORECASE,
)
_NO_HDF5 = re.compile(r"file signature not found|bad object header|addr overflow", re.IGNORECASE)


class Unreadable(NexusError):
    """The file could not be read as {format}: {reason}."""


def reason(error: BaseException, path: Path | None = None) -> str:
    """Say in a few words what stopped a reader of the file `path`; no traceback, never more than one line."""
    text = one_line(error, 160).rstrip(".")
    if isinstance(error, MemoryError):
        return "it needs more memory than one file is allowed"
    if isinstance(error, PermissionError):
        return "this process may not read it"
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"it needs the file {_named(str(error.filename), path)}, which is missing"
    if isinstance(error, struct.error | EOFError) or _ENDS_EARLY.search(text):
        return "the file ends too early"
    if _NO_HDF5.search(text):
        return "it is no complete HDF5 file"
    if isinstance(error, KeyError):
        return f"it lacks the entry {text}, so it is damaged or of an unknown version"
    return f"its reader gave up ({type(error).__name__}{': ' if text else ''}{text})"


def _named(missing: str, path: Path | None) -> str:
    """Return a file's name as seen from the folder of the one that asks for it."""
    if path is not None and Path(missing).is_absolute():
        missing = os.path.relpath(missing, path.parent)
    return one_line(missing, 120)
