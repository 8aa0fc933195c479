"""Finds the scan of a large Merlin file (.mib); RosettaSciIO would need as much memory as it has bytes."""

from __future__ import annotations

import re
from math import isqrt
from pathlib import Path
from typing import Any

from Services.Builder.extraction.extractors.settings import beside

LARGE = 256 * 1024 * 1024
"""Bytes from which on a file's frames are counted by its size; a smaller one's scan is found by its time stamps."""
_PER_TRIGGER = re.compile(r"^Frames per Trigger[^:\t]*[:\t]\s*(\d+)", re.MULTILINE)


def options(path: Path) -> dict[str, Any]:
    """Return the reader's arguments: none, or the numbers of lines and of frames in a line.

    The header beside the file may give the frames of a line; else a square number of frames is a square scan.
    """
    if path.stat().st_size < LARGE:
        return {}
    with path.open("rb") as file:
        fields = file.read(64).decode("latin-1").split(",")
    if len(fields) < 7 or fields[0] != "MQ1" or not fields[6].startswith("U"):
        return {}
    frame = int(fields[2]) + int(fields[4]) * int(fields[5]) * int(fields[6][1:]) // 8
    frames = path.stat().st_size // frame
    stated = _PER_TRIGGER.search(beside(path, ".hdr") or "")
    line = int(stated[1]) if stated and int(stated[1]) > 1 else isqrt(frames)
    return {"navigation_shape": (frames // line, line) if line > 1 and frames % line == 0 else (frames,)}
