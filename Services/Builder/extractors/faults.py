"""Turns the exception of a foreign reader into the reason a person reads."""

from __future__ import annotations

import re
import struct

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


def reason(error: BaseException) -> str:
    """Say in a few words what stopped a reader; never a traceback, never more than one line."""
    text = one_line(error, 160).rstrip(".")
    if isinstance(error, MemoryError):
        return "it needs more memory than one file is allowed"
    if isinstance(error, PermissionError):
        return "this process may not read it"
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"it needs the file {one_line(error.filename, 120)}, which is missing"
    if isinstance(error, struct.error | EOFError) or _ENDS_EARLY.search(text):
        return "the file ends too early"
    if _NO_HDF5.search(text):
        return "it is no complete HDF5 file"
    if isinstance(error, KeyError):
        return f"it lacks the entry {text}, so it is damaged or of an unknown version"
    return f"its reader gave up ({type(error).__name__}{': ' if text else ''}{text})"
