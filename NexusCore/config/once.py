"""A change of the configuration is stored once, also when the answer to its COMMIT was lost.

All writers take the lock on the one row of `config_revision` first, and all but those who only add a version change it:
two can never interleave, and on a cluster whose hosts all take writes, what one host left over when it died conflicts
with what comes next and is given up. So it is enough to look, under that lock, whether the change is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from NexusCore.clock import Clock
from NexusCore.config.changes import NAME_LENGTH, Change, Origin
from NexusCore.errors import CommitUnknown, ConfigException, DatabaseBusy, DatabaseUnreachable
from NexusCore.storage import Database, Transaction

CHANGE_WAIT_SECONDS = 10.0
"""How long a change waits for others that are in its way."""

_REVISION = "SELECT revision FROM config_revision WHERE id = 1"

_SAME_CHANGE = """
    -- a change, if it is the one that was made at this time by this program
    SELECT revision
      FROM config_change
     WHERE revision = :revision AND ts = :ts AND who = :who AND host = :host AND tool = :tool
"""

_SAME_VERSION = "SELECT id FROM config_version WHERE id = :id AND name = :name AND created_ts = :ts"

T = TypeVar("T")


def newest_revision(transaction: Transaction) -> int:
    """Return the newest revision."""
    return _revision(transaction, "")


def lock_revision(transaction: Transaction) -> int:
    """Return the newest revision, and see to it that nobody else changes anything until the transaction ends."""
    return _revision(transaction, transaction.dialect.for_update)


def write_once(
    database: Database,
    clock: Clock,
    work: Callable[[Transaction, int], T],
    is_there: Callable[[Transaction, T, int], bool],
) -> T:
    """Run `work` with the time in a transaction, again where others are in the way; return its result.

    Parameters
    ----------
    database, clock
        Where, and whose time.
    work
        Makes the change; it may run several times, with the same time.
    is_there
        Returns whether a change that gave a certain result is there, for one whose COMMIT got no answer.
    """
    now = clock.now()
    results: list[T] = []

    def attempt(transaction: Transaction) -> T:
        if results:
            lock_revision(transaction)
            if is_there(transaction, results[0], now):
                return results[0]
        result = work(transaction, now)
        results[:] = [result]
        return result

    try:
        result = database.write(attempt, seconds=CHANGE_WAIT_SECONDS)
    except CommitUnknown as unknown:
        try:
            result = database.write(attempt, seconds=CHANGE_WAIT_SECONDS)
        except (DatabaseUnreachable, DatabaseBusy):
            raise unknown from None  # it may be stored: another sentence would say that it is not
    database.notify("config_revision")
    return result


def changes_are_there(origin: Origin) -> Callable[[Transaction, list[Change], int], bool]:
    """Return what tells whether the changes that a transaction was to make are there, and of this origin."""

    def are_there(transaction: Transaction, changes: list[Change], now: int) -> bool:
        if not changes:
            return False
        who, host, tool = (text[:NAME_LENGTH] for text in (origin.who, origin.host, origin.tool))
        return bool(transaction.one(_SAME_CHANGE, revision=changes[-1].revision, ts=now, who=who, host=host, tool=tool))

    return are_there


def version_is_there(name: str) -> Callable[[Transaction, int, int], bool]:
    """Return what tells whether a version that was to be added is there."""
    return lambda transaction, version_id, now: bool(transaction.one(_SAME_VERSION, id=version_id, name=name, ts=now))


def _revision(transaction: Transaction, lock: str) -> int:
    row = transaction.one(f"{_REVISION} {lock}")
    if row is None:
        raise ConfigException(reason="the row of config_revision is missing; run python -m NexusCore.storage.migrate")
    if type(row[0]) is int:
        return row[0]
    # A counter that cannot be read: it is always that of the newest change, and the next one sets it right.
    newest = transaction.one("SELECT MAX(revision) FROM config_change")
    return newest[0] if newest is not None and type(newest[0]) is int else 0
