"""Sessions at the instruments, from START to their record; one transaction per step.

Promises
--------
* An instrument has at most one open session; of two simultaneous starts, one is refused.
* END and the change of state happen together or not at all; ending twice is the same as ending once.
* A session is claimed by one Builder at a time, until its lease expires by the database's clock.
* Events are ordered by their number; a clock that is set back does not change the order.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from dataclasses import asdict

from NexusCore import sizes
from NexusCore.clock import SECOND, Clock
from NexusCore.errors import EXIT_REFUSED, DatabaseRefused, NexusError
from NexusCore.facility import transitions
from NexusCore.facility.session import (
    ALL,
    SESSION_EVENT,
    Client,
    Event,
    EventType,
    Selection,
    Session,
    State,
    check_names,
)
from NexusCore.facility.transitions import SELECT_SESSIONS, session_of
from NexusCore.storage import Database, Transaction

__all__ = ["ALL", "Client", "Event", "EventType", "NotToBeBuilt", "Selection", "Session", "Sessions", "State"]


class NotToBeBuilt(NexusError):
    """The session {identifier} cannot be queued for building: {reason}."""

    exit_code = EXIT_REFUSED


_EVENT_COLUMNS = SESSION_EVENT.only("id", "event_type", "ts", "user", "host", "detail", "clock_offset")

_IS_WAITING = """
           (   (state = 'TO_BE_BUILT' AND (next_attempt_ts IS NULL OR next_attempt_ts <= :now))
            OR (state = 'ERROR' AND next_attempt_ts <= :now)
            OR (state = 'BUILDING' AND lease_until < :now))
"""

_IS_SELECTED = """
           (:identifier IS NULL OR identifier = :identifier) AND start_ts >= :from_ts AND start_ts < :to_ts
"""

_SESSIONS_TO_BUILD = f"""
    -- sessions that a Builder may take: ended, due and not leased; oldest first
    {SELECT_SESSIONS}
     WHERE {_IS_WAITING} AND {_IS_SELECTED}
     ORDER BY end_ts, id
     LIMIT :count
"""

_STILL_WAITING = f"""
    -- one of them, if it still waits; locked separately, since a sorted query locks all rows that it reads
    {SELECT_SESSIONS}
     WHERE id = :id AND {_IS_WAITING}
"""
QUEUED_AGAIN = "queued again, was"
"""How the event of `Sessions.requeue` begins; it is not about the experiment."""
SENT_AGAIN = "record queued to be sent again"
"""How the event begins of a record that is sent again."""
CANDIDATES = 20
"""Sessions that a Builder tries to claim, since others may be faster."""
LISTED = 1000
"""Most waiting sessions returned together."""

_BEFORE = f"""
    -- the session that began last before another one on its instrument
    {SELECT_SESSIONS}
     WHERE instrument = :instrument AND start_ts <= :start AND id <> :session
     ORDER BY start_ts DESC, id DESC
     LIMIT 1
"""
_AFTER = f"""
    -- the session that began next after another one on its instrument
    {SELECT_SESSIONS}
     WHERE instrument = :instrument AND start_ts > :start AND id <> :session
     ORDER BY start_ts, id
     LIMIT 1
"""
_EVENTS = """
    -- the events of a session, in order
    SELECT id, event_type, ts, user, host, detail, clock_offset
      FROM session_event
     WHERE session_id = :session
     ORDER BY id
"""


class Sessions:
    """The tables `session` and `session_event`.

    Parameters
    ----------
    database
        The facility's own database.
    clock
        Source of the times of START and END.
    new_identifier
        Creates identifiers; UUID4 by default.
    """

    def __init__(
        self, database: Database, clock: Clock, new_identifier: Callable[[], str] = lambda: str(uuid.uuid4())
    ) -> None:
        self._database = database
        self._clock = clock
        self._new_identifier = new_identifier

    # -- at the instrument -------------------------------------------------------------------------------------------

    def start(self, instrument: str, client: Client, identifier: str | None = None, ts: int | None = None) -> Session:
        """Open a session.

        Parameters
        ----------
        instrument, client
            Its pid, and who starts it.
        identifier
            Its name; a new UUID4 if not given. Starting an existing session changes nothing.
        ts
            When it started; now, if not given.

        Raises
        ------
        SessionOpen
            If another session is open on the instrument.
        SessionElsewhere
            If the session was started on another instrument.
        TooLong
            If a name cannot be stored whole.
        """
        name = identifier or self._new_identifier()
        check_names(name, instrument, client)
        return self._open(
            instrument,
            name,
            lambda transaction: transitions.start(transaction, instrument, client, name, self._now(ts)),
        )

    def end(self, identifier: str, client: Client, ts: int | None = None, *, transfers: bool = False) -> Session:
        """Close a session: event END and state TO_BE_BUILT together. One that has ended stays unchanged.

        Parameters
        ----------
        identifier, client, ts
            The session, who ends it, and when (now, if not given).
        transfers
            Its files are still on their way: it becomes TO_BE_BUILT when `NexusCore.facility.transfer_end` says so.

        Raises
        ------
        NoSuchSession
            If it does not exist.
        """

        def end(transaction: Transaction) -> Session:
            return transitions.end(transaction, identifier, client, self._now(ts), transfers=transfers)

        return self._database.write(end)

    def restart(self, identifier: str, client: Client) -> Session:
        """End a session that was left open and start a new one on its instrument, in one transaction.

        Parameters
        ----------
        identifier
            The session to end: if two people do this at the same time, the second must not end the new session.
        client
            Who starts the new one.

        Raises
        ------
        SessionOpen
            If another session was started there meanwhile; nothing changes then.
        NoSuchSession
            If it does not exist.
        """
        name = self._new_identifier()
        instrument = self.get(identifier).instrument

        def restart(transaction: Transaction) -> Session:
            transitions.end(transaction, identifier, client, self._clock.now())
            return transitions.start(transaction, instrument, client, name, self._clock.now())

        return self._open(instrument, name, restart)

    def note(
        self,
        identifier: str,
        client: Client,
        text: str,
        event: EventType = EventType.NOTE,
        also: Callable[[Transaction], None] | None = None,
    ) -> None:
        """Add an event with a text to a session.

        Parameters
        ----------
        identifier, client
            The session, and who reports the event.
        text, event, also
            At most 64 KiB; the type of the event; what writes more in the same transaction.

        Raises
        ------
        TooLong
            If the text cannot be stored whole.
        NoSuchSession
            If it does not exist.
        """
        sizes.check_size("The note", text, sizes.EVENT_DETAIL)

        def note(transaction: Transaction) -> None:
            if also is not None:
                also(transaction)
            session = transitions.find(transaction, identifier)
            transitions.add_event(transaction, session.id, event, client, self._clock.now(), text)

        self._database.write(note)

    def open_on(self, instrument: str) -> Session | None:
        """Return the session that is open on an instrument, or None."""
        with self._database.reading() as reading:
            return transitions.open_on(reading, instrument)

    # -- reading -----------------------------------------------------------------------------------------------------

    def get(self, identifier: str) -> Session:
        """Return a session.

        Raises
        ------
        NoSuchSession
            If it does not exist.
        """
        with self._database.reading() as reading:
            return transitions.find(reading, identifier)

    def newest(self, instrument: str | None = None, state: State | None = None, count: int = 20) -> list[Session]:
        """Return the newest `count` sessions, newest first; of one instrument (pid) and in one state, if given."""
        condition = "(:instrument IS NULL OR instrument = :instrument) AND (:state IS NULL OR state = :state)"
        sql = f"{SELECT_SESSIONS} WHERE {condition} ORDER BY id DESC LIMIT :count"
        with self._database.reading() as reading:
            return [session_of(row) for row in reading.all(sql, instrument=instrument, state=state, count=count)]

    def beginning(self, text: str, count: int) -> list[Session]:
        """Return sessions whose identifiers begin with a text, `count` at most."""
        condition = "identifier >= :first AND identifier <= :last"
        sql = f"{SELECT_SESSIONS} WHERE {condition} ORDER BY identifier LIMIT :count"
        with self._database.reading() as reading:
            rows = reading.all(sql, first=text, last=f"{text}{chr(sys.maxunicode)}", count=count)
        return [session_of(row) for row in rows]

    def events(self, session: Session) -> list[Event]:
        """Return the events of a session, in order."""
        with self._database.reading() as reading:
            rows = reading.all(_EVENTS, session=session.id)
        return [_EVENT_COLUMNS.make(Event, row) for row in rows]

    def before(self, session: Session) -> Session | None:
        """Return the session before on the same instrument; None if there is none."""
        return self._neighbour(_BEFORE, session)

    def after(self, session: Session) -> Session | None:
        """Return the session after on the same instrument; None if there is none."""
        return self._neighbour(_AFTER, session)

    def _neighbour(self, query: str, session: Session) -> Session | None:
        with self._database.reading() as reading:
            row = reading.one(query, instrument=session.instrument, start=session.start_ts, session=session.id)
        return None if row is None else session_of(row)

    # -- building ----------------------------------------------------------------------------------------------------

    def waiting(self, among: Selection = ALL) -> list[Session]:
        """Return the sessions that a Builder may take now, the longest waiting first; at most `LISTED`."""
        with self._database.reading() as reading:
            rows = reading.all(_SESSIONS_TO_BUILD, now=reading.now(), count=LISTED, **asdict(among))
        return [session_of(row) for row in rows]

    def claim(self, client: Client, owner: str, lease_seconds: float, among: Selection = ALL) -> Session | None:
        """Lease the session that has waited longest, for building; None if none waits.

        Adds a RECORD_GENERATION event in the same transaction, one for each attempt.

        Parameters
        ----------
        client, owner, among
            Who builds, for the event; unique name of this Builder; which sessions to choose from.
        lease_seconds
            Length of the lease; `renew` extends it.
        """

        def claim(transaction: Transaction) -> Session | None:
            now = transaction.now()
            session = self._first_waiting(transaction, now, among)
            if session is None:
                return None
            transaction.run(
                """UPDATE session SET state = 'BUILDING', lease_owner = :owner, lease_until = :until,
                          attempts = attempts + 1, next_attempt_ts = NULL
                    WHERE id = :id""",
                owner=owner,
                until=now + int(lease_seconds * SECOND),
                id=session.id,
            )
            transitions.add_event(transaction, session.id, EventType.RECORD_GENERATION, client, self._clock.now(), None)
            return transitions.find(transaction, session.identifier)

        return self._database.write(claim)

    def renew(self, session: Session, owner: str, lease_seconds: float) -> bool:
        """Extend the lease; return whether this Builder still holds it."""

        def renew(transaction: Transaction) -> bool:
            held = self._held(transaction, session, owner)
            if held:
                until = transaction.now() + int(lease_seconds * SECOND)
                transaction.run("UPDATE session SET lease_until = :until WHERE id = :id", until=until, id=session.id)
            return held

        return self._database.write(renew)

    def abandon(self, owner: str) -> int:
        """End the leases of a Builder that is known to have died; return how many sessions wait again."""
        sql = "UPDATE session SET lease_until = 0 WHERE state = 'BUILDING' AND lease_owner = :owner AND lease_until > 0"
        return self._database.write(lambda transaction: transaction.run(sql, owner=owner))

    def remark(self, session: Session, client: Client, text: str) -> Callable[[Transaction], None]:
        """Return a function that adds a NOTE event, for the transaction of `finish`."""

        def write(transaction: Transaction) -> None:
            detail = sizes.truncate(text, sizes.EVENT_DETAIL)
            transitions.add_event(transaction, session.id, EventType.NOTE, client, self._clock.now(), detail)

        return write

    def finish(
        self,
        session: Session,
        owner: str,
        state: State,
        error: str | None = None,
        retry_seconds: float | None = None,
        also: Callable[[Transaction], None] | None = None,
    ) -> bool:
        """Release a claimed session in a new state, in one transaction with what `also` writes.

        Parameters
        ----------
        session, owner
            As they were claimed.
        state, error
            The result (TO_BE_BUILT to undo the claim), and a sentence for the operators.
        retry_seconds
            When to try again, from now; None for never (unless the state itself asks for it).

        Returns
        -------
        bool
            False if the lease expired and another Builder has the session; nothing is written then.
        """

        def finish(transaction: Transaction) -> bool:
            if not self._held(transaction, session, owner):
                return False
            due = None if retry_seconds is None else transaction.now() + int(retry_seconds * SECOND)
            transaction.run(
                """UPDATE session SET state = :state, last_error = :error, next_attempt_ts = :due,
                          lease_owner = NULL, lease_until = NULL
                    WHERE id = :id""",
                state=state,
                error=None if error is None else sizes.truncate(error, sizes.LAST_ERROR),
                due=due,
                id=session.id,
            )
            if also is not None:
                also(transaction)
            return True

        return self._database.write(finish)

    def requeue(self, identifier: str, client: Client, only: State | None = None, why: str | None = None) -> Session:
        """Queue a session to be built again by the next pass of a Builder; attempts are counted from zero.

        Parameters
        ----------
        identifier, client, only
            The session; who requests it; the state that it must have, as seen by the caller (None for any).
        why
            The reason, for the session's events.

        Raises
        ------
        NoSuchSession
            If it does not exist.
        NotToBeBuilt
            If it is still open, or being built, or in another state than the caller has seen.
        """

        def requeue(transaction: Transaction) -> Session:
            session = transitions.find(transaction, identifier, lock=True)
            if session.is_open:
                raise NotToBeBuilt(identifier=identifier, reason="it has not ended yet")
            if session.awaits_files:
                reason = f"its files are on their way; to have it built without them: SessionTool close {identifier}"
                raise NotToBeBuilt(identifier=identifier, reason=reason)
            if only not in (None, session.state):
                raise NotToBeBuilt(identifier=identifier, reason=f"it is {session.state} now, not {only}")
            changed = transaction.run(
                """UPDATE session SET state = 'TO_BE_BUILT', attempts = 0, next_attempt_ts = NULL, last_error = NULL,
                          lease_owner = NULL, lease_until = NULL
                    WHERE id = :id AND (state <> 'BUILDING' OR lease_until < :now)""",
                id=session.id,
                now=transaction.now(),
            )
            if not changed and session.state is State.BUILDING:
                raise NotToBeBuilt(identifier=identifier, reason="a Builder is at work on it")
            text = f"{QUEUED_AGAIN} {session.state}{f': {why}' if why else ''}"
            transitions.add_event(transaction, session.id, EventType.NOTE, client, self._clock.now(), text)
            return transitions.find(transaction, identifier)

        return self._database.write(requeue)

    def _now(self, ts: int | None) -> int:
        return self._clock.now() if ts is None else ts

    def _open(self, instrument: str, identifier: str, start: Callable[[Transaction], Session]) -> Session:
        try:
            return self._database.write(start)
        except DatabaseRefused:
            # Another start came first, and the unique key on open sessions refused this one.
            other = self.open_on(instrument)
            if other is None:
                raise
            if other.identifier == identifier:
                return other
            raise transitions.still_open(other) from None

    # -- inside a transaction ------------------------------------------------------------------------------------------

    def _first_waiting(self, transaction: Transaction, now: int, among: Selection) -> Session | None:
        for waiting in transaction.all(_SESSIONS_TO_BUILD, now=now, count=CANDIDATES, **asdict(among)):
            row = transaction.one(f"{_STILL_WAITING} {transaction.dialect.skip_locked}", id=waiting[0], now=now)
            if row is not None:
                return session_of(row)
        return None

    def _held(self, transaction: Transaction, session: Session, owner: str) -> bool:
        row = transaction.one(
            f"SELECT lease_owner FROM session WHERE id = :id {transaction.dialect.for_update}",  # noqa: S608
            id=session.id,
        )
        return row is not None and row[0] == owner
