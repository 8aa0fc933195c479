"""The page of a record: what a scientist opens instead of the XML, made of nothing but the XML."""

from __future__ import annotations

from pathlib import Path


def page_of(xml: Path) -> Path:
    """Return where the page of a record lies: beside its XML, under the same name."""
    return xml.with_suffix(".html")
