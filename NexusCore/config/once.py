"""A change of the configuration is stored exactly once, even if the answer to its COMMIT is lost.

Every writer first locks the one row of `config_revision`, and all but those that only add a version change it: two
writers never interleave, and on a cluster with several writable hosts, a transaction left over by a dead host conflicts
with the next one and is given up. So it is enough to check, under that lock, whether the change is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from NexusCore.clock import Clock
from NexusCore.config.changes import NAME_LENGTH, Change, Origin
from NexusCore.errors import CommitUnknown, ConfigException, DatabaseBusy, DatabaseUnreachable
from NexusCore.storage import Database, Transaction

CHANGE_WAIT_SECONDS = 10.0
"""How long a change waits for concurrent changes."""

_REVISION = "SELECT revision FROM config_revision WHERE id = 1"

_SAME_CHANGE = """
    -- a change, if this program made it at this time
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
    """Return the newest revision, and lock the configuration until the transaction ends."""
    return _revision(transaction, transaction.dialect.for_update)


def write_once(
    database: Database,
    clock: Clock,
    work: Callable[[Transaction, int], T],
    is_there: Callable[[Transaction, T, int], bool],
) -> T:
    """Run `work` in a transaction, again after conflicts; return its result.

    Parameters
    ----------
    database, clock
        The database, and the clock for the time of the change.
    work
        Makes the change; it may run several times, always with the same time.
    is_there
        Returns whether the change with a certain result is there; asked if the COMMIT got no answer.
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
            raise unknown from None  # it may be stored: the other error would say that it is not
    database.notify("config_revision")
    return result


def changes_are_there(origin: Origin) -> Callable[[Transaction, list[Change], int], bool]:
    """Return a check for `write_once`: whether the changes of a transaction are stored, with this origin."""

    def are_there(transaction: Transaction, changes: list[Change], now: int) -> bool:
        if not changes:
            return False
        who, host, tool = (text[:NAME_LENGTH] for text in (origin.who, origin.host, origin.tool))
        return bool(transaction.one(_SAME_CHANGE, revision=changes[-1].revision, ts=now, who=who, host=host, tool=tool))

    return are_there


def version_is_there(name: str) -> Callable[[Transaction, int, int], bool]:
    """Return a check for `write_once`: whether a version was added."""
    return lambda transaction, version_id, now: bool(transaction.one(_SAME_VERSION, id=version_id, name=name, ts=now))


def _revision(transaction: Transaction, lock: str) -> int:
    row = transaction.one(f"{_REVISION} {lock}")
    if row is None:
        raise ConfigException(reason="the row of config_revision is missing; run python -m NexusCore.storage.migrate")
    if type(row[0]) is int:
        return row[0]
    # The counter cannot be read: it equals the revision of the newest change, and the next change repairs it.
    newest = transaction.one("SELECT MAX(revision) FROM config_change")
    return newest[0] if newest is not None and type(newest[0]) is int else 0
