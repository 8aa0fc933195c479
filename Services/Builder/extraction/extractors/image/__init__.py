"""Pictures that any program shows: screenshots, photographs, exported images."""

from __future__ import annotations

from Services.Builder.extraction.extractors.registry import FormatSpec

SPEC = FormatSpec(
    name="plain image",
    extensions=(".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".dib", ".gif", ".webp", ".pcx", ".ppm", ".pgm", ".pbm"),
    priority=150,
    description="Pictures without an instrument's metadata",
)
