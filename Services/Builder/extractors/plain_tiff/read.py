"""Reads a TIFF as a picture, without a vendor's metadata."""

from __future__ import annotations

from Services.Builder.extractors.image.read import read

__all__ = ["read"]
