"""One migration of a database at a time, among threads and among processes.

Every wait has a limit; after it `NexusCore.errors.DatabaseBusy` is raised.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from NexusCore import forks
from NexusCore.errors import DatabaseBusy
from NexusCore.settings import DatabaseURL
from NexusCore.storage.database_file import mode_in, unusable

MIGRATION_WAIT_SECONDS = 50
"""How long one migration waits for another; less than the driver waits for the answer to a statement."""
_OTHER = "another program is creating or updating its tables"


class _Threads:
    """The lock among threads: Alembic keeps its state in module variables, so one thread at a time may migrate."""

    def __init__(self) -> None:
        self.forked()
        forks.renew_in_children(self)

    def forked(self) -> None:
        self.lock = threading.Lock()


_threads = _Threads()


@contextmanager
def among_threads(url: DatabaseURL) -> Iterator[None]:
    """Keep the other threads of this process from migrating any database."""
    lock = _threads.lock
    if not lock.acquire(timeout=MIGRATION_WAIT_SECONDS):
        raise DatabaseBusy(where=url, reason=_OTHER)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def on_file(url: DatabaseURL) -> Iterator[None]:
    """Keep other processes from making or migrating an SQLite file, by a lock file beside it."""
    mode = mode_in(Path(url.name).parent)
    lock = filelock.FileLock(f"{url.name}.migration", timeout=MIGRATION_WAIT_SECONDS, mode=mode)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise DatabaseBusy(where=url, reason=_OTHER) from None
    except OSError as error:
        raise unusable(url, error) from error
    try:
        yield
    finally:
        lock.release()


def on_server(raw: Any, url: DatabaseURL) -> None:
    """Keep other connections from migrating a database on a server, until this connection ends.

    A process that is killed loses its connection, and the lock with it. On a Galera cluster such a lock holds on one
    node only: run migrations on one node at a time.
    """
    # A name may have 64 characters; the database's name alone can have as many. The lock is the whole server's.
    name = f"nexuscore-{hashlib.sha256(url.name.encode()).hexdigest()[:32]}"
    cursor = raw.cursor()
    try:
        cursor.execute("SELECT GET_LOCK(%s, %s)", (name, MIGRATION_WAIT_SECONDS))
        row = cursor.fetchone()
    finally:
        cursor.close()
    if row is None or row[0] != 1:
        raise DatabaseBusy(where=url, reason=_OTHER)
