"""Names bookings of an instrument that are at the same time: only one of them can be what a session is for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import tzinfo

from NexusCore.clock import to_datetime
from NexusCore.facility import Reservation


def double_bookings(reservations: Iterable[Reservation], zone: tzinfo | None) -> Iterator[str]:
    """Yield a sentence for each booking that begins before another has ended.

    It is in small letters and without a full stop, as those of `complain` are. Uses, cancelled bookings and those that
    their calendar counts as free take no one's time.

    Parameters
    ----------
    reservations
        Of one instrument.
    zone
        Of the times in the sentences; None for this machine's.
    """
    taken = [booking for booking in reservations if not (booking.usage or booking.cancelled or booking.free)]
    last: Reservation | None = None
    for booking in sorted(taken, key=lambda booking: (booking.start_ts, booking.end_ts)):
        if booking.end_ts <= booking.start_ts:
            continue
        if last is not None and booking.start_ts < last.end_ts:
            until = min(last.end_ts, booking.end_ts)
            span = _span(booking.start_ts, until, zone)
            yield f"two bookings at once: {_named(last)} and {_named(booking)}, both {span}"
        if last is None or booking.end_ts > last.end_ts:
            last = booking


def _named(booking: Reservation) -> str:
    title = f"'{booking.title}'" if booking.title else "one without a title"
    return f"{title} of {booking.user}" if booking.user else title


def _span(start_ts: int, end_ts: int, zone: tzinfo | None) -> str:
    start, end = (to_datetime(ts).astimezone(zone) for ts in (start_ts, end_ts))
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"from {start:%Y-%m-%d %H:%M} to {until}"
