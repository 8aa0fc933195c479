"""The one way to follow a growing table without missing a row.

Ids are given out when a row is inserted but become visible when its transaction commits, so with several writers a
higher id can be seen before a lower one: asking for ``id > last`` loses rows. A `Tail` remembers the holes it saw in
the sequence and asks for them again until they fill or have been open for longer than any transaction lasts.

Promises
--------
* Each row is handed out exactly once; rows of one poll in the order of their ids.
* After the database was away it goes on where it was; nothing is missed.
* It resumes from a cursor.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from NexusCore.clock import Clock
from NexusCore.errors import ConfigException, DatabaseBusy, DatabaseUnreachable
from NexusCore.storage import Database
from NexusCore.storage.engine import Row, Transaction

POLL_SECONDS = 0.025
AWAY_SECONDS = 1.0
HOLE_SECONDS = 30.0
"""A hole open for longer is the trace of a transaction that was rolled back."""
BATCH = 5000
LOOK_BACK = 2000
"""Ids below the newest that are checked for holes at the start: their transactions may still be under way."""
_HOLES_PER_QUERY = 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source(Generic[T]):
    """A table to follow.

    Parameters
    ----------
    table, columns
        What to read: columns as SQL, of which the last is the id.
    join
        SQL after the table's name; the table has the alias ``t``.
    condition, values
        Which rows to hand out. All rows are read past, so that a hole is told from a row that does not match.
    make
        Makes an object of a row.
    """

    table: str
    columns: str
    make: Callable[[Row], T]
    join: str = ""
    condition: str = "1 = 1"
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a follower stands."""

    last: int
    holes: tuple[int, ...] = ()

    def __str__(self) -> str:
        return json.dumps([self.last, *self.holes])

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return the cursor that was written as `text`."""
        try:
            last, *holes = (int(number) for number in json.loads(text))
        except (ValueError, TypeError):
            raise ConfigException(reason=f"'{text}' is no cursor") from None
        return cls(last, tuple(holes))


@dataclass(frozen=True, slots=True)
class Away:
    """The database is away; handed out once, before the follower waits for it."""

    error: DatabaseUnreachable | DatabaseBusy


@dataclass(frozen=True, slots=True)
class Back:
    """The database is back; what follows has no gap."""


class Tail(Generic[T]):
    """Follows a table.

    Parameters
    ----------
    database, source
        What to follow.
    clock
        Tells the time and waits.
    cursor
        Where to go on; None begins behind the newest row that is there now.
    """

    def __init__(self, database: Database, source: Source[T], clock: Clock, cursor: Cursor | None = None) -> None:
        self._database = database
        self._source = source
        self._clock = clock
        self._last = cursor.last if cursor else -1
        since = clock.monotonic()
        self._holes: dict[int, float] = dict.fromkeys(cursor.holes, since) if cursor else {}
        """Ids that were passed over, with the time since when."""

    @property
    def cursor(self) -> Cursor:
        """Where the follower stands: after all that was handed out."""
        return Cursor(self._last, tuple(sorted(self._holes)))

    def begin(self) -> None:
        """Stand behind the newest row, minding the transactions that are under way."""
        with self._database.reading() as reading:
            row = reading.one(f"SELECT MAX(id) FROM {self._source.table}")  # noqa: S608  names from our code
            self._last = int(row[0] or 0) if row else 0
            first = max(0, self._last - LOOK_BACK)
            seen = self._ids(reading, first, self._last)
        now = self._clock.monotonic()
        self._holes = {one: now for one in range(first + 1, self._last) if one not in seen}

    def poll(self) -> list[T]:
        """Return the rows that became visible since the last call."""
        if self._last < 0:
            self.begin()
            return []
        with self._database.reading() as reading:
            rows = self._filled(reading) if self._holes else []
            rows += self._new(reading)
        return [self._source.make(row) for row in sorted(rows, key=lambda row: row[-1])]

    def follow(self, stop: threading.Event) -> Iterator[T | Away | Back]:
        """Yield rows as they appear, and `Away` and `Back`, until `stop` is set."""
        away = False
        while not stop.is_set():
            try:
                rows = self.poll()
            except (DatabaseUnreachable, DatabaseBusy) as error:
                if not away:
                    yield Away(error)
                away = True
                self._clock.wait(stop, AWAY_SECONDS)
                continue
            if away:
                away = False
                yield Back()
            yield from rows
            if len(rows) < BATCH:
                self._clock.wait(stop, POLL_SECONDS)

    def _new(self, reading: Transaction) -> list[Row]:
        """Return what is behind the last id seen, noting holes on the way."""
        ids = reading.all(
            f"SELECT id FROM {self._source.table} WHERE id > :last ORDER BY id LIMIT {BATCH}",  # noqa: S608
            last=self._last,
        )
        if not ids:
            return []
        first, newest = self._last, int(ids[-1][0])
        rows = self._rows(reading, "t.id > :tail_first AND t.id <= :tail_last", tail_first=first, tail_last=newest)
        now = self._clock.monotonic()
        # Between the two queries a hole may have filled: a row of the second is handed out, so it is no hole.
        seen = {int(one) for (one,) in ids} | {int(row[-1]) for row in rows}
        self._holes.update({one: now for one in range(first + 1, newest) if one not in seen})
        self._last = newest
        # A row that matched but was not among the first query's ids is visible now, and counted as seen.
        return rows

    def _filled(self, reading: Transaction) -> list[Row]:
        """Return the rows that fill holes; holes that stayed open too long are given up."""
        now = self._clock.monotonic()
        found: list[Row] = []
        holes = sorted(self._holes)
        for start in range(0, len(holes), _HOLES_PER_QUERY):
            marks = ", ".join(str(one) for one in holes[start : start + _HOLES_PER_QUERY])
            visible = [
                int(one)
                for (one,) in reading.all(f"SELECT id FROM {self._source.table} WHERE id IN ({marks})")  # noqa: S608
            ]
            if visible:
                found += self._rows(reading, f"t.id IN ({', '.join(map(str, visible))})")
            for one in visible:
                del self._holes[one]
        self._holes = {one: since for one, since in self._holes.items() if now - since < HOLE_SECONDS}
        return found

    def _ids(self, reading: Transaction, first: int, last: int) -> set[int]:
        rows = reading.all(
            f"SELECT id FROM {self._source.table} WHERE id > :first AND id <= :last",  # noqa: S608
            first=first,
            last=last,
        )
        return {int(one) for (one,) in rows}

    def _rows(self, reading: Transaction, place: str, **values: object) -> list[Row]:
        source = self._source
        return reading.all(
            f"SELECT {source.columns} FROM {source.table} t {source.join} "  # noqa: S608
            f"WHERE ({place}) AND ({source.condition}) ORDER BY t.id",
            **values,
            **source.values,
        )
