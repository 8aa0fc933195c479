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
import os
import sqlite3
import stat
import time
import uuid
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Callable, Iterator

from Logger.facility import EventKind, EventReceipt, SessionEvent, Station
from Logger.uptime import Uptime

BUSY_SECONDS = 10.0
FORMAT = 1
"""Version of the tables."""
OFTEN_ENOUGH = 1000
"""Delivered events that are kept, for questions about the last days."""

_LOG = logging.getLogger(__name__)
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
_COLUMNS = "number, request, session, kind, pid, user, at, boot, uptime, text, ends, ends_at, settle"
_WAITING = f"SELECT {_COLUMNS} FROM event WHERE settled IS NULL ORDER BY number"  # noqa: S608  nothing from outside


class OutboxError(Exception):
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
        self._uptime = uptime
        self._new_request = new_request

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
        with self._transaction() as database:
            marks = ", ".join("?" * len(values))
            database.execute(f"INSERT OR IGNORE INTO event ({columns}) VALUES ({marks})", values)  # noqa: S608
        _LOG.info("%s of session %s is stored on this computer.", kind.value, session)

    def waiting(self) -> list[SessionEvent]:
        """Return the events that the facility does not have yet, in order."""
        with self._transaction() as database:
            rows = database.execute(_WAITING).fetchall()
        return [self._event(row) for row in rows]

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
        with self._transaction() as database:
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
        with self._transaction() as database:
            row = database.execute("SELECT token FROM session_token WHERE session = ?", (session,)).fetchone()
        return str(row[0]) if row else ""

    def open_session(self) -> LocalSession | None:
        """Return the session that was begun, or continued, here last, unless it has ended."""
        with self._transaction() as database:
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
        with self._transaction() as database:
            database.execute("UPDATE event SET settle = 1 WHERE number = ? AND settled IS NULL", (event.number,))

    def withdraw(self, event: SessionEvent) -> None:
        """Take a START back that was refused, since the user is asked about the session that is in the way."""
        with self._transaction() as database:
            database.execute("DELETE FROM event WHERE session = ? AND settled IS NULL", (event.session,))

    def has_end(self, session: str) -> bool:
        """Return whether a session was ended at this computer."""
        with self._transaction() as database:
            sql = "SELECT 1 FROM event WHERE session = ? AND kind = 'END'"
            return database.execute(sql, (session,)).fetchone() is not None

    def ended_there(self, session: str) -> None:
        """Note that a session has ended at the facility without an END from here."""
        with self._transaction() as database:
            database.execute(
                "UPDATE event SET outcome = ? "
                "WHERE session = ? AND kind IN ('START', 'CONTINUE') AND settled IS NOT NULL",
                (ENDED_THERE, session),
            )

    # -- what is remembered --------------------------------------------------------------------------------------------

    def keep_station(self, station: Station) -> None:
        """Remember the instrument of this computer, for a start without the facility."""
        with self._transaction() as database:
            database.execute("INSERT OR REPLACE INTO kept VALUES ('station', ?)", (json.dumps(asdict(station)),))

    def station(self) -> Station | None:
        """Return the instrument of this computer as the facility last named it; None if it never did."""
        with self._transaction() as database:
            row = database.execute("SELECT value FROM kept WHERE name = 'station'").fetchone()
        if row is None:
            return None
        try:
            return Station(**json.loads(row[0]))
        except (ValueError, TypeError):  # from another version
            return None

    def is_first_notice_of(self, session: str) -> bool:
        """Return whether this is asked for the first time about a session, and remember that it was."""
        with self._transaction() as database:
            last = database.execute("SELECT value FROM kept WHERE name = 'notice'").fetchone()
            database.execute("INSERT OR REPLACE INTO kept VALUES ('notice', ?)", (session,))
        return last is None or last[0] != session

    # -- private -------------------------------------------------------------------------------------------------------

    def _event(self, row: tuple) -> SessionEvent:  # type: ignore[type-arg]
        number, request, session, kind, pid, user, at, boot, uptime, text, ends, ends_at, settle_ = row
        # By the time that this computer has been running since; by its clock only after a restart.
        age = self._uptime.uptime() - uptime if boot == self._uptime.boot else self._uptime.now() - at
        return SessionEvent(
            number, request, session, EventKind(kind), pid, user, at, max(0, age), text, ends, ends_at, bool(settle_)
        )

    @staticmethod
    def _forget(database: sqlite3.Connection) -> None:
        """Delete old delivered events, and the tokens of their sessions."""
        database.execute(
            "DELETE FROM event WHERE settled IS NOT NULL AND number <= (SELECT MAX(number) FROM event) - ? "
            "AND session NOT IN (SELECT session FROM event WHERE settled IS NULL)",
            (OFTEN_ENOUGH,),
        )
        database.execute("DELETE FROM session_token WHERE session NOT IN (SELECT session FROM event)")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._open()) as database:
                database.execute("BEGIN IMMEDIATE")
                try:
                    yield database
                    database.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        database.execute("ROLLBACK")
                    raise
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(
                f"The file of sessions on this computer, {self.path}, cannot be used ({error}). "
                "Tell the facility's staff."
            ) from error

    def _open(self) -> sqlite3.Connection:
        new = not self.path.exists()
        if new:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        database = self._connect()
        try:
            self._prepare(database)
        except sqlite3.DatabaseError as error:
            database.close()
            if isinstance(error, sqlite3.OperationalError):  # busy, read-only, full, newer: the file itself is right
                raise
            self._put_aside(error)
            database = self._connect()
            self._prepare(database)
        if new:
            share(self.path)
        return database

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(str(self.path), BUSY_SECONDS, isolation_level=None)

    def _prepare(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA synchronous = EXTRA")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._create(database)
        elif version != FORMAT:
            raise sqlite3.OperationalError(f"it is of a newer logger, with format {version}")
        found = database.execute("PRAGMA quick_check(1)").fetchone()[0]  # of a file of some kilobytes
        if found != "ok":
            raise sqlite3.DatabaseError(found)

    @staticmethod
    def _create(database: sqlite3.Connection) -> None:
        database.execute("BEGIN IMMEDIATE")
        if database.execute("PRAGMA user_version").fetchone()[0] == 0:  # no other process was first
            for statement in filter(str.strip, _TABLES.split(";")):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {FORMAT}")
        database.execute("COMMIT")

    def _put_aside(self, error: sqlite3.DatabaseError) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{int(time.time())}")
        self.path.replace(aside)
        _LOG.error("The file of sessions on this computer was damaged (%s). It is kept as %s.", error, aside)


ENDED_THERE = "ended at the facility"
"""Outcome of a START whose session has ended without an END from this computer."""


def share(path: Path) -> None:
    """Let all users of this computer write a file and its folder; on Windows, ProgramData gives such rights."""
    if os.name == "nt":
        return
    everybody = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO
    for target, mode in ((path, everybody & ~0o111), (path.parent, everybody)):
        with suppress(OSError):  # another user's; it was shared when it was made
            target.chmod(mode)
