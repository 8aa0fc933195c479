"""Gatan DigitalMicrograph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from Services.Builder.extraction.extractors.people_dates import WrittenTime, decided, written
from Services.Builder.extraction.extractors.rosettasciio.vendors import gatan_tags
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor
from Services.Builder.extraction.extractors.tree import lookup


def gatan_time(tags: Tree) -> datetime | WrittenTime | None:
    """Return the time of acquisition, by Windows' clock or by the texts, whose order is that of the PC's language.

    Of a spectrum image, Windows' clock is that of its survey image or of its end: it only tells the order, as does the
    scan generator's stamp, which names the month (``Tue Dec 10 15:32:32 2019``). An image stack has the tags of each
    image in its list of planes.
    """
    windows = _windows_clock(lookup(tags, "DataBar.Acquisition Time (OS)"))
    if windows is not None and lookup(tags, "SI.Acquisition.Date") is None:
        return windows
    stamp = written(lookup(tags, "DigiScan.TimeStamp"))
    found = written(*_gatan_texts(tags))
    if not found.text:
        plane = lookup(tags, "plane info.TagGroup0.source tags")
        return gatan_time(plane) if isinstance(plane, Mapping) else stamp
    return decided(found, near=windows or stamp.moment)


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


_TYPED_IN = frozenset(("Operator", "Specimen"))
"""Typed into a form once, and often out of date."""
_IMAGE = Vendor(
    plugin="DigitalMicrograph",
    root=(f"{gatan_tags.IMAGE}.source.Tags at creation", gatan_tags.IMAGE),
    rules=gatan_tags.RULES,
    unreliable=_TYPED_IN,
    special=gatan_tags.special,
    acquired=gatan_time,
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
    replace(_IMAGE, holds=_SOURCE, root=(gatan_tags.IMAGE,), acquired=None),
)
