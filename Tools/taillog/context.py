"""The records around others: what was logged before and after a message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from NexusCore.log.record import LogRecord
from NexusCore.log.store import LogFilter, LogQuery, records
from NexusCore.storage import Database
from NexusCore.storage.pagination import PagePosition


def with_context(
    database: Database, condition: LogFilter, matches: Iterable[LogRecord], count: int
) -> Iterator[LogRecord | None]:
    """Yield records and those around each, every record once; None where others are left out in between.

    Parameters
    ----------
    database
        The database of the log.
    condition
        What the records match; those around them match it, too, but for its words.
    matches
        The records, the oldest first.
    count
        Records before and after each.
    """
    around = replace(condition, keywords=(), excluded=())
    last: PagePosition | None = None
    for match in matches:
        place = _place(match)
        if last is not None and place <= last:
            # It was yielded as one after another: only those after it are missing.
            before = []
        else:
            how = LogQuery(around, backwards=True, behind=place, first=count + 1)
            before = list(islice(records(database, how), count + 1))[::-1]
            if last is not None and (not before or _place(before[0]) > last):
                yield None
            before = before[-count:]
        for record in (*before, match, *_after(database, around, place, count)):
            if last is None or _place(record) > last:
                last = _place(record)
                yield record


def _after(database: Database, around: LogFilter, place: PagePosition, count: int) -> Iterator[LogRecord]:
    return islice(records(database, LogQuery(around, behind=place, first=count)), count)


def _place(record: LogRecord) -> PagePosition:
    return record.ts, record.id
