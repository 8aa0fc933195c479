"""Times in the names of a run's files.

Overwatch reads them with pendulum; what that does with the hours of the two changes of the clock is kept here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from NexusCore.errors import NexusError
from NexusCore.text import one_line, shortened

ZONE = "Europe/Zurich"
"""Time zone of the times in names."""
FORMAT = "YYYY_MM_DD_HH_mm_ss"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"(\d{1,4})_(\d{1,2})_(\d{1,2})_(\d{1,2})_(\d{1,2})_(\d{1,2})", re.ASCII)
_LONGEST_SHOWN = 120
"""Characters of a name that a message shows."""


class TimeNotInName(NexusError, ValueError):
    """'{name}' has no time in its name: {reason}."""

    def __init__(self, *, name: str, reason: str) -> None:
        super().__init__(name=one_line(shortened(name, _LONGEST_SHOWN)), reason=reason)


def time_in(name: str) -> int:
    """Return the time in the name of a file, or for a time slice its length; see `overwatch`.

    Parameters
    ----------
    name
        Name of the file, or a path in which only the file's own name has dots.

    Returns
    -------
    int
        Seconds since the epoch, UTC; for a time slice, seconds from its beginning to its end.

    Raises
    ------
    TimeNotInName
        If there is none where the form of the name has it.
    """
    parts = name.split(".")
    if "combined" in name:  # hists.combined.1.1448388552.root
        return _number(name, parts, 3)
    if "timeSlice" in name:  # timeSlice.1448388310.1448388552.4bb7fb6d.root
        return _number(name, parts, 2) - _number(name, parts, 1)
    if len(parts) == 2:  # EMChistos_300005_C_2015_11_24_18_05_10.root, as a receiver names it
        return _seconds(name, "_".join(parts[0].split("_")[3:]))
    return _seconds(name, parts[1] if len(parts) > 1 else "")  # EMChists.2015_11_24_18_05_10.root


def _number(name: str, parts: list[str], place: int) -> int:
    try:
        return int(parts[place])
    except (IndexError, ValueError):
        raise TimeNotInName(name=name, reason=f"part {place + 1} between the dots must be a whole number") from None


def _seconds(name: str, text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        shown = one_line(shortened(text, _LONGEST_SHOWN))
        raise TimeNotInName(name=name, reason=f"'{shown}' does not match format {FORMAT}")
    try:
        year, month, day, hour, minute, second = map(int, match.groups())
        local = datetime(year, month, day, hour, minute, second, tzinfo=_zone())
    except ValueError as error:
        raise TimeNotInName(name=name, reason=f"'{text}' is not a time, {error}") from None
    # In an hour that comes twice, the second one counts; one that is skipped is read as if the clock had not yet been
    # changed. Both times that is the smaller offset.
    offset = min(local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return (local.replace(tzinfo=UTC) - _EPOCH - offset) // timedelta(seconds=1)


@lru_cache(maxsize=1)
def _zone() -> ZoneInfo:
    return ZoneInfo(ZONE)
