"""Recognises a TIFF by FEI's private tags 34680 (SFEG, settings as INI) and 34682 (Helios)."""

from __future__ import annotations

from pathlib import Path

from Services.Builder.extraction.extractors.settings import has_tiff_tag

FEI_TAGS = (34680, 34682)


def recognise(head: bytes, path: Path) -> bool:
    """Return whether the first page carries the settings."""
    return has_tiff_tag(head, path, *FEI_TAGS)
