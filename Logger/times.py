"""Times as the Gateway's API has them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_EARLIEST, _LATEST = -62_000_000_000_000_000, 250_000_000_000_000_000
"""Microseconds: the years 5 and 9892, within what can be written as a date."""


def text_of(microseconds: int) -> str:
    """Return a time, in microseconds since the epoch, as the API has it; the nearest one that can be written."""
    return (_EPOCH + timedelta(microseconds=min(_LATEST, max(_EARLIEST, microseconds)))).isoformat()


def microseconds_of(moment: datetime) -> int:
    """Return a time in microseconds since the epoch."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def local_time(microseconds: int) -> datetime:
    """Return a time, in microseconds since the epoch, by this computer's clock and zone."""
    return datetime.fromtimestamp(microseconds / 1_000_000, timezone.utc).astimezone()
