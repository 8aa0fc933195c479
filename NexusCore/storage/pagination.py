"""Reading a growing table by time, in either direction.

Promises
--------
* Rows come in the order of their times, then of their ids, even if several indexes are read.
* Conditions are applied before counting: a reader takes rows until it has enough.
* No statement reads more than `LARGEST_PAGE` rows: a search through millions exceeds no time limit, blocks no other
  connection, and can be stopped and resumed at any row.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from NexusCore.storage.dialect import NoText, compared
from NexusCore.storage.engine import Database
from NexusCore.storage.transaction import Row, Transaction

FIRST = 100
"""Rows that the first statement fetches or looks at; each following one four times as many."""
LARGEST_PAGE = 20_000
PAGE_ROWS = 2_000
"""Rows that one statement fetches, whose messages may be long."""

PagePosition = tuple[int, int]
"""Time and id of a row."""


@dataclass(frozen=True, slots=True)
class Strand:
    """Rows that are adjacent in an index, in the order of their times.

    Parameters
    ----------
    index
        Its name.
    condition, values
        SQL that fixes its columns before the time.
    """

    index: str
    condition: str = ""
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for in a table with the columns ``id`` and ``ts``; it has the alias ``t``.

    Parameters
    ----------
    table, columns
        What to read, as SQL.
    strands
        Where to look; no row may be in two of them.
    condition, values
        Further SQL condition on rows.
    since, until
        First and last time, in microseconds since the epoch.
    """

    table: str
    columns: str
    strands: tuple[Strand, ...]
    condition: str = ""
    values: dict[str, object] = field(default_factory=dict)
    since: int | None = None
    until: int | None = None


def read(
    database: Database,
    search: Search,
    *,
    backwards: bool = False,
    behind: PagePosition | None = None,
    first: int = FIRST,
    passed: Callable[[int], None] = lambda ts: None,
) -> Iterator[Row]:
    """Yield what a search finds: time, id and the columns asked for.

    Parameters
    ----------
    database, search
        Where to look, for what.
    backwards
        Begin with the newest row instead of the oldest.
    behind
        Continue after this row, in the direction of reading.
    first
        How many rows the reader probably takes.
    passed
        Called from time to time with the time up to which the table has been searched.
    """
    strands = [_strand(database, search, strand, backwards, behind, first, passed) for strand in search.strands]
    if len(strands) == 1:
        return strands[0]
    return heapq.merge(*strands, key=_in_order, reverse=backwards)


def _strand(
    database: Database,
    search: Search,
    strand: Strand,
    backwards: bool,
    place: PagePosition | None,
    size: int,
    passed: Callable[[int], None],
) -> Iterator[Row]:
    pages = _Pages(search, strand, backwards)
    size = max(1, min(size, PAGE_ROWS))
    while True:
        with database.reading(patient=True) as reading:
            rows, place = pages.next(reading, place, size)
        yield from rows
        if place is None:
            return
        passed(place[0])
        size = min(4 * size, LARGEST_PAGE)


class _Pages:
    """Reads a strand, a page at a time."""

    def __init__(self, search: Search, strand: Strand, backwards: bool) -> None:
        self._search = search
        self._strand = strand
        self._beyond = "<" if backwards else ">"
        self._order = "ORDER BY t.ts DESC, t.id DESC" if backwards else "ORDER BY t.ts, t.id"

    def next(
        self, reading: Transaction, place: PagePosition | None, size: int
    ) -> tuple[list[Row], PagePosition | None]:
        """Return the rows of the page behind a place, and the place where the next page begins, if there is one."""
        if not self._search.condition:
            rows = self._rows(reading, place, None, min(size, PAGE_ROWS))
            return rows, _place(rows[-1]) if len(rows) == min(size, PAGE_ROWS) else None
        edge = self._edge(reading, place, size)
        rows = self._rows(reading, place, edge, PAGE_ROWS)
        return rows, _place(rows[-1]) if len(rows) == PAGE_ROWS else edge

    def _edge(self, reading: Transaction, place: PagePosition | None, size: int) -> PagePosition | None:
        """Return the last row of a page that meets the condition of the strand alone: the index knows, unread rows."""
        source, values = self.source(reading, place)
        row = reading.one(
            f"SELECT t.ts, t.id FROM {source} {self._order} LIMIT 1 OFFSET {size - 1}",  # noqa: S608  see source
            **values,
        )
        return _place(row) if row is not None else None

    def _rows(
        self, reading: Transaction, place: PagePosition | None, edge: PagePosition | None, most: int
    ) -> list[Row]:
        source, values = self.source(reading, place, edge)
        condition = f"AND ({self._search.condition})" if self._search.condition else ""
        return reading.all(
            f"SELECT t.ts, t.id, {self._search.columns} FROM {source} {condition} {self._order} LIMIT {most}",  # noqa: S608
            **values,
            **self._search.values,
        )

    def source(
        self, reading: Transaction, place: PagePosition | None = None, edge: PagePosition | None = None
    ) -> tuple[str, dict[str, object]]:
        """Return SQL for the rows between two places of the strand, with names and conditions of our code only."""
        search, beyond = self._search, self._beyond
        parts = [self._strand.condition] if self._strand.condition else []
        values: dict[str, object] = dict(self._strand.values)
        # Written so that the databases see the range of times first: a comparison of pairs is not looked up.
        for mark, at, comparison in (
            ("place", place, f"t.ts {beyond}= :ts AND (t.ts {beyond} :ts OR t.id {beyond} :place_id)"),
            ("edge", edge, f":ts {beyond}= t.ts AND (:ts {beyond} t.ts OR :edge_id {beyond}= t.id)"),
        ):
            if at is not None:
                parts.append(comparison.replace(":ts", compared(f"{mark}_ts", at[0])))
                values |= {f"{mark}_ts": at[0], f"{mark}_id": at[1]}
        for mark, limit, comparison in (("since", search.since, ">="), ("until", search.until, "<=")):
            if limit is not None:
                parts.append(f"t.ts {comparison} :{mark}")
                values[mark] = limit
        hint = reading.dialect.by_index.format(self._strand.index)
        return f"{search.table} t {hint} WHERE {' AND '.join(parts) or '1 = 1'}", values


def size(reading: Transaction, search: Search, most: int) -> int:
    """Return the number of rows in the strands of a search.

    Parameters
    ----------
    reading, search
        Where to count what; the search's own condition is ignored.
    most
        Counting a strand stops at this number.
    """
    counted = 0
    for strand in search.strands:
        source, values = _Pages(search, strand, backwards=False).source(reading)
        row = reading.one(f"SELECT COUNT(*) FROM (SELECT 1 FROM {source} LIMIT {most}) some_of_them", **values)  # noqa: S608
        counted += int(row[0]) if row is not None else 0
    return counted


def _place(row: Row) -> PagePosition:
    # The time as stored: SQLite may have a text there, and continues after it in its own order.
    return row[0], int(row[1])


def _in_order(row: Row) -> tuple[int, Any, int]:
    """Return what sorts rows as SQLite does where there are other values among the times: numbers, texts, bytes."""
    ts = row[0]
    if isinstance(ts, (int, float)):
        return 0, ts, row[1]
    return (1, ts.encode(), row[1]) if isinstance(ts, str) else (1 if isinstance(ts, NoText) else 2, ts, row[1])


def names(reading: Transaction, table: str, column: str) -> list[Any]:
    """Return the distinct values, sorted, of a column that an index begins with; the index is skipped through."""
    values: list[Any] = []
    row = reading.one(f"SELECT MIN({column}) FROM {table}")  # noqa: S608  names from our code
    while row is not None and row[0] is not None:
        values.append(row[0])
        last = compared("last", row[0])
        row = reading.one(f"SELECT MIN({column}) FROM {table} WHERE {column} > {last}", last=row[0])  # noqa: S608
    return values
