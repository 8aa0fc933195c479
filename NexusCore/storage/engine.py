"""Open a database by its URL; run statements in transactions on it.

Promises
--------
* A transaction is committed when its block ends and rolled back when the block raises: there is no half.
* Errors of the drivers come out as `NexusCore.errors`, whatever the database.
* Connections are kept for the next transaction, checked after an idle time, and never shared with a forked child.
* Every wait has a limit (see `NexusCore.storage.dialect`).
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

from NexusCore.errors import DatabaseBusy, DatabaseRefused, DatabaseUnreachable, NoDatabaseFile, SchemaMismatch
from NexusCore.settings import DatabaseURL
from NexusCore.storage.dialect import BUSY_SECONDS, HALF_A_CHARACTER, Dialect, dialect_of

SCHEMA_REVISION = "0002"
"""The revision of the tables that this code reads and writes; the newest file in `migrations/versions`."""

ROWS_PER_STATEMENT = 1000
"""Rows that are handed to the driver at once."""
BUSY_ATTEMPTS = 6
IDLE_SECONDS = 30.0
"""A connection idle for longer is checked before it is used again."""

Row = tuple[Any, ...]
T = TypeVar("T")


class Transaction:
    """Statements inside one transaction; handed out by `Database.transaction` and `Database.reading`."""

    def __init__(self, raw: Any, dialect: Dialect) -> None:
        self._raw = raw
        self.dialect = dialect

    def one(self, sql: str, **values: object) -> Row | None:
        """Return the first row, or None."""
        cursor = self._execute(sql, values)
        try:
            row = cursor.fetchone()
            if row is not None:
                cursor.fetchall()  # the driver wants the rest read before the next statement
            return row  # type: ignore[no-any-return]
        finally:
            cursor.close()

    def all(self, sql: str, **values: object) -> list[Row]:
        """Return all rows."""
        cursor = self._execute(sql, values)
        try:
            return cursor.fetchall()  # type: ignore[no-any-return]
        finally:
            cursor.close()

    def run(self, sql: str, **values: object) -> int:
        """Run a statement that changes rows; return how many it matched."""
        cursor = self._execute(sql, values)
        try:
            return int(cursor.rowcount)
        finally:
            cursor.close()

    def insert(self, table: str, **values: object) -> int:
        """Insert one row; return its id."""
        cursor = self._raw.cursor()
        try:
            cursor.execute(self.dialect.insert(table, tuple(values)), tuple(values.values()))
            return int(cursor.lastrowid or 0)
        finally:
            cursor.close()

    def insert_many(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows in few statements."""
        self._many(rows, lambda cursor, some: self.dialect.insert_rows(cursor, table, columns, some))

    def insert_new(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows, passing over those whose key exists."""
        self._each(self.dialect.insert_new(table, columns), rows)

    def upsert(
        self, table: str, columns: Sequence[str], key: Sequence[str], rows: Sequence[Row], newer: str | None = None
    ) -> None:
        """Insert rows, replacing those of the same key (only older ones, by column `newer`, if given)."""
        self._each(self.dialect.upsert(table, columns, key, newer), rows)

    def _each(self, statement: str, rows: Sequence[Row]) -> None:
        self._many(rows, lambda cursor, some: cursor.executemany(statement, some))

    def _many(self, rows: Sequence[Row], send: Callable[[Any, Sequence[Row]], object]) -> None:
        cursor = self._raw.cursor()
        try:
            for first in range(0, len(rows), ROWS_PER_STATEMENT):
                send(cursor, rows[first : first + ROWS_PER_STATEMENT])
        finally:
            cursor.close()

    def _execute(self, sql: str, values: dict[str, object]) -> Any:
        cursor = self._raw.cursor()
        try:
            cursor.execute(self.dialect.statement(sql), values)
        except BaseException:
            with suppress(*self.dialect.errors):
                cursor.close()
            raise
        return cursor


class Database:
    """One database. Safe to share between threads; each transaction has a connection of its own while it lasts.

    Parameters
    ----------
    url
        Where it is.
    check_schema
        Compare the revision of its tables with this code's at the first connection; migrations alone do without.
    """

    def __init__(self, url: DatabaseURL, *, check_schema: bool = True) -> None:
        self.url = url
        self.dialect = dialect_of(url)
        self._check_schema = check_schema
        self._idle: list[tuple[Any, float]] = []
        self._lock = threading.Lock()
        _databases.add(self)

    def __repr__(self) -> str:
        return f"<Database {self.url}>"

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin a transaction that will change rows; commit at the end of the block.

        Raises
        ------
        DatabaseUnreachable, DatabaseBusy, DatabaseDenied, DatabaseRefused
        NoDatabaseFile, SchemaMissing, SchemaMismatch
            After DatabaseUnreachable it is not known whether a commit under way took effect.
        """
        with self._connection(begin=True) as raw:
            yield Transaction(raw, self.dialect)
            raw.commit()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Run SELECTs, each of which sees what is committed at that moment."""
        with self._connection(begin=False) as raw:
            yield Transaction(raw, self.dialect)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction, again if others were in the way (deadlock, lock time-out); return its result.

        `work` must do nothing outside the database, since it may run several times.
        """
        for attempt in range(1, BUSY_ATTEMPTS + 1):
            try:
                with self.transaction() as transaction:
                    return work(transaction)
            except DatabaseBusy:
                if attempt == BUSY_ATTEMPTS:
                    raise
                time.sleep(0.01 * 2**attempt)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the idle connections; the next transaction opens a new one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for raw, _ in idle:
            self._discard(raw)

    @contextmanager
    def _connection(self, *, begin: bool) -> Iterator[Any]:
        with _gate if self.url.kind == "sqlite" else nullcontext(), self._used(begin=begin) as raw:
            yield raw

    @contextmanager
    def _used(self, *, begin: bool) -> Iterator[Any]:
        raw = None
        try:
            raw = self._begun() if begin else self._take()
            yield raw
        except BaseException as error:
            self._give_back(raw, error, begin)
            if isinstance(error, self.dialect.errors):
                raise self.dialect.translate(error, str(self.url)) from error
            if isinstance(error, UnicodeEncodeError):
                raise DatabaseRefused(where=self.url, reason=HALF_A_CHARACTER) from error
            raise
        else:
            self._give_back(raw, None, begin)

    def _begun(self) -> Any:
        """Return a connection in a transaction; one that was lost while idle is replaced."""
        raw = self._take()
        try:
            self.dialect.begin(raw, write=True)
        except self.dialect.errors as error:
            self._discard(raw)
            if not isinstance(self.dialect.translate(error, str(self.url)), DatabaseUnreachable):
                raise
            self.close()
            raw = self._take()
            self.dialect.begin(raw, write=True)
        return raw

    def _take(self) -> Any:
        while True:
            with self._lock:
                raw, since = self._idle.pop() if self._idle else (None, 0.0)
            if raw is None:
                return self._open()
            if time.monotonic() - since < IDLE_SECONDS or self.dialect.alive(raw):
                return raw
            self._discard(raw)

    def _give_back(self, raw: Any, error: BaseException | None, begun: bool) -> None:
        if raw is None:
            return
        if error is not None:
            ours = self.dialect.translate(error, "") if isinstance(error, self.dialect.errors) else None
            if isinstance(ours, DatabaseUnreachable) or not isinstance(error, Exception):
                self._discard(raw)
                return
            if begun:
                try:
                    raw.rollback()
                except self.dialect.errors:
                    self._discard(raw)
                    return
        with self._lock:
            self._idle.append((raw, time.monotonic()))

    def _forked(self) -> None:
        """Begin without connections in a forked child: those there are belong to its parent."""
        import ctypes

        for raw, _ in self._idle:
            # Closing one, even by the collector at the end of the process, would end the parent's session.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(raw))
        self._idle, self._lock = [], threading.Lock()

    def _discard(self, raw: Any) -> None:
        with suppress(*self.dialect.errors, OSError):
            raw.close()

    def _open(self) -> Any:
        if self.url.kind == "sqlite" and not Path(self.url.name).exists():
            self._create()
        try:
            raw = self.dialect.connect(self.url)
        except self.dialect.errors as error:
            ours = self.dialect.translate(error, str(self.url))
            if isinstance(ours, DatabaseRefused):  # no statement was sent yet, so it is not that one's fault
                raise DatabaseUnreachable(where=self.url, reason=ours.facts["reason"]) from error
            raise ours from error
        except OSError as error:
            raise DatabaseUnreachable(where=self.url, reason=error) from error
        if self._check_schema:
            try:
                self._compare(raw)
            except BaseException:
                self._discard(raw)
                raise
            self._check_schema = False
        return raw

    def _create(self) -> None:
        """Make the embedded default on first use; any other path that isn't there is a mistake to be told."""
        if not self.url.embedded:
            raise NoDatabaseFile(where=self.url)
        from NexusCore.storage.migrate import migrate

        migrate(self.url)

    def _compare(self, raw: Any) -> None:
        try:
            row = Transaction(raw, self.dialect).one("SELECT version_num FROM alembic_version")
        except self.dialect.errors as error:
            raise self.dialect.translate(error, str(self.url)) from error
        found = row[0] if row else "none"
        if found != SCHEMA_REVISION:
            raise SchemaMismatch(where=self.url, found=found, needed=SCHEMA_REVISION)


class _Gate:
    """Counts the SQLite connections in use, so that a fork can wait for a moment without any.

    What SQLite itself knows of the locks on a file is copied into the child. Those of a transaction under way would be
    held there for ever, and no write would succeed.
    """

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._users = 0

    def __enter__(self) -> None:
        with self._free:
            self._users += 1

    def __exit__(self, *error: object) -> None:
        with self._free:
            self._users -= 1
            self._free.notify_all()

    def shut(self) -> None:
        """Close all SQLite connections and keep others from being opened; one that is long in use is not waited for."""
        self._free.acquire()
        self._free.wait_for(lambda: not self._users, BUSY_SECONDS)
        for database in list(_databases):
            # Without the lock, which another thread may hold: nothing is in use now, and `pop` is one step.
            while database.url.kind == "sqlite" and database._idle:
                database._discard(database._idle.pop()[0])

    def open(self) -> None:
        """Let them be opened again."""
        self._free.release()


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_gate = _Gate()


def _after_fork() -> None:
    global _gate
    _gate = _Gate()
    for database in list(_databases):
        database._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lambda: _gate.shut(), after_in_parent=lambda: _gate.open(), after_in_child=_after_fork)


def open_database(url: DatabaseURL | str) -> Database:
    """Return the database of a URL. Nothing is connected until the first transaction."""
    return Database(DatabaseURL.parse(url) if isinstance(url, str) else url)
