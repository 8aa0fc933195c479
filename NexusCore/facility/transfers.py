"""The table `transfer_file`: what became of the files that a session's PC transfers.

Functions take the transaction, so that a caller can write more in the same one; `Transfers` reads.

Promises
--------
* What a PC reports never makes a file verified or damaged, and never undoes that for the same content.
* A file is verified only with the MD5 that was found in the store, and only by the upload that is its present one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from NexusCore.clock import Clock
from NexusCore.facility.session import SESSION_TABLE
from NexusCore.facility.transfer_file import (
    MOST_ROWS,
    REPORTED,
    SELECT_FILES,
    FileReport,
    FileState,
    TransferFile,
    file_of,
    object_digest,
    path_digest,
)
from NexusCore.storage import Database, Transaction
from NexusCore.storage.transaction import Row

__all__ = ["FileReport", "FileState", "TransferFile", "Transfers"]

KEYS_PER_QUERY = 100
"""Files that are looked up in one query."""
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
    SELECT session_id, md5, object_md5 FROM transfer_file WHERE object_sha256 = :digest AND id <> :id
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
     WHERE f.upload IS NOT NULL AND f.changed_ts < :before
     ORDER BY f.id
     LIMIT :count
"""
_REPORTED = """
    UPDATE transfer_file
       SET size = :size, modified_ts = :modified_ts, md5 = :md5, state = :state, sent = :sent, reason = :reason,
           next_try_ts = :next_try_ts, changed_ts = :now
     WHERE id = :id
"""
_OF_SESSION = "SELECT identifier, instrument FROM session WHERE id = :id"
_SESSION_NAMES = SESSION_TABLE.only("identifier", "instrument")


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """What an upload is of, and where it goes."""

    folder: str
    path: str
    size: int
    modified_ts: int
    md5: str
    store: str
    """Name of the store; empty for the instrument's own folder."""
    pid: str
    object: str
    """The name that it will have in the store, if that is free."""
    keeps: bool = False
    """Whether an earlier version is stored under this name, and stays verified until this one replaces it."""


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


def sharing(transaction: Transaction, store: str, pid: str, name: str, file_id: int) -> list[tuple[int, str | None]]:
    """Return the session and the MD5 of each other file that has, or is to get, the same object."""
    rows = transaction.all(_SHARING, digest=object_digest(store, pid, name), id=file_id)
    return [(session_id, stored or md5) for session_id, md5, stored in rows]


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


# -- changes -----------------------------------------------------------------------------------------------------------


def report(transaction: Transaction, session_id: int, reports: Sequence[FileReport], now: int) -> int:
    """Store what a PC says of files of a session; the newest report of a file wins.

    Returns
    -------
    int
        How many reports were taken.
    """
    newest = {path_digest(report.folder, report.path): report for report in reports}
    stored: dict[str, TransferFile] = {}
    digests = list(newest)
    for first in range(0, len(digests), KEYS_PER_QUERY):
        names = {f"key{number}": digest for number, digest in enumerate(digests[first : first + KEYS_PER_QUERY])}
        sql = (
            f"{SELECT_FILES} WHERE f.session_id = :session AND f.path_sha256 IN "
            f"({', '.join(f':{name}' for name in names)}) {transaction.dialect.for_update}"
        )
        found = [file_of(row) for row in transaction.all(sql, session=session_id, **names)]
        stored |= {path_digest(file.folder, file.path): file for file in found}
    for digest, said in newest.items():
        file = stored.get(digest)
        if file is None:
            _insert(transaction, session_id, said, now)
        else:
            _take_over(transaction, file, said, now)
    return len(reports)


def begin_upload(
    transaction: Transaction,
    session_id: int,
    target: UploadTarget,
    upload: str,
    kind: str,
    ref: Mapping[str, Any],
    now: int,
) -> TransferFile:
    """Note that an upload begins, instead of the one that the file may have had; return the file."""
    file = find_file(transaction, session_id, target.folder, target.path, lock=True)
    if file is None:
        said = FileReport(target.folder, target.path, target.size, target.modified_ts, md5=target.md5)
        _insert(transaction, session_id, said, now)
        file = _found(transaction, session_id, target)
    damaged = file.state is FileState.DAMAGED
    transaction.run(
        """UPDATE transfer_file
              SET size = :size, modified_ts = :modified, md5 = :md5, state = :state, sent = 0, reason = NULL,
                  next_try_ts = NULL, attempts = attempts + 1, store = :store, object = :object,
                  object_sha256 = :digest, object_md5 = :object_md5, verified_ts = :verified, upload = :upload,
                  upload_kind = :kind, upload_ref = :ref, changed_ts = :now
            WHERE id = :id""",
        size=target.size,
        modified=target.modified_ts,
        md5=target.md5,
        # A damaged file stays in the list of repairs until it is right again.
        state=(FileState.DAMAGED if damaged else FileState.SENDING).value,
        store=target.store,
        object=target.object,
        digest=object_digest(target.store, target.pid, target.object),
        object_md5=file.object_md5 if target.keeps else None,
        verified=file.verified_ts if target.keeps else None,
        upload=upload,
        kind=kind,
        ref=json.dumps(dict(ref)),
        now=now,
        id=file.id,
    )
    return _found(transaction, session_id, target)


def set_checking(transaction: Transaction, file: TransferFile, now: int) -> None:
    """Note that all of a file has arrived; the store's copy is read now."""
    sql = """UPDATE transfer_file SET state = 'checking', sent = size, reason = NULL, changed_ts = :now
              WHERE id = :id AND upload = :upload AND state <> 'damaged'"""
    transaction.run(sql, now=now, id=file.id, upload=file.upload)


def set_verified(transaction: Transaction, file_id: int, target: UploadTarget, upload: str | None, now: int) -> bool:
    """Note that the object of an upload has the content that it should have.

    Parameters
    ----------
    transaction, now
        The transaction and the time.
    file_id, target
        The file, what was found, and under which name.
    upload
        The upload that is finished by this; None if the store had the content already.

    Returns
    -------
    bool
        False if another upload of the file has begun meanwhile; nothing is changed then.
    """
    return bool(
        transaction.run(
            """UPDATE transfer_file
                  SET size = :size, modified_ts = :modified, md5 = :md5, state = 'verified', sent = :size,
                      reason = NULL, next_try_ts = NULL, store = :store, object = :object, object_sha256 = :digest,
                      object_md5 = :md5, upload = NULL, upload_kind = NULL, upload_ref = NULL, verified_ts = :now,
                      checked_ts = :now, changed_ts = :now
                WHERE id = :id AND (:upload IS NULL OR upload = :upload)""",
            size=target.size,
            modified=target.modified_ts,
            md5=target.md5,
            store=target.store,
            object=target.object,
            digest=object_digest(target.store, target.pid, target.object),
            now=now,
            id=file_id,
            upload=upload,
        )
    )


def adopt(transaction: Transaction, session_id: int, target: UploadTarget, now: int) -> None:
    """Note that the store has the content of a file already."""
    file = find_file(transaction, session_id, target.folder, target.path, lock=True)
    if file is None:
        said = FileReport(target.folder, target.path, target.size, target.modified_ts, md5=target.md5)
        _insert(transaction, session_id, said, now)
        file = _found(transaction, session_id, target)
    set_verified(transaction, file.id, target, None, now)


def drop_upload(transaction: Transaction, file: TransferFile, reason: str | None, now: int) -> None:
    """Note that an upload has been given up; its file waits again, with a sentence why."""
    transaction.run(
        """UPDATE transfer_file
              SET upload = NULL, upload_kind = NULL, upload_ref = NULL, sent = 0, reason = :reason, changed_ts = :now,
                  state = CASE WHEN state IN ('sending', 'checking') THEN 'waiting' ELSE state END
            WHERE id = :id AND upload = :upload""",
        reason=reason,
        now=now,
        id=file.id,
        upload=file.upload,
    )


def set_checked(transaction: Transaction, file: TransferFile, now: int) -> None:
    """Note that the store's copy is still right."""
    transaction.run("UPDATE transfer_file SET checked_ts = :now WHERE id = :id", now=now, id=file.id)


def set_damaged(transaction: Transaction, file: TransferFile, reason: str, now: int) -> bool:
    """Note that the store's copy is missing or wrong; return False if the file has changed meanwhile."""
    return bool(
        transaction.run(
            """UPDATE transfer_file
                  SET state = 'damaged', reason = :reason, verified_ts = NULL, checked_ts = :now, changed_ts = :now
                WHERE id = :id AND state = 'verified' AND object_md5 = :md5""",
            reason=reason,
            now=now,
            id=file.id,
            md5=file.object_md5,
        )
    )


# -- private -----------------------------------------------------------------------------------------------------------


def _insert(transaction: Transaction, session_id: int, said: FileReport, now: int) -> None:
    state = said.state if said.state in REPORTED and said.state is not FileState.VERIFIED else FileState.WAITING
    transaction.insert(
        "transfer_file",
        session_id=session_id,
        folder=said.folder,
        path=said.path,
        path_sha256=path_digest(said.folder, said.path),
        size=said.size,
        modified_ts=said.modified_ts,
        md5=said.md5,
        state=state.value,
        sent=min(said.sent, said.size),
        reason=said.reason,
        next_try_ts=said.next_try_ts,
        attempts=0,
        store="",
        changed_ts=now,
    )


def _take_over(transaction: Transaction, file: TransferFile, said: FileReport, now: int) -> None:
    """Store a report about a file that is known."""
    same = said.md5 == file.md5 if said.md5 else (said.size, said.modified_ts) == (file.size, file.modified_ts)
    if file.state in (FileState.VERIFIED, FileState.DAMAGED) and (same or said.state is FileState.GONE):
        return
    state = said.state
    if said.md5 is not None and said.md5 == file.object_md5 and file.verified_ts is not None:
        state = FileState.VERIFIED  # it was found in the store, and has not been missed since
    elif state is FileState.VERIFIED or state not in REPORTED:
        state = FileState.WAITING
    new: dict[str, Any] = {
        "size": said.size,
        "modified_ts": said.modified_ts,
        "md5": said.md5 or (file.md5 if same else None),
        "state": state,
        "sent": said.size if state is FileState.VERIFIED else min(said.sent, said.size),
        "reason": said.reason,
        "next_try_ts": said.next_try_ts,
    }
    if any(getattr(file, name) != value for name, value in new.items()):
        transaction.run(_REPORTED, **{**new, "state": state.value}, now=now, id=file.id)


def _one(transaction: Transaction, condition: str, session_id: int, key: str, *, lock: bool) -> TransferFile | None:
    suffix = transaction.dialect.for_update if lock else ""
    row = transaction.one(
        f"{SELECT_FILES} WHERE f.session_id = :session AND {condition} {suffix}", session=session_id, key=key
    )
    return None if row is None else file_of(row)


def _found(transaction: Transaction, session_id: int, target: UploadTarget) -> TransferFile:
    file = find_file(transaction, session_id, target.folder, target.path)
    assert file is not None  # noqa: S101  it was written in this transaction
    return file


def _by_state(rows: Sequence[Row]) -> dict[FileState, int]:
    found: dict[FileState, int] = {}
    for text, count in rows:
        # A value that somebody wrote by hand counts as one kind.
        state = FileState(text) if text in set(FileState) else FileState.UNKNOWN
        found[state] = found.get(state, 0) + int(count)
    return found
