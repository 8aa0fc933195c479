"""Open a database by its URL; run statements in transactions on it.

Promises
--------
* A transaction is committed when its block ends and rolled back when the block raises.
* Errors of all drivers are raised as `NexusCore.errors`.
* Connections are kept for later transactions, checked after an idle time, and never shared with a forked child (see
  `NexusCore.storage.pool`).
* With several hosts, all connections go to the same one as long as it works (see `NexusCore.storage.hosts`).
* Every wait has a limit (see `NexusCore.storage.dialect`).
* Nothing is committed to an SQLite file that is no longer at its path: the transaction is lost, and the next one uses
  the file that is there (see `NexusCore.storage.database_file`).
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
    DatabaseFileDenied,
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
from NexusCore.storage.database_file import denied, present_file
from NexusCore.storage.dialect import Dialect
from NexusCore.storage.polling import Follower
from NexusCore.storage.pool import IDLE_SECONDS, SLOW_HOST_SECONDS, Connection, Pool, pool_of
from NexusCore.storage.revision import SCHEMA_REVISION
from NexusCore.storage.server_errors import HALF_A_CHARACTER
from NexusCore.storage.transaction import Row, Transaction
from NexusCore.wakeup import Wakeups

RETRY_SECONDS = 40.0
"""How long `Database.write` repeats a transaction after conflicts, by default."""
READ_SECONDS = 10.0
"""How long `Database.read` repeats after conflicts."""
FIRST_PAUSE, LONGEST_RETRY_PAUSE = 0.01, 0.1
"""Longest pause in seconds between two attempts: doubled each time, and random, so that two do not conflict again."""
CONFLICTS_PER_HOST = 5
"""After this many conflicts in a row a transaction is tried on another host of a cluster."""
IDENTITY = "SELECT `uuid` FROM `facility_identity` WHERE `id` = 1"
"""The identity of the database; see `Database.identity`."""

_IDENTITY = re.compile(r"[0-9a-fA-F-]{8,36}")
_RANDOM = random.SystemRandom()
"""Of its own: the random numbers of a program that has seeded Python's stay the same whatever the database does."""
T = TypeVar("T")


class Database:
    """One database; thread-safe, since each transaction has a connection of its own.

    Parameters
    ----------
    url
        Where it is.
    check_schema
        Compare the revision of its tables with this code's at the first connection; not for migrations.
    clock
        Measures waits.
    chance
        Returns random numbers from 0 to 1, for the pauses between attempts.
    wakeups
        From writers to followers on this machine; without, followers only poll.
    create
        Create the embedded default if it does not exist at the first use; not for those who only read.
    """

    def __init__(
        self,
        url: DatabaseURL,
        *,
        check_schema: bool = True,
        clock: Clock = SYSTEM_CLOCK,
        chance: Callable[[], float] = _RANDOM.random,
        wakeups: Wakeups | None = None,
        create: bool = True,
    ) -> None:
        self.url = url
        self.wakeups = wakeups
        self.pool: Pool = pool_of(url, clock)
        self.dialect: Dialect = self.pool.dialect
        self.hosts = self.pool.hosts
        self._check_schema = self._checks_schema = check_schema
        self._create = create and url.embedded
        self._generation = 0
        """The generation of the file whose tables were checked."""
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
            After CommitUnknown the transaction may have taken effect; after any other error it has not.
        """
        with self._connection(begin=True) as connection:
            yield Transaction(connection.raw, self.dialect, connection.generation)
            if not self.pool.is_present(connection):
                raise ConnectionLost(where=self.url, reason="its file was removed or replaced")
            connection.committing = True
            connection.raw.commit()

    @contextmanager
    def reading(self, *, current: bool = False, patient: bool = False) -> Iterator[Transaction]:
        """Run SELECTs; each sees what is committed at that moment.

        Parameters
        ----------
        current
            Also see what was just committed on another host of a cluster.
        patient
            They may take long: do not give up the host early, even if there are others.
        """
        with self._connection(begin=False, patient=patient) as connection:
            if not (current and connection.cluster):
                yield Transaction(connection.raw, self.dialect, connection.generation)
                return
            self.dialect.wait_for_cluster(connection.raw, True)
            yield Transaction(connection.raw, self.dialect)
            self.dialect.wait_for_cluster(connection.raw, False)

    def read(self, work: Callable[[Transaction], T], *, current: bool = False) -> T:
        """Run `work`, which only reads, and return its result.

        Repeated once if the connection was lost, and for a while after conflicts: a node of a cluster may be late in
        applying what another one has committed.
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
        """Run `work` in a transaction and return its result; repeat it after conflicts or a lost connection.

        `work` must do nothing outside the database, since it may run several times. A transaction that may have taken
        effect (`CommitUnknown`) is not repeated.

        Parameters
        ----------
        work
            What to do in the transaction.
        seconds
            How long to repeat it; `RETRY_SECONDS` if not given.
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
                    # A cluster stops for seconds when a node dies. An attempt that then meets a conflict gets more
                    # time, since conflicts are short.
                    until, stood_still = max(until, now + seconds / 2), True
                if now + pause > until:
                    raise
            self._clock.wait(threading.Event(), pause * self._chance())
            pause = min(2 * pause, LONGEST_RETRY_PAUSE)

    def follow(self, table: str, clock: Clock) -> Follower:
        """Return a follower of a table, to be closed."""
        return Follower(self, self.pool.poll, table, clock)

    def notify(self, table: str) -> None:
        """Wake the followers of a table on this machine, after rows of it were committed; never fails."""
        if self.wakeups is not None:
            self.wakeups.notify(table)

    def glance(self, sql: str) -> Row:
        """Return the only row of a small SELECT without values, at a fraction of the cost of `reading`.

        Raises
        ------
        DatabaseUnreachable, DatabaseBusy, NoDatabaseFile, SchemaMissing, SchemaMismatch
            Also if the connection was lost while idle.
        """
        statement = self.dialect.statement(sql)
        with fork_gate.while_in_use(self.pool):
            connection = None if self._check_schema else self.pool.borrow()
            if connection is not None and self._checks_schema and connection.generation != self._generation:
                self.pool.give_back(connection)  # of another file, whose tables are to be checked first
                connection = None
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
        """Return the UUID stored in the database; None if it may not be read.

        Raises
        ------
        DatabaseUnreachable, DatabaseBusy, DatabaseFileDenied, NoDatabaseFile, SchemaMissing, SchemaMismatch
        """
        try:
            with self.reading() as reading:
                row = reading.one(IDENTITY)
        except DatabaseFileDenied:
            raise
        except DatabaseDenied:  # grants of an older release
            return None
        return as_identity(row[0]) if row else None

    def generation(self) -> int:
        """Return a number that changes when another file is at the path of an SQLite database; 0 for a server."""
        return self.pool.generation()

    def close(self) -> None:
        """Close the idle connections, unless other users of the pool need them."""
        self.pool.users.discard(self)
        if not self.pool.users:
            self.pool.close_idle()

    def close_unused(self) -> None:
        """Close the connections that were not used for a while."""
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
        """Return a connection to the pool after an error; raise our error instead of the driver's."""
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
        # With several hosts, an unusable one is treated like a dead one: the next one is tried.
        if type(ours) is DatabaseUnreachable or (isinstance(ours, DatabaseUnusable) and self.hosts.several):
            return ConnectionLost(where=self.url, reason=reason)
        return ours

    def _begun(self) -> Connection:
        """Return a connection in a transaction; replace one that was lost while idle."""
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
            connection = self.pool.take(self._open, patient=patient)
            if connection.generation == self._generation or not self._checks_schema:
                return connection
            self.pool.give_back(connection)  # another file is there now
        idle = bool(self.pool.idle)
        try:
            connection = self._checked(patient)
        except DatabaseUnreachable:
            if not idle:
                raise
            self.pool.close_idle()  # it was lost while it was idle
            connection = self._checked(patient)
        except (SchemaMissing, SchemaUnfinished):
            if not self._create:
                raise
            # Another thread or process has just created the file, or was killed before creating the tables.
            self._set_up()
            connection = self._checked(patient)
        self._check_schema, self._generation = False, connection.generation
        return connection

    def _checked(self, patient: bool) -> Connection:
        """Return a connection after checking the revision of the tables."""
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
        if self.url.kind == "sqlite" and present_file(self.url) is None:
            # Probably a mistyped path; or it was removed, and an empty one in its place would hide that.
            if not self._create or self._generation:
                raise denied(Path(self.url.name)) or NoDatabaseFile(where=self.url)
            self._set_up()
        # First: if the file is replaced now, the connection counts as one to the former file.
        generation, file = self.pool.generation(), present_file(self.url)
        return Connection(*self.pool.hosts.connect(patient=patient), patient, file, generation)

    def _set_up(self) -> None:
        """Create the embedded default at first use."""
        from NexusCore.storage.migrate import migrate

        migrate(self.url)

    def _compare(self, raw: Any) -> None:
        try:
            found = stored_revision(Transaction(raw, self.dialect))
        except self.dialect.errors as error:
            raise self.dialect.translate(error, str(self.url)) from error
        if found is None:
            raise SchemaUnfinished(where=self.url)
        if found != SCHEMA_REVISION:
            # Revisions are numbers of four digits.
            raise (SchemaNewer if found > SCHEMA_REVISION else SchemaMismatch)(
                where=self.url, found=found, needed=SCHEMA_REVISION
            )


def stored_revision(reading: Transaction) -> str | None:
    """Return the revision of a database's tables; None while they are being created.

    Raises
    ------
    SchemaMissing
        If there are none.
    """
    row = reading.one("SELECT version_num FROM alembic_version")
    return None if row is None else str(row[0])


def as_identity(text: object) -> str | None:
    """Return an identity in lower case; None if it has another form, since files are named after it."""
    return text.lower() if isinstance(text, str) and _IDENTITY.fullmatch(text) else None


def open_database(url: DatabaseURL | str, wakeups: Wakeups | None = None) -> Database:
    """Return the database at a URL. The first transaction connects."""
    return Database(DatabaseURL.parse(url) if isinstance(url, str) else url, wakeups=wakeups)
