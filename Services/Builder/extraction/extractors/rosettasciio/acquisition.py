"""When a file says it was acquired: the vendor's own clock first, then texts read by `people_dates`, then the reader.

The readers parse days in one order, some with dateutil, which takes the month for first wherever it can; in the
original metadata the text is still as the file has it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors.acquisition_time import Acquired, resolved
from Services.Builder.extraction.extractors.cleaning import decode
from Services.Builder.extraction.extractors.people_dates import WrittenTime, decided, order_in, written
from Services.Builder.extraction.extractors.tree import lookup

Tree = Mapping[str, Any]


def acquired_by(
    plugin: str,
    original: Tree,
    by_vendor: Iterable[datetime | WrittenTime | None],
    by_reader: datetime | None,
    path: Path,
) -> Acquired:
    """Return when a file was acquired.

    Parameters
    ----------
    plugin
        Name of RosettaSciIO's reader.
    original
        The reader's original metadata.
    by_vendor
        What the vendors' facts say, the surest first.
    by_reader
        What the reader made of it.
    path
        The file.
    """
    read_here = _BY_PLUGIN.get(plugin)
    for found in (*by_vendor, read_here(original) if read_here else None):
        if isinstance(found, datetime):
            return Acquired(found)
        if found is not None and found.text:
            return resolved(found, original, path, by_reader)
    return Acquired(by_reader)


def _texts(day: str, clock: str | None = None) -> Callable[[Tree], WrittenTime]:
    """Return what reads a day and perhaps a time of day, each at its path."""
    return lambda tree: written(lookup(tree, day), lookup(tree, clock) if clock else None)


def _month_first(path: str) -> Callable[[Tree], WrittenTime]:
    """Return what reads a text by a program that writes the month first on every PC, as .NET does without a culture."""

    def read(tree: Tree) -> WrittenTime:
        found = written(lookup(tree, path))
        return decided(found, order_in(tree) or "month")

    return read


def _in_utc(path: str) -> Callable[[Tree], datetime | None]:
    """Return what reads seconds since 1970, which the reader hands on without a zone."""

    def read(tree: Tree) -> datetime | None:
        seconds = lookup(tree, path)
        with suppress(ValueError, OverflowError, OSError):
            if isinstance(seconds, int | float) and seconds > 0:
                return datetime.fromtimestamp(seconds, UTC)
        return None

    return read


def _tiff(tree: Tree) -> datetime | WrittenTime | None:
    """Read a TIFF's DateTime, of which TIFF 6.0 says ``YYYY:MM:DD HH:MM:SS`` and programs write what they like.

    TVIPS packs the day into one number and counts the time of day in seconds. That the number is year, month and day in
    two bytes, one and one is inferred: 132122901, which RosettaSciIO's source gives as an example, is then 21 May 2016.
    """
    packed, seconds = lookup(tree, "TVIPS.Date"), lookup(tree, "TVIPS.Time")
    with suppress(TypeError, ValueError, struct.error, OverflowError):
        year, month, day = struct.unpack(">HBB", struct.pack(">I", int(packed)))
        if 1980 <= year < 2100:
            return datetime.combine(date(year, month, day), time()) + timedelta(seconds=int(seconds or 0) % 86400)
    zeiss = [lookup(tree, f"CZ_SEM.{key}") for key in ("ap_date", "ap_time")]  # label and value
    if isinstance(zeiss[0], tuple):
        return written(zeiss[0][-1], zeiss[1][-1] if isinstance(zeiss[1], tuple) else None)
    if lookup(tree, "ImageDescription.DateTime") is not None:  # JEOL SightX: its reader knows the zone
        return None
    return written(lookup(tree, "DateTime"))


def _mrc(tree: Tree) -> WrittenTime | None:
    """Read the first label that ends with a time: by IMOD's convention, ``27-Jun-22  16:36:48`` from column 57 on."""
    labels = lookup(tree, "std_header.LABELS")
    text = decode(bytes(labels)) if isinstance(labels, bytes | bytearray) or hasattr(labels, "tobytes") else ""
    for at in range(0, min(len(text), 800), 80):
        found = written(text[at + 56 : at + 80].strip("\0 "))
        if found.moment is not None:
            return found
    return None


_BY_PLUGIN: Mapping[str, Callable[[Tree], datetime | WrittenTime | None]] = {
    "Delmic": _in_utc("AcquisitionDate"),
    "MRC": _mrc,
    "MSA": _texts("DATE", "TIME"),
    "Impulse": _texts("Impulse_header.Experiment_date", "Impulse_header.Experiment_time"),
    "JobinYvon": _texts("date.Acquired"),
    "Hamamatsu": _texts("Comment.Application.Date", "Comment.Application.Time"),
    "Ripple": _texts("date", "time"),
    "TIA": _texts("ObjectInfo.AcquireDate"),
    "TIFF": _tiff,
    "Topspin": _month_first("CreatedDateTime"),
    "TriVista": _month_first("Document.RecordTime"),
    "NeXus": _texts("entry.start_time"),
}
"""What reads the texts of a reader's files, by the reader's name."""
