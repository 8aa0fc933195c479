"""The pixels of TIFF files whose vendor's metadata are damaged, so that their own reader gives up."""

from __future__ import annotations

from Services.Builder.extraction.extractors.registry import FormatSpec

SPEC = FormatSpec(
    name="plain TIFF",
    extensions=(".tif", ".tiff"),
    priority=20,
    description="TIFF images as any program shows them, when all else fails",
)
