"""Files whose numbers stand in a text: EMSA, Ripple, EMPAD, NumPy, JEOL's lists of views."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from math import prod
from pathlib import Path

from Services.Builder.extraction.completeness.count import Count, whole_units
from Services.Builder.extraction.extractors.cleaning import decode

LARGEST_TEXT = 100_000_000
"""Bytes of a text file whose numbers are counted."""
_EMPAD_ROWS, _EMPAD_COLUMNS = 130, 128
"""An EMPAD pattern as stored: two rows more than the detector has, 32-bit numbers."""


def emsa(path: Path) -> Iterator[Count]:
    """Count the points of an EMSA/MAS file, ISO 22029: NPOINTS, then the values after ``#SPECTRUM``.

    Of the data type XY, two values make a point.
    """
    with path.open("rb") as file:
        text = decode(file.read(LARGEST_TEXT))
    head, found, body = re.split(r"(?m)(^#SPECTRUM[^\n]*\n?)", text, maxsplit=1)
    announced = re.search(r"(?m)^#NPOINTS\s*:\s*(\d+)", head)
    if announced is None or not found:
        return
    pairs = re.search(r"(?m)^#DATATYPE\s*:\s*XY", head) is not None
    lines = takewhile(lambda line: not line.startswith("#"), body.splitlines())
    values = sum(len(re.findall(r"[^\s,;]+", line)) for line in lines)
    yield Count(int(announced[1]), values // 2 if pairs else values, "points")


def ripple(path: Path) -> Iterator[Count]:
    """Count the values of a Ripple file: width, height and depth in the text, the values in the .raw beside it."""
    entries = {}
    for line in decode(path.read_bytes()[:LARGEST_TEXT]).splitlines():
        key, _tab, value = line.partition("\t")
        entries[key.strip().lower()] = value.strip()
    raw = next((path.with_suffix(end) for end in (".raw", ".RAW") if path.with_suffix(end).exists()), None)
    if raw is None:
        return
    shape = [int(entries.get(key) or 1) for key in ("width", "height", "depth")]
    held = whole_units(raw.stat().st_size, int(entries.get("offset") or 0), int(entries["data-length"]))
    yield Count(prod(shape), held, "values")


def empad(path: Path) -> Iterator[Count]:
    """Count the patterns of an EMPAD scan: its size in the XML, the patterns in the raw file beside it."""
    from rsciio.empad import _api

    info = _api._parse_xml(str(path))[1]
    announced = info["series_count"] if "series_count" in info else info["scan_x"] * info["scan_y"]
    raw = path.with_name(str(info["raw_filename"]))
    if raw.parent == path.parent and raw.exists():
        held = whole_units(raw.stat().st_size, 0, _EMPAD_ROWS * _EMPAD_COLUMNS * 4)
        yield Count(int(announced), held, "diffraction patterns")


def numpy_array(path: Path) -> Iterator[Count]:
    """Count the values of a NumPy file by the shape in its header."""
    from numpy.lib import format as npy

    with path.open("rb") as file:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _order, kind = read(file)
        yield Count(prod(shape), whole_units(path.stat().st_size, file.tell(), kind.itemsize), "values")


def jeol(path: Path) -> Iterator[Count]:
    """Count the files of a JEOL Analysis Station project (.ASW): those of its views lie below its folder."""
    if path.suffix.lower() != ".asw":
        return
    from Services.Builder.extraction.extractors.rosettasciio.beside import names

    listed = list(dict.fromkeys(names(path, list)))
    yield Count(len(listed), sum((path.parent / name).is_file() for name in listed), "files", elsewhere=True)
