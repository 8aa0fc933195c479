"""Times as a person or a program reads them; stored are microseconds since the epoch, UTC."""

from __future__ import annotations

from NexusCore.clock import SECOND, to_datetime

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def rfc3339(ts: int | None) -> str | None:
    """Return a time for programs, exact, with the offset of this machine's zone."""
    return None if ts is None else to_datetime(ts).astimezone().isoformat(timespec="microseconds")


def local(ts: int) -> str:
    """Return a time for people, in this machine's zone."""
    return to_datetime(ts).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(microseconds: int) -> str:
    """Return a length of time in its two largest units: ``1 h 29 min``."""
    seconds = max(0, microseconds // SECOND)
    parts = []
    for size, unit in _UNITS:
        if seconds >= size:
            parts.append(f"{seconds // size} {unit}")
            seconds %= size
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"
