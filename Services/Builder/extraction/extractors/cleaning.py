"""Makes what foreign readers return fit for a record: text without control characters, values that JSON can hold."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from enum import Enum
from itertools import islice
from pathlib import PurePath
from typing import Any

from NexusCore.text import shortened

LONGEST_TEXT = 500
"""Characters of a text that a record shows; a longer one is cut, the JSON beside the preview keeps it."""
LONGEST_IN_JSON = 20_000
"""Characters of one text in the JSON."""
LONGEST_LIST = 64
"""Numbers of a list or an array that the JSON spells out; of a longer one it gives the size and the range."""
MOST_ENTRIES = 20_000
"""Entries of one mapping in the JSON; of a longer one it says how many more there are."""

# What XML 1.0 cannot hold, and lone surrogates, which neither UTF-8 nor JSON can.
_CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_SPACE = re.compile(r"[\s\u2028\u2029]+")


def decode(raw: bytes) -> str:
    """Return the text of bytes whose encoding is not declared: UTF-8 where it is that, else Western European."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def without_controls(text: str) -> str:
    """Return the text without characters that XML or UTF-8 cannot carry; line breaks and tabs stay."""
    return text if text.isprintable() else _CONTROL_CHARACTERS.sub("", text)


def one_line(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return a value as one line of clean text, cut at `longest` characters."""
    text = decode(value) if isinstance(value, bytes) else str(value)
    if text.isprintable() and "  " not in text:  # nearly all are: no control characters, no white space but blanks
        return shortened(text.strip(), longest)
    text = _SPACE.sub(" ", without_controls(_SPACE.sub(" ", text))).strip()
    return shortened(text, longest)


def json_safe(value: Any, depth: int = 0) -> Any:
    """Return the value as something `json.dumps(allow_nan=False)` takes.

    Arrays and long lists are summarised, bytes become text or their length, times RFC 3339, NaN and infinities null.
    """
    if depth > 30:
        return "…"
    if value is None or (isinstance(value, bool | int) and not isinstance(value, Enum)):
        return value
    if (exact := _EXACT.get(type(value))) is not None:  # nearly all are of these
        return exact(value, depth)
    for types, convert in _CONVERSIONS:
        if isinstance(value, types):
            return convert(value, depth)
    if hasattr(value, "shape") and hasattr(value, "dtype"):  # numpy or dask, without importing either
        return _array(value, depth)
    if isinstance(value, Iterable):
        return _sequence(list(value), depth)
    return without_controls(str(value))[:LONGEST_IN_JSON]


def _text(value: str, _depth: int) -> str:
    return without_controls(value)[:LONGEST_IN_JSON]


def _real(value: float, _depth: int) -> float | None:
    return float(value) if math.isfinite(value) else None


def _bytes(value: bytes | bytearray, _depth: int) -> str:
    raw = bytes(value).rstrip(b"\0")
    if b"\0" in raw or len(raw) > LONGEST_IN_JSON:
        return f"<{len(raw)} bytes>"
    return without_controls(decode(raw))


def _moment(value: datetime, _depth: int) -> str:
    return (value if value.tzinfo else value.astimezone()).isoformat()


def _mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    kept = {one_line(key): json_safe(item, depth + 1) for key, item in islice(value.items(), MOST_ENTRIES)}
    if len(value) > MOST_ENTRIES:
        kept["…"] = f"{len(value) - MOST_ENTRIES:,} more"
    return kept


def _sequence(value: Iterable[Any], depth: int) -> Any:
    items = list(value)
    if len(items) > LONGEST_LIST:
        numbers = [item for item in items if isinstance(item, int | float) and not isinstance(item, bool)]
        if len(numbers) == len(items):
            return {"numbers": len(items), "minimum": _real(min(numbers), 0), "maximum": _real(max(numbers), 0)}
        return [json_safe(item, depth + 1) for item in items[:LONGEST_LIST]] + [f"… {len(items) - LONGEST_LIST} more"]
    return [json_safe(item, depth + 1) for item in items]


def _array(value: Any, depth: int) -> Any:
    if not value.shape:
        return json_safe(value.item() if hasattr(value, "item") else str(value), depth + 1)
    if value.size <= LONGEST_LIST and hasattr(value, "tolist"):
        return json_safe(value.tolist(), depth + 1)
    return {"array": [int(length) for length in value.shape], "type": str(value.dtype)}


_CONVERSIONS: tuple[tuple[Any, Any], ...] = (
    (Enum, lambda value, _depth: value.name),
    (str, _text),
    (float, _real),
    (complex, lambda value, _depth: without_controls(str(value))),
    ((bytes, bytearray), _bytes),
    (datetime, _moment),
    ((date, time), lambda value, _depth: value.isoformat()),
    (PurePath, lambda value, _depth: without_controls(str(value))),
    (Mapping, _mapping),
    ((list, tuple, set, frozenset), _sequence),
)
_EXACT: dict[type, Any] = {str: _text, float: _real, dict: _mapping, list: _sequence, tuple: _sequence}


def rfc3339(moment: datetime) -> str:
    """Render an aware time as RFC 3339 with its offset (``2019-07-31T11:34:12-04:00``; ``Z`` for UTC)."""
    text = moment.isoformat()
    return text.removesuffix("+00:00") + "Z" if moment.utcoffset() == UTC.utcoffset(None) else text
