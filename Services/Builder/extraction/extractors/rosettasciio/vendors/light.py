"""Programs of light spectrometers and streak cameras; days as the PC's language has them."""

from __future__ import annotations

from datetime import datetime

from Services.Builder.extraction.extractors import terms
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor
from Services.Builder.extraction.extractors.settings import either_order, is_day_in_figures
from Services.Builder.extraction.extractors.tree import lookup


def _hamamatsu_time(tree: Tree) -> datetime | None:
    day, clock = (lookup(tree, f"Comment.Application.{key}") for key in ("Date", "Time"))
    return either_order(f"{day} {clock}")


def _hamamatsu_unclear_day(tree: Tree) -> str | None:
    day = str(lookup(tree, "Comment.Application.Date") or "")
    return day if is_day_in_figures(day) else None


VENDORS = (
    Vendor("Renishaw", rules=terms.RENISHAW),
    Vendor("JobinYvon", acquired=lambda tree: either_order(lookup(tree, "date.Acquired"))),
    Vendor("Hamamatsu", acquired=_hamamatsu_time, unclear_day=_hamamatsu_unclear_day),
)
