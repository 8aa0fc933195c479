"""What the Gateway stores beside a session: the digest of its token, and when its PC was last at work."""

from __future__ import annotations

from dataclasses import dataclass

from NexusCore.facility.session import EventType, Session
from NexusCore.facility.transitions import session_of
from NexusCore.storage import Transaction

_SESSION = """
    -- a session with the digest of its token
    SELECT id, identifier, instrument, user, state, start_ts, end_ts, attempts, last_error, token_sha256, seen_ts
      FROM session
     WHERE identifier = :identifier
"""
_LAST_BREAK = """
    -- whether it was last paused or resumed
    SELECT event_type FROM session_event
     WHERE session_id = :session AND event_type IN ('PAUSE', 'RESUME')
     ORDER BY id DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class GuardedSession:
    """A session, and what its own token must be."""

    session: Session
    token_sha256: str | None
    """SHA-256 of the token; None if the session was not started through the Gateway."""
    seen_ts: int | None
    """When its PC last reported that it is at work; microseconds since the epoch, UTC."""


def guarded(transaction: Transaction, identifier: str) -> GuardedSession | None:
    """Return a session with the digest of its token; None if it does not exist."""
    row = transaction.one(_SESSION, identifier=identifier)
    return None if row is None else GuardedSession(session_of(row[:-2]), row[-2], row[-1])


def set_digest(transaction: Transaction, session: Session, digest: str) -> None:
    """Store the SHA-256 of a session's token."""
    transaction.run("UPDATE session SET token_sha256 = :digest WHERE id = :id", digest=digest, id=session.id)


def set_seen(transaction: Transaction, session: Session, now: int) -> None:
    """Note that the PC of a session is at work, while it is open or its files are on their way."""
    sql = "UPDATE session SET seen_ts = :now WHERE id = :id AND state = 'WAITING_FOR_END'"
    transaction.run(sql, now=now, id=session.id)


def is_paused(transaction: Transaction, session: Session) -> bool:
    """Return whether an open session is paused."""
    row = None if session.end_ts is not None else transaction.one(_LAST_BREAK, session=session.id)
    return row is not None and row[0] == EventType.PAUSE.value
