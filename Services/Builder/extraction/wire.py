"""Extractions as bytes: for the cache, and on the way from a process that read a hostile file.

Such a process may send anything. Unlike a pickle, MessagePack of a declared type yields values of that type only.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

import msgspec

from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.model import Extraction, Scalar

SERVING = b"serving"
"""Message of a process that is ready for its first file."""
LONGEST_REPLY = 64 * 1024 * 1024
"""Bytes of an answer."""
_LARGEST_INTEGER = 2**63


class ReaderReply(msgspec.Struct):
    """Answer of a process that reads files, about one file."""

    extraction: Extraction
    last: bool
    """Nothing more will come of this file."""
    spent: bool
    """The next file needs a new process."""


def encode_reply(extraction: Extraction, last: bool, spent: bool) -> bytes:
    """Return an answer as bytes."""
    try:
        return msgspec.msgpack.encode(ReaderReply(extraction, last, spent), enc_hook=encode_value)
    except (ValueError, OverflowError, TypeError):  # numbers of more than 64 bits, text that is not Unicode
        plain = replace(
            extraction,
            meta={
                _text(name): replace(quantity, value=_scalar(quantity.value))
                for name, quantity in extraction.meta.items()
            },
            warnings=tuple(map(_text, extraction.warnings)),
            format=_text(extraction.format),
        )
        return msgspec.msgpack.encode(ReaderReply(plain, last, spent), enc_hook=encode_value)


def decode_reply(message: bytes) -> ReaderReply:
    """Return the answer in a message; raises `msgspec.MsgspecError` for anything else."""
    return msgspec.msgpack.decode(message, type=ReaderReply, dec_hook=decode_value)


def encode_value(value: Any) -> Any:
    """Return what msgspec cannot write as something that it can."""
    if isinstance(value, Path):
        return os.fsencode(value)  # a name need not be UTF-8
    if isinstance(value, tzinfo | str):
        return str(value)
    if hasattr(value, "item"):  # a number of NumPy's
        return value.item()
    raise TypeError(type(value).__name__)


def decode_value(kind: type, value: Any) -> Any:
    """Return a value of a type that msgspec does not know."""
    if issubclass(kind, Path) and isinstance(value, bytes):
        return Path(os.fsdecode(value))
    raise TypeError(kind.__name__)


def _scalar(value: Scalar) -> Scalar:
    if isinstance(value, str):
        return _text(value)
    return one_line(value) if isinstance(value, int) and not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER else value


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()
