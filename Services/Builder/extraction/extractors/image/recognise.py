"""Recognises pictures by their magic numbers."""

from __future__ import annotations

from pathlib import Path

_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"GIF8", b"\x0a", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")


def recognise(head: bytes, path: Path) -> bool:
    """Return whether the file begins like a picture."""
    return head.startswith(_MAGIC) or (head.startswith(b"RIFF") and head[8:12] == b"WEBP")
