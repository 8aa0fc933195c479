"""Reads text in the encodings that instrument PCs write."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

from Services.Builder.extraction.extractors.cleaning import decode, without_controls
from Services.Builder.extraction.extractors.quantities import quantity
from Services.Builder.extraction.extractors.signal import Reading

LARGEST_TEXT = 200_000
"""Bytes that are read: more than a preview shows, less than a runaway log holds."""


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the beginning of the file as text."""
    with path.open("rb") as file:
        raw = file.read(LARGEST_TEXT + 1)
    text = without_controls(_text(raw[:LARGEST_TEXT])).replace("\r\n", "\n").replace("\r", "\n")
    lines = quantity("Lines", text.count("\n") + (not text.endswith("\n")) if text else 0)
    cut = len(raw) > LARGEST_TEXT
    return Reading(
        format="plain text",
        reader="NexusCore text",
        text=text,
        meta={"Lines": lines} if lines and not cut else {},
        warnings=(f"Only the first {LARGEST_TEXT // 1000} kB of the text were read.",) if cut else (),
    )


def _text(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    return decode(raw.removeprefix(codecs.BOM_UTF8))
