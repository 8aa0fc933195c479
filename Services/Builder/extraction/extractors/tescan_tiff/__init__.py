"""TIFF images of Tescan's scanning microscopes, with their settings in a .hdr file beside them or in a private tag."""

from __future__ import annotations

from Services.Builder.extraction.extractors.registry import FormatSpec

SPEC = FormatSpec(
    name="Tescan TIFF",
    extensions=(".tif", ".tiff"),
    priority=200,
    description="Images of Tescan SEM and FIB instruments",
    beside=(".hdr", "-tif.hdr", "-tiff.hdr"),
)
