"""Numbers as people read them."""

from __future__ import annotations

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def bytes_text(count: float) -> str:
    """Return a number of bytes: ``1.3 GiB``."""
    if count == 1:
        return "1 byte"
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count /= 1024
        unit += 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 or count >= 100 else f"{count:.1f} {_UNITS[unit]}"


def counted(count: int, one: str, several: str | None = None) -> str:
    """Return a number and its noun: ``1 record``, ``1,200 records``."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
