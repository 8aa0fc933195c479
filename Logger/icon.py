"""The logger's icon, drawn: a clock face whose hand is the beam of a microscope."""

from __future__ import annotations

import math
import struct
import zlib

BLUE = (15, 92, 122)
WHITE = (255, 255, 255)
AMBER = (247, 181, 56)


def png(size: int) -> bytes:
    """Return the icon as a PNG with transparent corners, `size` pixels wide and high."""
    rows = (
        b"\0" + b"".join(bytes(_pixel((x + 0.5) / size, (y + 0.5) / size, 1 / size)) for x in range(size))
        for y in range(size)
    )
    head = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)  # 8 bits of red, green, blue and opacity
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _pixel(x: float, y: float, step: float) -> tuple[int, int, int, int]:
    """Return red, green, blue and opacity at a place between 0 and 1; edges are blended over one `step`."""
    x, y = x - 0.5, y - 0.5
    radius = math.hypot(x, y)
    colour = BLUE
    colour = _blend(colour, WHITE, _inside(0.045 - abs(radius - 0.30), step))
    colour = _blend(colour, AMBER, _inside(min(0.035 - abs(x), 0.035 - y, y + 0.20), step))
    colour = _blend(colour, AMBER, _inside(min(0.035 - abs(y), x + 0.035, 0.15 - x), step))
    corner = 0.22  # of the rounded square
    outside = math.hypot(max(abs(x) - 0.5 + corner, 0.0), max(abs(y) - 0.5 + corner, 0.0))
    return (*colour, round(255 * _inside(corner - outside, step)))


def _inside(depth: float, step: float) -> float:
    return min(max(depth / step + 0.5, 0.0), 1.0)


def _blend(below: tuple[int, int, int], above: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(low + (high - low) * share) for low, high in zip(below, above))
    return red, green, blue
