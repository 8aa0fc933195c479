"""Whether the calendars of instruments can be read, and when each was read last: the table `calendar_read`."""

from __future__ import annotations

from dataclasses import dataclass

from NexusCore import sizes
from NexusCore.storage import Database, Transaction
from NexusCore.storage.rows import TEXT, TIME, Columns, Odd, optional

CALENDAR_READ = Columns(
    "calendar_read",
    {
        "instrument": TEXT,
        "source": TEXT,
        "read_ts": optional(TIME),
        "failed_ts": optional(TIME),
        "reason": optional(TEXT),
    },
)

_COLUMNS = tuple(CALENDAR_READ.columns)
_SELECT = """
    -- what is known of the calendar of an instrument
    SELECT instrument, source, read_ts, failed_ts, reason FROM calendar_read WHERE instrument = :instrument
"""


@dataclass(frozen=True, slots=True)
class CalendarRead:
    """What is known of the calendar of an instrument. Times are in microseconds since the epoch, UTC."""

    instrument: str
    """Pid."""
    source: str
    """As in `Reservation.source`."""
    read_ts: int | None
    """When the last reading began that succeeded; None for never."""
    failed_ts: int | None
    """Since when it cannot be read; None while it can."""
    reason: str | None
    """A sentence on why it cannot be read."""
    odd: Odd = ()
    """Messages about fields that cannot be read."""


class CalendarReads:
    """The table `calendar_read`.

    Parameters
    ----------
    database
        The facility's own database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, instrument: str) -> CalendarRead | None:
        """Return what is known of the calendar of an instrument (pid); None if it was never tried."""
        with self._database.reading() as reading:
            return _of(reading, instrument)

    def succeeded(self, instrument: str, source: str, ts: int) -> None:
        """Note that a calendar was read, from a time on.

        Parameters
        ----------
        instrument, source
            Pid, and its calendar.
        ts
            When the reading began.
        """
        row = (instrument, source, ts, None, None)
        self._database.write(lambda transaction: _put(transaction, row))

    def failed(self, instrument: str, source: str, ts: int, reason: str) -> None:
        """Note that a calendar could not be read; since when, stays as it was first noted.

        Parameters
        ----------
        instrument, source, ts
            As for `succeeded`.
        reason
            A sentence.
        """
        text = sizes.truncate(reason, sizes.LAST_ERROR)

        def note(transaction: Transaction) -> None:
            known = _of(transaction, instrument)
            if known is not None and known.source == source:
                since = known.failed_ts if known.failed_ts is not None else ts
                row = (instrument, source, known.read_ts, since, text)
            else:  # another calendar than the one that was read before
                row = (instrument, source, None, ts, text)
            _put(transaction, row)

        self._database.write(note)


def _of(transaction: Transaction, instrument: str) -> CalendarRead | None:
    row = transaction.one(_SELECT, instrument=instrument)
    return None if row is None else CALENDAR_READ.make(CalendarRead, row)


def _put(transaction: Transaction, row: tuple[object, ...]) -> None:
    transaction.upsert("calendar_read", _COLUMNS, ("instrument",), [row])
