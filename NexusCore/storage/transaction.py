"""A transaction: queries and changes in the dialect of any database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from typing import Any, TypeVar

from NexusCore.storage.dialect import Dialect

ROWS_PER_STATEMENT = 1000
"""Rows that are handed to the driver at once."""
BYTES_PER_STATEMENT = 1024 * 1024
"""Characters of text that `portions` puts into one statement. A server takes 16 MiB (max_allowed_packet of MariaDB)."""
T = TypeVar("T")
Row = tuple[Any, ...]


class Transaction:
    """Statements inside one transaction; handed out by `Database.transaction` and `Database.reading`."""

    def __init__(self, raw: Any, dialect: Dialect, generation: int = 0) -> None:
        self._raw = raw
        self.dialect = dialect
        self.generation = generation
        """Which file it is on, of those that were at the path of an SQLite database."""

    def one(self, sql: str, **values: object) -> Row | None:
        """Return the first row, or None."""

        def first(cursor: Any) -> Row | None:
            row: Row | None = cursor.fetchone()
            if row is not None:
                cursor.fetchall()  # the driver wants the rest read before the next statement
            return row

        return self._read(sql, values, first)

    def all(self, sql: str, **values: object) -> list[Row]:
        """Return all rows."""
        rows: list[Row] = self._read(sql, values, self.dialect.fetch_all)
        return rows

    def through(self, sql: str, take: Callable[[Iterator[Row]], T], **values: object) -> T:
        """Return what `take` makes of all rows, one by one as they come; it may be called again, from the first.

        Behind the last one, it may already ask for something else.
        """

        def taken(cursor: Any) -> T:
            with closing(self.dialect.rows(cursor)) as rows:
                return take(rows)

        return self._read(sql, values, taken)

    def _read(self, sql: str, values: dict[str, object], fetch: Callable[[Any], T]) -> T:
        """Return the result of a SELECT; repeat it if it failed at a text that is not valid UTF-8."""
        while True:
            try:
                cursor = self._execute(sql, values)
                try:
                    return fetch(cursor)
                finally:
                    cursor.close()
            except self.dialect.errors as error:
                if not self.dialect.bear(self._raw, error):
                    raise

    def now(self) -> int:
        """Return the time in microseconds since the epoch, UTC, by the database's clock and not by this machine's.

        What several machines must agree on goes by it: until when something is held, and from when it is due.
        """
        row = self.one(f"SELECT {self.dialect.now}")
        assert row is not None  # noqa: S101  a SELECT without a table has one row
        return int(row[0])

    def run(self, sql: str, **values: object) -> int:
        """Run a statement that changes rows; return how many it matched."""
        cursor = self._execute(sql, values)
        try:
            return int(cursor.rowcount)
        finally:
            cursor.close()

    def insert(self, table: str, **values: object) -> int:
        """Insert one row; return its id."""
        cursor = self.dialect.cursor(self._raw)
        try:
            cursor.execute(self.dialect.insert(table, tuple(values)), tuple(values.values()))
            return int(cursor.lastrowid or 0)
        finally:
            cursor.close()

    def insert_many(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows in few statements."""
        self._each(self.dialect.insert(table, columns), rows)

    def insert_new(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows, passing over those whose key exists."""
        self._each(self.dialect.insert_new(table, columns), rows)

    def upsert(
        self, table: str, columns: Sequence[str], key: Sequence[str], rows: Sequence[Row], newer: str | None = None
    ) -> None:
        """Insert rows, replacing existing ones with the same key.

        Parameters
        ----------
        table, columns, rows
            Where to insert what.
        key
            Columns of the key.
        newer
            A column; rows with a higher value in it are not replaced.
        """
        self._each(self.dialect.upsert(table, columns, key, newer), rows)

    def _each(self, statement: str, rows: Sequence[Row]) -> None:
        if len(set(map(len, rows))) > 1:  # their values are strung together, and would be shifted
            raise ValueError(f"rows of different lengths for {statement}")
        cursor = self.dialect.cursor(self._raw)
        try:
            for first in range(0, len(rows), ROWS_PER_STATEMENT):
                self.dialect.insert_rows(cursor, statement, rows[first : first + ROWS_PER_STATEMENT])
        finally:
            cursor.close()

    def _execute(self, sql: str, values: dict[str, object]) -> Any:
        cursor = self.dialect.cursor(self._raw)
        try:
            cursor.execute(self.dialect.statement(sql), values)
        except BaseException:
            with suppress(*self.dialect.errors):
                cursor.close()
            raise
        return cursor


def portions(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield rows in portions of which each is one statement that every server takes, however long their texts are."""
    first, length = 0, 0
    for number, row in enumerate(rows):
        own = sum(len(value) for value in row if isinstance(value, str))
        if number > first and (length + own > BYTES_PER_STATEMENT or number - first == ROWS_PER_STATEMENT):
            yield rows[first:number]
            first, length = number, 0
        length += own
    if rows:
        yield rows[first:]
