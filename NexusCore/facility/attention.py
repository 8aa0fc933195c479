"""Sessions and uploads that a person should look at: failed, forgotten, waiting, unfinished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from NexusCore.facility.record import UPLOAD
from NexusCore.facility.session import SESSION_TABLE
from NexusCore.storage import Transaction
from NexusCore.storage.rows import TEXT, Columns
from NexusCore.text import readable

ATTEMPTS_ALONE = 3
"""After so many failed attempts, further ones probably do not help without a person."""

_NUMBERS_BY_STATE = "SELECT state, COUNT(*) FROM session GROUP BY state ORDER BY state"

_OPEN = """
    -- sessions that started long ago and have not ended, oldest first
    SELECT identifier, instrument, user, start_ts FROM session
     WHERE open_on IS NOT NULL AND start_ts < :before
     ORDER BY start_ts
"""

_AWAITING_FILES = """
    -- sessions that ended long ago and still wait for their files, oldest first
    SELECT identifier, instrument, end_ts FROM session
     WHERE state = 'WAITING_FOR_END' AND open_on IS NULL AND end_ts < :before
     ORDER BY end_ts
"""

_FAILED = """
    -- sessions whose record could not be built, newest first
    SELECT identifier, instrument, attempts, next_attempt_ts, last_error FROM session
     WHERE state = 'ERROR'
     ORDER BY end_ts DESC, id DESC
"""

_WAITING_LONG = """
    -- sessions that a Builder should have started on long ago, oldest first
    SELECT identifier, instrument, COALESCE(next_attempt_ts, end_ts) FROM session
     WHERE state = 'TO_BE_BUILT' AND COALESCE(next_attempt_ts, end_ts) < :before
     ORDER BY end_ts, id
"""

_LEASES_EXPIRED = """
    -- sessions whose Builder stopped responding, oldest first
    SELECT identifier, instrument, lease_owner, lease_until FROM session
     WHERE state = 'BUILDING' AND lease_until < :now
     ORDER BY lease_until
"""

_UPLOADS_REFUSED = """
    -- records that a destination refused, newest first
    SELECT s.identifier, u.destination, u.attempts, u.next_attempt_ts, u.last_error
      FROM upload u
      JOIN record r ON r.id = u.record_id
      JOIN session s ON s.id = r.session_id
     WHERE u.state = 'ERROR'
     ORDER BY u.updated_ts DESC, u.id DESC
"""

_UNFINISHED = """
    -- sessions that are not finished, newest first
    SELECT identifier, instrument, state, start_ts, end_ts, attempts, next_attempt_ts, lease_owner, lease_until,
           last_error
      FROM session
     WHERE state IN ('ERROR', 'BUILDING', 'WAITING_FOR_END')
     ORDER BY id DESC
     LIMIT :count
"""

_UPLOADS_UNFINISHED = """
    -- uploads that are not done, newest first
    SELECT s.identifier, u.destination, u.state, u.attempts, u.next_attempt_ts, u.updated_ts, u.last_error
      FROM upload u
      JOIN record r ON r.id = u.record_id
      JOIN session s ON s.id = r.session_id
     WHERE u.state <> 'DONE'
     ORDER BY u.id DESC
     LIMIT :count
"""

AttentionRow = Sequence[Any]
"""Values of a session or an upload; unreadable ones are replaced: see `NexusCore.storage.rows.Columns.read`."""

_OF_OPEN = SESSION_TABLE.only("identifier", "instrument", "user", "start_ts")
_OF_AWAITING = SESSION_TABLE.only("identifier", "instrument", "end_ts")
_OF_FAILED = SESSION_TABLE.only("identifier", "instrument", "attempts", "next_attempt_ts", "last_error")
_OF_WAITING = SESSION_TABLE.only("identifier", "instrument", "next_attempt_ts")
_OF_EXPIRED = SESSION_TABLE.only("identifier", "instrument", "lease_owner", "lease_until")
_OF_UPLOADS = Columns(
    "upload", {"identifier": TEXT, **UPLOAD.only("destination", "attempts", "next_attempt_ts", "last_error").columns}
)

_UNFINISHED_FIELDS = (
    "identifier", "instrument", "state", "start", "end", "attempts", "next", "lease", "lease_until", "error",
)  # fmt: skip
_UPLOAD_FIELDS = ("session", "destination", "state", "attempts", "next", "updated", "error")


@dataclass(frozen=True, slots=True)
class SessionsInNeed:
    """Sessions by the reason why a person should look at them. Times are in microseconds since the epoch, UTC."""

    numbers: list[tuple[str, int]]
    """How many sessions are in each state."""
    open: list[AttentionRow]
    """Identifier, instrument, user, start."""
    awaiting_files: list[AttentionRow]
    """Identifier, instrument, end."""
    failed: list[AttentionRow]
    """Identifier, instrument, attempts, time of the next one, last error."""
    waiting: list[AttentionRow]
    """Identifier, instrument, since when."""
    expired: list[AttentionRow]
    """Identifier, instrument, owner and end of the lease."""


def sessions_in_need(
    reading: Transaction, *, started_before: int, ended_before: int, waiting_before: int, now: int
) -> SessionsInNeed:
    """Return the sessions that need attention.

    Parameters
    ----------
    reading
        A transaction on the facility's tables.
    started_before
        Open sessions that started before this time were probably forgotten; microseconds since the epoch.
    ended_before
        The files of sessions that ended before this time should have arrived.
    waiting_before
        A Builder should have started on sessions due before this time.
    now
        The database's time, by which leases end.
    """
    return SessionsInNeed(
        numbers=[(readable(state), int(count)) for state, count in reading.all(_NUMBERS_BY_STATE)],
        open=_values(_OF_OPEN, reading.all(_OPEN, before=started_before)),
        awaiting_files=_values(_OF_AWAITING, reading.all(_AWAITING_FILES, before=ended_before)),
        failed=_values(_OF_FAILED, reading.all(_FAILED)),
        waiting=_values(_OF_WAITING, reading.all(_WAITING_LONG, before=waiting_before)),
        expired=_values(_OF_EXPIRED, reading.all(_LEASES_EXPIRED, now=now)),
    )


def refused_uploads(reading: Transaction) -> list[AttentionRow]:
    """Return what destinations refused: session, destination, attempts, time of the next one, last error."""
    return _values(_OF_UPLOADS, reading.all(_UPLOADS_REFUSED))


def unfinished(reading: Transaction, count: int) -> dict[str, list[dict[str, object]]]:
    """Return at most `count` each of ``sessions`` and ``uploads`` that are not finished, as stored, by field."""
    return {
        "sessions": _by_field(_UNFINISHED_FIELDS, reading.all(_UNFINISHED, count=count)),
        "uploads": _by_field(_UPLOAD_FIELDS, reading.all(_UPLOADS_UNFINISHED, count=count)),
    }


def _values(columns: Columns, rows: Sequence[AttentionRow]) -> list[AttentionRow]:
    return [columns.read(row)[0] for row in rows]


def _by_field(fields: Sequence[str], rows: Sequence[AttentionRow]) -> list[dict[str, object]]:
    return [dict(zip(fields, row, strict=True)) for row in rows]
