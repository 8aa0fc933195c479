"""Numbers as people read them."""

from __future__ import annotations

from NexusCore.resources import bytes_text

__all__ = ["bytes_text", "counted"]


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Return a number and its noun: ``1 record``, ``1,200 records``."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
