"""Recognises a TIFF by OME-XML in the description of its first page."""

from __future__ import annotations

from pathlib import Path

from Services.Builder.extraction.extractors import tiff_directory
from Services.Builder.extraction.extractors.settings import TIFF


def recognise(head: bytes, path: Path) -> bool:
    """Return whether the description is an ``OME`` element."""
    if not head.startswith(TIFF):
        return False
    description = tiff_directory.text(path, tiff_directory.IMAGE_DESCRIPTION)
    return "<OME" in description[:2000] or "<ome:OME" in description[:2000]
