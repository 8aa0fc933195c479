"""TIFF images of FEI and Thermo Fisher scanning microscopes, with a list of settings in a private tag."""

from __future__ import annotations

from Services.Builder.extraction.extractors.registry import FormatSpec

SPEC = FormatSpec(
    name="FEI/Thermo Fisher TIFF",
    extensions=(".tif", ".tiff"),
    priority=200,
    description="Images of FEI and Thermo Fisher SEM and FIB instruments",
)
