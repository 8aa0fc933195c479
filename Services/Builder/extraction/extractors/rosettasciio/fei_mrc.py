"""Reads the extended header that Thermo Fisher's programs (EPU, Tomography, Velox) write into MRC files.

RosettaSciIO skips it. Its types are FEI1 and FEI2, named in the main header; it has an entry for each image, of which
that of the first is read. Its layout is the one of Thermo Fisher's MRC2014 specification, as the package mrcfile has
it: groups of fields without gaps, each behind a bit mask of those that are set. That its bits are in the
fields' order is inferred from a file of Velox 3.7, where every bit fits its field.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

EXTENDED_HEADER_KEY = "fei_extended_header"
"""Where the fields stand in the original metadata."""
_MAIN, _TYPE, _STAMP = 1024, slice(104, 108), slice(212, 214)
_LONGEST_HEADER = 4096
_DAY_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 - Windows' way to count days, on a clock without zone
# Of each field the name and its type as of struct; numbers that say nothing to a person have none, six of the unused
# 48 bytes' bits count for them.
_GROUPS = (
    "Timestamp:d, Microscope type:16s, D-Number:16s, Application:16s, Application version:16s, HT:d, :d, Alpha tilt:d,"
    " Beta tilt:d, X-Stage:d, Y-Stage:d, Z-Stage:d, :d, :d, Pixel size X:d, Pixel size Y:d, :8s, :8s,"
    " :8s, :8s, :8s, :8s, Defocus:d, :d, :d, Instrument mode:i, Projection mode:i, :16s, :16s, :i, :?, Magnification:d",
    "Camera length:d, Spot index:i, :d, :d, Convergence angle:d, Illumination mode:16s, :?, :?, :d, :d, :d, :d, :d, :d,"
    " :d, :d, Integration time:d, Binning Width:i, Binning Height:i, Camera name:16s, :i, :i, :i, :i, :?, :i, :?, :?,"
    " :i, :i, :i, :i",
    ":i, :i, :i, :i, :i, :i, :?, STEM Detector name:16s, :d, :d, :i, :i, :i, :i, :i, Dwell time:d, Frame time:d",
)


def with_extended_header(path: Path, signals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the MRC reader returned, with the fields of the extended header in the original metadata."""
    with path.open("rb") as file:
        head = file.read(_MAIN + _LONGEST_HEADER)
    if head[_TYPE] not in (b"FEI1", b"FEI2") or head[_STAMP] != b"DD":  # only little-endian ones were ever seen
        return list(signals)
    fields: dict[str, Any] = {}
    with contextlib.suppress(struct.error):  # of a header that is cut off those up to there
        fields.update(_fields(head[_MAIN:]))
    return [
        {**signal, "original_metadata": {**signal["original_metadata"], EXTENDED_HEADER_KEY: fields}}
        for signal in signals
    ]


def _fields(entry: bytes) -> Iterator[tuple[str, Any]]:
    entry, place = entry[: max(0, struct.unpack_from("<i", entry)[0])], 8
    for group in _GROUPS:
        (mask,) = struct.unpack_from("<I", entry, place)
        place += 4
        for bit, field in enumerate(group.split(", ")):
            name, _, kind = field.partition(":")
            (value,) = struct.unpack_from(f"<{kind}", entry, place)
            place += struct.calcsize(f"<{kind}")
            if name and mask >> bit & 1:
                yield name, value.rstrip(b"\0").decode("latin-1") if isinstance(value, bytes) else value


def acquisition_time(days: object) -> datetime | None:
    """Return the time of acquisition of days since 1899-12-30; without a zone, so the instrument's is assumed."""
    return _DAY_ZERO + timedelta(seconds=round(days * 86400)) if isinstance(days, float) and 1 < days < 1e5 else None
