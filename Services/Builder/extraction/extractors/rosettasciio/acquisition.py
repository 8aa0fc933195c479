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
from Services.Builder.extraction.extractors.rosettasciio.lenient_dates import NEVER
from Services.Builder.extraction.extractors.rosettasciio.vendors.gatan import gatan_time
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
    unread = by_reader is None or by_reader.year == NEVER.year
    read_here = _BY_PLUGIN.get(plugin) or (_WHERE_UNREAD.get(plugin) if unread else None)
    in_file = _IN_FILE.get(plugin)
    for found in (*by_vendor, read_here(original) if read_here else None, in_file(path) if in_file else None):
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
    """Return what reads seconds since 1970, which the reader hands on without a zone (Delmic) or not at all (EMPAD)."""

    def read(tree: Tree) -> datetime | None:
        with suppress(ValueError, TypeError, OverflowError, OSError):
            seconds = float(lookup(tree, path))
            return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
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
    if (day := lookup(tree, "ImageDescriptionParsed.Application.Date")) is not None:  # Hamamatsu HPD-TA
        saved = written(lookup(tree, "DateTime")).moment
        return decided(written(day, lookup(tree, "ImageDescriptionParsed.Application.Time")), near=saved)
    zeiss = [lookup(tree, f"CZ_SEM.{key}") for key in ("ap_date", "ap_time")]  # label and value
    if isinstance(zeiss[0], tuple):
        return written(zeiss[0][-1], zeiss[1][-1] if isinstance(zeiss[1], tuple) else None)
    if lookup(tree, "ImageDescription.DateTime") is not None:  # JEOL SightX: its reader knows the zone
        return None
    return written(lookup(tree, "DateTime"))


def _mrc(tree: Tree) -> WrittenTime | None:
    """Read SerialEM's label, which ends with the time by IMOD's convention: ``27-Jun-22  16:36:48`` from column 57 on.

    Labels of other programs tell when they converted or changed the file.
    """
    labels = lookup(tree, "std_header.LABELS")
    text = decode(bytes(labels)) if isinstance(labels, bytes | bytearray) or hasattr(labels, "tobytes") else ""
    for at in range(0, min(len(text), 800), 80):
        found = written(text[at + 56 : at + 80].strip("\0 "))
        if found.moment is not None and text[at:].startswith("SerialEM"):
            return found
    return None


def _copied_from_digitalmicrograph(tree: Tree) -> WrittenTime | None:
    """Return the time in the tags that HyperSpy copied, where its order is open: HyperSpy took the month for first."""
    tags = lookup(tree, "ImageList.TagGroup0.ImageTags")
    found = gatan_time(tags) if isinstance(tags, Mapping) else None
    return found if isinstance(found, WrittenTime) and found.open else None


def _phenom(tree: Tree) -> datetime | None:
    """Read the time of an ELID file: it has no zone, the reader adds the one of the machine that reads it."""
    return written(lookup(tree, "time")).moment


def _arina(path: Path) -> datetime | None:
    """Read the time in a DECTRIS detector's master file, ISO 8601 with its zone; the reader looks at the data only."""
    import h5py

    with suppress(OSError, KeyError, RuntimeError), h5py.File(path, "r") as file:
        entry = file["entry/instrument/detector/detectorSpecific/data_collection_date"][()]
        return written(decode(entry) if isinstance(entry, bytes) else entry).moment
    return None


def _edax(path: Path) -> datetime | None:
    """Read the time in an EDAX spectrum (.spc), whose header RosettaSciIO describes, but reads in part only.

    From byte 16 on: year (2 bytes), day, month, minute, hour, hundredths and seconds.
    """
    if path.suffix.lower() != ".spc":
        return None
    with suppress(OSError, struct.error, ValueError), path.open("rb") as file:
        year, day, month, minute, hour, hundredths, second = struct.unpack("<16xh6b", file.read(24))
        return datetime(year, month, day, hour, minute, second, hundredths * 10_000)  # noqa: DTZ001 - the PC's zone
    return None


_BY_PLUGIN: Mapping[str, Callable[[Tree], datetime | WrittenTime | None]] = {
    **dict.fromkeys(("HSPY", "ZSPY"), _copied_from_digitalmicrograph),
    "Delmic": _in_utc("AcquisitionDate"),
    "EMPAD": _in_utc("root.timestamp.timestamp"),
    "Phenom": _phenom,
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

_WHERE_UNREAD: Mapping[str, Callable[[Tree], WrittenTime]] = {
    "Bruker": _texts("Spectrum.Date", "Spectrum.Time"),
}
"""Likewise, for readers that know the form of their dates: where it is another one."""
_IN_FILE: Mapping[str, Callable[[Path], datetime | None]] = {"Arina": _arina, "EDAX": _edax}
"""What reads a time that the reader leaves out, from the file itself."""
