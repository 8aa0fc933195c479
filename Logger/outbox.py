"""The outbox: what happens in sessions is stored on this computer first, and delivered from here.

Promises
--------
* When `Outbox.add` returns, the event is on the disk (SQLite, synchronous): neither crash nor power failure loses it.
* Events are delivered in the order in which they happened, each with its own request id, which never changes.
* A session has one START and at most one END here, too, and one session at most is open.
* A damaged file is put aside and never deleted; a new one is begun.
* Nothing is open between two calls.

The file is shared by the users of this computer: the user who logs on next delivers what the last one could not.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Callable, ContextManager

from Logger.facility import EventKind, EventReceipt, SessionEvent, Station
from Logger.local_file import FileFormat, LocalFile, LocalFileError
from Logger.transfer.settings import StationTransfer
from Logger.uptime import Uptime

OFTEN_ENOUGH = 1000
"""Delivered events that are kept, for questions about the last days."""

_LOG = logging.getLogger(__name__)
_TRANSFER = """
    CREATE TABLE transfer (
        session TEXT PRIMARY KEY, pid TEXT NOT NULL, user TEXT NOT NULL, start INTEGER NOT NULL, settings TEXT NOT NULL,
        hold_from INTEGER, request TEXT, at INTEGER, files INTEGER, outcome TEXT
    );
"""
_TABLES = """
    CREATE TABLE event (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        request TEXT NOT NULL UNIQUE, session TEXT NOT NULL, kind TEXT NOT NULL, pid TEXT NOT NULL, user TEXT NOT NULL,
        at INTEGER NOT NULL, boot TEXT NOT NULL, uptime INTEGER NOT NULL,
        text TEXT NOT NULL, ends TEXT NOT NULL, ends_at INTEGER NOT NULL, settle INTEGER NOT NULL,
        settled INTEGER, outcome TEXT
    );
    CREATE UNIQUE INDEX once ON event (session, kind) WHERE kind IN ('START', 'END');
    CREATE INDEX waiting ON event (number) WHERE settled IS NULL;
    CREATE TABLE session_token (session TEXT PRIMARY KEY, token TEXT NOT NULL);
    CREATE TABLE kept (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_FORMAT = FileFormat(2, _TABLES + _TRANSFER, {1: _TRANSFER}, "file of sessions on this computer")
_COLUMNS = "number, request, session, kind, pid, user, at, boot, uptime, text, ends, ends_at, settle"
_WAITING = f"SELECT {_COLUMNS} FROM event WHERE settled IS NULL ORDER BY number"  # noqa: S608  nothing from outside


class OutboxError(LocalFileError):
    """The outbox cannot be used; the text is a sentence for the user."""


@dataclass(frozen=True)
class LocalSession:
    """A session that was begun at this computer and has not ended."""

    identifier: str
    pid: str
    user: str
    start: int
    """Microseconds since the epoch, UTC, by this computer's clock."""
    last: int
    """When something last happened in it."""
    paused: bool


class Outbox:
    """Events of sessions on this computer.

    Parameters
    ----------
    path
        Its file; folders are created.
    uptime
        The clocks of this computer.
    new_request
        Returns an id for a request; UUID4 by default.
    """

    def __init__(self, path: Path, uptime: Uptime, new_request: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        self.path = path
        self._file = LocalFile(path, _FORMAT, OutboxError)
        self._uptime = uptime
        self._new_request = new_request

    def transaction(self) -> ContextManager[sqlite3.Connection]:
        """Lend its file in a transaction, to who keeps more in it: see `Logger.transfer.pending`."""
        return self._file.transaction()

    # -- events --------------------------------------------------------------------------------------------------------

    def add(
        self,
        kind: EventKind,
        session: str,
        pid: str,
        user: str,
        text: str = "",
        *,
        at: int | None = None,
        ends: str = "",
        ends_at: int = 0,
        settle: bool = False,
        transfer: StationTransfer | None = None,
    ) -> None:
        """Store an event; an END, or a START, that is there already stays as it is.

        Parameters
        ----------
        kind, session, pid, user, text
            What happened, in which session, at which instrument, and who did it.
        at
            When, in microseconds since the epoch; now by default.
        ends, ends_at, settle
            See `SessionEvent`.
        transfer
            With a START: how the files of the session are transferred, if they are.

        Raises
        ------
        OutboxError
            If it cannot be stored.
        """
        now = self._uptime.now()
        when = now if at is None else min(at, now)
        uptime = self._uptime.uptime() - (now - when)
        values = (
            self._new_request(), session, kind.value, pid, user, when, self._uptime.boot, uptime, text, ends, ends_at,
            int(settle),
        )  # fmt: skip
        columns = _COLUMNS.partition(", ")[2]
        with self.transaction() as database:
            marks = ", ".join("?" * len(values))
            database.execute(f"INSERT OR IGNORE INTO event ({columns}) VALUES ({marks})", values)  # noqa: S608
            if transfer is not None:
                database.execute(TAKE_UP, (session, pid, user, when, transfer.as_text()))
        _LOG.info("%s of session %s is stored on this computer.", kind.value, session)

    def waiting(self) -> list[SessionEvent]:
        """Return the events that the facility does not have yet, in order."""
        with self.transaction() as database:
            rows = database.execute(_WAITING).fetchall()
            transfers = {session for (session,) in database.execute("SELECT session FROM transfer")}
        return [self._event(row, row[2] in transfers) for row in rows]

    def settle(self, event: SessionEvent, receipt: EventReceipt | None, outcome: str = "") -> None:
        """Note that the facility has an event, or will never take it.

        Parameters
        ----------
        event
            The event.
        receipt
            The facility's answer; None if it was refused for good.
        outcome
            Why it was refused.
        """
        with self.transaction() as database:
            database.execute(
                "UPDATE event SET settled = ?, outcome = ? WHERE number = ?",
                (self._uptime.now(), outcome or "delivered", event.number),
            )
            if receipt is not None and receipt.token:
                database.execute("INSERT OR REPLACE INTO session_token VALUES (?, ?)", (event.session, receipt.token))
            if event.kind is EventKind.END or (receipt is not None and receipt.ended):
                self._forget(database)

    def token(self, session: str) -> str:
        """Return the token of a session; empty if the facility has not given one yet."""
        with self.transaction() as database:
            row = database.execute("SELECT token FROM session_token WHERE session = ?", (session,)).fetchone()
        return str(row[0]) if row else ""

    def open_session(self) -> LocalSession | None:
        """Return the session that was begun, or continued, here last, unless it has ended."""
        with self.transaction() as database:
            first = database.execute(
                "SELECT session, pid, user, at FROM event WHERE kind IN ('START', 'CONTINUE') "
                "ORDER BY number DESC LIMIT 1"
            ).fetchone()
            if first is None:
                return None
            rows = database.execute(
                "SELECT kind, at, outcome FROM event WHERE session = ? ORDER BY number", (first[0],)
            ).fetchall()
        kinds = [kind for kind, _, _ in rows]
        if EventKind.END.value in kinds or any(outcome == ENDED_THERE for _, _, outcome in rows):
            return None
        paused = [kind for kind in kinds if kind in ("PAUSE", "RESUME", "CONTINUE", "START")][-1] == "PAUSE"
        return LocalSession(first[0], first[1], first[2], rows[0][1], max(at for _, at, _ in rows), paused)

    def let_facility_settle(self, event: SessionEvent) -> None:
        """Change a START that was refused, because another session is open, into one that the facility settles."""
        with self.transaction() as database:
            database.execute("UPDATE event SET settle = 1 WHERE number = ? AND settled IS NULL", (event.number,))

    def withdraw(self, event: SessionEvent) -> None:
        """Take a START back that was refused, since the user is asked about the session that is in the way."""
        with self.transaction() as database:
            database.execute("DELETE FROM event WHERE session = ? AND settled IS NULL", (event.session,))
            database.execute("DELETE FROM transfer WHERE session = ?", (event.session,))

    def has_end(self, session: str) -> bool:
        """Return whether a session was ended at this computer."""
        with self.transaction() as database:
            sql = "SELECT 1 FROM event WHERE session = ? AND kind = 'END'"
            return database.execute(sql, (session,)).fetchone() is not None

    def transfers(self, session: str) -> bool:
        """Return whether files of a session are transferred from here."""
        with self.transaction() as database:
            return database.execute("SELECT 1 FROM transfer WHERE session = ?", (session,)).fetchone() is not None

    def ended_there(self, session: str) -> None:
        """Note that a session has ended at the facility without an END from here."""
        with self.transaction() as database:
            database.execute(
                "UPDATE event SET outcome = ? "
                "WHERE session = ? AND kind IN ('START', 'CONTINUE') AND settled IS NOT NULL",
                (ENDED_THERE, session),
            )

    # -- what is remembered --------------------------------------------------------------------------------------------

    def keep_station(self, station: Station) -> None:
        """Remember the instrument of this computer, for a start without the facility."""
        with self.transaction() as database:
            database.execute("INSERT OR REPLACE INTO kept VALUES ('station', ?)", (json.dumps(asdict(station)),))

    def station(self) -> Station | None:
        """Return the instrument of this computer as the facility last named it; None if it never did."""
        with self.transaction() as database:
            row = database.execute("SELECT value FROM kept WHERE name = 'station'").fetchone()
        if row is None:
            return None
        try:
            found = json.loads(row[0])
            transfer = StationTransfer.of(found.pop("transfer", None))
            return Station(**found, transfer=transfer)
        except (ValueError, TypeError, AttributeError):  # from another version
            return None

    def is_first_notice_of(self, session: str) -> bool:
        """Return whether this is asked for the first time about a session, and remember that it was."""
        with self.transaction() as database:
            last = database.execute("SELECT value FROM kept WHERE name = 'notice'").fetchone()
            database.execute("INSERT OR REPLACE INTO kept VALUES ('notice', ?)", (session,))
        return last is None or last[0] != session

    # -- private -------------------------------------------------------------------------------------------------------

    def _event(self, row: tuple, transfers: bool) -> SessionEvent:  # type: ignore[type-arg]
        number, request, session, kind, pid, user, at, boot, uptime, text, ends, ends_at, settle_ = row
        # By the time that this computer has been running since; by its clock only after a restart.
        age = self._uptime.uptime() - uptime if boot == self._uptime.boot else self._uptime.now() - at
        return SessionEvent(
            number, request, session, EventKind(kind), pid, user, at, max(0, age), text, ends, ends_at, bool(settle_),
            kind == EventKind.END.value and transfers,
        )  # fmt: skip

    @staticmethod
    def _forget(database: sqlite3.Connection) -> None:
        """Delete old delivered events, and the tokens of their sessions, but for those whose files are on their way."""
        database.execute(
            "DELETE FROM event WHERE settled IS NOT NULL AND number <= (SELECT MAX(number) FROM event) - ? "
            "AND session NOT IN (SELECT session FROM event WHERE settled IS NULL) "
            "AND session NOT IN (SELECT session FROM transfer WHERE outcome IS NULL)",
            (OFTEN_ENOUGH,),
        )
        database.execute(
            "DELETE FROM transfer WHERE outcome IS NOT NULL AND session NOT IN (SELECT session FROM event)"
        )
        database.execute("DELETE FROM session_token WHERE session NOT IN (SELECT session FROM event)")


TAKE_UP = "INSERT OR IGNORE INTO transfer (session, pid, user, start, settings) VALUES (?, ?, ?, ?, ?)"
ENDED_THERE = "ended at the facility"
"""Outcome of a START whose session has ended without an END from this computer."""
