"""Everything the package RosettaSciIO reads: some thirty vendors' formats that differ by nothing but the reader."""

from __future__ import annotations

from rsciio import IO_PLUGINS

from Services.Builder.extractors.registry import FormatSpec

SPEC = FormatSpec(
    name="RosettaSciIO",
    extensions=tuple(sorted({f".{ext.lower()}" for plugin in IO_PLUGINS for ext in plugin["file_extensions"]})),
    priority=100,
    description="All formats of the RosettaSciIO package, each by its own reader",
)
