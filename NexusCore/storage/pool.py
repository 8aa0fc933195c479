"""The connections of this process to one database, shared by all its users.

Promises
--------
* A thread that needs a connection briefly takes the one that another thread has just returned: a process whose threads
  only look from time to time has one connection, not one per thread.
* A thread that cannot get it within `SHARE_SECONDS` opens another, which is closed after it was idle for a while.
* All connections go to the same host as long as it works (see `NexusCore.storage.hosts`).
* No connection is shared with a forked child.
* A connection to a file that was removed or replaced is not used again.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.forks import in_children
from NexusCore.settings import DatabaseURL
from NexusCore.storage import fork_gate
from NexusCore.storage.database_file import FileId, file_at, present_file, set_aside_log
from NexusCore.storage.dialect import Dialect, dialect_of
from NexusCore.storage.hosts import Hosts
from NexusCore.storage.polling import Poll

IDLE_SECONDS = 30.0
"""A connection idle for longer is checked before its next use, or closed if it is not needed."""
SPARE_SECONDS = 2.0
"""An additional connection is closed after it was idle for this long."""
SHARE_SECONDS = 0.1
"""How long a thread waits for a connection in use before it opens another."""
SLOW_HOST_SECONDS = 1.0
"""A host that takes longer to report that an idle connection is lost counts as dead."""


@dataclass(slots=True, eq=False)
class Connection:
    """An open connection."""

    raw: Any
    host: DatabaseURL
    cluster: bool
    """Its host is part of a cluster whose hosts may lag behind each other."""
    patient: bool
    """Its statements may take long, although there are other hosts."""
    file: FileId | None = None
    """The file of an SQLite database."""
    generation: int = 0
    """See `Pool.generation`."""
    log: FileId | None = None
    """Its write-ahead log, once it was used."""
    since: float = 0.0
    """When it was last returned to the pool."""
    committing: bool = field(default=False)


class Pool:
    """The connections to one database.

    Parameters
    ----------
    url
        Where it is.
    clock
        Measures how long connections are idle, and hosts kept out.
    """

    def __init__(self, url: DatabaseURL, clock: Clock) -> None:
        self.url = url
        self.dialect: Dialect = dialect_of(url)
        self.hosts = Hosts(url, self.dialect, clock)
        self._clock = clock
        self._embedded = url.kind == "sqlite"
        self.idle: list[Connection] = []
        self.users: weakref.WeakSet[Any] = weakref.WeakSet()
        """Those that have used it and not closed it since."""
        self._busy: list[int] = []
        """The thread of each connection that is in use or being opened."""
        self._begin_lock()
        self.poll = Poll()
        """What its followers have in common."""
        self._generation = 0
        self._file: FileId | None = None
        fork_gate.watch(self)

    def take(self, connect: Callable[[bool], Connection], *, patient: bool = False) -> Connection:
        """Return a connection for exclusive use; `give_back` or `drop` it afterwards.

        Parameters
        ----------
        connect
            Opens a new one; its argument is `patient`.
        patient
            Its statements may take long: do not give up its host early, even if there are others.
        """
        patient = patient and self.hosts.several
        thread = threading.get_ident()
        while True:
            with self._changed:
                # A file costs no server anything; a thread that already has a connection would wait for itself.
                if not self._fits(patient) and self._busy and not self._embedded and thread not in self._busy:
                    self._wanting += 1
                    self._changed.wait_for(lambda: self._fits(patient), SHARE_SECONDS)
                    self._wanting -= 1
                connection = self._fits(patient)
                if connection is not None:
                    self.idle.remove(connection)
                self._busy.append(thread)
            try:
                if connection is None:
                    return connect(patient)
                now = self._clock.monotonic()
                if self._is_current(connection):
                    if now - connection.since < IDLE_SECONDS or self.dialect.alive(connection.raw):
                        return connection
                    self.lost_idle(connection, now)
                elif self._embedded:
                    self.close_idle()  # all that is open of the former file, before the present one is opened
            except BaseException:
                with self._lock:
                    self._release(thread)
                raise
            self.drop(connection)

    def borrow(self) -> Connection | None:
        """Return the connection that `take` would return at once; None if `take` would do more."""
        now = self._clock.monotonic()
        with self._lock:
            if not self.idle or (connection := self.idle[-1]).patient or now - connection.since >= IDLE_SECONDS:
                return None
            if not self._is_current(connection):
                return None
            self._busy.append(threading.get_ident())
            return self.idle.pop()

    def give_back(self, connection: Connection) -> None:
        """Return a connection to the pool; close those that were idle for a while."""
        now = self._clock.monotonic()
        connection.committing, connection.since = False, now
        if connection.log is None and self._embedded and self.is_present(connection):
            connection.log = file_at(f"{self.url.name}-wal")
        spare: list[Connection] = []
        with self._lock:
            if self.idle:
                spare = [idle for idle in self.idle if now - idle.since >= SPARE_SECONDS]
                self.idle = [idle for idle in self.idle if now - idle.since < SPARE_SECONDS]
            self.idle.append(connection)
            self._release(threading.get_ident())
        for idle in spare:
            self._close(idle)

    def drop(self, connection: Connection) -> None:
        """Close a connection that was taken."""
        with self._lock:
            self._release(threading.get_ident())
        self._close(connection)

    def lost(self, connection: Connection) -> None:
        """Close the other connections to a host; with several hosts, give up this one."""
        if self.hosts.several:
            self.hosts.failed(connection.host)
        self.close_idle()

    def lost_idle(self, connection: Connection, since: float) -> None:
        """Call `lost` for a connection that was lost while idle, if its host took long to report that.

        Otherwise the host may only have closed a connection that was idle for too long.
        """
        if self._clock.monotonic() - since > SLOW_HOST_SECONDS:
            self.lost(connection)
        else:
            self.close_idle()

    def close_idle(self, longer_than: float = -1.0) -> None:
        """Close the idle connections, or those that were idle for more than `longer_than` seconds."""
        now = self._clock.monotonic()
        with self._changed:
            gone = [connection for connection in self.idle if now - connection.since > longer_than]
            self.idle = [connection for connection in self.idle if now - connection.since <= longer_than]
        for connection in gone:
            self._close(connection)

    def close_for_fork(self) -> None:
        """Close the idle connections without the lock, which another thread may hold: `pop` is atomic."""
        while self.idle:
            self._close(self.idle.pop())

    def forked(self) -> None:
        """Start without connections in a forked child: existing ones belong to the parent."""
        import ctypes

        for connection in self.idle:
            # Closing one, even by the garbage collector, would end the parent's session.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection.raw))
        self.idle, self._busy = [], []
        self._begin_lock()
        self.poll.forked()

    def _begin_lock(self) -> None:
        self._lock = threading.Lock()
        """Lock of `_changed`, used directly without waiting: the condition's own methods take three times as long."""
        self._changed = threading.Condition(self._lock)
        self._looking = threading.Lock()
        self._wanting = 0
        """Number of threads that wait for a connection."""

    def _fits(self, patient: bool) -> Connection | None:
        """Return the idle connection that was returned last."""
        return next((connection for connection in reversed(self.idle) if connection.patient == patient), None)

    def _is_current(self, connection: Connection) -> bool:
        """Return whether new connections would go to the same host, since another may lag behind, or the same file."""
        if self._embedded:
            return connection.generation == self.generation()
        return not self.hosts.several or connection.host == self.hosts.current

    def generation(self) -> int:
        """Return how often another file, or none, was found at the path of an SQLite database; 0 for a server.

        A file cannot be known by its inode alone: once it is closed, the next one may get the same.
        """
        if not self._embedded:
            return 0
        with self._looking:
            file = present_file(self.url)
            if file != self._file:
                self._file = file
                self._generation += 1
            return self._generation

    def is_present(self, connection: Connection) -> bool:
        """Return whether the file of a connection is still at its path; True for a server."""
        return not self._embedded or connection.generation == self.generation()

    def _close(self, connection: Connection) -> None:
        with suppress(*self.dialect.errors, OSError):
            connection.raw.close()
        if self._embedded:
            set_aside_log(self.url, connection.file, connection.log)

    def _release(self, thread: int) -> None:
        """Note, under the lock, that a thread has released its connection."""
        if thread in self._busy:
            self._busy.remove(thread)
        elif self._busy:  # taken in one thread and released in another, as by a generator
            self._busy.pop()
        if self._wanting:
            self._changed.notify()


_pools: weakref.WeakValueDictionary[tuple[DatabaseURL, Clock], Pool] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def pool_of(url: DatabaseURL, clock: Clock = SYSTEM_CLOCK) -> Pool:
    """Return this process's pool for a database and a clock."""
    with _lock:
        pool = _pools.get((url, clock))
        if pool is None:
            pool = _pools[url, clock] = Pool(url, clock)
        return pool


@in_children
def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
