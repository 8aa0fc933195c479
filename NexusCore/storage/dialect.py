"""The differences between the databases: connecting, placeholders, upserts, row locks, errors.

Statements are written once, with ``:name`` placeholders and SQL that MySQL 8 and 9, MariaDB 10.11 and SQLite share, its
keywords in capitals. Every name in them (of a table, column, index or alias) is quoted here before a database sees it:
what is a plain name to one of them is a reserved word to another, or to its next release.

The drivers are imported when the first connection is opened.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from functools import lru_cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from NexusCore import resources
from NexusCore.errors import (
    DatabaseBusy,
    DatabaseDenied,
    DatabaseFull,
    DatabaseRefused,
    DatabaseUnreachable,
    DatabaseUnusable,
    NexusError,
    SchemaMissing,
)
from NexusCore.settings import DatabaseURL
from NexusCore.storage import driver, server_errors
from NexusCore.storage.database_file import why_unusable
from NexusCore.text import readable

if TYPE_CHECKING:
    import sqlite3

CONNECT_SECONDS = 5
"""Time limit for opening a connection."""
STATEMENT_SECONDS = 60
"""Time limit for the answer to one statement."""
BUSY_SECONDS = 5
"""How long a statement waits for a lock that another writer holds; `Database.write` then tries again."""

STATEMENTS = 256
"""Statements whose translation is remembered."""

_ROWS_PER_INSERT = 512
"""Rows in one INSERT of SQLite, at the most: it takes 32,766 values."""

_COLUMN_LOWERED = re.compile(r"\bLOWER\(([\w.`\"]+)\)")
_TOKEN = re.compile(
    r"""
    (?= [a-z_'"`:@-] ) (?:                    # looked at first, since most characters begin none of these
      \b[a-z_][a-z0-9_]*\b (?![('])           # names, but not functions or prefixes of texts
    | '(?:[^']|'')*' | "[^"]*" | `[^`]*`      # texts, and names that are quoted already
    | [:@][\w.:@]*                            # placeholders, variables of the server
    | --[^\n]*                                # comments
    )
    """,
    re.VERBOSE,
)
_PLACEHOLDER = re.compile(r"(?<![:\w]):([a-z_]\w*)")


class Dialect(Protocol):
    """What the rest of the project needs from a database in its own dialect."""

    errors: tuple[type[Exception], ...]
    """The driver's exceptions; empty until the first connection."""
    for_update: str
    """Clause that locks the rows of a SELECT until the transaction ends."""
    skip_locked: str
    """The same, passing over rows that another transaction holds."""
    now: str
    """Expression for the database's time, one for all who share it: microseconds since the epoch, UTC."""
    server_time: str
    """SELECT of the server's clock in microseconds since the epoch; empty where it is this machine's own."""
    by_index: str
    """Clause after a table in FROM that forces an index; a format for the index's name."""
    size: str
    """SELECT of the bytes of the table ``:name``, and of those that are free for reuse."""

    def connect(
        self,
        url: DatabaseURL,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        statement_seconds: float = STATEMENT_SECONDS,
    ) -> Any:
        """Open a connection in autocommit mode, to the first host of a URL.

        Raises
        ------
        DatabaseNotSecure
            If the URL demands what this connection would not have; any other error is one of the driver's.
        """
        ...

    def synchronize(self, raw: Any, *, writable: bool) -> bool:
        """Make a new connection see everything committed in its cluster; return whether there is a cluster.

        Raises
        ------
        DatabaseUnusable
            If its host is not an active member of the cluster, or, with `writable`, is read-only.
        """
        ...

    def cursor(self, raw: Any) -> Any:
        """Return a cursor, without pinging the server."""
        ...

    def fetch_all(self, cursor: Any) -> list[tuple[Any, ...]]:
        """Return all rows that a cursor's SELECT found."""
        ...

    def rows(self, cursor: Any) -> Generator[tuple[Any, ...], None, None]:
        """Yield them one by one; to be closed."""
        ...

    def first_row(self, raw: Any, sql: str) -> tuple[Any, ...]:
        """Return the first row of a translated SELECT without values, as cheaply as possible."""
        ...

    def wait_for_cluster(self, raw: Any, begin: bool) -> None:
        """Start or stop waiting before each SELECT until everything committed in the cluster is visible."""
        ...

    def statement(self, sql: str) -> str:
        """Return `sql` with its names quoted and its ``:name`` placeholders in the driver's own style."""
        ...

    def begin(self, raw: Any, write: bool) -> None:
        """Begin a transaction; with `write`, one that changes rows."""
        ...

    def alive(self, raw: Any) -> bool:
        """Return whether an idle connection still works."""
        ...

    def insert(self, table: str, columns: Sequence[str]) -> str:
        """Return an INSERT for positional rows."""
        ...

    def insert_rows(self, cursor: Any, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run an INSERT for positional rows, at least one, in few statements."""
        ...

    def insert_new(self, table: str, columns: Sequence[str]) -> str:
        """Return an INSERT for positional rows that passes over rows whose key exists."""
        ...

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], newer: str | None = None) -> str:
        """Return an INSERT for positional rows that replaces the row of the same key.

        With `newer`, a column, only if the new row's is not less than the one there.
        """
        ...

    def bear(self, raw: Any, error: Exception) -> bool:
        """Adapt a connection to the value at which a SELECT failed; return whether to try again."""
        ...

    def translate(self, error: Exception, where: str) -> NexusError:
        """Return our error for one of the driver's."""
        ...

    def may_have_committed(self, error: Exception) -> bool:
        """Return whether the transaction may have taken effect although its COMMIT raised this error."""
        ...


# Bounded, since followers write numbers into their statements.
@lru_cache(maxsize=STATEMENTS)
def _bare(sql: str) -> str:
    return " ".join(with_names_quoted(sql).split())


def with_names_quoted(sql: str) -> str:
    """Return a statement without its comments and with every name in backticks, which all the databases understand.

    A name is a word in small letters that is not called like a function, since keywords are written in capitals.
    """
    return _TOKEN.sub(_with_name_quoted, sql)


def _with_name_quoted(match: re.Match[str]) -> str:
    token = match[0]
    if token[0].isalpha() or token[0] == "_":
        return f"`{token}`"
    return "" if token[0] == "-" else token


def quoted(*names: str) -> str:
    """Return names in backticks, with commas between them."""
    return ", ".join(f"`{name}`" for name in names)


class NoText(bytes):
    """A text stored in SQLite that is not valid UTF-8."""


def compared(mark: str, value: object) -> str:
    """Return the placeholder for a value that a column is compared with, in the order of the column."""
    return f"CAST(:{mark} AS TEXT)" if isinstance(value, NoText) else f":{mark}"


def _decoded(text: bytes) -> str | NoText:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return NoText(text)


def _lowered(text: bytes | str | None) -> str | None:
    return None if text is None else readable(text).lower()


@lru_cache(maxsize=STATEMENTS)
def _with_bytes(sql: str) -> str:
    # SQLite does not call our function for text that is not valid UTF-8.
    return _COLUMN_LOWERED.sub(lambda match: f"LOWER(CAST({match[1]} AS BLOB))", _bare(sql))


class SQLite:
    """The embedded database, in WAL mode; one writer at a time, so rows need no locks of their own."""

    errors: tuple[type[Exception], ...] = ()
    _driver: Any = None
    """Kept, since imports fail when finalizers log the last records."""
    for_update = ""
    skip_locked = ""
    # To the millisecond; both parts are of the same moment, since 'now' does not change while a statement runs.
    now = "CAST(strftime('%s', 'now') AS INTEGER) * 1000000 + CAST(substr(strftime('%f', 'now'), 4) AS INTEGER) * 1000"
    server_time = ""
    by_index = "INDEXED BY {}"
    # The whole file: finding the size of one table would read it all, and needs an option of the SQLite build.
    size = """
        SELECT page_count * page_size, freelist_count * page_size
          FROM pragma_page_count, pragma_page_size, pragma_freelist_count
         WHERE :name <> ''
    """

    def connect(
        self,
        url: DatabaseURL,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        statement_seconds: float = STATEMENT_SECONDS,
    ) -> sqlite3.Connection:
        """Open the file, which must exist: a mistyped path is an error, not a new database."""
        library = self._driver = self._driver or import_module("sqlite3")
        self.errors = (library.Error,)
        raw: sqlite3.Connection = library.connect(
            f"{Path(url.name).as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
        try:
            # NORMAL in WAL mode: a power cut may take the last commits back, never tear the file.
            raw.execute("PRAGMA synchronous=NORMAL")
            raw.execute("PRAGMA foreign_keys=ON")
            # SQLite's own only knows ASCII letters: a search for "Ärger" would find nothing.
            raw.create_function("LOWER", 1, _lowered, deterministic=True)
        except library.Error:
            raw.close()
            raise
        return raw

    def synchronize(self, raw: sqlite3.Connection, *, writable: bool) -> bool:
        """Return False: a file has no hosts."""
        return False

    def cursor(self, raw: sqlite3.Connection) -> sqlite3.Cursor:
        """Return a cursor."""
        return raw.cursor()

    def fetch_all(self, cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return cursor.fetchall()

    def rows(self, cursor: sqlite3.Cursor) -> Generator[tuple[Any, ...], None, None]:
        """Yield them."""
        yield from cursor

    def first_row(self, raw: sqlite3.Connection, sql: str) -> tuple[Any, ...]:
        """Return the row; the cursor ends with this."""
        row: tuple[Any, ...] = raw.execute(sql).fetchone()
        return row

    def wait_for_cluster(self, raw: sqlite3.Connection, begin: bool) -> None:
        """Do nothing: there is none."""

    def statement(self, sql: str) -> str:
        """Return `sql` with its names quoted: ``:name`` is SQLite's own style."""
        return _with_bytes(sql)

    def begin(self, raw: sqlite3.Connection, write: bool) -> None:
        """Begin; a writer locks at once, since a transaction that began by reading cannot wait for the lock later."""
        raw.execute("BEGIN IMMEDIATE" if write else "BEGIN")

    def alive(self, raw: sqlite3.Connection) -> bool:
        """Return True: an open file stays open."""
        return True

    def insert(self, table: str, columns: Sequence[str]) -> str:
        """Return an INSERT for positional rows."""
        return f"INSERT INTO {quoted(table)} ({quoted(*columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  names from our schema

    def insert_rows(self, cursor: Any, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Insert rows, many in one statement: before and after each, other threads may have to wait for this one.

        Their numbers are powers of two, so that there are few different statements, which the driver keeps prepared.
        """
        row = f"({', '.join('?' * len(rows[0]))})"
        begin, _, end = sql.partition(row)
        first = 0
        while first < len(rows):
            count = min(_ROWS_PER_INSERT, 1 << (len(rows) - first).bit_length() - 1)
            some = rows[first : first + count]
            cursor.execute(f"{begin}{', '.join([row] * count)}{end}", tuple(chain.from_iterable(some)))
            first += count

    def insert_new(self, table: str, columns: Sequence[str]) -> str:
        """Return an INSERT that passes over existing keys."""
        return self.insert(table, columns) + " ON CONFLICT DO NOTHING"

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], newer: str | None = None) -> str:
        """Return an INSERT that replaces the row of the same key."""
        changes = ", ".join(f"`{column}`=excluded.`{column}`" for column in columns if column not in key)
        condition = f" WHERE excluded.`{newer}` >= `{table}`.`{newer}`" if newer else ""
        return f"{self.insert(table, columns)} ON CONFLICT ({quoted(*key)}) DO UPDATE SET {changes}{condition}"

    def bear(self, raw: sqlite3.Connection, error: Exception) -> bool:
        """Read texts that are not valid UTF-8, which SQLite stores like others.

        Not from the beginning: a function of ours for each text would slow down all readers by a third.
        """
        if "Could not decode to UTF-8" not in str(error) or raw.text_factory is _decoded:
            return False
        raw.text_factory = _decoded
        return True

    def translate(self, error: Exception, where: str) -> NexusError:
        """Sort SQLite's errors by what a person can do about them."""
        sqlite3 = self._driver or import_module("sqlite3")
        text = str(error)
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if "no such table" in text:
            return SchemaMissing(where=where)
        file = Path(where.removeprefix("sqlite:///")) if where else None
        if resources.is_full_database(error, file):
            return DatabaseFull(place=resources.place_text(file), where=where, reason=text)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
            return DatabaseBusy(where=where, reason=text)
        unwritable = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
        opening = code == sqlite3.SQLITE_CANTOPEN
        if code in unwritable and file is not None and (cause := why_unusable(file, opening=opening)) is not None:
            return cause
        if code in (*unwritable[1:], sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOMEM):
            return DatabaseUnusable(where=where, reason=text)
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED:
            return DatabaseUnreachable(where=where, reason="its file was removed or replaced")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
            return DatabaseDenied(where=where, reason=text)
        return DatabaseRefused(where=where, reason=text)

    def may_have_committed(self, error: Exception) -> bool:
        """Return False: a COMMIT that raises in SQLite had no effect."""
        return False


class MySQL:
    """MySQL and MariaDB through mysql-connector-python."""

    errors: tuple[type[Exception], ...] = ()
    for_update = "FOR UPDATE"
    skip_locked = "FOR UPDATE SKIP LOCKED"
    now = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"
    server_time = f"SELECT {now}"
    by_index = "FORCE INDEX ({})"
    # As the server last counted them, some seconds ago.
    size = """
        SELECT data_length + index_length + data_free, data_free
          FROM information_schema.tables
         WHERE table_schema = DATABASE() AND table_name = :name
    """

    def connect(
        self,
        url: DatabaseURL,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        statement_seconds: float = STATEMENT_SECONDS,
    ) -> Any:
        """Open a connection: autocommit, UTC, strict, READ COMMITTED, every wait limited."""
        self.errors = driver.errors()
        raw = driver.open_connection(
            url,
            database=url.name,
            seconds=connect_seconds,
            read_timeout=statement_seconds,
            write_timeout=statement_seconds,
            init_command=(
                "SET SESSION time_zone='+00:00', sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
                f"innodb_lock_wait_timeout={BUSY_SECONDS}"
            ),
        )
        # Not in init_command: MySQL and MariaDB name the variable differently, but share this statement.
        raw.cmd_query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        return raw

    def synchronize(self, raw: Any, *, writable: bool) -> bool:
        """See all that a Galera cluster has committed; a host that is not ready, or read-only, is refused."""
        return driver.synchronize(raw, writable=writable)

    def cursor(self, raw: Any) -> Any:
        """Return a cursor."""
        return driver.cursor(raw)

    def fetch_all(self, cursor: Any) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return driver.fetch_all(cursor)

    def rows(self, cursor: Any) -> Generator[tuple[Any, ...], None, None]:
        """Yield them."""
        return driver.rows(cursor)

    def first_row(self, raw: Any, sql: str) -> tuple[Any, ...]:
        """Return the row."""
        return driver.first_row(raw, sql)

    def wait_for_cluster(self, raw: Any, begin: bool) -> None:
        """Begin or end to wait, on Galera."""
        driver.wait_for_cluster(raw, begin)

    def statement(self, sql: str) -> str:
        """Return `sql` with its names quoted and ``%(name)s`` placeholders."""
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
        return f"INSERT INTO {quoted(table)} ({quoted(*columns)}) VALUES ({', '.join(['%s'] * len(columns))})"  # noqa: S608  names from our schema

    def insert_rows(self, cursor: Any, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Insert rows in one statement."""
        cursor.executemany(sql, rows)

    def insert_new(self, table: str, columns: Sequence[str]) -> str:
        """Return an INSERT that passes over existing keys (INSERT IGNORE would also hide real errors)."""
        return f"{self.insert(table, columns)} ON DUPLICATE KEY UPDATE {quoted(columns[0])}={quoted(columns[0])}"

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], newer: str | None = None) -> str:
        """Return an INSERT that replaces the row of the same key.

        Assignments take effect from left to right, so the column that decides is assigned last.
        """
        changed = [column for column in columns if column not in key]
        changed.sort(key=lambda column: column == newer)
        changes = ", ".join(
            f"`{c}`=IF(VALUES(`{newer}`)>=`{newer}`, VALUES(`{c}`), `{c}`)" if newer else f"`{c}`=VALUES(`{c}`)"
            for c in changed
        )
        return f"{self.insert(table, columns)} ON DUPLICATE KEY UPDATE {changes}"

    def bear(self, raw: Any, error: Exception) -> bool:
        """Return False: a server stores only valid values in a column."""
        return False

    def translate(self, error: Exception, where: str) -> NexusError:
        """Sort the server's errors by what a person can do about them."""
        return server_errors.translate(error, where)

    def may_have_committed(self, error: Exception) -> bool:
        """Return whether the answer to COMMIT was lost, or the server itself does not know."""
        return server_errors.may_have_committed(error)


@lru_cache(maxsize=STATEMENTS)
def _pyformat(sql: str) -> str:
    # A function, since with a template `re` imports something at each call.
    return _PLACEHOLDER.sub(lambda match: f"%({match[1]})s", _bare(sql).replace("%", "%%"))


def dialect_of(url: DatabaseURL) -> Dialect:
    """Return the dialect of a URL's database."""
    return SQLite() if url.kind == "sqlite" else MySQL()
