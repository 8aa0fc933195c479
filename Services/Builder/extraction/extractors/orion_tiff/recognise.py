"""Recognises a TIFF by the XML in Orion's private tag 65000."""

from __future__ import annotations

from pathlib import Path

from Services.Builder.extraction.extractors.settings import tiff_tags

ORION_TAG = 65000


def xml(head: bytes, path: Path) -> bytes:
    """Return the settings; nothing of a file that has none."""
    content = tiff_tags(head, path, ORION_TAG).get(ORION_TAG, b"")
    return content if isinstance(content, bytes) else str(content).encode()


def recognise(head: bytes, path: Path) -> bool:
    """Return whether the first page carries the settings."""
    return b"<ImageTags" in xml(head, path)[:200]
