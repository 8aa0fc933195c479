"""Followers of growing tables: they wait for news together, and one of them asks for all.

A process waits for the newest number of a few tables: the revision of the configuration, the id of the last record.
Asking is cheap with one small query for all of them that bypasses the layers of other queries. The answer only says
whether a follower should look now; it reads the rows itself.

Promises
--------
* Of the threads that wait for news from one database, one (the leader) polls; the others sleep until it sees news for
  them. When the leader has something to do, another one takes over.
* A commit on this machine wakes the followers of its table (see `NexusCore.wakeup`).
* After `LONGEST_WAIT` at most, and after any error, a follower looks by itself.
"""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from typing import Protocol

from NexusCore.clock import Clock
from NexusCore.errors import NexusError
from NexusCore.settings import DatabaseURL
from NexusCore.storage.database_file import FileId, present_file
from NexusCore.storage.transaction import Row
from NexusCore.wakeup import Wakeups

LONGEST_WAIT = 5.0
"""Seconds after which a follower looks by itself, even without news from the leader."""

SETTLED_MICROSECONDS = 100_000
"""Age at which a file's time differs from that of the next change, given the resolution of the system's clock."""

_NEWEST = {"config_revision": "SELECT revision FROM config_revision WHERE id = 1"}
"""Where the newest number of a table is found; by default it is its highest id."""


class FollowedDatabase(Protocol):
    """What a follower needs of a database: `NexusCore.storage.engine.Database`."""

    url: DatabaseURL
    wakeups: Wakeups | None

    def glance(self, sql: str) -> Row:
        """Return the only row of a small SELECT without values."""
        ...


class Poll:
    """The followers that wait for news from one database; belongs to its pool."""

    def __init__(self) -> None:
        self.forked()

    def forked(self) -> None:
        """Start without followers: their threads stayed in the parent."""
        self._lock = threading.Lock()
        self._leader: Follower | None = None
        self._waiting: tuple[Follower, ...] = ()
        self._statement = ""
        self._file: FileId | None = None
        self._seen: tuple[object, str, Row] = (None, "", ())
        """Mark of the database before the last query, the query, and its answer."""
        self.pause = LONGEST_WAIT
        """The shortest pause of the followers."""

    def join(self, follower: Follower) -> None:
        """Add a waiting follower."""
        with self._lock:
            self._are_waiting((*self._waiting, follower))

    def leave(self, follower: Follower) -> None:
        """Remove a follower; if it was the leader, another one takes over."""
        with self._lock:
            self._are_waiting(tuple(other for other in self._waiting if other is not follower))
            if self._leader is follower:
                self._leader = None
            if self._leader is None and self._waiting:
                self._waiting[0].stir()

    def led_by(self, follower: Follower) -> bool:
        """Return whether a follower is the leader; without one, it becomes the leader."""
        if self._leader is None:
            with self._lock:
                self._leader = self._leader or follower
        return self._leader is follower

    def look(self, database: FollowedDatabase, clock: Clock) -> None:
        """Ask for the newest numbers; wake the followers that have news or must stop."""
        now = clock.monotonic()
        before, self._file = self._file, present_file(database.url)
        if before not in (None, self._file):  # the newest number of another file may be the same
            for follower in self._waiting:
                follower.wake()
        with self._lock:  # both from the same moment
            waiting, statement = self._waiting, self._statement
        mark = file_mark(database.url, clock.now())
        if mark is None or (mark, statement) != self._seen[:2]:
            self._seen = (mark, statement, database.glance(statement))
        for follower, newest in zip(waiting, self._seen[2], strict=True):
            follower.heard(newest, now)

    def _are_waiting(self, followers: tuple[Follower, ...]) -> None:
        self._waiting = followers
        self._statement = _query(tuple(follower.table for follower in followers))
        self.pause = min((follower.pause for follower in followers), default=LONGEST_WAIT)


class Follower:
    """A follower of a table.

    Parameters
    ----------
    database, table
        What to follow.
    poll
        The followers of the database.
    clock
        Source of time, also for waiting.
    """

    def __init__(self, database: FollowedDatabase, poll: Poll, table: str, clock: Clock) -> None:
        self.table = table
        self.pause = LONGEST_WAIT
        self.asked = float("-inf")
        """When the database was last asked."""
        self._database = database
        self._poll = poll
        self._clock = clock
        self._stop = threading.Event()
        self._known: object = None
        self._heard: object = None
        self._due = False
        self._stirred = threading.Event()
        wakeups = database.wakeups
        self._subscription = wakeups.subscribe(table, self.wake) if wakeups is not None else None

    def close(self) -> None:
        """Unsubscribe from wake-ups."""
        if self._subscription is not None:
            self._subscription.close()

    def wake(self) -> None:
        """End the waiting."""
        self._due = True
        self._stirred.set()

    def stir(self) -> None:
        """Make it check whether it should lead."""
        self._stirred.set()

    def heard(self, newest: object, now: float) -> None:
        """Record the newest number of the table; wake up if it is news."""
        news = newest not in (self._known, self._heard)
        self._heard, self.asked = newest, now
        if news or self._stop.is_set():
            self.wake()

    def wait(self, stop: threading.Event, seconds: float) -> None:
        """Wait for a wake-up, or until `stop` is set; at most `seconds`."""
        if not self._due:
            self._sleep(stop, seconds)
        self._due = False

    def wait_for_news(self, stop: threading.Event, pause: float, known: object, seconds: float = LONGEST_WAIT) -> bool:
        """Wait until the newest number of the table changes from `known` and from the last one, or as `wait` does.

        Returns whether there seems to be news.

        Parameters
        ----------
        stop
            Ends the waiting.
        pause
            Seconds between two polls.
        known
            The newest number that the caller knows.
        seconds
            Longest wait.
        """
        poll, clock = self._poll, self._clock
        until = clock.monotonic() + seconds
        self._stop, self.pause, self._known = stop, pause, known
        poll.join(self)
        try:
            while not self._due and not stop.is_set() and (left := until - clock.monotonic()) > 0:
                if not poll.led_by(self):
                    clock.wait(self._stirred, left)
                    self._stirred.clear()
                    continue
                self._sleep(stop, min(poll.pause, left))
                if not self._due and not stop.is_set():
                    poll.look(self._database, clock)
            return self._due
        except NexusError:
            self._heard = None  # the follower looks by itself and handles the error
            return False
        finally:
            poll.leave(self)
            self._due = False

    def _sleep(self, stop: threading.Event, seconds: float) -> None:
        """Wait for `stop` or a wake-up."""
        if self._subscription is None:
            self._clock.wait(stop, seconds)
        elif self._clock.wait(self._stirred, seconds):
            self._stirred.clear()


def file_mark(url: DatabaseURL, now: int) -> object:
    """Return a value that changes with each commit to a database file, without opening it.

    Parameters
    ----------
    url
        Where the database is.
    now
        Microseconds since the epoch, by the clock of this machine.

    Returns
    -------
    object
        Times and sizes of the file and its log; None if the log was written so recently that the next commit may leave
        the same time, without a log, or on a server.
    """
    if url.kind != "sqlite":
        return None
    try:
        log, file = os.stat(f"{url.name}-wal"), os.stat(url.name)  # noqa: PTH116  called many times a second
    except OSError:
        return None
    if not 0 <= log.st_mtime_ns // 1000 <= now - SETTLED_MICROSECONDS:
        return None
    return log.st_ino, log.st_size, log.st_mtime_ns, file.st_ino, file.st_size, file.st_mtime_ns


@lru_cache
def _query(tables: tuple[str, ...]) -> str:
    return "SELECT " + ", ".join(f"({_NEWEST.get(table, f'SELECT MAX(id) FROM {table}')})" for table in tables)  # noqa: S608  our tables
