"""Connections of mysql-connector: how one is opened, and what the project does differently from the driver.

The one place that knows the driver's options; set-up, tools and services all come here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from itertools import chain
from typing import Any

from NexusCore.errors import DatabaseUnusable
from NexusCore.settings import DatabaseURL

_loading = threading.Lock()


# Cached, since imports fail when finalizers log the last records of a process.
@cache
def _connector() -> Any:
    connector = import_module("mysql.connector")
    with _loading, suppress(ImportError):  # there may be no extension
        _initialize(import_module("_mysql_connector"))
    return connector


def _initialize(extension: Any) -> None:
    """Have the client library initialize itself, by a connection that fails at once.

    It does so at its first connection, and does not lock: a second thread that connects meanwhile gets no handle, which
    the extension does not check. The process then ends by SIGSEGV.
    """
    with suppress(extension.MySQLError):
        extension.MySQL().connect(unix_socket=os.devnull)


@cache
def _cursor_class(*, extension: bool) -> Any:
    """Return the driver's cursor, with our own way of putting a statement together and sending it.

    The driver looks for the DELIMITER of the mysql client's scripts first, also in the values: "the delimiter ; isn't
    that" is stored as something else, other such texts are refused, and a thousand rows with the word take seconds.
    """
    base: Any
    if extension:
        base = import_module("mysql.connector.cursor_cext").CMySQLCursor
    else:
        base = import_module("mysql.connector.cursor").MySQLCursor

    class Cursor(base):  # type: ignore[misc]  # which driver it is is known only now
        def execute(self, operation: str | bytes, params: Any = None, map_results: bool = False) -> None:
            statement = operation.encode() if isinstance(operation, str) else operation
            if params is not None:
                statement %= self._as_sql(params)
            self._connection.handle_unread_result()
            self._reset_result()
            self._executed = statement
            self._handle_result(self._connection.cmd_query(statement))

        def executemany(self, operation: str, seq_params: Sequence[Sequence[object]]) -> None:
            """Run an INSERT of positional rows, at least one and all of the same length, as one statement.

            The driver does it value by value in Python, and who logs meanwhile waits for the interpreter.
            """
            width = len(seq_params[0])
            begin, _, end = operation.encode().partition(f"({', '.join(['%s'] * width)})".encode())
            values = iter(self._as_sql(tuple(chain.from_iterable(seq_params))))
            rows = map(b", ".join, zip(*[values] * width, strict=True))
            self.execute(b"".join((begin, b"(", b"), (".join(rows), b")", end)))

        def _as_sql(self, values: Any) -> Any:
            """Return values as literals of a statement: a tuple, or a dict by name."""
            if extension:
                literals = self._connection.prepare_for_mysql(values)
            elif isinstance(values, dict):
                literals = self._process_params_dict(values)
            else:
                literals = self._process_params(values)
            return literals if isinstance(literals, dict) else tuple(literals)

    return Cursor


@cache
def errors() -> tuple[type[Exception], ...]:
    """Return the driver's exceptions."""
    classes = [_connector().Error]
    with suppress(ImportError):
        # At COMMIT and ROLLBACK the exceptions of the C extension are not converted.
        classes.append(import_module("_mysql_connector").MySQLError)
    return tuple(classes)


def open_connection(url: DatabaseURL, *, seconds: float, **options: Any) -> Any:
    """Open a connection to the first host of a URL, encrypted and verified as the URL says; it commits by itself.

    Parameters
    ----------
    url
        Host or socket, account and TLS.
    seconds
        Time limit for each step of connecting.
    options
        More of the driver's options, such as ``database``.

    Raises
    ------
    DatabaseNotSecure
        With the reason; any other error is one of the driver's.
    """
    from NexusCore.storage import tls  # not needed by an embedded database

    place: dict[str, Any] = (
        {"unix_socket": url.unix_socket} if url.unix_socket else {"host": url.host, "port": url.port}
    )
    # Through a socket the driver leaves TLS out, unless it gets options for it.
    security = {} if url.unix_socket else tls.driver_options(url)
    tls.insist(url, seconds)
    try:
        raw = _connector().connect(
            user=url.user,
            password=url.password,
            autocommit=True,
            charset="utf8mb4",
            collation="utf8mb4_bin",  # one that both MySQL and MariaDB know
            connection_timeout=seconds,
            **place,
            **security,
            **options,
        )
    except _connector().Error as error:
        reason = tls.explain(url, error, seconds)
        if reason is not None:
            raise reason from None
        raise
    tls.check(url, raw)
    return raw


def cursor(raw: Any) -> Any:
    """Return a cursor; the driver's own method would ping first.

    That costs a round trip, and a conflict on Galera which is reported at that moment would be lost: the driver makes
    "MySQL Connection not available" of it.
    """
    return _cursor_class(extension=getattr(raw, "_cmysql", None) is not None)(raw)


def fetch_all(reader: Any) -> list[tuple[Any, ...]]:
    """Return all rows of a cursor's result.

    The driver's own method checks each value again in Python, for types that our tables do not have; that takes half
    of the time.
    """
    connection = reader._connection
    extension = getattr(connection, "_cmysql", None)
    if extension is None or not connection.unread_result:
        return reader.fetchall()  # type: ignore[no-any-return]
    try:
        return list(iter(extension.fetch_row, None))
    finally:
        extension.free_result()


def rows(reader: Any) -> Generator[tuple[Any, ...], None, None]:
    """Yield all rows of a cursor's result, one by one; see `fetch_all`."""
    extension = getattr(reader._connection, "_cmysql", None)
    if extension is None or not reader._connection.unread_result:
        yield from reader.fetchall()
        return
    try:
        yield from iter(extension.fetch_row, None)
    finally:
        extension.free_result()


def first_row(raw: Any, sql: str) -> tuple[Any, ...]:
    """Return the first row of a SELECT without values, bypassing the driver's Python layers if possible.

    They take three times as long as the extension and the server together.
    """
    extension = getattr(raw, "_cmysql", None)
    if extension is None:
        return _rows(raw, sql)[0]
    extension.query(sql.encode(), raw=False, buffered=False, raw_as_string=False)
    row: tuple[Any, ...] = extension.fetch_row()
    extension.consume_result()
    return row


def synchronize(raw: Any, *, writable: bool) -> bool:
    """Wait for everything that a Galera cluster has committed; return whether there is a cluster.

    Raises
    ------
    DatabaseUnusable
        With `writable`, if the host is read-only, or a node that is not ready.
    """
    names = "('wsrep_on', 'read_only')" if writable else "('wsrep_on')"
    variables = dict(_rows(raw, f"SHOW GLOBAL VARIABLES WHERE `variable_name` IN {names}"))
    if variables.get("read_only") == "ON":
        raise DatabaseUnusable(where="this host", reason="it is read-only")
    if variables.get("wsrep_on") != "ON":
        return False
    if writable:
        names = "('wsrep_ready', 'wsrep_local_state_comment')"
        state = dict(_rows(raw, f"SHOW GLOBAL STATUS WHERE `variable_name` IN {names}"))
        # A joiner, or a donor of a state transfer, may not answer for long.
        if state.get("wsrep_ready") != "ON" or state.get("wsrep_local_state_comment") != "Synced":
            reason = f"as a node of its cluster it is {state.get('wsrep_local_state_comment') or 'not ready'}"
            raise DatabaseUnusable(where="this host", reason=reason)
    wait_for_cluster(raw, True)
    _rows(raw, "SELECT 1")
    wait_for_cluster(raw, False)
    return True


def wait_for_cluster(raw: Any, begin: bool) -> None:
    """Set Galera's variable for this session; at the end to what the server's own configuration says."""
    raw.cmd_query(f"SET SESSION wsrep_sync_wait = {1 if begin else 'DEFAULT'}")


def _rows(raw: Any, sql: str) -> list[tuple[Any, ...]]:
    reader = cursor(raw)
    try:
        reader.execute(sql)
        return fetch_all(reader)
    finally:
        reader.close()
