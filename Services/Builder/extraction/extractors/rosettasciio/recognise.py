"""Recognises what some reader of RosettaSciIO takes: by its extension and, where several claim that, by the content."""

from __future__ import annotations

from pathlib import Path

from Services.Builder.extraction.extractors.rosettasciio.declared import readers_for


def recognise(head: bytes, path: Path) -> bool:
    """Return whether some reader takes the file."""
    return bool(readers_for(head, path))
