"""Recognises an image by the text beside it, whose lines begin with $CM_ and $$SM_."""

from __future__ import annotations

from pathlib import Path

from Services.Builder.extraction.extractors.settings import beside


def recognise(head: bytes, path: Path) -> bool:
    """Return whether a text with JEOL's settings lies beside the image."""
    text = beside(path, ".txt")
    return text is not None and text.lstrip("\ufeff").startswith("$") and "$CM_FORMAT" in text
