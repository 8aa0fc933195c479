"""Sessions that show no sign of life: which they are, that this was said of them, and their end.

Signs of life are the session's events, what its PC reports, and changes among the files that it transfers. Functions
take the transaction, so that what was read still holds when the session is changed.

Promises
--------
* A session that has shown life since the caller looked stays as it is.
* Who ended it stands in its END event, and stays readable: `ended_by`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from NexusCore.clock import readable_time
from NexusCore.facility import transfers, transitions
from NexusCore.facility.session import SESSION_TABLE, Client, Event, EventType, Session
from NexusCore.facility.transitions import SELECT_SESSIONS, session_of
from NexusCore.storage import Transaction

ENDED_BY = "ended by NexusCore: "
"""How the detail of an END event begins that NexusCore wrote itself."""
NO_SIGN = "no sign of life since "
"""How the NOTE begins which says that a session seems to be forgotten."""
_LATE_END = "the session logger reported later that the session ended at "

_OPEN = f"{SELECT_SESSIONS} WHERE open_on IS NOT NULL ORDER BY id"
_AWAITED = f"""
    -- sessions that have ended and whose files are on their way
    {SELECT_SESSIONS} WHERE state = 'WAITING_FOR_END' AND open_on IS NULL AND end_ts IS NOT NULL ORDER BY id
"""
_SEEN = "SELECT seen_ts FROM session WHERE id = :session"
_SEEN_COLUMN = SESSION_TABLE.only("seen_ts")
_NEWEST_EVENT = """
    -- the newest event that is not of a service; one in the future says nothing
    SELECT MAX(ts) FROM session_event WHERE session_id = :session AND user <> :service AND ts <= :now
"""
_SHOWN = """
    -- when it was last said that a session shows no sign of life
    SELECT MAX(ts) FROM session_event
     WHERE session_id = :session AND event_type = 'NOTE' AND user = :service AND detail LIKE :beginning
"""
_NOTED = "SELECT 1 FROM session_event WHERE session_id = :session AND event_type = 'NOTE' AND detail LIKE :beginning"
_END = "SELECT detail FROM session_event WHERE session_id = :session AND event_type = 'END'"
_ENDS = "SELECT session_id, user, host, detail FROM session_event WHERE event_type = 'END' AND session_id IN ({names})"


@dataclass(frozen=True, slots=True)
class SignsOfLife:
    """When a session last showed life. Times are microseconds since the epoch, UTC."""

    event_ts: int
    """Its newest event, its start at least."""
    other_ts: int
    """What its PC reported besides, or a change among its files; 0 for none."""
    shown_ts: int | None
    """When it was said that there is none."""

    @property
    def last_ts(self) -> int:
        """The last of them."""
        return max(self.event_ts, self.other_ts)


def open_sessions(transaction: Transaction) -> list[Session]:
    """Return all open sessions."""
    return [session_of(row) for row in transaction.all(_OPEN)]


def awaiting_files(transaction: Transaction) -> list[Session]:
    """Return the sessions that have ended and whose files are on their way."""
    return [session_of(row) for row in transaction.all(_AWAITED)]


def signs_of_life(transaction: Transaction, session: Session, service: str, now: int) -> SignsOfLife:
    """Return when a session last showed life.

    Parameters
    ----------
    transaction, session
        The session.
    service
        The user in the events of who asks: these are no signs of life.
    now
        The time; what is later is the time of a wrong clock.
    """
    known = (session.start_ts, session.end_ts)
    start = max((ts for ts in known if ts is not None and ts <= now), default=session.start_ts)
    newest = transaction.one(_NEWEST_EVENT, session=session.id, service=service, now=now)
    shown = transaction.one(_SHOWN, session=session.id, service=service, beginning=f"{NO_SIGN}%")
    (seen,), _ = _SEEN_COLUMN.read(transaction.one(_SEEN, session=session.id) or (None,))
    others = (seen, transfers.changed_ts(transaction, session.id))
    return SignsOfLife(
        event_ts=max(start, _number(newest) or 0),
        other_ts=max((ts for ts in others if ts is not None and ts <= now), default=0),
        shown_ts=_number(shown),
    )


def show(transaction: Transaction, session: Session, client: Client, signs: SignsOfLife, sentence: str) -> bool:
    """Say in a NOTE that an open session shows no sign of life; return False if it does, or this was said just now.

    Parameters
    ----------
    transaction, session
        The session.
    client, signs
        The service that says so, and the signs of life that it has seen.
    sentence
        What is said; it begins with `NO_SIGN`.
    """
    now = transaction.now()
    if _unchanged(transaction, session, client, now, signs) is None:
        return False
    transitions.add_event(transaction, session.id, EventType.NOTE, client, now, sentence)
    return True


def end(
    transaction: Transaction,
    session: Session,
    client: Client,
    signs: SignsOfLife,
    end_ts: int,
    reason: str,
) -> Session | None:
    """End an open session that shows no sign of life; return None if it does, or has ended.

    If its PC transfers files, these are still waited for: `NexusCore.facility.transfer_end` says when no longer.

    Parameters
    ----------
    transaction, session
        The session.
    client, signs
        The service that ends it, and the signs of life that it has seen.
    end_ts
        When the session ended; not later than the next one on the instrument began.
    reason
        What the END event says after `ENDED_BY`.
    """
    now = transaction.now()
    found = _unchanged(transaction, session, client, now, signs)
    if found is None:
        return None
    following = transitions.first_after(transaction, session.instrument, session.start_ts)
    until = min(end_ts, now) if following is None else min(end_ts, now, following.start_ts)
    sends = bool(transfers.counts(transaction, session.id))
    return transitions.end(
        transaction, session.identifier, client, until, transfers=sends, detail=f"{ENDED_BY}{reason}"
    )


def _unchanged(
    transaction: Transaction, session: Session, client: Client, now: int, signs: SignsOfLife
) -> Session | None:
    """Lock a session; return None if it has ended or shown life since, or if another Builder has said so.

    `now` is the present time, not that of the caller's look: what happened since must not count as in the future.
    """
    found = transitions.find(transaction, session.identifier, lock=True)
    if not found.is_open or signs_of_life(transaction, found, client.user, now) != signs:
        return None
    return found


def note_late_end(transaction: Transaction, session: Session, client: Client, ts: int) -> None:
    """Keep when, by its PC, a session ended that NexusCore has ended; once. Nothing else of it changes."""
    row = transaction.one(_END, session=session.id)
    if row is None or not str(row[0] or "").startswith(ENDED_BY):
        return
    if transaction.one(_NOTED, session=session.id, beginning=f"{_LATE_END}%") is None:
        transitions.add_event(transaction, session.id, EventType.NOTE, client, ts, f"{_LATE_END}{moment(ts)}")


# -- who ended a session -----------------------------------------------------------------------------------------------


def ended_by(events: Sequence[Event]) -> str | None:
    """Return who ended a session, and why if that was NexusCore itself; None if it has not ended."""
    return next((_ender(one.user, one.host, one.detail) for one in events if one.type is EventType.END), None)


def enders(transaction: Transaction, sessions: Sequence[Session]) -> dict[int, str]:
    """Return who ended each of some sessions, as in `ended_by`, by the sessions' ids."""
    if not sessions:
        return {}
    numbers = {f"session{number}": session.id for number, session in enumerate(sessions)}
    rows = transaction.all(_ENDS.format(names=", ".join(f":{name}" for name in numbers)), **numbers)
    return {int(session): _ender(str(user), str(host), detail) for session, user, host, detail in rows}


def by_nexuscore(ender: str | None) -> bool:
    """Return whether it was NexusCore itself that ended a session, given `ended_by`."""
    return ender is not None and ender.startswith(_ITSELF)


def moment(ts: int) -> str:
    """Return a time as it is written in events: to the minute, in this machine's zone."""
    when = readable_time(ts)
    return "(at a time that cannot be read)" if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M %z")


_ITSELF = ENDED_BY.removeprefix("ended by ")


def _ender(user: str, host: str, detail: object) -> str:
    text = str(detail or "")
    return text.removeprefix("ended by ") if text.startswith(ENDED_BY) else f"{user}@{host}"


def _number(row: Sequence[object] | None) -> int | None:
    return row[0] if row is not None and isinstance(row[0], int) else None
