"""Programs of light spectrometers and streak cameras."""

from __future__ import annotations

from Services.Builder.extraction.extractors import terms
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Vendor

VENDORS = (Vendor("Renishaw", rules=terms.RENISHAW),)
