"""Finds the scan of a Merlin file (.mib).

The reader knows it by the frames of a trigger in the header beside the file, or else by pauses in the frames' times;
for the latter it needs as much memory as a large file has bytes. Newer headers give the points of a line as ``ScanX``.
Where the scan's generator started each frame (``Trigger Start`` is not ``Internal``), a square number of frames is a
square scan; without a header only a number that is hardly a series by chance.
"""

from __future__ import annotations

import re
from math import isqrt
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors.settings import beside

LARGE = 256 * 1024 * 1024
"""Bytes from which on a file's frames are counted by its size; a smaller one's scan is found by its time stamps."""
FEWEST = 256
"""Frames without a header that are taken for a square scan."""
_PER_LINE = (
    re.compile(r"^ScanX[^:\t=]*[:\t=]\s*(\d+)", re.MULTILINE),
    re.compile(r"^Frames per Trigger[^:\t]*[:\t]\s*(\d+)", re.MULTILINE),
)
_TRIGGER = re.compile(r"^Trigger Start[^:\t]*[:\t]\s*(\w+)", re.MULTILINE)


def options(path: Path) -> dict[str, Any]:
    """Return the reader's arguments: none, or the numbers of frames in a line and of lines."""
    if path.stat().st_size < LARGE:
        return {}
    with path.open("rb") as file:
        fields = file.read(64).decode("latin-1").split(",")
    if len(fields) < 7 or fields[0] != "MQ1" or not fields[6].startswith("U"):
        return {}
    frame = int(fields[2]) + int(fields[4]) * int(fields[5]) * int(fields[6][1:]) // 8
    frames = path.stat().st_size // frame
    line = line_of(path, frames)
    return {"navigation_shape": (line, frames // line) if line else (frames,)}


def line_of(path: Path, frames: int) -> int | None:
    """Return the frames in a line of the scan; None where the frames are a series.

    Parameters
    ----------
    path
        The file; its header beside it says how the frames were started.
    frames
        Those in the file.
    """
    header = beside(path, ".hdr")
    for pattern in _PER_LINE:
        stated = pattern.search(header or "")
        if stated and 1 < int(stated[1]) < frames and frames % int(stated[1]) == 0:
            return int(stated[1])
    side = isqrt(frames)
    if side * side != frames or side < 2:
        return None
    trigger = _TRIGGER.search(header or "")
    if trigger is None:
        return side if frames >= FEWEST else None
    return None if trigger[1].lower() == "internal" else side
