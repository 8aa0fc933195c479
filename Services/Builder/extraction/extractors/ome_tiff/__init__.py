"""OME-TIFF: stacks of many programs and Bio-Formats, with the Open Microscopy Environment's XML."""

from __future__ import annotations

from Services.Builder.extraction.extractors.registry import FormatSpec

SPEC = FormatSpec(
    name="OME-TIFF",
    extensions=(".tif", ".tiff", ".btf", ".tf2", ".tf8"),
    priority=195,
    description="Images and stacks with the Open Microscopy Environment's metadata",
)
