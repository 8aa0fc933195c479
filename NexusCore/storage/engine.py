"""Open a database by its URL; run statements in transactions on it.

Promises
--------
* A transaction is committed when its block ends and rolled back when the block raises: there is no half.
* Errors of the drivers come out as `NexusCore.errors`, whatever the database.
* Connections are kept for the next transaction, whoever's it is, checked after an idle time, and never shared with a
  forked child (see `NexusCore.storage.pool`).
* Where there are several hosts, all connections go to the same one as long as it works (see `NexusCore.storage.hosts`).
* Every wait has a limit (see `NexusCore.storage.dialect`).
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.errors import (
    CommitUnknown,
    ConnectionLost,
    DatabaseBusy,
    DatabaseDenied,
    DatabaseRefused,
    DatabaseUnreachable,
    DatabaseUnusable,
    NexusError,
    NoDatabaseFile,
    SchemaMismatch,
    SchemaMissing,
    SchemaNewer,
    SchemaUnfinished,
)
from NexusCore.settings import DatabaseURL
from NexusCore.storage import fork_gate
from NexusCore.storage.dialect import Dialect
from NexusCore.storage.polling import Follower
from NexusCore.storage.pool import IDLE_SECONDS, SLOW_HOST_SECONDS, Connection, Pool, pool_of
from NexusCore.storage.revision import SCHEMA_REVISION
from NexusCore.storage.server_errors import HALF_A_CHARACTER
from NexusCore.storage.transaction import Row, Transaction
from NexusCore.wakeup import Wakeups

RETRY_SECONDS = 40.0
"""How long `Database.write` goes on trying where others are in the way, where nothing else is said."""
READ_SECONDS = 10.0
"""How long `Database.read` begins again."""
FIRST_PAUSE, LONGEST_RETRY_PAUSE = 0.01, 0.1
"""Seconds, at most, between two attempts: twice as long each time, and random, so that two do not meet again."""
CONFLICTS_PER_HOST = 5
"""So many conflicts of one transaction in a row have it tried on another host of a cluster."""
IDENTITY = "SELECT `uuid` FROM `facility_identity` WHERE `id` = 1"
"""The identity of the database; see `Database.identity`."""

_IDENTITY = re.compile(r"[0-9a-fA-F-]{8,36}")
T = TypeVar("T")


class Database:
    """One database. Safe to share between threads; each transaction has a connection of its own while it lasts.

    Parameters
    ----------
    url
        Where it is.
    check_schema
        Compare the revision of its tables with this code's at the first connection; migrations alone do without.
    clock
        Measures waits.
    chance
        Returns random numbers from 0 to 1, for the pauses between attempts.
    wakeups
        Between those on this machine who write to it and those who follow it; they only poll if not given.
    """

    def __init__(
        self,
        url: DatabaseURL,
        *,
        check_schema: bool = True,
        clock: Clock = SYSTEM_CLOCK,
        chance: Callable[[], float] = random.random,
        wakeups: Wakeups | None = None,
    ) -> None:
        self.url = url
        self.wakeups = wakeups
        self.pool: Pool = pool_of(url, clock)
        self.dialect: Dialect = self.pool.dialect
        self.hosts = self.pool.hosts
        self._check_schema = check_schema
        self._clock = clock
        self._chance = chance

    def __repr__(self) -> str:
        return f"<Database {self.url}>"

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin a transaction that will change rows; commit at the end of the block.

        Raises
        ------
        DatabaseUnreachable, DatabaseBusy, DatabaseDenied, DatabaseRefused
        NoDatabaseFile, SchemaMissing, SchemaMismatch
            After CommitUnknown it is not known whether the transaction took effect; after any other error it did not.
        """
        with self._connection(begin=True) as connection:
            yield Transaction(connection.raw, self.dialect)
            connection.committing = True
            connection.raw.commit()

    @contextmanager
    def reading(self, *, current: bool = False, patient: bool = False) -> Iterator[Transaction]:
        """Run SELECTs, each of which sees what is committed at that moment.

        Parameters
        ----------
        current
            Also what was committed on another host of a cluster, which this one may not have got yet.
        patient
            They may take long: where there are other hosts, do not give this one up any earlier than a single one.
        """
        with self._connection(begin=False, patient=patient) as connection:
            if not (current and connection.cluster):
                yield Transaction(connection.raw, self.dialect)
                return
            self.dialect.wait_for_cluster(connection.raw, True)
            yield Transaction(connection.raw, self.dialect)
            self.dialect.wait_for_cluster(connection.raw, False)

    def read(self, work: Callable[[Transaction], T], *, current: bool = False) -> T:
        """Run `work`, which only reads, and return its result.

        Once more if the connection was lost meanwhile, and again for a while if others were in the way: a node of a
        cluster may be late with what another one has committed.
        """
        until, pause, lost = self._clock.monotonic() + READ_SECONDS, FIRST_PAUSE, False
        while True:
            try:
                with self.reading(current=current) as reading:
                    return work(reading)
            except ConnectionLost:
                if lost:
                    raise
                lost = True
            except DatabaseBusy:
                if self._clock.monotonic() + pause > until:
                    raise
                self._clock.wait(threading.Event(), pause * self._chance())
                pause = min(2 * pause, LONGEST_RETRY_PAUSE)

    def write(self, work: Callable[[Transaction], T], *, seconds: float | None = None) -> T:
        """Run `work` in a transaction; return its result. Again if others were in the way or the connection was lost.

        `work` must do nothing outside the database, since it may run several times. What is never done again is a
        transaction of which it is not known whether it took effect (`CommitUnknown`).

        Parameters
        ----------
        work
            What to do in the transaction.
        seconds
            How long to begin with it again; `RETRY_SECONDS` if not given.
        """
        seconds = RETRY_SECONDS if seconds is None else seconds
        until = self._clock.monotonic() + seconds
        pause, stood_still, conflicts = FIRST_PAUSE, False, 0
        while True:
            begin = self._clock.monotonic()
            try:
                with self.transaction() as transaction:
                    return work(transaction)
            except (DatabaseBusy, ConnectionLost) as error:
                conflicts += isinstance(error, DatabaseBusy)
                if conflicts and conflicts % CONFLICTS_PER_HOST == 0:
                    self.hosts.move_on()
                now = self._clock.monotonic()
                if now - begin > SLOW_HOST_SECONDS and not stood_still:
                    # A cluster stands still for seconds when a node dies. That is not held against an attempt which
                    # then meets a conflict: those are soon over.
                    until, stood_still = max(until, now + seconds / 2), True
                if now + pause > until:
                    raise
            self._clock.wait(threading.Event(), pause * self._chance())
            pause = min(2 * pause, LONGEST_RETRY_PAUSE)

    def follow(self, table: str, clock: Clock) -> Follower:
        """Return what waits for news of a table; to be closed."""
        return Follower(self, self.pool.poll, table, clock)

    def notify(self, table: str) -> None:
        """Wake those on this machine who follow a table, after rows of it were committed; never fails."""
        if self.wakeups is not None:
            self.wakeups.notify(table)

    def glance(self, sql: str) -> Row:
        """Return the only row of a small SELECT without values, at a fraction of the cost of `reading`.

        Raises
        ------
        DatabaseUnreachable, DatabaseBusy, NoDatabaseFile, SchemaMissing, SchemaMismatch
            Also for a connection that was lost while idle.
        """
        statement = self.dialect.statement(sql)
        with fork_gate.while_in_use(self.pool):
            connection = None if self._check_schema else self.pool.borrow()
            if connection is not None:
                try:
                    row: Row = self.dialect.first_row(connection.raw, statement)
                except BaseException as error:
                    self._failed(error, connection, begun=False)
                    raise
                self.pool.give_back(connection)
                return row
        with self._connection(begin=False) as connection:
            return self.dialect.first_row(connection.raw, statement)

    def identity(self) -> str | None:
        """Return the UUID that stays with the rows, wherever they are reached; None where it may not be read.

        Raises
        ------
        DatabaseUnreachable, DatabaseBusy, NoDatabaseFile, SchemaMissing, SchemaMismatch
        """
        try:
            with self.reading() as reading:
                row = reading.one(IDENTITY)
        except DatabaseDenied:  # the grants are those of an older release
            return None
        return as_identity(row[0]) if row else None

    def close(self) -> None:
        """Close the idle connections, unless others of this process use them; the next transaction opens a new one."""
        self.pool.users.discard(self)
        if not self.pool.users:
            self.pool.close_idle()

    def close_unused(self) -> None:
        """Close the connections that nobody has used for a while."""
        self.pool.close_idle(IDLE_SECONDS)

    @contextmanager
    def _connection(self, *, begin: bool, patient: bool = False) -> Iterator[Connection]:
        with fork_gate.while_in_use(self.pool), self._used(begin, patient) as connection:
            yield connection

    @contextmanager
    def _used(self, begin: bool, patient: bool) -> Iterator[Connection]:
        connection = None
        try:
            connection = self._begun() if begin else self._take(patient)
            yield connection
        except BaseException as error:
            self._failed(error, connection, begun=begin)
            raise
        else:
            self._give_back(connection, None, begin)

    def _failed(self, error: BaseException, connection: Connection | None, *, begun: bool) -> None:
        """Take a connection back after an error, and raise ours in the place of the driver's."""
        ours = self._ours(error, connection)
        self._give_back(connection, ours or error, begun)
        if ours is not None:
            raise ours from error

    def _ours(self, error: BaseException, connection: Connection | None) -> NexusError | None:
        """Return our error for one of the driver's."""
        if isinstance(error, UnicodeEncodeError):
            return DatabaseRefused(where=self.url, reason=HALF_A_CHARACTER)
        if not isinstance(error, self.dialect.errors):
            return None
        ours = self.dialect.translate(error, str(self.url))
        if connection is None:
            return ours
        reason = ours.facts.get("reason")
        if connection.committing and self.dialect.may_have_committed(error):
            return CommitUnknown(where=self.url, reason=reason)
        # Where there are other hosts, one that cannot be used is as good as one that died: the next one is asked.
        if type(ours) is DatabaseUnreachable or (isinstance(ours, DatabaseUnusable) and self.hosts.several):
            return ConnectionLost(where=self.url, reason=reason)
        return ours

    def _begun(self) -> Connection:
        """Return a connection in a transaction; one that was lost while idle is replaced."""
        connection = self._take(False)
        begin = self._clock.monotonic()
        try:
            return self._begin(connection)
        except self.dialect.errors as error:
            if not isinstance(self.dialect.translate(error, str(self.url)), DatabaseUnreachable):
                raise
        self.pool.lost_idle(connection, begin)
        return self._begin(self._take(False))

    def _begin(self, connection: Connection) -> Connection:
        try:
            self.dialect.begin(connection.raw, write=True)
        except BaseException:
            self.pool.drop(connection)
            raise
        return connection

    def _take(self, patient: bool) -> Connection:
        self.pool.users.add(self)
        if not self._check_schema:
            return self.pool.take(self._open, patient=patient)
        idle = bool(self.pool.idle)
        try:
            connection = self._checked(patient)
        except DatabaseUnreachable:
            if not idle:
                raise
            self.pool.close_idle()  # it was lost while it was idle
            connection = self._checked(patient)
        except (SchemaMissing, SchemaUnfinished):
            if not self.url.embedded:
                raise
            # Another thread or process has just made the file, or was killed before it had made the tables.
            self._set_up()
            connection = self._checked(patient)
        self._check_schema = False
        return connection

    def _checked(self, patient: bool) -> Connection:
        """Return a connection to tables that this code knows."""
        connection = self.pool.take(self._open, patient=patient)
        try:
            self._compare(connection.raw)
        except BaseException:
            self.pool.drop(connection)
            raise
        return connection

    def _give_back(self, connection: Connection | None, error: BaseException | None, begun: bool) -> None:
        if connection is None:
            return
        if error is not None:
            if isinstance(error, DatabaseUnreachable) or not isinstance(error, Exception):
                self.pool.drop(connection)
                if isinstance(error, ConnectionLost | CommitUnknown):
                    self.pool.lost(connection)
                return
            if begun:
                try:
                    connection.raw.rollback()
                except self.dialect.errors:
                    self.pool.drop(connection)
                    return
        self.pool.give_back(connection)

    def _open(self, patient: bool) -> Connection:
        if self.url.kind == "sqlite" and not Path(self.url.name).exists():
            if not self.url.embedded:  # a mistyped path, most likely
                raise NoDatabaseFile(where=self.url)
            self._set_up()
        return Connection(*self.pool.hosts.connect(patient=patient), patient)

    def _set_up(self) -> None:
        """Make the embedded default on first use."""
        from NexusCore.storage.migrate import migrate

        migrate(self.url)

    def _compare(self, raw: Any) -> None:
        try:
            row = Transaction(raw, self.dialect).one("SELECT version_num FROM alembic_version")
        except self.dialect.errors as error:
            raise self.dialect.translate(error, str(self.url)) from error
        if row is None:
            raise SchemaUnfinished(where=self.url)
        if row[0] != SCHEMA_REVISION:
            # Revisions are numbers of four digits.
            raise (SchemaNewer if str(row[0]) > SCHEMA_REVISION else SchemaMismatch)(
                where=self.url, found=row[0], needed=SCHEMA_REVISION
            )


def as_identity(text: object) -> str | None:
    """Return the identity that a database gives itself; None if it is none, since files are named after it."""
    return text.lower() if isinstance(text, str) and _IDENTITY.fullmatch(text) else None


def open_database(url: DatabaseURL | str, wakeups: Wakeups | None = None) -> Database:
    """Return the database of a URL. Nothing is connected until the first transaction."""
    return Database(DatabaseURL.parse(url) if isinstance(url, str) else url, wakeups=wakeups)
