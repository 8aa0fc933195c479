"""Turns the exception of a foreign reader into the reason a person reads."""

from __future__ import annotations

import os.path
import re
import struct
from pathlib import Path

from NexusCore.errors import NexusError
from NexusCore.files import InTheWay
from NexusCore.resources import is_disk_full
from NexusCore.text import one_line as whole_line
from Services.Builder.extraction.extractors.cleaning import one_line

_ENDS_EARLY = re.compile(
    r"unpack requires|buffer (is )?(too small|smaller)|cannot reshape array|mmap length is greater|"
    r"\bend of file|\bEOF\b|truncat|not enough (data|values|items)|unexpected end|incomplete",
    re.IGNORECASE,
)
_NO_HDF5 = re.compile(r"file signature not found|bad object header|addr overflow", re.IGNORECASE)


class NoSuchFile(NexusError):
    """File '{path}' does not exist."""


class Unreadable(NexusError):
    """The file could not be read as {format}: {reason}."""


class FileRefused(NexusError):
    """The file is not read: {reason}."""


def reason(error: BaseException, path: Path | None = None) -> str:
    """Return in a few words, on one line, why the file `path` could not be read."""
    text = one_line(error, 160).rstrip(".")
    if isinstance(error, MemoryError):
        return "it needs more memory than one file is allowed"
    if is_disk_full(error):
        return "the disk is full"
    if isinstance(error, PermissionError):
        return "this process may not read it"
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"it needs the file {_named(str(error.filename), path)}, which is missing"
    if isinstance(error, struct.error | EOFError) or _ENDS_EARLY.search(text):
        return "the file ends too early"
    if _NO_HDF5.search(text):
        return "it is not a complete HDF5 file"
    if isinstance(error, KeyError):
        return f"it lacks the entry {text}, so it is damaged or of an unknown version"
    return f"its reader gave up ({type(error).__name__}{': ' if text else ''}{text})"


def failure_sentence(subject: str, verb: str, error: Exception) -> str:
    """Say that a preview or metadata could not be made; of what is in the way at its place, the whole sentence.

    Parameters
    ----------
    subject, verb
        Such as ``No preview could be`` and ``drawn``.
    error
        What was raised.
    """
    if isinstance(error, InTheWay):  # the reader is not to blame
        return f"{subject} put in place: {whole_line(str(error))}"
    return f"{subject} {verb}: {reason(error)}."


def _named(missing: str, path: Path | None) -> str:
    """Return a file's name as seen from the folder of the one that asks for it."""
    if path is not None and Path(missing).is_absolute():
        missing = os.path.relpath(missing, path.parent)
    return one_line(missing, 120)
