"""TIFF images of Zeiss Orion helium-ion microscopes, with their settings as XML in a private tag."""

from __future__ import annotations

from Services.Builder.extraction.extractors.registry import FormatSpec

SPEC = FormatSpec(
    name="Zeiss Orion TIFF",
    extensions=(".tif", ".tiff"),
    priority=200,
    description="Images of Zeiss Orion helium-ion microscopes",
)
