"""Recognises a TIFF by the XML in Fibics' private tag 51023."""

from __future__ import annotations

from pathlib import Path

from Services.Builder.extraction.extractors import tiff_directory
from Services.Builder.extraction.extractors.settings import TIFF

FIBICS_TAG = 51023


def xml(path: Path) -> bytes:
    """Return the settings; nothing of a file that has none."""
    return tiff_directory.entries(path, FIBICS_TAG).get(FIBICS_TAG, b"")


def recognise(head: bytes, path: Path) -> bool:
    """Return whether the first page carries the settings."""
    return head.startswith(TIFF) and b"<Fibics" in xml(path)[:300]
