"""Reads a TIFF as a picture, without a vendor's metadata."""

from __future__ import annotations

from Services.Builder.extraction.extractors.image.read import read

__all__ = ["read"]
