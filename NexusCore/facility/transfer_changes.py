"""What becomes of the files that a session's PC transfers: changing the table `transfer_file`.

Functions take the transaction, so that a caller can write more in the same one.

Promises
--------
* What a PC reports never makes a file verified or damaged, and never undoes that for the same content.
* A file is verified only with the MD5 that was found in the store, and only by the upload that is its present one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from NexusCore.errors import EXIT_REFUSED, NexusError
from NexusCore.facility.transfer_file import (
    REPORTED,
    SELECT_FILES,
    Content,
    FileReport,
    FileState,
    Place,
    TransferFile,
    file_of,
    object_digest,
    path_digest,
)
from NexusCore.facility.transfers import counts, find_file, session_names
from NexusCore.storage import Transaction

MISSING, CHANGED = "its stored copy is missing", "its stored copy has another content"
"""Why a file is damaged."""
KEYS_PER_QUERY = 100
"""Files that are looked up in one query."""
MOST_FILES = 200_000
"""Files of one session: a PC's token must not fill the database."""


class TooManyFiles(NexusError):
    """The session {identifier} has {most} files; more cannot be reported."""

    exit_code = EXIT_REFUSED


_STORED = """
    -- an upload ended when another one had begun: that may then replace what was stored
    UPDATE transfer_file SET object_md5 = :found_md5, verified_ts = :now
     WHERE id = :id AND object_sha256 = :digest
"""
_PLACED = """
    UPDATE transfer_file
       SET store = :store, object = :object, object_sha256 = :digest, object_md5 = :found_md5, upload_ref = NULL,
           verified_ts = :now, checked_ts = :now, changed_ts = :now
     WHERE id = :id
"""
_VERIFIED = """
    -- unless the PC has said meanwhile that the file has changed
    UPDATE transfer_file
       SET size = :size, modified_ts = :modified, md5 = :md5, state = 'verified', sent = :size, reason = NULL,
           next_try_ts = NULL, changed_ts = :now
     WHERE id = :id
"""
_REPORTED = """
    UPDATE transfer_file
       SET size = :size, modified_ts = :modified_ts, md5 = :md5, state = :state, sent = :sent, reason = :reason,
           next_try_ts = :next_try_ts, changed_ts = :now
     WHERE id = :id
"""


def report(transaction: Transaction, session_id: int, reports: Sequence[FileReport], now: int) -> int:
    """Store what a PC says of files of a session; the newest report of a file wins.

    Returns
    -------
    int
        How many reports were taken.

    Raises
    ------
    TooManyFiles
        If the session would have more files than `MOST_FILES`.
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
    if len(stored) < len(newest):
        _check_room(transaction, session_id, len(newest) - len(stored))
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
    content: Content,
    upload: str,
    kind: str,
    ref: Mapping[str, Any],
    now: int,
) -> TransferFile:
    """Note that an upload begins, instead of the one that the file may have had; return the file.

    What is stored of an earlier version stays known, until `place_upload` or `set_verified`.
    """
    file = _known(transaction, session_id, content, now)
    transaction.run(
        """UPDATE transfer_file
              SET size = :size, modified_ts = :modified, md5 = :md5, state = :state, sent = 0, reason = NULL,
                  next_try_ts = NULL, attempts = attempts + 1, upload = :upload, upload_kind = :kind,
                  upload_ref = :ref, changed_ts = :now
            WHERE id = :id""",
        size=content.size,
        modified=content.modified_ts,
        md5=content.md5,
        # A damaged file stays in the list of repairs until it is right again.
        state=(FileState.DAMAGED if file.state is FileState.DAMAGED else FileState.SENDING).value,
        upload=upload,
        kind=kind,
        ref=json.dumps(dict(ref)),
        now=now,
        id=file.id,
    )
    return _known(transaction, session_id, content, now)


def place_upload(
    transaction: Transaction, file: TransferFile, place: Place, kind: str, ref: Mapping[str, Any], *, keeps: bool
) -> bool:
    """Note where an upload goes to; return False if another one of the file has begun meanwhile.

    Parameters
    ----------
    transaction, file
        The transaction, and the file with the upload.
    place, kind, ref
        What the Gateway needs to go on with it.
    keeps
        Whether an earlier version is stored there, and stays until this one replaces it.
    """
    present = _locked(transaction, file)
    if present is None or present.upload != file.upload:
        return False
    transaction.run(
        """UPDATE transfer_file
              SET store = :store, object = :object, object_sha256 = :digest, object_md5 = :object_md5,
                  verified_ts = :verified, upload_kind = :kind, upload_ref = :ref
            WHERE id = :id""",
        store=place.store,
        object=place.object,
        digest=object_digest(place.store, place.pid, place.object),
        object_md5=present.object_md5 if keeps else None,
        verified=present.verified_ts if keeps else None,
        kind=kind,
        ref=json.dumps(dict(ref)),
        id=file.id,
    )
    return True


def set_checking(transaction: Transaction, file: TransferFile, now: int) -> None:
    """Note that all of a file has arrived and is read now; not if the PC has said since that the file has changed."""
    sql = """UPDATE transfer_file SET state = 'checking', sent = size, reason = NULL, changed_ts = :now
              WHERE id = :id AND upload = :upload AND md5 = :md5 AND state <> 'damaged'"""
    transaction.run(sql, now=now, id=file.id, upload=file.upload, md5=file.md5)


def set_verified(transaction: Transaction, file: TransferFile, content: Content, place: Place, now: int) -> bool:
    """Note that the object of a file has the content that it should have.

    Parameters
    ----------
    transaction, now
        The transaction and the time.
    file
        The file, with the upload that is finished by this.
    content, place
        What was found in the store, and where.

    Returns
    -------
    bool
        False if another upload of the file has begun meanwhile; only what is stored is noted then.
    """
    present = _locked(transaction, file)
    if present is None:
        return False
    found = {"digest": object_digest(place.store, place.pid, place.object), "found_md5": content.md5, "now": now}
    if present.upload != file.upload:
        transaction.run(_STORED, id=file.id, **found)
        return False
    transaction.run(_PLACED, id=file.id, store=place.store, object=place.object, **found)
    changed = (present.size, present.modified_ts) != (content.size, content.modified_ts)
    if present.md5 == content.md5 or (present.md5 is None and not changed):
        transaction.run(
            _VERIFIED, id=file.id, size=content.size, modified=content.modified_ts, md5=content.md5, now=now
        )
    return True


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


def set_restored(transaction: Transaction, file: TransferFile, now: int) -> bool:
    """Note that the copy of a damaged file is right again; return False if the file has changed meanwhile."""
    return bool(
        transaction.run(
            """UPDATE transfer_file
                  SET state = 'verified', reason = NULL, object_md5 = md5, verified_ts = :now, checked_ts = :now,
                      changed_ts = :now
                WHERE id = :id AND state = 'damaged' AND md5 = :md5 AND upload_ref IS NULL""",
            now=now,
            id=file.id,
            md5=file.md5,
        )
    )


# -- private -----------------------------------------------------------------------------------------------------------


def _check_room(transaction: Transaction, session_id: int, more: int) -> None:
    if sum(counts(transaction, session_id).values()) + more > MOST_FILES:
        raise TooManyFiles(identifier=session_names(transaction, session_id)[0], most=f"{MOST_FILES:,}")


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


def _locked(transaction: Transaction, file: TransferFile) -> TransferFile | None:
    """Return a file as it is now; it does not change until the transaction ends."""
    row = transaction.one(f"{SELECT_FILES} WHERE f.id = :id {transaction.dialect.for_update}", id=file.id)
    return None if row is None else file_of(row)


def _known(transaction: Transaction, session_id: int, content: Content, now: int) -> TransferFile:
    """Return the locked row of a file, new if there is none."""
    file = find_file(transaction, session_id, content.folder, content.path, lock=True)
    if file is None:
        _check_room(transaction, session_id, 1)
        said = FileReport(content.folder, content.path, content.size, content.modified_ts, md5=content.md5)
        _insert(transaction, session_id, said, now)
        file = find_file(transaction, session_id, content.folder, content.path)
    assert file is not None  # noqa: S101  it was written in this transaction
    return file
