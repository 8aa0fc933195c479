"""Files with a header of fixed form: what it announces is compared with the file's size."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path

from Services.Builder.extraction.completeness.count import Count, begun_units, whole_units
from Services.Builder.extraction.extractors.settings import beside

_MRC_BYTES: Mapping[int, float] = {0: 1, 1: 2, 2: 4, 3: 4, 4: 8, 6: 2, 12: 2, 101: 0.5}
"""Bytes of a value by the mode, of the MRC2014 description; 101 are 4 bits."""
_LARGEST_SIDE = 100_000
"""Pixels of a side of a camera's or a scan's frame."""
_LONGEST_SBC_HEADER = 4096
_SER_SPECTRA = 0x4120
_SER_LONG_OFFSETS = 0x0220


def _head(path: Path, length: int, *magic: bytes) -> tuple[bytes, int]:
    """Return the beginning of a file and its size; raises ValueError for one that does not begin as its format does."""
    with path.open("rb") as file:
        head = file.read(length)
    if magic and not head.startswith(magic):
        raise ValueError(path.suffix)
    return head, path.stat().st_size


def digitalmicrograph(path: Path) -> Iterator[Count]:
    """Compare the size with that in the header, which counts from its own end on: 16 bytes in DM3, 24 in DM4."""
    head, size = _head(path, 12, b"\0\0\0\3", b"\0\0\0\4")
    version = struct.unpack_from(">I", head)[0]
    announced = struct.unpack_from(">I", head, 4)[0] + 16 if version == 3 else struct.unpack_from(">Q", head, 4)[0] + 24
    yield Count(announced, size, "bytes")


def mrc(path: Path) -> Iterator[Count]:
    """Count the sections: columns, rows, sections and mode first, the extended header's length at byte 92."""
    head, size = _head(path, 1024)
    order = ">" if head[212:213] == b"\x11" else "<"
    columns, rows, sections, mode = struct.unpack_from(f"{order}4i", head)
    if min(columns, rows, sections) < 1 or max(columns, rows) > _LARGEST_SIDE:
        return  # it is something else
    extended = struct.unpack_from(f"{order}i", head, 92)[0]
    section = int(columns * rows * _MRC_BYTES[mode])
    yield Count(sections, whole_units(size, 1024 + extended, section), "frames")


def merlin(path: Path) -> Iterator[Count]:
    """Count the frames of a Merlin file (.mib): those that the header beside it announces, or the last one's part."""
    from numpy import dtype
    from rsciio.quantumdetector._api import MIBProperties

    known = MIBProperties()
    known.parse_file(str(path))
    frame = known.head_size + prod(known.merlin_size) * dtype(known.dtype).itemsize
    size = path.stat().st_size
    stated = re.search(r"(?m)^Frames in Acquisition[^:\t]*[:\t]\s*(\d+)", beside(path, ".hdr") or "")
    announced = max(int(stated[1]) if stated else 0, begun_units(size, 0, frame))
    yield Count(announced, whole_units(size, 0, frame), "frames")


def tvips(path: Path) -> Iterator[Count]:
    """Count the frames of a TVIPS stream, whose header announces none: the last one may be cut off."""
    head, size = _head(path, 100)
    start, version, columns, rows, bits = struct.unpack_from("<5i", head)
    if version not in (1, 2) or bits not in (8, 16, 32) or not 0 < max(columns, rows) <= _LARGEST_SIDE:
        return  # it is something else
    frame_header = {1: 12}.get(version) or struct.unpack_from("<i", head, 48)[0]
    frame = frame_header + columns * rows * bits // 8
    yield Count(begun_units(size, start, frame), whole_units(size, start, frame), "frames")


def blockfile(path: Path) -> Iterator[Count]:
    """Count the patterns of a NanoMEGAS block file, each after six bytes; its reader fills up with zeros."""
    head, size = _head(path, 64, b"IMGBLO")
    start = struct.unpack_from("<I", head, 12)[0]
    side, _rotation, columns, rows = struct.unpack_from("<4H", head, 20)
    yield Count(columns * rows, whole_units(size, start, 6 + side * side), "diffraction patterns")


def tia(path: Path) -> Iterator[Count]:
    """Count the elements of the series files (.ser) of an .emi, or of one, and the series files themselves."""
    series = [path]
    if path.suffix.lower() == ".emi":
        series = sorted(path.parent.glob(f"{_escaped(path.stem)}_[0-9]*.ser"))
        named = {int(number) for number in re.findall(rb"_(\d{1,3})\.ser", path.read_bytes())}
        present = {int(each.stem.rpartition("_")[2]) for each in series}
        yield Count(len(named), len(named & present), "data files (.ser)", elsewhere=True)
    for each in series:
        yield from _series(each)


def _series(path: Path) -> Iterator[Count]:
    """Count the elements of a series file: total and valid ones stand in its header, before the place of each."""
    head, size = _head(path, 34, b"II\x97\x01")
    version, kind = struct.unpack_from("<HI", head, 4)
    total, valid = struct.unpack_from("<2I", head, 14)
    places = struct.unpack_from("<Q" if version >= _SER_LONG_OFFSETS else "<I", head, 22)[0]
    width = 8 if version >= _SER_LONG_OFFSETS else 4
    with path.open("rb") as file:
        file.seek(places)
        raw = file.read(min(valid, 10_000_000) * width)
    starts = struct.unpack(f"<{len(raw) // width}{'Q' if width == 8 else 'I'}", raw[: len(raw) // width * width])
    held = sum(start < size for start in starts)
    yield Count(total, min(held, valid), "spectra" if kind == _SER_SPECTRA else "images")
    if len(starts) > 1:  # elements are of one size
        yield Count(starts[-1] + starts[1] - starts[0] if starts[1] > starts[0] else 0, size, "bytes")


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def bruker(path: Path) -> Iterator[Count]:
    """Compare the end of the last block of any file in a container (.bcf) with the container's size."""
    from Services.Builder.extraction.extractors.rosettasciio.declared import end_of_container

    if path.suffix.lower() == ".bcf":
        yield Count(end_of_container(path), path.stat().st_size, "bytes")


def edax(path: Path) -> Iterator[Count]:
    """Count the spectra of an EDAX map (.spd): points, lines, channels and bytes of a channel are in its header."""
    if path.suffix.lower() != ".spd":
        return
    head, size = _head(path, 44, b"MAPSPECTRA_DATA")
    points, lines, channels, width, start = struct.unpack_from("<5i", head, 24)
    yield Count(points * lines, whole_units(size, start, channels * width), "spectra")


def hamamatsu(path: Path) -> Iterator[Count]:
    """Count the lines of an ITEX image: 64 bytes of header, the comment, then columns times lines."""
    head, size = _head(path, 64, b"IM")
    comment, columns, lines = struct.unpack_from("<3H", head, 2)
    width = {0: 1, 2: 2, 3: 4}[struct.unpack_from("<H", head, 12)[0]]
    yield Count(lines, whole_units(size, 64 + comment, columns * width), "lines")


def renishaw(path: Path) -> Iterator[Count]:
    """Count the spectra of a WiRE file: how many were to be measured stands at byte 64, how many were at byte 72."""
    head, _size = _head(path, 80, b"WDF1")
    capacity, measured = struct.unpack_from("<2Q", head, 64)
    yield Count(capacity, measured, "spectra")


def quadstar(path: Path) -> Iterator[Count]:
    """Count the cycles of a scan of bargraph type (.sbc).

    Their number stands at byte 0x64, the number of masses less one at 0xCB; a cycle is 13 bytes and eight for each
    mass, its mass and its intensity. Where the first begins is not written: there the masses are found, in their order.
    """
    if path.suffix.lower() != ".sbc":
        return
    import numpy as np

    data = path.read_bytes()
    cycles, masses = struct.unpack_from("<i", data, 0x64)[0], struct.unpack_from("<H", data, 0xCB)[0] + 1
    if not 0 < cycles < 10_000_000:
        return  # it is something else
    length = masses * 8 + 13
    for start in range(0x100, min(len(data) - length, _LONGEST_SBC_HEADER) + 1):
        steps = np.diff(np.frombuffer(data, "<f4", 2 * masses, start + 13)[::2])
        if masses > 1 and np.all(np.abs(steps - 1) < 0.5):  # the masses of a bargraph are one apart
            yield Count(cycles, whole_units(len(data), start, length), "cycles")
            return
