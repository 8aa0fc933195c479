"""What became of the files that a session's PC transfers: reading the table `transfer_file`.

`Transfers` reads in transactions of its own, the functions in one that is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from NexusCore.clock import Clock
from NexusCore.facility.session import SESSION_TABLE
from NexusCore.facility.transfer_file import (
    MOST_ROWS,
    SELECT_FILES,
    FileState,
    Place,
    TransferFile,
    file_of,
    object_digest,
    path_digest,
)
from NexusCore.storage import Database, Transaction
from NexusCore.storage.transaction import Row

_COUNTS = "SELECT state, COUNT(*) FROM transfer_file WHERE session_id = :session GROUP BY state"
_ALL_COUNTS = "SELECT state, COUNT(*) FROM transfer_file GROUP BY state"
_OLDEST = """
    -- since when a file that is still awaited has not changed, the longest
    SELECT MIN(f.changed_ts)
      FROM transfer_file f
      JOIN session s ON s.id = f.session_id
     WHERE s.state = 'WAITING_FOR_END' AND f.state IN ('waiting', 'growing', 'locked', 'sending', 'checking', 'failed')
"""
_CHANGED = "SELECT MAX(changed_ts) FROM transfer_file WHERE session_id = :session"
_SHARING = """
    -- other files with the same object
    SELECT object_md5, md5 FROM transfer_file WHERE object_sha256 = :digest AND id <> :id
"""
_REPAIRS = f"""
    -- damaged files of an instrument's sessions
    {SELECT_FILES}
      JOIN session s ON s.id = f.session_id
     WHERE f.state = 'damaged' AND s.instrument = :instrument
     ORDER BY f.id
     LIMIT :count
"""
_TO_CHECK = f"""
    -- stored files that have not been looked at for long, the longest first
    {SELECT_FILES}
     WHERE f.state = 'verified' AND f.checked_ts < :before
     ORDER BY f.checked_ts, f.id
     LIMIT :count
"""
_ABANDONED = f"""
    -- files whose upload has not been finished for long
    {SELECT_FILES}
     WHERE f.upload_ref IS NOT NULL AND f.changed_ts < :before
     ORDER BY f.id
     LIMIT :count
"""
_ANY_OBJECT = """
    -- a file of an instrument that is in a store
    SELECT f.id FROM transfer_file f JOIN session s ON s.id = f.session_id
     WHERE s.instrument = :instrument AND f.store = :store AND f.verified_ts IS NOT NULL
     LIMIT 1
"""
_OF_SESSION = "SELECT identifier, instrument FROM session WHERE id = :id"
_SESSION_NAMES = SESSION_TABLE.only("identifier", "instrument")


@dataclass(frozen=True, slots=True)
class TransferFigures:
    """All files that were ever transferred or are on their way."""

    states: dict[FileState, int]
    oldest_ts: int | None
    """Since when the one of those on their way that has waited longest has not changed."""


class Transfers:
    """Reads the table `transfer_file`.

    Parameters
    ----------
    database, clock
        The facility's own database, and the source of times.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def files(
        self, session_id: int, states: Collection[FileState] = (), after: int = 0, limit: int = MOST_ROWS
    ) -> list[TransferFile]:
        """Return files of a session in the order of their ids; of all states if none is named.

        Parameters
        ----------
        session_id, states
            Which.
        after, limit
            Only those with higher ids, and how many of them at most.
        """
        return self._database.read(lambda reading: files(reading, session_id, states, after, limit))

    def all(self, session_id: int, states: Collection[FileState] = ()) -> Iterator[TransferFile]:
        """Yield all files of a session, read in portions."""
        after = 0
        while portion := self.files(session_id, states, after):
            yield from portion
            after = portion[-1].id

    def counts(self, session_id: int) -> dict[FileState, int]:
        """Return the number of a session's files in each state that occurs."""
        return self._database.read(lambda reading: counts(reading, session_id))

    def changed_ts(self, session_id: int) -> int | None:
        """Return when any file of a session last changed; None if it has no files."""
        return self._database.read(lambda reading: changed_ts(reading, session_id))

    def figures(self) -> TransferFigures:
        """Return the present figures of the whole facility."""

        def read(reading: Transaction) -> TransferFigures:
            oldest = reading.one(_OLDEST)
            found = dict.fromkeys(FileState, 0) | _by_state(reading.all(_ALL_COUNTS))
            return TransferFigures(found, oldest[0] if oldest is not None and isinstance(oldest[0], int) else None)

        return self._database.read(read)


# -- reading in a transaction ------------------------------------------------------------------------------------------


def files(
    transaction: Transaction,
    session_id: int,
    states: Collection[FileState] = (),
    after: int = 0,
    limit: int = MOST_ROWS,
) -> list[TransferFile]:
    """Return files of a session; see `Transfers.files`."""
    names = {f"state{number}": state.value for number, state in enumerate(sorted(set(states)))}
    among = f"AND f.state IN ({', '.join(f':{name}' for name in names)})" if names else ""
    sql = f"{SELECT_FILES} WHERE f.session_id = :session AND f.id > :after {among} ORDER BY f.id LIMIT :count"
    rows = transaction.all(sql, session=session_id, after=after, count=limit, **names)
    return [file_of(row) for row in rows]


def counts(transaction: Transaction, session_id: int) -> dict[FileState, int]:
    """Return the number of a session's files in each state that occurs."""
    return _by_state(transaction.all(_COUNTS, session=session_id))


def changed_ts(transaction: Transaction, session_id: int) -> int | None:
    """Return when any file of a session last changed; None if it has no files."""
    row = transaction.one(_CHANGED, session=session_id)
    return row[0] if row is not None and isinstance(row[0], int) else None


def find_file(
    transaction: Transaction, session_id: int, folder: str, path: str, *, lock: bool = False
) -> TransferFile | None:
    """Return a file of a session; None if it was never reported. With `lock`, it does not change meanwhile."""
    return _one(transaction, "f.path_sha256 = :key", session_id, path_digest(folder, path), lock=lock)


def find_upload(transaction: Transaction, session_id: int, upload: str, *, lock: bool = False) -> TransferFile | None:
    """Return the file that an upload is of, while it is the file's present one; `lock` as in `find_file`."""
    return _one(transaction, "f.upload = :key", session_id, upload, lock=lock)


def sharing(transaction: Transaction, place: Place, file_id: int) -> list[str | None]:
    """Return the MD5 of each other file that has, or is to get, the same object."""
    digest = object_digest(place.store, place.pid, place.object)
    return [stored or md5 for stored, md5 in transaction.all(_SHARING, digest=digest, id=file_id)]


def has_objects(transaction: Transaction, store: str, pid: str) -> bool:
    """Return whether files of an instrument are in a store, as far as is known."""
    return transaction.one(_ANY_OBJECT, store=store, instrument=pid) is not None


def repairs(transaction: Transaction, instrument: str, count: int) -> list[TransferFile]:
    """Return files of an instrument (pid) whose stored copy is damaged."""
    return [file_of(row) for row in transaction.all(_REPAIRS, instrument=instrument, count=count)]


def to_check(transaction: Transaction, before_ts: int, count: int) -> list[TransferFile]:
    """Return verified files that were last looked at before a time."""
    return [file_of(row) for row in transaction.all(_TO_CHECK, before=before_ts, count=count)]


def abandoned(transaction: Transaction, before_ts: int, count: int) -> list[TransferFile]:
    """Return files whose upload was begun before a time, and that have not changed since."""
    return [file_of(row) for row in transaction.all(_ABANDONED, before=before_ts, count=count)]


def session_names(transaction: Transaction, session_id: int) -> tuple[str, str]:
    """Return identifier and instrument (pid) of a session."""
    row = transaction.one(_OF_SESSION, id=session_id)
    assert row is not None  # noqa: S101  a foreign key leads to it
    (identifier, instrument), _ = _SESSION_NAMES.read(row)
    return identifier, instrument


# -- private -----------------------------------------------------------------------------------------------------------


def _one(transaction: Transaction, condition: str, session_id: int, key: str, *, lock: bool) -> TransferFile | None:
    suffix = transaction.dialect.for_update if lock else ""
    row = transaction.one(
        f"{SELECT_FILES} WHERE f.session_id = :session AND {condition} {suffix}", session=session_id, key=key
    )
    return None if row is None else file_of(row)


def _by_state(rows: Sequence[Row]) -> dict[FileState, int]:
    found: dict[FileState, int] = {}
    for text, count in rows:
        # A value that somebody wrote by hand counts as one kind.
        state = FileState(text) if text in set(FileState) else FileState.UNKNOWN
        found[state] = found.get(state, 0) + int(count)
    return found
