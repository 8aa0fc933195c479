"""Gatan DigitalMicrograph."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from Services.Builder.extraction.extractors.rosettasciio.vendors import gatan_tags
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor
from Services.Builder.extraction.extractors.settings import either_order, is_day_in_figures
from Services.Builder.extraction.extractors.tree import lookup


def _gatan_time(tags: Tree) -> datetime | None:
    """Return the time of acquisition, by Windows' clock or by the texts, whose order is that of the PC's language.

    Of a spectrum image, Windows' clock is that of its survey image or of its end: it only tells the order.
    """
    windows = _windows_clock(lookup(tags, "DataBar.Acquisition Time (OS)"))
    if windows is not None and lookup(tags, "SI.Acquisition.Date") is None:
        return windows
    return either_order(" ".join(_gatan_texts(tags)), windows)


def _windows_clock(ticks: object) -> datetime | None:
    """Read Windows' clock: 100 ns since 1601, UTC."""
    if not isinstance(ticks, int | float) or ticks < 1e17:
        return None
    return (datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks / 10)).replace(microsecond=0)


def _gatan_texts(tags: Tree) -> tuple[str, str]:
    """Return day and time of day as DigitalMicrograph writes them, those of the measurement itself first."""
    bar = lookup(tags, "DataBar.Acquisition Date"), lookup(tags, "DataBar.Acquisition Time")
    for technique in ("SI", "EELS", "EDS", "CL"):
        day = lookup(tags, f"{technique}.Acquisition.Date")
        if day is not None:
            return str(day).strip(), str(lookup(tags, f"{technique}.Acquisition.Start time") or bar[1] or "").strip()
    return str(bar[0] or "").strip(), str(bar[1] or "").strip()


def _gatan_unclear_day(tags: Tree) -> str | None:
    day, _ = _gatan_texts(tags)
    return day if is_day_in_figures(day) else None


_TYPED_IN = frozenset(("Operator", "Specimen"))
"""Typed into a form once, and often out of date."""
_IMAGE = Vendor(
    plugin="DigitalMicrograph",
    root=(f"{gatan_tags.IMAGE}.source.Tags at creation", gatan_tags.IMAGE),
    rules=gatan_tags.RULES,
    unreliable=_TYPED_IN,
    special=gatan_tags.special,
    acquired=_gatan_time,
    unclear_day=_gatan_unclear_day,
)
_SOURCE = f"{gatan_tags.PLANE}.source tags"
VENDORS = (
    _IMAGE,
    # a stack of planes with tags of their own: the first one's, then the stack's
    replace(
        _IMAGE,
        holds=_SOURCE,
        root=(_SOURCE,),
        column="TEM",
        rules=gatan_tags.PLANE_RULES,
    ),
    replace(_IMAGE, holds=_SOURCE, root=(gatan_tags.IMAGE,), acquired=None, unclear_day=None),
)
