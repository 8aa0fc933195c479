"""Recognises TIFF by its byte order mark and version."""

from __future__ import annotations

from pathlib import Path

from Services.Builder.extraction.extractors.settings import TIFF


def recognise(head: bytes, path: Path) -> bool:
    """Return whether the file begins like a TIFF or BigTIFF."""
    return head.startswith(TIFF)
