"""Finished records that a destination never got, and those that are to be sent again, many at a time.

A destination that is added to the configuration gets the records that are built from then on; those of sessions that
were complete before, it gets when a person asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from NexusCore.facility.record import RECORD, Record
from NexusCore.storage import Database, Transaction
from NexusCore.storage.rows import TEXT, Columns

_COLUMNS = Columns("record", {**RECORD.columns, "identifier": TEXT})

_NEVER_SENT = """
    -- how many records of complete sessions have no upload at a destination
    SELECT COUNT(*)
      FROM record r
      JOIN session s ON s.id = r.session_id
     WHERE s.state = 'COMPLETED'
       AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.record_id = r.id AND u.destination = :destination)
"""

_FINISHED = """
    -- records that may be sent again, oldest first
    SELECT r.id, r.session_id, r.path, r.title, r.sha256, r.config_revision, r.software, r.files, r.activities,
           r.built_ts, s.identifier
      FROM record r
      JOIN session s ON s.id = r.session_id
     WHERE s.state IN ('BUILT', 'COMPLETED') AND s.start_ts >= :since
       AND (:failed = 0 OR EXISTS (
               SELECT 1 FROM upload u
                WHERE u.record_id = r.id AND u.state = 'ERROR'
                  AND (u.destination = :destination OR :destination = '')))
     ORDER BY r.id
"""

_DUE_AGAIN = """
    -- the uploads of a record, of one destination or all, of those that failed or all
    UPDATE upload
       SET state = 'WAITING', attempts = 0, next_attempt_ts = :now, last_error = NULL, updated_ts = :now
     WHERE record_id = :record AND (destination = :destination OR :destination = '')
       AND (:failed = 0 OR state = 'ERROR')
"""


def never_sent(database: Database, destinations: Iterable[str]) -> dict[str, int]:
    """Return by destination how many records of complete sessions it was never sent."""
    with database.reading() as reading:
        counts = {}
        for name in destinations:
            row = reading.one(_NEVER_SENT, destination=name)
            counts[name] = int(row[0]) if row is not None else 0
        return counts


def finished_records(
    database: Database, since: int = 0, destination: str = "", *, failed: bool = False
) -> list[Record]:
    """Return the records of finished sessions, oldest first.

    Parameters
    ----------
    database
        The facility's own.
    since
        Only of sessions that started then or later.
    destination, failed
        With `failed`, only those that could not be sent to the destination, or to any where the name is empty.
    """
    with database.reading() as reading:
        rows = reading.all(_FINISHED, since=since, destination=destination, failed=int(failed))
    return [_COLUMNS.make(Record, row) for row in rows]


def make_due(transaction: Transaction, record: int, destination: str = "", *, failed: bool = False) -> None:
    """Make uploads of a record due, as if they had not been tried.

    Parameters
    ----------
    transaction
        That also notes it with the session.
    record
        Its id.
    destination, failed
        Only to this destination, also if it was never sent there, or all where the name is empty; with `failed` only
        what could not be sent.
    """
    if destination and not failed:
        columns = ("record_id", "destination", "state", "attempts", "next_attempt_ts", "updated_ts")
        now = transaction.now()
        transaction.insert_new("upload", columns, [(record, destination, "WAITING", 0, now, now)])
    transaction.run(_DUE_AGAIN, record=record, destination=destination, failed=int(failed), now=transaction.now())
