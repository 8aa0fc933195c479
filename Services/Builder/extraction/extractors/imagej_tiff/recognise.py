"""Recognises a TIFF by the description that ImageJ writes."""

from __future__ import annotations

from pathlib import Path

from Services.Builder.extraction.extractors.settings import tiff_tags

DESCRIPTION, PROPERTIES = 270, 50839


def recognise(head: bytes, path: Path) -> bool:
    """Return whether the description of the first page begins as ImageJ's does."""
    return str(tiff_tags(head, path, DESCRIPTION).get(DESCRIPTION, "")).startswith("ImageJ=")
