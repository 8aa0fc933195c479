"""Records and what became of them: where each is, and which destinations have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from NexusCore.clock import SECOND, Clock
from NexusCore.errors import EXIT_REFUSED, NexusError
from NexusCore.storage import Database, Transaction


class NotToBeSent(NexusError):
    """The record of session {identifier} cannot be sent again: {reason}."""

    exit_code = EXIT_REFUSED


class UploadState(StrEnum):
    """How far a record is on its way to one destination."""

    WAITING = "WAITING"
    DONE = "DONE"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Record:
    """A record that was built."""

    id: int
    session_id: int
    path: str
    """Absolute path of the XML file."""
    title: str
    sha256: str
    config_revision: int
    """Revision of the configuration it was built under."""
    software: str
    files: int
    activities: int
    built_ts: int
    session: str
    """Identifier of its session."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A record on its way to a destination."""

    record_id: int
    destination: str
    state: UploadState
    attempts: int
    remote_id: str | None
    """What the destination calls it."""
    url: str | None
    last_error: str | None
    updated_ts: int = 0
    """When its state last changed."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What has become of the records of sessions that are not complete, at one destination."""

    done: int = 0
    refused: int = 0
    """Failed, and not tried again by itself."""


_SELECT = """
    SELECT r.id, r.session_id, r.path, r.title, r.sha256, r.config_revision, r.software, r.files, r.activities,
           r.built_ts, s.identifier
      FROM record r
      JOIN session s ON s.id = r.session_id
"""

_UPLOADS = """
    SELECT record_id, destination, state, attempts, remote_id, url, last_error, updated_ts FROM upload
"""

_BUILT = f"""
    -- records whose sessions are built but not at all their destinations, oldest first
    {_SELECT}
     WHERE s.state = 'BUILT'
     ORDER BY r.id
"""

_NOT_YET = """
    -- destinations to which an attempt was made that must not be repeated yet
    SELECT destination FROM upload WHERE record_id = :record AND state <> 'DONE' AND next_attempt_ts > :now
"""


_NEVER = 1 << 62
"""When to try again what is not to be tried again by itself."""

_TALLIES = """
    -- at each destination, how many records of sessions that are not complete it has, and how many it refused
    SELECT u.destination,
           SUM(CASE WHEN u.state = 'DONE' THEN 1 ELSE 0 END),
           SUM(CASE WHEN u.state = 'ERROR' AND u.next_attempt_ts = :never THEN 1 ELSE 0 END)
      FROM upload u
      JOIN record r ON r.id = u.record_id
      JOIN session s ON s.id = r.session_id
     WHERE s.state = 'BUILT'
     GROUP BY u.destination
"""


class Records:
    """The tables `record` and `upload`.

    Parameters
    ----------
    database, clock
        The facility's own database; the clock stamps what is written.
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
        """Return what writes a record's row, for `Sessions.finish`: both or neither.

        A session has one record; a second build replaces it, and its uploads begin anew if the content differs.
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
                    """UPDATE upload SET state = 'WAITING', attempts = 0, next_attempt_ts = NULL
                        WHERE record_id = :record""",
                    record=old[0],
                )

        return write

    def of_session(self, session_id: int) -> Record | None:
        """Return a session's record, or None."""
        with self._database.reading() as reading:
            row = reading.one(f"{_SELECT} WHERE r.session_id = :session", session=session_id)
        return None if row is None else Record(*row)

    def to_upload(self) -> list[Record]:
        """Return the records that not all destinations have yet, oldest first."""
        with self._database.reading() as reading:
            return [Record(*row) for row in reading.all(_BUILT)]

    def uploads(self, record: Record) -> list[Upload]:
        """Return how far a record is on its way to each destination that was tried."""
        with self._database.reading() as reading:
            rows = reading.all(f"{_UPLOADS} WHERE record_id = :record ORDER BY destination", record=record.id)
        return [Upload(row[0], row[1], UploadState(row[2]), *row[3:]) for row in rows]

    def put_off(self, record: Record) -> set[str]:
        """Return the destinations that failed and are not to be tried again yet."""
        with self._database.reading() as reading:
            return {name for (name,) in reading.all(_NOT_YET, record=record.id, now=self._clock.now())}

    def tallies(self) -> dict[str, Tally]:
        """Return, for each destination that was tried, how it stands with the records of incomplete sessions."""
        with self._database.reading() as reading:
            return {row[0]: Tally(int(row[1]), int(row[2])) for row in reading.all(_TALLIES, never=_NEVER)}

    def uploaded(self, record: Record, destination: str, remote_id: str | None, url: str | None) -> bool:
        """Note that a destination has a record; False if it was built anew meanwhile, and nothing is noted."""
        return self._write(record, destination, UploadState.DONE, remote_id, url, None, None)

    def failed(self, record: Record, destination: str, error: str, retry_seconds: float | None) -> bool:
        """Note that an attempt failed, and when to try again (None: not by itself); False as in `uploaded`."""
        due = self._clock.now() + int(retry_seconds * SECOND) if retry_seconds is not None else _NEVER
        return self._write(record, destination, UploadState.ERROR, None, None, error, due)

    def anew(self, record: Record) -> Callable[[Transaction], None]:
        """Return what has a record sent to all destinations again, for `Sessions.note`: both or neither.

        It raises `NotToBeSent` where the record is not the session's any more, or is about to be replaced.
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
                raise NotToBeSent(identifier=record.session, reason="it was built anew just now")
            transaction.run("UPDATE session SET state = 'BUILT' WHERE id = :id", id=record.session_id)
            transaction.run(
                """UPDATE upload SET state = 'WAITING', attempts = 0, next_attempt_ts = NULL, last_error = NULL,
                          updated_ts = :now
                    WHERE record_id = :record""",
                record=record.id,
                now=self._clock.now(),
            )

        return write

    def complete(self, record: Record, destinations: Sequence[str]) -> bool:
        """Mark the record's session COMPLETED if every destination has it; return whether that is so (001-54)."""

        def complete(transaction: Transaction) -> bool:
            if not _is_current(transaction, record):
                return False
            rows = transaction.all(f"{_UPLOADS} WHERE record_id = :record AND state = 'DONE'", record=record.id)
            if set(destinations) - {row[1] for row in rows}:
                return False
            transaction.run(
                "UPDATE session SET state = 'COMPLETED' WHERE id = :id AND state = 'BUILT'", id=record.session_id
            )
            return True

        return self._database.write(complete)

    def _write(
        self,
        record: Record,
        destination: str,
        state: UploadState,
        remote_id: str | None,
        url: str | None,
        error: str | None,
        due: int | None,
    ) -> bool:
        def write(transaction: Transaction) -> bool:
            if not _is_current(transaction, record):
                return False
            row = transaction.one(
                f"SELECT attempts FROM upload WHERE record_id = :record AND destination = :destination "  # noqa: S608
                f"{transaction.dialect.for_update}",
                record=record.id,
                destination=destination,
            )
            attempts = (int(row[0]) if row else 0) + 1
            columns = (
                "record_id", "destination", "state", "attempts", "next_attempt_ts", "remote_id", "url", "last_error",
                "updated_ts",
            )  # fmt: skip
            values = (record.id, destination, state.value, attempts, due, remote_id, url, error, self._clock.now())
            transaction.upsert("upload", columns, ("record_id", "destination"), [values])
            return True

        return self._database.write(write)


def _is_current(transaction: Transaction, record: Record) -> bool:
    """Tell whether a record is still the one that was read, and keep it so until the transaction ends.

    A session may be built anew while its older record is on its way: what became of that says nothing about the new.
    """
    row = transaction.one(
        f"SELECT sha256 FROM record WHERE id = :record {transaction.dialect.for_update}",  # noqa: S608
        record=record.id,
    )
    return row is not None and row[0] == record.sha256
