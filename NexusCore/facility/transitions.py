"""What happens to a session inside one transaction: START, END and its other events.

Functions take the transaction, so that a caller can write more in the same one. `NexusCore.facility.sessions` has the
promises.
"""

from __future__ import annotations

from NexusCore.clock import readable_time
from NexusCore.config.store import near_miss
from NexusCore.errors import NoSuchSession, SessionElsewhere, SessionOpen
from NexusCore.facility.session import SESSION_TABLE, Client, EventType, Session, State
from NexusCore.storage import Transaction
from NexusCore.storage.transaction import Row

SELECT_SESSIONS = "SELECT id, identifier, instrument, user, state, start_ts, end_ts, attempts, last_error FROM session"
"""Beginning of a query for sessions; `session_of` reads its rows."""
_SESSION_COLUMNS = SESSION_TABLE.only(
    "id", "identifier", "instrument", "user", "state", "start_ts", "end_ts", "attempts", "last_error"
)
_ONCE = (EventType.START, EventType.END)
"""Events that a session has once; the database enforces it."""


def session_of(row: Row) -> Session:
    """Return the session in a row of `SELECT_SESSIONS`."""
    return _SESSION_COLUMNS.make(Session, row)


def find(transaction: Transaction, identifier: str, *, lock: bool = False) -> Session:
    """Return a session; with `lock`, no other transaction changes it until this one ends.

    Raises
    ------
    NoSuchSession
        If it does not exist.
    """
    suffix = transaction.dialect.for_update if lock else ""
    row = transaction.one(f"{SELECT_SESSIONS} WHERE identifier = :identifier {suffix}", identifier=identifier)
    if row is None:
        known = [name for (name,) in transaction.all("SELECT identifier FROM session ORDER BY id DESC LIMIT 200")]
        raise NoSuchSession(identifier=identifier, hint=near_miss(identifier, known))
    return session_of(row)


def open_on(transaction: Transaction, instrument: str) -> Session | None:
    """Return the session that is open on an instrument (pid), or None."""
    row = transaction.one(f"{SELECT_SESSIONS} WHERE open_on = :instrument", instrument=instrument)
    return None if row is None else session_of(row)


def start(transaction: Transaction, instrument: str, client: Client, identifier: str, ts: int) -> Session:
    """Open a session; one that exists stays unchanged.

    Parameters
    ----------
    transaction
        The transaction.
    instrument, client, identifier, ts
        As in `Sessions.start`.

    Raises
    ------
    SessionOpen
        If another session is open on the instrument.
    SessionElsewhere
        If the session was started on another instrument.
    """
    row = transaction.one(f"{SELECT_SESSIONS} WHERE identifier = :identifier", identifier=identifier)
    if row is not None:
        if session_of(row).instrument != instrument:
            raise SessionElsewhere(identifier=identifier, instrument=session_of(row).instrument)
        return session_of(row)
    other = open_on(transaction, instrument)
    if other is not None:
        raise still_open(other)
    session_id = transaction.insert(
        "session",
        identifier=identifier,
        instrument=instrument,
        user=client.user,
        state=State.WAITING_FOR_END.value,
        start_ts=ts,
        open_on=instrument,
        attempts=0,
    )
    add_event(transaction, session_id, EventType.START, client, ts, None)
    return find(transaction, identifier)


def end(transaction: Transaction, identifier: str, client: Client, ts: int) -> Session:
    """Close a session: event END and state TO_BE_BUILT together. One that has ended stays unchanged.

    Raises
    ------
    NoSuchSession
        If it does not exist.
    """
    session = find(transaction, identifier, lock=True)
    if session.state is not State.WAITING_FOR_END:
        return session
    ts = max(ts, session.start_ts)
    transaction.run(
        "UPDATE session SET state = 'TO_BE_BUILT', end_ts = :ts, open_on = NULL WHERE id = :id", ts=ts, id=session.id
    )
    add_event(transaction, session.id, EventType.END, client, ts, None)
    return find(transaction, identifier)


def add_event(
    transaction: Transaction, session_id: int, event: EventType, client: Client, ts: int, detail: str | None
) -> None:
    """Add an event to a session, given by its id."""
    transaction.insert(
        "session_event",
        session_id=session_id,
        event_type=event.value,
        ts=ts,
        user=client.user,
        host=client.host,
        zone=client.zone,
        clock_offset=client.clock_offset,
        detail=detail,
        unique_type=event.value if event in _ONCE else None,
    )


def still_open(session: Session) -> SessionOpen:
    """Return the error about a session that is in the way of another one."""
    start = readable_time(session.start_ts)
    since = "at a time that cannot be read" if start is None else start.astimezone().strftime("%Y-%m-%d %H:%M")
    return SessionOpen(instrument=session.instrument, since=since, user=session.user, identifier=session.identifier)
