"""Images of JEOL's scanning microscopes, with their settings in a text file of the same name beside them."""

from __future__ import annotations

from Services.Builder.extraction.extractors.registry import FormatSpec

SPEC = FormatSpec(
    name="JEOL SEM image",
    extensions=(".tif", ".tiff", ".bmp", ".jpg"),
    priority=200,
    description="Images of JEOL SEM instruments with a .txt beside them",
    beside=(".txt",),
)
