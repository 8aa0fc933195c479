"""Following a growing table without missing a row.

An id is assigned when a row is inserted but becomes visible when its transaction commits, so with several writers a
higher id can be visible before a lower one: asking for ``id > last`` loses rows. A `Tail` remembers the holes in the
sequence and asks for them again until they fill or are older than any transaction can be.

Promises
--------
* Each row is handed out exactly once; rows of one poll in the order of their ids.
* After the database was away it continues where it was; nothing is missed.
* It resumes from a cursor.
* After the file of an SQLite database was replaced it goes on in the new one, with the rows of the time since it last
  read the former one.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from NexusCore.clock import SECOND, Clock
from NexusCore.errors import (
    ConfigException,
    DatabaseBusy,
    DatabaseUnreachable,
    NexusError,
    NoDatabaseFile,
    SchemaMissing,
    SchemaUnfinished,
)
from NexusCore.storage import Database
from NexusCore.storage.dialect import STATEMENT_SECONDS
from NexusCore.storage.polling import LONGEST_WAIT, Follower
from NexusCore.storage.transaction import Row, Transaction

POLL_SECONDS = 0.025
"""Seconds between two looks while rows come in."""
IDLE_POLL_SECONDS = 0.07
"""The same while none do: many processes that wait must not cost a server much. Then it is only asked for the newest id
(see `NexusCore.storage.polling`)."""
LIVELY_SECONDS = 1.0
"""The table counts as busy for this long after a row came in."""
AWAY_SECONDS = 1.0
HOLE_SECONDS = 3.0 * STATEMENT_SECONDS
"""A hole asked for longer is the trace of a transaction that was rolled back: on a server at its limits an insertion
may take as long as a statement may, and so may the commit after it (35 s were seen)."""
BATCH = 5000
LOOK_BACK = 100_000
"""Ids below the newest that are checked for holes at the start: their transactions may still be under way, and several
writers that make up for an hour without the database have batches of thousands."""
WIDEST = 1_000_000
"""Ids, the newest, that a follower keeps as holes: a server that is killed under load takes back what many writers had
under way, some hundred thousand, while a jump to a number out of all proportion must not cost the memory."""
YOUNG_SECONDS = 1.0
"""A hole open for longer is asked for only this often: of old ones there may be very many, where rows were deleted."""
_RUNS_PER_QUERY = 500
_HOLE_DISTANCE = 16
"""Holes at most this far apart are asked for together; where ids increase in steps, there are many."""

_WRITTEN = 4000
"""Runs of holes, the newest, that a cursor is written with: where lines were deleted there are very many, and a text
has to fit on a command line. Each transaction under way is one."""

EVERY_ROW = "1 = 1"
"""The condition that every row meets."""

NO_FILE = (NoDatabaseFile, SchemaMissing, SchemaUnfinished)
"""Errors while the file of an SQLite database is being replaced; before it was read once, they are mistakes."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TailSource(Generic[T]):
    """A table to follow.

    Parameters
    ----------
    table, columns
        What to read: columns as SQL, of which the last is the id. The table has the column ``ts``.
    join
        SQL after the table's name; the table has the alias ``t``.
    condition, values
        Which rows to hand out. The ids of all rows are read, since a row that does not match is not a hole.
    make
        Makes an object of a row.
    """

    table: str
    columns: str
    make: Callable[[Row], T]
    join: str = ""
    condition: str = EVERY_ROW
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TailCursor:
    """Position of a follower."""

    last: int
    holes: tuple[int, ...] = ()

    def __str__(self) -> str:
        runs = [[a, b] if a < b else a for a, b in _runs(self.holes[-WIDEST:], 1)]
        return json.dumps([self.last, *runs[-_WRITTEN:]], separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> TailCursor:
        """Return the cursor that was written as `text`."""
        try:
            last, *holes = json.loads(text)
            runs = [hole if isinstance(hole, list) else [hole, hole] for hole in holes]
            if not isinstance(last, int) or sum(max(0, b - a + 1) for a, b in runs) > WIDEST:
                raise ValueError(text)
            return cls(last, tuple(number for a, b in runs for number in range(a, b + 1)))
        except (ValueError, TypeError):
            raise ConfigException(reason=f"'{text}' is not a valid cursor") from None


@dataclass(frozen=True, slots=True)
class Away:
    """The database is away; handed out once, before the follower waits for it."""

    error: NexusError


@dataclass(frozen=True, slots=True)
class Back:
    """The database is back; what follows has no gap."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Another file is at the place of the database; what follows is in that one."""

    since: int
    """The time that it goes on with, in microseconds since the epoch."""


class Tail(Generic[T]):
    """Follows a table.

    Parameters
    ----------
    database, source
        What to follow.
    clock
        Source of time, also for waiting.
    cursor
        Where to continue; None starts after the newest row.
    """

    def __init__(
        self, database: Database, source: TailSource[T], clock: Clock, cursor: TailCursor | None = None
    ) -> None:
        self._database = database
        self._source = source
        self._clock = clock
        self._last = cursor.last if cursor else -1
        self._asked = clock.monotonic()
        """When the database was last asked and answered."""
        self._moved = float("-inf")
        """When a row last came in, matching or not."""
        self._young: dict[int, float] = {}
        """Ids of holes, with the time when they were first seen."""
        self._old: dict[int, float] = dict.fromkeys(cursor.holes, self._asked) if cursor else {}
        self._asked_old = float("-inf")
        self._waiting: deque[int] = deque()
        """Ids of rows that were read but not handed out yet."""
        self._generation: int | None = None
        """Which file of an SQLite database was read; see `Database.generation`."""
        self._read_at = clock.now()
        """When rows were last asked for, in microseconds since the epoch."""
        self._replaced: Replaced | None = None
        """To be handed out."""

    @property
    def cursor(self) -> TailCursor:
        """Position after all rows handed out."""
        return TailCursor(self._last, tuple(sorted([*self._young, *self._old, *self._waiting])))

    def begin(self) -> None:
        """Start after the newest row, with holes for the transactions that are under way."""
        table = self._source.table
        with self._database.reading() as reading:
            row = reading.one(f"SELECT MAX(id) FROM {table}")  # noqa: S608  names from our code
            last = int(row[0] or 0) if row else 0
            first = max(0, last - LOOK_BACK)
            place = f"t.id > {first} AND t.id <= {last}"
            count = reading.one(f"SELECT COUNT(*) FROM {table} t WHERE {place}")  # noqa: S608
            holes = set(range(first + 1, last)) - self._ids(reading, place) if count != (last - first,) else set()
            self._generation, self._read_at = reading.generation, self._clock.now()
        self._last, self._asked = last, self._clock.monotonic()
        self._young, self._old = {}, dict.fromkeys(holes, self._asked)

    def poll(self) -> list[T]:
        """Return the rows that became visible since the last call."""
        return [self._source.make(row) for row in self._read()]

    def _read(self) -> list[Row]:
        if self._last < 0:
            self.begin()
            return []
        now = self._clock.monotonic()
        # Time in which the server or this machine stood still does not count towards the age of a hole.
        pause = max(0.0, now - self._asked - AWAY_SECONDS)
        while self._waiting:  # the reader stopped within a batch
            self._young[self._waiting.popleft()] = now
        all_holes = pause > 0 or now - self._asked_old >= YOUNG_SECONDS
        holes = {**self._old, **self._young} if all_holes else self._young
        with self._database.reading() as reading:
            if self._is_replaced(reading):
                return []
            filled, visible = self._filled(reading, holes)
            # What waits comes first, or it would pile up for a reader that stops within every batch and resumes.
            new, ids = self._new(reading) if len(filled) < BATCH else ([], set())
        self._read_at = self._clock.now()
        # Nothing fails from here on: the rows are handed out now, or would be read again.
        left = {hole: since + pause for hole, since in holes.items() if hole not in visible}
        if all_holes:
            self._asked_old = now
            self._old = {hole: since for hole, since in left.items() if YOUNG_SECONDS <= now - since < HOLE_SECONDS}
            left = {hole: since for hole, since in left.items() if now - since < YOUNG_SECONDS}
        newest = max(ids, default=self._last)
        if len(ids) < newest - self._last:
            first = max(self._last + 1, newest - WIDEST)
            left |= {hole: now for hole in range(first, newest) if hole not in ids}
        self._young = left
        if filled or newest > self._last:
            self._moved = now
        self._last, self._asked = newest, now
        return sorted(filled + new, key=lambda row: int(row[-1])) if filled else new

    def _is_replaced(self, reading: Transaction) -> bool:
        """Go on in another file, if there is one; return whether there is."""
        if self._generation in (None, reading.generation):
            self._generation = reading.generation
            return False
        since = self._read_at - SECOND  # what was logged just before may have been delivered only to the new file
        table = self._source.table
        row = reading.one(f"SELECT MIN(id) FROM {table} WHERE ts >= :since", since=since)  # noqa: S608  our tables
        if row is None or row[0] is None:
            row = reading.one(f"SELECT COALESCE(MAX(id), 0) + 1 FROM {table}")  # noqa: S608
        self._last = int(row[0]) - 1 if row else 0
        self._generation, self._replaced = reading.generation, Replaced(since)
        self._young, self._old = {}, {}
        self._waiting.clear()
        return True

    def follow(self, stop: threading.Event) -> Iterator[T | Away | Back | Replaced]:
        """Yield rows as they appear, and `Away`, `Back` and `Replaced`, until `stop` is set."""
        for batch in self.batches(stop):
            if isinstance(batch, list):
                for row in batch:
                    self._waiting.popleft()
                    yield row
            else:
                yield batch

    def batches(self, stop: threading.Event) -> Iterator[list[T] | Away | Back | Replaced]:
        """Yield the rows of each poll as a list; they count as handed out when the next list is requested."""
        away = False
        with closing(self._database.follow(self._source.table, self._clock)) as follower:
            while not stop.is_set():
                try:
                    rows = self._read()
                except (DatabaseUnreachable, DatabaseBusy, *NO_FILE) as error:
                    if isinstance(error, NO_FILE) and not self._generation:
                        raise
                    if not away:
                        yield Away(error)
                    away = True
                    self._clock.wait(stop, AWAY_SECONDS)
                    continue
                if away:
                    away = False
                    yield Back()
                if self._replaced is not None:
                    yield self._replaced
                    self._replaced = None
                    continue
                if rows:
                    self._waiting.extend([int(row[-1]) for row in rows])
                    yield list(map(self._source.make, rows))
                    self._waiting.clear()
                if len(rows) < BATCH:
                    self._wait(follower, stop, had_rows=bool(rows))

    def _wait(self, follower: Follower, stop: threading.Event, *, had_rows: bool) -> None:
        """Wait until it is time to read; `had_rows` if the last poll returned rows."""
        if had_rows or self._young:
            follower.wait(stop, self._pause())
            return
        # Without holes, and with old ones until they are due, there is nothing new unless there is a newer id.
        longest = LIVELY_SECONDS if self._is_lively() else LONGEST_WAIT
        if self._old:
            longest = min(longest, self._asked_old + YOUNG_SECONDS - self._clock.monotonic())
        follower.wait_for_news(stop, self._pause(), self._last, longest)
        self._asked = max(self._asked, follower.asked)

    def _pause(self) -> float:
        """Return how long to wait before the next look."""
        return POLL_SECONDS if self._is_lively() else IDLE_POLL_SECONDS

    def _is_lively(self) -> bool:
        return self._asked - self._moved < LIVELY_SECONDS

    def _new(self, reading: Transaction) -> tuple[list[Row], set[int]]:
        """Return the rows after the last id, and the ids that are visible there."""
        if self._source.condition == EVERY_ROW and not self._source.join:
            rows = self._rows(reading, f"t.id > {self._last}", f"LIMIT {BATCH}")
            return rows, {row[-1] for row in rows}
        ids = self._ids(reading, f"t.id > {self._last} ORDER BY t.id LIMIT {BATCH}")
        if not ids:
            return [], ids
        place = f"t.id > {self._last} AND t.id <= {max(ids)}"
        rows = self._rows(reading, place)
        # Between the two queries a hole may have filled: a row of the second is handed out, so it is not a hole.
        return rows, ids | {int(row[-1]) for row in rows}

    def _filled(self, reading: Transaction, holes: dict[int, float]) -> tuple[list[Row], set[int]]:
        """Return the rows that fill holes, and the holes that are filled."""
        filled: list[Row] = []
        visible: set[int] = set()
        runs = _runs(holes, _HOLE_DISTANCE)
        for start in range(0, len(runs), _RUNS_PER_QUERY):
            place = " OR ".join(f"t.id BETWEEN {a} AND {b}" for a, b in runs[start : start + _RUNS_PER_QUERY])
            ids = self._ids(reading, place) & holes.keys()
            if ids:
                rows = [row for row in self._rows(reading, place) if row[-1] in holes]
                filled += rows
                visible |= ids | {int(row[-1]) for row in rows}
        return filled, visible

    def _ids(self, reading: Transaction, place: str) -> set[int]:
        return {int(number) for (number,) in reading.all(f"SELECT t.id FROM {self._source.table} t WHERE {place}")}  # noqa: S608

    def _rows(self, reading: Transaction, place: str, limit: str = "") -> list[Row]:
        source = self._source
        return reading.all(
            f"SELECT {source.columns} FROM {source.table} t {source.join} "  # noqa: S608
            f"WHERE ({place}) AND ({source.condition}) ORDER BY t.id {limit}",
            **source.values,
        )


def _runs(ids: Iterable[int], apart: int) -> list[tuple[int, int]]:
    """Return the first and last id of each run whose neighbours are at most `apart` from each other."""
    runs: list[tuple[int, int]] = []
    for number in sorted(ids):
        if runs and number - runs[-1][1] <= apart:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
