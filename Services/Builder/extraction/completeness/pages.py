"""TIFF: pages that a program announces, and pages whose data lie behind the end of the file."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

from Services.Builder.extraction.completeness.count import Count, whole_units
from Services.Builder.extraction.extractors.settings import TIFF

MOST_PAGES = 20_000
"""Pages that are looked at."""
_PLANES = re.compile(r"Size([ZCT])=\"(\d+)\"")


def tiff(path: Path) -> Iterator[Count]:
    """Count the pages, those of ImageJ and OME by their descriptions, and the bytes up to the end of the last strip."""
    from tifffile import TiffFile, TiffFileError

    size = path.stat().st_size
    try:
        file = TiffFile(path)
    except (TiffFileError, struct.error, ValueError, IndexError):
        yield from _directory(path, size)
        return
    with file:
        pages = [page for page, _at in zip(file.pages, range(MOST_PAGES), strict=False)]
        ends = [max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=False)), default=0) for page in pages]
        whole = sum(end <= size for end in ends)
        images = (file.imagej_metadata or {}).get("images") if file.is_imagej else None
        if images and len(pages) == 1:  # a large stack has one page, the others' data follow
            one = file.pages.first
            yield Count(int(images), whole_units(size, one.dataoffsets[0], sum(one.databytecounts)), "images")
        elif images:
            yield Count(int(images), whole, "images")
        elif file.is_ome and (planes := _ome_planes(file.ome_metadata or "")):
            yield Count(planes, whole, "planes")
        if len(pages) > 1:
            yield Count(len(pages), whole, "pages")
        elif ends:
            yield Count(ends[0], size, "bytes")


def _directory(path: Path, size: int) -> Iterator[Count]:
    """Compare the place of the first directory, which the header gives, with the size."""
    with path.open("rb") as file:
        head = file.read(16)
    if not head.startswith(TIFF):
        return
    order = "<" if head.startswith(b"II") else ">"
    large = struct.unpack_from(f"{order}H", head, 2)[0] == 43
    yield Count(struct.unpack_from(f"{order}{'Q' if large else 'I'}", head, 8 if large else 4)[0], size, "bytes")


def _ome_planes(description: str) -> int:
    """Return the number of planes in all images of an OME-TIFF; 0 where they may be in other files."""
    if "FileName=" in description or "BinaryOnly" in description:
        return 0
    planes = 0
    for pixels in re.findall(r"<(?:\w+:)?Pixels\b[^>]*>", description):
        sizes = {axis: int(length) for axis, length in _PLANES.findall(pixels)}
        samples = [int(number) for number in re.findall(r"SamplesPerPixel=\"(\d+)\"", description)]
        channels = 1 if samples and samples[0] > 1 else sizes.get("C", 1)
        planes += sizes.get("Z", 1) * sizes.get("T", 1) * channels
    return planes
