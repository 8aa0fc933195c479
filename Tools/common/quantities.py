"""Numbers as people read them."""

from __future__ import annotations

from NexusCore.resources import bytes_text
from NexusCore.text import counted

__all__ = ["bytes_text", "counted"]
