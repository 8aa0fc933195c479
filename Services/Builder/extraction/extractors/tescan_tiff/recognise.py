"""Recognises a TIFF by Tescan's name in the tag Make, or by its private tag 50431."""

from __future__ import annotations

from pathlib import Path

from Services.Builder.extraction.extractors.settings import tiff_tags

MAKE, TESCAN_TAG = 271, 50431


def recognise(head: bytes, path: Path) -> bool:
    """Return whether the first page says that it is Tescan's."""
    tags = tiff_tags(head, path, MAKE, TESCAN_TAG)
    return TESCAN_TAG in tags or str(tags.get(MAKE, "")).upper().startswith("TESCAN")
