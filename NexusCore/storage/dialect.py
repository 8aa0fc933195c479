"""What differs between the databases, and nothing else: connecting, placeholders, upserts, row locks, errors.

Statements are written once, with ``:name`` placeholders and SQL that MySQL 8 and 9, MariaDB 10.11 and SQLite share. The
drivers are imported when the first connection is opened.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from NexusCore.errors import (
    DatabaseBusy,
    DatabaseDenied,
    DatabaseRefused,
    DatabaseUnreachable,
    DatabaseUnusable,
    NexusError,
    NoSuchDatabase,
    SchemaMissing,
)
from NexusCore.settings import DatabaseURL

if TYPE_CHECKING:
    import sqlite3

CONNECT_SECONDS = 5
"""Time limit for opening a connection."""
STATEMENT_SECONDS = 60
"""Time limit for the answer to one statement."""
BUSY_SECONDS = 10
"""How long a statement waits for a lock that another writer holds."""

STATEMENTS = 256
"""Statements whose translation is remembered."""

HALF_A_CHARACTER = "a text holds half a character, as file names of unknown encoding do"

_TOGETHER = 200
"""Rows in one INSERT of SQLite."""

_COMMENT = re.compile(r"--[^\n]*")
_PLACEHOLDER = re.compile(r"(?<![:\w]):([a-z_]\w*)")


class Dialect(Protocol):
    """All that the rest of the project may ask of a database in its own tongue."""

    errors: tuple[type[Exception], ...]
    """The driver's exceptions; empty until the first connection."""
    for_update: str
    """Clause that locks the rows of a SELECT until the transaction ends."""
    skip_locked: str
    """The same, passing over rows that another transaction holds."""
    server_time: str
    """SELECT of the server's clock in microseconds since the epoch; empty where it is this machine's own."""
    by_index: str
    """What follows a table in FROM so that it is read by one index and no other; a format for the index's name."""
    size: str
    """SELECT of the bytes that the table ``:name`` takes, and of those of them that are free to be used again."""

    def connect(self, url: DatabaseURL) -> Any:
        """Open a connection in autocommit mode."""
        ...

    def statement(self, sql: str) -> str:
        """Return `sql` with ``:name`` placeholders in the driver's own style."""
        ...

    def begin(self, raw: Any, write: bool) -> None:
        """Begin a transaction; `write` tells that it will change rows."""
        ...

    def alive(self, raw: Any) -> bool:
        """Tell whether an idle connection still works."""
        ...

    def insert(self, table: str, columns: Sequence[str]) -> str:
        """Return an INSERT for positional rows."""
        ...

    def insert_rows(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Insert positional rows, in few statements."""
        ...

    def insert_new(self, table: str, columns: Sequence[str]) -> str:
        """Return an INSERT for positional rows that passes over rows whose key exists."""
        ...

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], newer: str | None = None) -> str:
        """Return an INSERT for positional rows that replaces the row of the same key.

        With `newer`, a column, only if the new row's is not less than the one there.
        """
        ...

    def translate(self, error: Exception, where: str) -> NexusError:
        """Return our error for one of the driver's."""
        ...


# Followers write numbers into their statements, so there is no end to how many different ones there are.
@lru_cache(maxsize=STATEMENTS)
def _bare(sql: str) -> str:
    return " ".join(_COMMENT.sub("", sql).split())


class SQLite:
    """The embedded database, in WAL mode; one writer at a time, so rows need no locks of their own."""

    errors: tuple[type[Exception], ...] = ()
    for_update = ""
    skip_locked = ""
    server_time = ""
    by_index = "INDEXED BY {}"
    # The whole file: to ask how much of it is one table's reads all of it, if this SQLite was built to tell at all.
    size = """
        SELECT page_count * page_size, freelist_count * page_size
          FROM pragma_page_count, pragma_page_size, pragma_freelist_count
         WHERE :name <> ''
    """

    def connect(self, url: DatabaseURL) -> sqlite3.Connection:
        """Open the file, which must exist: a mistyped path is an error, not a new database."""
        import sqlite3

        self.errors = (sqlite3.Error,)
        raw = sqlite3.connect(
            f"{Path(url.name).as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
        try:
            # NORMAL in WAL mode: a power cut may take the last commits back, never tear the file.
            raw.execute("PRAGMA synchronous=NORMAL")
            raw.execute("PRAGMA foreign_keys=ON")
            # Its own knows the letters of ASCII only: who looks for "Ärger" would not find it.
            raw.create_function("LOWER", 1, lambda text: text and text.lower(), deterministic=True)
        except sqlite3.Error:
            raw.close()
            raise
        return raw

    def statement(self, sql: str) -> str:
        """Return `sql` without its comments: ``:name`` is SQLite's own style."""
        return _bare(sql)

    def begin(self, raw: sqlite3.Connection, write: bool) -> None:
        """Begin; a writer takes its turn at once, since one that began by reading cannot wait for it later."""
        raw.execute("BEGIN IMMEDIATE" if write else "BEGIN")

    def alive(self, raw: sqlite3.Connection) -> bool:
        """Say yes: an open file stays open."""
        return True

    def insert(self, table: str, columns: Sequence[str]) -> str:
        """Return an INSERT for positional rows."""
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  names from our schema

    def insert_rows(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Insert rows, many in one statement: before and after each, other threads may have to wait for this one."""
        one = self.insert(table, columns)
        together = one + f", ({', '.join('?' * len(columns))})" * (_TOGETHER - 1)
        whole = len(rows) - len(rows) % _TOGETHER
        for first in range(0, whole, _TOGETHER):
            cursor.execute(together, tuple(chain.from_iterable(rows[first : first + _TOGETHER])))
        cursor.executemany(one, rows[whole:])

    def insert_new(self, table: str, columns: Sequence[str]) -> str:
        """Return an INSERT that passes over existing keys."""
        return self.insert(table, columns) + " ON CONFLICT DO NOTHING"

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], newer: str | None = None) -> str:
        """Return an INSERT that replaces the row of the same key."""
        changes = ", ".join(f"{column}=excluded.{column}" for column in columns if column not in key)
        condition = f" WHERE excluded.{newer} >= {table}.{newer}" if newer else ""
        return f"{self.insert(table, columns)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}{condition}"

    def translate(self, error: Exception, where: str) -> NexusError:
        """Sort SQLite's errors by what a person can do about them."""
        import sqlite3

        text = str(error)
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if "no such table" in text:
            return SchemaMissing(where=where)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
            return DatabaseBusy(where=where, reason=text)
        if code in (
            sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOTADB,
            sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOMEM,
        ):  # fmt: skip
            return DatabaseUnusable(where=where, reason=text)
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
            return DatabaseDenied(where=where, reason=text)
        return DatabaseRefused(where=where, reason=text)


class MySQL:
    """MySQL and MariaDB through mysql-connector-python."""

    errors: tuple[type[Exception], ...] = ()
    for_update = "FOR UPDATE"
    skip_locked = "FOR UPDATE SKIP LOCKED"
    server_time = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"
    by_index = "FORCE INDEX ({})"
    # As the server last counted them, some seconds ago.
    size = """
        SELECT data_length + index_length + data_free, data_free
          FROM information_schema.tables
         WHERE table_schema = DATABASE() AND table_name = :name
    """

    # Numbers of the server's and the client library's errors: dev.mysql.com/doc/mysql-errors, mariadb.com/kb (1927).
    _GONE: ClassVar = frozenset({1053, 1077, 1078, 1079, 1152, 1156, 1158, 1159, 1160, 1161, 1927, 2000, 2002, 2003,
                                 2005, 2006, 2012, 2013, 2024, 2026, 2055, 4031})  # fmt: skip
    # It has no room, no connection left, or only lets read: it runs, and the statement is not at fault.
    _UNUSABLE: ClassVar = frozenset({1021, 1030, 1037, 1038, 1040, 1041, 1114, 1180, 1203, 1226, 1290, 1836})
    _DENIED: ClassVar = frozenset({1044, 1045, 1129, 1130, 1142, 1143, 1227, 1698, 1820, 1862, 2059, 3118, 4151})
    # 1317, 1969, 3024: someone interrupted the statement, or it took longer than the server allows.
    _BUSY: ClassVar = frozenset({1205, 1213, 1317, 1637, 1969, 3024})

    def connect(self, url: DatabaseURL) -> Any:
        """Open a connection: autocommit, UTC, strict, READ COMMITTED, every wait limited."""
        import mysql.connector

        self.errors = (mysql.connector.Error,)
        with suppress(ImportError):
            from _mysql_connector import MySQLError

            # What goes wrong at COMMIT and ROLLBACK comes out of the C extension as it is.
            self.errors = (mysql.connector.Error, MySQLError)
        options: dict[str, Any] = dict(url.options)
        if "ssl_disabled" in options:
            options["ssl_disabled"] = options["ssl_disabled"].lower() in ("1", "true", "yes", "on")
        if "unix_socket" not in options:
            options.update(host=url.host, port=url.port)
        raw = mysql.connector.connect(
            user=url.user,
            password=url.password,
            database=url.name,
            charset="utf8mb4",
            collation="utf8mb4_bin",  # one that both MySQL and MariaDB know
            autocommit=True,
            connection_timeout=CONNECT_SECONDS,
            read_timeout=STATEMENT_SECONDS,
            write_timeout=STATEMENT_SECONDS,
            init_command=(
                "SET SESSION time_zone='+00:00', sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
                f"innodb_lock_wait_timeout={BUSY_SECONDS}"
            ),
            **options,
        )
        # Not in init_command: MySQL and MariaDB name the variable differently, but share this statement.
        raw.cmd_query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        return raw

    def statement(self, sql: str) -> str:
        """Return `sql` with ``%(name)s`` placeholders."""
        return _pyformat(sql)

    def begin(self, raw: Any, write: bool) -> None:
        """Begin a transaction."""
        raw.cmd_query("BEGIN" if write else "START TRANSACTION READ ONLY")

    def alive(self, raw: Any) -> bool:
        """Ask the server."""
        try:
            raw.ping(reconnect=False)
        except self.errors:
            return False
        return True

    def insert(self, table: str, columns: Sequence[str]) -> str:
        """Return an INSERT for positional rows."""
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"  # noqa: S608  names from our schema

    def insert_rows(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Insert rows, of which the driver makes one statement."""
        cursor.executemany(self.insert(table, columns), rows)

    def insert_new(self, table: str, columns: Sequence[str]) -> str:
        """Return an INSERT that passes over existing keys (INSERT IGNORE would also hide real errors)."""
        return f"{self.insert(table, columns)} ON DUPLICATE KEY UPDATE {columns[0]}={columns[0]}"

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], newer: str | None = None) -> str:
        """Return an INSERT that replaces the row of the same key.

        Assignments take effect from left to right, so the column that decides is assigned last.
        """
        changed = [column for column in columns if column not in key]
        changed.sort(key=lambda column: column == newer)
        changes = ", ".join(
            f"{c}=IF(VALUES({newer})>={newer}, VALUES({c}), {c})" if newer else f"{c}=VALUES({c})" for c in changed
        )
        return f"{self.insert(table, columns)} ON DUPLICATE KEY UPDATE {changes}"

    def translate(self, error: Exception, where: str) -> NexusError:
        """Sort the server's errors by what a person can do about them."""
        number = getattr(error, "errno", None) or 0
        text = str(getattr(error, "msg", None) or error).strip()
        if "Failed converting Python 'str'" in text:
            return DatabaseRefused(where=where, reason=HALF_A_CHARACTER)
        # The driver gives no number to what it finds out before it sends anything.
        if number in self._GONE or "Connection not available" in text:
            return DatabaseUnreachable(where=where, reason=text)
        if number in self._UNUSABLE:
            return DatabaseUnusable(where=where, reason=text)
        if number in self._DENIED:
            return DatabaseDenied(where=where, reason=text)
        if number in self._BUSY:
            return DatabaseBusy(where=where, reason=text)
        if number == 1146:
            return SchemaMissing(where=where)
        if number == 1049:
            return NoSuchDatabase(where=where, reason=text)
        return DatabaseRefused(where=where, reason=text)


@lru_cache(maxsize=STATEMENTS)
def _pyformat(sql: str) -> str:
    return _PLACEHOLDER.sub(r"%(\1)s", _bare(sql).replace("%", "%%"))


def dialect_of(url: DatabaseURL) -> Dialect:
    """Return the dialect of a URL's database."""
    return SQLite() if url.kind == "sqlite" else MySQL()
