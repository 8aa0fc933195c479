"""What happens to a session inside one transaction: START, END and its other events.

Functions take the transaction, so that a caller can write more in the same one. `NexusCore.facility.sessions` has the
promises.
"""

from __future__ import annotations

from collections.abc import Sequence

from NexusCore.clock import readable_time
from NexusCore.config.store import near_miss
from NexusCore.errors import NoSuchSession, SessionElsewhere, SessionOpen
from NexusCore.facility.session import SESSION_TABLE, Client, EventType, Session, State
from NexusCore.storage import Transaction
from NexusCore.storage.transaction import Row

_NAMES = ("id", "identifier", "instrument", "user", "state", "start_ts", "end_ts", "attempts", "last_error")
SELECT_SESSIONS = f"SELECT {', '.join(_NAMES)} FROM session"  # noqa: S608  names from our schema
"""Beginning of a query for sessions; `session_of` reads its rows."""
SESSION_COLUMNS = ", ".join(f"s.{name}" for name in _NAMES)
"""The same columns in a query that joins `session` as ``s``."""
_SESSION_COLUMNS = SESSION_TABLE.only(*_NAMES)
_OVERTAKEN = "ended because session {} was started on the instrument while the facility could not be reached"
CONTINUED = "continued after an interruption"
"""Detail of the RESUME of a session that goes on after a crash or a pause."""
_ONCE = (EventType.START, EventType.END)
"""Events that a session has once; the database enforces it."""


def session_of(row: Row) -> Session:
    """Return the session in a row of `SELECT_SESSIONS`, or of `SESSION_COLUMNS`."""
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


def open_on(transaction: Transaction, instrument: str, *, lock: bool = False) -> Session | None:
    """Return the session that is open on an instrument (pid), or None; `lock` as in `find`."""
    suffix = transaction.dialect.for_update if lock else ""
    row = transaction.one(f"{SELECT_SESSIONS} WHERE open_on = :instrument {suffix}", instrument=instrument)
    return None if row is None else session_of(row)


def start(
    transaction: Transaction,
    instrument: str,
    client: Client,
    identifier: str,
    ts: int,
    *,
    ends: tuple[str, int] | None = None,
    settle: bool = False,
    transfers: bool = False,
) -> Session:
    """Open a session; one that exists stays unchanged.

    Parameters
    ----------
    transaction
        The transaction.
    instrument, client, identifier, ts
        As in `Sessions.start`.
    ends
        The open session that its user has decided to end, and when; it may have ended already.
    settle
        The session began while the facility could not be reached. It ends when the next session on the instrument
        began, if there is one, ended or not; else one that is open ends when this one began. A NOTE says so.
    transfers
        As in `end`, for a session that ends by this.

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
    other = open_on(transaction, instrument, lock=ends is not None or settle)
    following = first_after(transaction, instrument, ts) if settle else None
    until = None
    if following is not None:
        until, other = following.start_ts, following
    elif other is not None and ends is not None and other.identifier == ends[0]:
        end(transaction, other.identifier, client, min(ends[1], ts), transfers=transfers)
    elif other is not None and settle:
        add_event(transaction, other.id, EventType.NOTE, client, ts, _OVERTAKEN.format(identifier))
        end(transaction, other.identifier, client, ts, transfers=transfers)
    elif other is not None:
        raise still_open(other)
    return _insert(transaction, instrument, client, identifier, ts, until, other, transfers=transfers)


def first_after(transaction: Transaction, instrument: str, ts: int) -> Session | None:
    """Return the first session on an instrument that began after a time."""
    condition = "instrument = :instrument AND start_ts > :ts ORDER BY start_ts, id LIMIT 1"
    row = transaction.one(f"{SELECT_SESSIONS} WHERE {condition}", instrument=instrument, ts=ts)
    return None if row is None else session_of(row)


def _insert(
    transaction: Transaction,
    instrument: str,
    client: Client,
    identifier: str,
    ts: int,
    until: int | None,
    other: Session | None,
    *,
    transfers: bool,
) -> Session:
    """Insert a session, open or until another one began."""
    ended = _state_after_end(transfers)
    session_id = transaction.insert(
        "session",
        identifier=identifier,
        instrument=instrument,
        user=client.user,
        state=(State.WAITING_FOR_END if until is None else ended).value,
        start_ts=ts,
        end_ts=until,
        open_on=instrument if until is None else None,
        attempts=0,
    )
    add_event(transaction, session_id, EventType.START, client, ts, None)
    if until is not None and other is not None:
        add_event(transaction, session_id, EventType.NOTE, client, until, _OVERTAKEN.format(other.identifier))
        add_event(transaction, session_id, EventType.END, client, until, None)
    return find(transaction, identifier)


def end(
    transaction: Transaction,
    identifier: str,
    client: Client,
    ts: int,
    *,
    transfers: bool = False,
    detail: str | None = None,
) -> Session:
    """Close a session: event END and the new state together. One that has ended stays unchanged.

    Parameters
    ----------
    transaction, identifier, client, ts
        The session, who ends it, and when.
    transfers
        Its files are still on their way from its PC: `transferred` makes it TO_BE_BUILT, not END.
    detail
        What the event says of the end.

    Raises
    ------
    NoSuchSession
        If it does not exist.
    """
    session = find(transaction, identifier, lock=True)
    if not session.is_open:
        return session
    ts = max(ts, session.start_ts)
    transaction.run(
        "UPDATE session SET state = :state, end_ts = :ts, open_on = NULL WHERE id = :id",
        state=_state_after_end(transfers).value,
        ts=ts,
        id=session.id,
    )
    add_event(transaction, session.id, EventType.END, client, ts, detail)
    return find(transaction, identifier)


def transferred(
    transaction: Transaction, session: Session, client: Client, ts: int, problems: Sequence[str]
) -> Session:
    """Have the record of a session built that has waited for its files, with a PROBLEM event for each text.

    Parameters
    ----------
    transaction, session
        The session, locked by `find`.
    client, ts, problems
        Who ends its transfer, when, and what is missing; see `NexusCore.facility.transfer_end`.
    """
    if not session.awaits_files:
        return session
    transaction.run("UPDATE session SET state = 'TO_BE_BUILT' WHERE id = :id", id=session.id)
    for text in problems:
        add_event(transaction, session.id, EventType.PROBLEM, client, ts, text)
    return find(transaction, session.identifier)


def _state_after_end(transfers: bool) -> State:
    return State.WAITING_FOR_END if transfers else State.TO_BE_BUILT


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


def has_event(
    transaction: Transaction, session_id: int, event: EventType, host: str, detail: str | None, ts: int, within: int
) -> bool:
    """Return whether a session has an event already, from a computer, at a time known to `within` microseconds."""
    rows = transaction.all(
        "SELECT detail FROM session_event WHERE session_id = :session AND event_type = :type AND host = :host "
        "AND ts BETWEEN :first AND :last",
        session=session_id,
        type=event.value,
        host=host,
        first=ts - within,
        last=ts + within,
    )
    return any(stored == detail for (stored,) in rows)


def still_open(session: Session) -> SessionOpen:
    """Return the error about a session that is in the way of another one."""
    start = readable_time(session.start_ts)
    since = "at a time that cannot be read" if start is None else start.astimezone().strftime("%Y-%m-%d %H:%M")
    return SessionOpen(instrument=session.instrument, since=since, user=session.user, identifier=session.identifier)
