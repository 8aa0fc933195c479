"""The tables of records and their uploads.

Promises
--------
* From the first check of a record on, there is a row for each destination that should get it.
* An Uploader that sends a record holds a lease on its row: only one of several Uploaders, on any machines, sends it.
* Leases and due times use the database's clock: a machine with a wrong clock takes nothing from others.
* A successful upload stays recorded, even if another attempt is reported later as failed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from NexusCore import sizes
from NexusCore.clock import SECOND, Clock
from NexusCore.facility.record import NEVER, RECORD, UPLOAD, NotToBeSent, Record, Tally, Upload, UploadState
from NexusCore.facility.resending import make_due
from NexusCore.storage import Database, Transaction
from NexusCore.storage.rows import TEXT, Columns
from NexusCore.text import readable

__all__ = ["NotToBeSent", "Record", "Records", "Tally", "Upload", "UploadState"]


_RECORD_COLUMNS = Columns("record", {**RECORD.columns, "identifier": TEXT})
_UPLOAD_COLUMNS = UPLOAD.only(
    "record_id", "destination", "state", "attempts", "remote_id", "url", "last_error", "updated_ts", "next_attempt_ts",
    "unanswered_ts", "pid",
)  # fmt: skip
_LEASE = UPLOAD.only("lease_owner", "lease_until")
_UPLOAD_STATE = UPLOAD.only("state")

_RECORD = """
    r.id, r.session_id, r.path, r.title, r.sha256, r.config_revision, r.software, r.files, r.activities, r.built_ts,
    s.identifier
"""

_SELECT_RECORDS = f"SELECT {_RECORD} FROM record r JOIN session s ON s.id = r.session_id"  # noqa: S608  names from our schema

_SELECT_UPLOADS = """
    SELECT record_id, destination, state, attempts, remote_id, url, last_error, updated_ts, next_attempt_ts,
           unanswered_ts, pid
      FROM upload
"""

_HELD = _SELECT_UPLOADS.replace("pid", "pid, lease_owner, lease_until")

_BUILT = f"""
    -- records of sessions that are built but not uploaded everywhere, oldest first
    {_SELECT_RECORDS}
     WHERE s.state = 'BUILT'
     ORDER BY r.id
"""

_STANDING = """
    -- the states of their uploads
    SELECT u.record_id, u.destination, u.state
      FROM upload u
      JOIN record r ON r.id = u.record_id
      JOIN session s ON s.id = r.session_id
     WHERE s.state = 'BUILT'
"""

_OF_THE_SENT = "s.state IN ('BUILT', 'COMPLETED')"
"""Sessions whose records may be sent; also COMPLETED ones, since one destination may be enough to complete them."""

_IS_FREE = "(upload.lease_until IS NULL OR upload.lease_until < :now OR upload.lease_owner = :owner)"

_DUE = f"""
    -- what is due to be sent or checked, and not leased to others, oldest first
    SELECT upload.destination, {_RECORD}
      FROM upload
      JOIN record r ON r.id = upload.record_id
      JOIN session s ON s.id = r.session_id
     WHERE upload.next_attempt_ts <= :now AND (upload.state = 'DONE') = :there AND {_OF_THE_SENT} AND {_IS_FREE}
     ORDER BY r.id
"""  # noqa: S608  names from our schema

_AWAY = f"""
    -- all that was due at an unusable destination: it stays due
    UPDATE upload
       SET state = 'ERROR', attempts = attempts + 1, last_error = :error, next_attempt_ts = :now, updated_ts = :now
     WHERE destination = :destination AND state <> 'DONE' AND next_attempt_ts <= :now AND {_IS_FREE}
       AND record_id IN (SELECT r.id FROM record r JOIN session s ON s.id = r.session_id WHERE {_OF_THE_SENT})
"""  # noqa: S608  names from our schema

_DESTINATION_DROPPED = """
    -- a destination removed from the configuration; refused and unsettled uploads are kept
    DELETE FROM upload
     WHERE record_id = :record AND destination = :destination AND state <> 'DONE' AND next_attempt_ts < :never
       AND unanswered_ts IS NULL AND lease_owner IS NULL
"""

_LEFT = "lease_owner = :owner AND lease_until > 0 AND next_attempt_ts IS NOT NULL"

_TALLIES = f"""
    -- by destination, how many records wait and how many were refused
    SELECT u.destination,
           SUM(CASE WHEN u.next_attempt_ts < :never THEN 1 ELSE 0 END),
           SUM(CASE WHEN u.next_attempt_ts = :never THEN 1 ELSE 0 END)
      FROM upload u
      JOIN record r ON r.id = u.record_id
      JOIN session s ON s.id = r.session_id
     WHERE u.next_attempt_ts IS NOT NULL AND u.state <> 'DONE' AND {_OF_THE_SENT}
     GROUP BY u.destination
"""  # noqa: S608  names from our schema


class Records:
    """The tables `record` and `upload`.

    Parameters
    ----------
    database, clock
        The facility's own database; the clock stamps records with the time they were built.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def writer(
        self,
        session_id: int,
        *,
        path: str,
        title: str,
        sha256: str,
        config_revision: int,
        software: str,
        files: int,
        activities: int,
    ) -> Callable[[Transaction], None]:
        """Return a function that writes a record's row, for the transaction of `Sessions.finish`.

        A session has one record; a second build replaces it, and its uploads start again if the content differs.

        Parameters
        ----------
        session_id, path, title, sha256
            The session, and file, title and checksum of its record.
        config_revision, software
            Revision of the configuration and version of the software that built it.
        files, activities
            Their numbers in the record.
        """
        columns = (
            "session_id", "path", "title", "sha256", "config_revision", "software", "files", "activities", "built_ts",
        )  # fmt: skip
        row = (session_id, path, title, sha256, config_revision, software, files, activities, self._clock.now())

        def write(transaction: Transaction) -> None:
            old = transaction.one("SELECT id, sha256 FROM record WHERE session_id = :session", session=session_id)
            transaction.upsert("record", columns, ("session_id",), [row])
            if old is not None and old[1] != sha256:
                transaction.run(
                    """UPDATE upload SET state = 'WAITING', attempts = 0, next_attempt_ts = :now
                        WHERE record_id = :record""",
                    record=old[0],
                    now=transaction.now(),
                )

        return write

    def of_session(self, session_id: int) -> Record | None:
        """Return a session's record, or None."""
        with self._database.reading() as reading:
            row = reading.one(f"{_SELECT_RECORDS} WHERE r.session_id = :session", session=session_id)
        return None if row is None else _RECORD_COLUMNS.make(Record, row)

    def to_upload(self) -> list[Record]:
        """Return the records that some destination still lacks, oldest first."""
        with self._database.reading() as reading:
            return [_RECORD_COLUMNS.make(Record, row) for row in reading.all(_BUILT)]

    def uploads(self, record: Record) -> list[Upload]:
        """Return the uploads of a record, ordered by destination."""
        with self._database.reading() as reading:
            rows = reading.all(f"{_SELECT_UPLOADS} WHERE record_id = :record ORDER BY destination", record=record.id)
        return [_UPLOAD_COLUMNS.make(Upload, row) for row in rows]

    def standing(self) -> dict[int, dict[str, UploadState]]:
        """Return the upload states of the records `to_upload`, by record id and destination."""
        states: dict[int, dict[str, UploadState]] = {}
        with self._database.reading() as reading:
            for record, destination, state in reading.all(_STANDING):
                (read,), _ = _UPLOAD_STATE.read((state,))
                states.setdefault(record, {})[readable(destination)] = read
        return states

    def tallies(self) -> dict[str, Tally]:
        """Return the number of missing records for each destination that lacks some."""
        with self._database.reading() as reading:
            return {row[0]: Tally(int(row[1]), int(row[2])) for row in reading.all(_TALLIES, never=NEVER)}

    def now(self) -> int:
        """Return the database's time, which the times of uploads are based on."""
        with self._database.reading() as reading:
            return reading.now()

    # -- what is to be sent --------------------------------------------------------------------------------------------

    def expect(self, missing: Iterable[tuple[Record, str]]) -> None:
        """Add rows for records and their destinations; existing ones stay unchanged."""
        columns = ("record_id", "destination", "state", "attempts", "next_attempt_ts", "updated_ts")
        places = [(record.id, name, UploadState.WAITING.value, 0) for record, name in missing]

        def write(transaction: Transaction) -> None:
            now = transaction.now()
            transaction.insert_new("upload", columns, [(*place, now, now) for place in places])

        if places:
            self._database.write(write)

    def drop(self, surplus: Collection[tuple[int, str]]) -> None:
        """Remove rows of record ids and destinations; refused and unsettled uploads stay."""

        def write(transaction: Transaction) -> None:
            for record, destination in surplus:
                transaction.run(_DESTINATION_DROPPED, record=record, destination=destination, never=NEVER)

        if surplus:
            self._database.write(write)

    def due(self, owner: str, *, there: bool = False) -> dict[str, list[Record]]:
        """Return by destination what this Uploader may send now, or with `there` check again; oldest first."""
        records: dict[str, list[Record]] = {}
        with self._database.reading() as reading:
            for destination, *row in reading.all(_DUE, now=reading.now(), owner=owner, there=int(there)):
                records.setdefault(destination, []).append(_RECORD_COLUMNS.make(Record, row))
        return records

    def claim(self, record: Record, destination: str, owner: str, lease_seconds: float) -> Upload | None:
        """Lease a record for a destination; return None if it is not due or leased to another Uploader.

        Parameters
        ----------
        record, destination, owner
            From `due`; unique name of this Uploader.
        lease_seconds
            Length of the lease; `renew` extends it.
        """

        def claim(transaction: Transaction) -> Upload | None:
            if not _may_leave(transaction, record):
                return None
            upload, holder, until = _row(transaction, record, destination)
            now = transaction.now()
            if upload is None or upload.next_attempt_ts is None or upload.next_attempt_ts > now:
                return None
            if holder not in (None, owner) and until >= now:
                return None
            values: dict[str, object] = {"lease_owner": owner, "lease_until": now + int(lease_seconds * SECOND)}
            if holder is not None:  # its last holder did not finish
                values["unanswered_ts"] = now
            _change(transaction, record, destination, values)
            return upload if holder is None else replace(upload, unanswered_ts=now)

        return self._database.write(claim)

    def renew(self, destination: str, owner: str, lease_seconds: float) -> None:
        """Extend the leases that an Uploader still holds at a destination, to `lease_seconds` from now."""
        sql = """UPDATE upload SET lease_until = :until
                  WHERE lease_owner = :owner AND destination = :destination AND lease_until >= :now
                    AND next_attempt_ts IS NOT NULL"""

        def renew(transaction: Transaction) -> None:
            now = transaction.now()
            until = now + int(lease_seconds * SECOND)
            transaction.run(sql, until=until, owner=owner, destination=destination, now=now)

        self._database.write(renew)

    def abandon(self, owner: str) -> None:
        """End the leases of an Uploader that is known to have ended."""
        with self._database.reading() as reading:
            if reading.one(f"SELECT id FROM upload WHERE {_LEFT} LIMIT 1", owner=owner) is None:  # noqa: S608
                return
        sql = f"UPDATE upload SET lease_until = 0 WHERE {_LEFT}"  # noqa: S608  names from our schema
        self._database.write(lambda transaction: transaction.run(sql, owner=owner))

    # -- what became of it ---------------------------------------------------------------------------------------------

    def uploaded(
        self,
        record: Record,
        destination: str,
        remote_id: str | None,
        url: str | None,
        *,
        owner: str | None = None,
        look_seconds: float | None = None,
        pid: str | None = None,
    ) -> bool:
        """Note that a destination has a record.

        Parameters
        ----------
        record, destination
            As they were claimed.
        remote_id, url
            What the destination calls it, and where it shows it.
        owner
            Who claimed it; None if it was not claimed.
        look_seconds
            When to check it again, from now; None if earlier attempts can no longer take effect.
        pid
            The persistent identifier that the destination gave it.

        Returns
        -------
        bool
            False if it was rebuilt meanwhile, or claimed by another: nothing is recorded then.
        """

        def done(old: Upload, now: int) -> dict[str, object]:
            there = old.state is UploadState.DONE
            values: dict[str, object] = {
                "state": UploadState.DONE.value,
                "attempts": old.attempts if there else old.attempts + 1,
                "next_attempt_ts": None if look_seconds is None else now + int(look_seconds * SECOND),
                "remote_id": remote_id,
                "url": url,
                "pid": pid,
                "last_error": None,
                "updated_ts": old.updated_ts if there else now,
            }
            return values if look_seconds is not None else {**values, "unanswered_ts": None}

        return self._write(record, destination, owner, done)

    def failed(
        self,
        record: Record,
        destination: str,
        error: str,
        retry_seconds: float | None,
        *,
        owner: str | None = None,
        unanswered: bool = False,
        at_work: bool = False,
    ) -> bool:
        """Note that an attempt failed.

        Parameters
        ----------
        record, destination, owner
            As for `uploaded`.
        error
            A sentence for the operators.
        retry_seconds
            When to try again, from now; None: not automatically.
        unanswered
            The attempt may have taken effect, or still may.
        at_work
            The attempt still runs, only the wait for it ended: the lease expires by itself.

        Returns
        -------
        bool
            False as for `uploaded`; also if the record is there, which stays so: it is only checked again.
        """

        def failed(old: Upload, now: int) -> dict[str, object]:
            due = now + int(retry_seconds * SECOND) if retry_seconds is not None else None
            if old.state is UploadState.DONE:
                return {"next_attempt_ts": due} if old.next_attempt_ts is not None or unanswered else {}
            return {
                "state": UploadState.ERROR.value,
                "attempts": old.attempts + 1,
                "next_attempt_ts": NEVER if due is None else due,
                "remote_id": None,
                "url": None,
                "last_error": sizes.truncate(error, sizes.LAST_ERROR),
                "updated_ts": now,
            }

        return self._write(record, destination, owner, failed, unanswered=unanswered, at_work=at_work)

    def away(self, destination: str, error: str, owner: str) -> None:
        """Record for all that is due at a destination that it cannot be used now; it stays due."""
        values = {"destination": destination, "error": sizes.truncate(error, sizes.LAST_ERROR), "owner": owner}
        self._database.write(lambda transaction: transaction.run(_AWAY, now=transaction.now(), **values))

    def resend(self, record: Record, destination: str = "", *, failed: bool = False) -> Callable[[Transaction], None]:
        """Return a function that queues a record again, for the transaction of `Sessions.note`.

        It raises `NotToBeSent` if the record was replaced, or is about to be. Parameters as for `resending.make_due`.
        A COMPLETED session becomes BUILT only if the record is to go to all destinations: the record of a BUILT one
        goes to every destination in use, also to those that were added later.
        """

        def write(transaction: Transaction) -> None:
            row = transaction.one(
                f"SELECT state FROM session WHERE id = :id {transaction.dialect.for_update}",  # noqa: S608
                id=record.session_id,
            )
            state = row[0] if row is not None else "gone"
            if state not in ("BUILT", "COMPLETED"):
                raise NotToBeSent(identifier=record.session, reason=f"it is {state}, not BUILT or COMPLETED")
            if not _is_current(transaction, record):
                raise NotToBeSent(identifier=record.session, reason="it has just been rebuilt")
            if not (destination or failed):
                transaction.run("UPDATE session SET state = 'BUILT' WHERE id = :id", id=record.session_id)
            make_due(transaction, record.id, destination, failed=failed)

        return write

    def complete(self, record: Record, destinations: Sequence[str]) -> bool:
        """Mark the record's session COMPLETED if every destination has it; return whether this changed it."""

        def complete(transaction: Transaction) -> bool:
            if not _is_current(transaction, record):
                return False
            rows = transaction.all(f"{_SELECT_UPLOADS} WHERE record_id = :record AND state = 'DONE'", record=record.id)
            if set(destinations) - {row[1] for row in rows}:
                return False
            sql = "UPDATE session SET state = 'COMPLETED' WHERE id = :id AND state = 'BUILT'"
            return transaction.run(sql, id=record.session_id) > 0

        return self._database.write(complete)

    def _write(
        self,
        record: Record,
        destination: str,
        owner: str | None,
        change: Callable[[Upload, int], dict[str, object]],
        *,
        unanswered: bool = False,
        at_work: bool = False,
    ) -> bool:
        """Store the result of an attempt and release its lease; return whether the state was set."""

        def write(transaction: Transaction) -> bool:
            current = _is_current(transaction, record)
            upload, holder, _ = _row(transaction, record, destination)
            now = transaction.now()
            if upload is None:
                if not current:
                    return False
                upload = Upload(record.id, destination, UploadState.WAITING, 0, None, None, None)
                columns = ("record_id", "destination", "state", "attempts", "next_attempt_ts", "updated_ts")
                transaction.insert_new("upload", columns, [(record.id, destination, upload.state.value, 0, now, now)])
            mine = owner is None or holder in (None, owner)
            values = change(upload, now) if current and mine else {}
            if unanswered:
                values["unanswered_ts"] = now
            if owner is not None and holder == owner and not at_work:
                values.update(lease_owner=None, lease_until=None)
            if values:
                _change(transaction, record, destination, values)
            return "state" in values

        return self._database.write(write)


def _row(transaction: Transaction, record: Record, destination: str) -> tuple[Upload | None, str | None, int]:
    """Return a record's upload, the holder of the lease and its end; the row is locked."""
    condition = f"WHERE record_id = :record AND destination = :destination {transaction.dialect.for_update}"
    row = transaction.one(f"{_HELD} {condition}", record=record.id, destination=destination)
    if row is None:
        return None, None, 0
    (holder, until), _ = _LEASE.read(row[-2:])
    return _UPLOAD_COLUMNS.make(Upload, row[:-2]), holder, until or 0


def _change(transaction: Transaction, record: Record, destination: str, values: Mapping[str, object]) -> None:
    columns = ", ".join(f"{name} = :{name}" for name in values)
    sql = f"UPDATE upload SET {columns} WHERE record_id = :record AND destination = :destination"  # noqa: S608
    transaction.run(sql, record=record.id, destination=destination, **values)


def _may_leave(transaction: Transaction, record: Record) -> bool:
    """Return whether a record is current and its session is in a state to be sent."""
    if not _is_current(transaction, record):
        return False
    sql = f"SELECT s.id FROM session s WHERE s.id = :id AND {_OF_THE_SENT}"  # noqa: S608  names from our schema
    return transaction.one(sql, id=record.session_id) is not None


def _is_current(transaction: Transaction, record: Record) -> bool:
    """Return whether a record is still the one that was read, and lock it until the transaction ends.

    A session may be rebuilt while its older record is being sent: the result does not apply to the new record.
    """
    row = transaction.one(
        f"SELECT sha256 FROM record WHERE id = :record {transaction.dialect.for_update}",  # noqa: S608
        record=record.id,
    )
    return row is not None and row[0] == record.sha256
