"""The sessions of this computer whose files are still to be transferred; they stand in the outbox.

A session is here from its START on, in the same transaction, and until the Gateway has said that its transfer is
finished: a crash, a restart or another user's logon changes nothing about that.
"""

from __future__ import annotations

import sqlite3
import uuid
from dataclasses import dataclass, replace
from typing import Callable

from Logger.outbox import ENDED_THERE, TAKE_UP, Outbox
from Logger.transfer.settings import StationTransfer

_PENDING = """
    SELECT t.session, t.pid, t.user, t.start, t.settings, t.hold_from, t.request, t.at, t.files, k.token,
           (SELECT MAX(e.at) FROM event e WHERE e.session = t.session AND e.kind = 'END'),
           (SELECT MAX(e.settled) FROM event e
             WHERE e.session = t.session
               AND EXISTS (SELECT 1 FROM event s WHERE s.session = t.session AND s.outcome = :ended_there)),
           EXISTS (SELECT 1 FROM event e WHERE e.session = t.session AND e.kind = 'END' AND e.settled IS NULL),
           EXISTS (SELECT 1 FROM event e
                    WHERE e.session = t.session AND e.kind = 'START' AND e.outcome LIKE 'refused%')
      FROM transfer t LEFT JOIN session_token k ON k.session = t.session
     WHERE t.outcome IS NULL
     ORDER BY t.rowid
"""


@dataclass(frozen=True)
class Closing:
    """The request that says that a session's files are transferred; the same when it is sent again."""

    request: str
    at: int
    """When it was first to be sent, in microseconds since the epoch."""
    files: int
    """How many files the session has."""


@dataclass(frozen=True)
class PendingTransfer:
    """A session whose files are transferred."""

    session: str
    pid: str
    user: str
    start: int
    """Microseconds since the epoch, by this computer's clock; so are the other times."""
    settings: StationTransfer
    token: str = ""
    """The session's token; empty until its START is delivered."""
    end: int | None = None
    """When it ended, or when the facility said that it had; None while it runs."""
    end_waits: bool = False
    """Whether its END is still to be delivered."""
    hold_from: int | None = None
    """Files that appear after this moment are held back."""
    closing: Closing | None = None
    refused: bool = False
    """Whether the facility has refused its START for good: there is no such session."""


class PendingTransfers:
    """Sessions whose files are to be transferred.

    Parameters
    ----------
    outbox
        Where they stand.
    new_request
        Returns an id for a request; UUID4 by default.
    """

    def __init__(self, outbox: Outbox, new_request: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        self._outbox = outbox
        self._new_request = new_request

    def all(self) -> list[PendingTransfer]:
        """Return those whose transfer is not finished, in the order in which they were begun here."""
        with self._outbox.transaction() as database:
            rows = database.execute(_PENDING, {"ended_there": ENDED_THERE}).fetchall()
        return [_pending(row) for row in rows]

    def is_known(self, session: str) -> bool:
        """Return whether a session is or was transferred, and was not taken back."""
        with self._outbox.transaction() as database:
            return database.execute("SELECT 1 FROM transfer WHERE session = ?", (session,)).fetchone() is not None

    def take_up(self, session: str, pid: str, user: str, start: int, settings: StationTransfer) -> None:
        """Begin to transfer the files of a session that is open already, unless that has been done."""
        with self._outbox.transaction() as database:
            database.execute(TAKE_UP, (session, pid, user, start, settings.as_text()))

    def renew(self, session: str, settings: StationTransfer) -> None:
        """Take over new settings for a session; its folders stay those that its first scan has seen."""
        with self._outbox.transaction() as database:
            row = database.execute("SELECT settings FROM transfer WHERE session = ?", (session,)).fetchone()
            if row is not None:
                former = StationTransfer.of_text(row[0])
                new = replace(settings, folders=former.folders)
                if new != former:
                    database.execute("UPDATE transfer SET settings = ? WHERE session = ?", (new.as_text(), session))

    def drop(self, session: str) -> None:
        """Transfer nothing of a session, since the facility has switched that off."""
        with self._outbox.transaction() as database:
            database.execute("DELETE FROM transfer WHERE session = ?", (session,))

    def hold_from(self, session: str, moment: int | None) -> None:
        """Hold back what appears after a moment."""
        with self._outbox.transaction() as database:
            database.execute("UPDATE transfer SET hold_from = ? WHERE session = ?", (moment, session))

    def close(self, session: str, at: int, files: int, *, again: bool = False) -> Closing:
        """Fix the request that finishes a transfer; one that is there stays, unless it was refused (`again`)."""
        with self._outbox.transaction() as database:
            row = _closing(database, session)
            if row is None or again:
                row = Closing(self._new_request(), at, files)
                database.execute(
                    "UPDATE transfer SET request = ?, at = ?, files = ? WHERE session = ?",
                    (row.request, row.at, row.files, session),
                )
        return row

    def reopen(self, session: str) -> None:
        """Take back the request that finishes a transfer: the Gateway has not accepted it."""
        with self._outbox.transaction() as database:
            database.execute("UPDATE transfer SET request = NULL WHERE session = ?", (session,))

    def finish(self, session: str, outcome: str) -> None:
        """Note that the transfer of a session is finished, and how; its token is not needed any more."""
        with self._outbox.transaction() as database:
            database.execute("UPDATE transfer SET outcome = ? WHERE session = ?", (outcome, session))
            database.execute(
                "DELETE FROM session_token WHERE session = ? AND session NOT IN "
                "(SELECT session FROM event WHERE settled IS NULL)",
                (session,),
            )


def _closing(database: sqlite3.Connection, session: str) -> Closing | None:
    row = database.execute("SELECT request, at, files FROM transfer WHERE session = ?", (session,)).fetchone()
    return None if row is None or row[0] is None else Closing(*row)


def _pending(row: tuple) -> PendingTransfer:  # type: ignore[type-arg]
    session, pid, user, start, settings, hold_from, request, at, files, token, end, ended_there, waits, refused = row
    return PendingTransfer(
        session, pid, user, start, StationTransfer.of_text(settings), token or "",
        end if end is not None else ended_there, bool(waits), hold_from,
        None if request is None else Closing(request, at, files), bool(refused),
    )  # fmt: skip
