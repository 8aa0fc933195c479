"""TIFF images of Fibics' programs NPVE and ATLAS, which drive ion and electron microscopes of Zeiss and others."""

from __future__ import annotations

from Services.Builder.extraction.extractors.registry import FormatSpec

SPEC = FormatSpec(
    name="Fibics TIFF",
    extensions=(".tif", ".tiff"),
    priority=205,
    description="Images of Fibics NPVE and ATLAS: helium-ion, focused-ion and electron microscopes",
)
