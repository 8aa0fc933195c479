"""TIFF images of FEI and Thermo Fisher transmission microscopes, with their settings as XML in a private tag."""

from __future__ import annotations

from Services.Builder.extraction.extractors.registry import FormatSpec

SPEC = FormatSpec(
    name="FEI/Thermo Fisher TEM TIFF",
    extensions=(".tif", ".tiff"),
    priority=210,
    description="Images that TIA and later programs export: Tecnai, Titan, Talos",
)
