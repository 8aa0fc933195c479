"""TIFF images that ImageJ or Fiji saved, with the metadata of the image's own format."""

from __future__ import annotations

from Services.Builder.extraction.extractors.registry import FormatSpec

SPEC = FormatSpec(
    name="ImageJ TIFF",
    extensions=(".tif", ".tiff"),
    priority=190,
    description="Images and stacks saved by ImageJ or Fiji; of those made from DigitalMicrograph files its tags, too",
)
