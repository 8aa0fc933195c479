"""Forks and databases: a child begins without its parent's connections, and without the locks of SQLite's files."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from NexusCore.settings import DatabaseURL

FORK_SECONDS = 10.0
"""How long a fork waits for a moment without SQLite connections in use."""


class ForkableDatabase(Protocol):
    """What a fork asks of a database."""

    url: DatabaseURL

    def close_for_fork(self) -> None:
        """Close all idle connections, while none is in use."""
        ...

    def forked(self) -> None:
        """Begin again, in the child."""
        ...


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
        """Close all SQLite connections and block new ones; do not wait for one that is in use for long."""
        self._free.acquire()
        self._free.wait_for(lambda: not self._users, FORK_SECONDS)
        for database in list(_databases):
            if database.url.kind == "sqlite":
                database.close_for_fork()

    def open(self) -> None:
        """Allow connections again."""
        self._free.release()


_databases: weakref.WeakSet[ForkableDatabase] = weakref.WeakSet()
_gate = _Gate()


def watch(database: ForkableDatabase) -> None:
    """Include a database in forks from now on."""
    _databases.add(database)


def while_in_use(database: ForkableDatabase) -> AbstractContextManager[None]:
    """Return a context in which a connection may be used; no fork happens in it if that would do harm."""
    return _gate if database.url.kind == "sqlite" else nullcontext()


def _after_fork() -> None:
    global _gate
    _gate = _Gate()
    for database in list(_databases):
        database.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lambda: _gate.shut(), after_in_parent=lambda: _gate.open(), after_in_child=_after_fork)
