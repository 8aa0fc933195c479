"""A facility whose tables hold, beside good rows, one with each odd value in each column that takes it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.config.values import Limits
from NexusCore.errors import NexusError
from NexusCore.facility import transfer_changes
from NexusCore.facility.records import Records
from NexusCore.facility.reservations import Reservation, Reservations
from NexusCore.facility.session import Session, State
from NexusCore.facility.sessions import Sessions
from NexusCore.facility.tokens import AccessTokens
from NexusCore.facility.transfer_file import FileReport
from NexusCore.facility.web_users import WebUsers
from NexusCore.storage import Database
from NexusCore.storage.schema import METADATA
from tests.tools.conftest import configure, log, report
from tests.tools.facility import built, furnished

HOSTILE = (
    "\x1b[31mEVIL\x1b[2J\x1b]0;title\x07",  # a colour of the tools' own, and worse
    "\x9b31m\x85\x00",  # C1
    "\u202edlrow\u2066\u200b\ufeff\u2028x",  # turns the line round, hides, breaks
    "\U000e0041\ufe0f\u3164\u00ad",  # tags and what is not to be seen
    "line\nFORGED\r\tx",
)
"""Texts that must not get to a terminal as they are."""
ODD: tuple[Any, ...] = (
    None, 10**18, -(10**18), -1, 2**63 - 1, 1.5, float("inf"), "many", "", "{not json", "[1]", '{"minimum": "x"}',
    b"\x00\xff", *HOSTILE,
)  # fmt: skip
NOT_UTF8 = b"\xff\xfebad"
ONE_ROW = {"config_revision", "facility_identity"}
"""Tables of one row: a test of their own changes it."""
KEYS = {
    "config_change": "revision",
    "config_secret": "revision",
    "status_latest": "item_id",
    "delivery_cursor": "journal",
    "web_setting": "name",
    "calendar_read": "instrument",
    "record_booking": "session_id",
}
UNIQUE = {
    "config_version": ("name",),
    "config_parameter": ("path",),
    "status_channel": ("name",),
    "status_item": ("name",),
    "session": ("identifier",),
    "reservation": ("uid",),
    "upload": ("destination",),
    "delivery_cursor": ("journal",),
    "token": ("sha256", "active_name"),
    "gateway_request": ("request_id",),
    "transfer_file": ("path_sha256",),
    "web_user": ("name",),
    "web_setting": ("name",),
    "intake_move": ("claim",),
    "file_copy": ("mirror",),
    "calendar_read": ("instrument",),
}
"""Columns of which each row needs its own value."""


class OddFacility:
    """A database with good and odd rows.

    Parameters
    ----------
    database
        Where they are put.
    folder
        For the record.
    state
        Of the sessions, where that is not what is odd about them.
    """

    def __init__(self, database: Database, folder: Path, state: State = State.BUILT) -> None:
        self._state = state
        self.database = database
        self.taken = 0
        """Odd values that a column has taken."""
        self.good = self._good(folder)
        numbers = itertools.count(1)
        for table in METADATA.sorted_tables:
            if table.name not in ONE_ROW:
                row = self._row(table)
                for column in table.columns:
                    for value in (*ODD, NOT_UTF8):
                        self._put(table, row, column.name, value, next(numbers))
        with database.transaction() as transaction:  # which numbers the next change after these
            transaction.run("UPDATE config_revision SET revision = (SELECT MAX(revision) FROM config_change)")

    def sessions(self) -> list[int]:
        """Return the ids of the sessions that are odd."""
        with self.database.reading() as reading:
            return [id_ for (id_,) in reading.all("SELECT id FROM session") if id_ != self.good.id]

    def _good(self, folder: Path) -> Session:
        database = furnished(self.database)
        sessions = Sessions(database, SYSTEM_CLOCK)
        session = built(sessions, database, State.BUILT, path=folder / "titan.xml")
        records = Records(database, SYSTEM_CLOCK)
        record = records.of_session(session.id)
        assert record is not None
        records.expect([(record, "directory")])
        now = SYSTEM_CLOCK.now()
        booking = Reservation("ical", "good", "FEI-Titan-TEM", now - 10**10, now + 10**10, title="Gold on carbon")
        Reservations(database, SYSTEM_CLOCK).take_over("ical", now - 10**11, now + 10**11, [booking])
        secret = Edit("Good.secret", value="geheim", limits=Limits(secret=True))
        configure(database, Edit("Good.number", value=5), Edit("Good.text", value="plain"), secret)
        log(database, "the good line", session=session.identifier, ts=now)
        report(database, (now, "Good", "state", "idle", None))
        token, _ = AccessTokens(database, SYSTEM_CLOCK).make("TITAN-PC", ["FEI-Titan-TEM"], "jane")
        WebUsers(database, SYSTEM_CLOCK).update({"good": "$argon2id$"}, "geheim")
        with database.transaction() as transaction:
            transaction.insert("delivery_cursor", journal="good", delivered=7, ts=now)
            transaction.insert("calendar_read", instrument="FEI-Titan-TEM", source="ical:FEI-Titan-TEM", read_ts=now)
            transaction.insert(
                "record_booking", session_id=session.id, calendar="FOUND", reservation="0" * 64, last_event=1
            )
            transaction.insert(
                "gateway_request", token_id=token.id, request_id="good", sha256="0" * 64, status=200, answer="{}",
                nonce=None, ts=now,
            )  # fmt: skip
            move = transaction.insert(
                "intake_move", inbox="drop", rule="overwatch", rule_sha256="0" * 64, instrument="FEI-Titan-TEM",
                source="/drop/a.root", source_sha256="0" * 64, target="/data/a.root", target_sha256="0" * 64, size=4,
                modified_ts=now, inode="1", sha256="0" * 64, method="rename", state="filed", claimed_ts=now,
                filed_ts=now,
            )  # fmt: skip
            transaction.insert(
                "file_copy", move_id=move, mirror="good", path="a.root", size=4, sha256="0" * 64, state="good",
                attempts=0, created_ts=now, verified_ts=now, checked_ts=now,
            )  # fmt: skip
            transfer_changes.report(transaction, session.id, [FileReport("raw", "a.dm4", 7, now)], now)
            transaction.run("UPDATE session SET state = :state WHERE id = :id", state=self._state, id=session.id)
        return sessions.get(session.identifier)

    def _row(self, table: Table) -> dict[str, Any]:
        key = KEYS.get(table.name, "id")
        columns = ", ".join(f"t.{column.name}" for column in table.columns)
        with self.database.reading() as reading:
            row = reading.one(f"SELECT {columns} FROM {table.name} t ORDER BY t.{key} LIMIT 1")
        assert row is not None, f"there is no good row in {table.name}"
        values = dict(zip([column.name for column in table.columns], row, strict=True))
        if key == "id":
            del values["id"]
        return values

    def _put(self, table: Table, good: dict[str, Any], column: str, value: object, number: int) -> None:
        """Insert a copy of a good row with one odd value, if the column takes it."""
        row = dict(good)
        for name in UNIQUE.get(table.name, ()):
            row[name] = f"Odd.o{number}"
        if table.name == "config_change":
            row["revision"] = 10_000 + number
        elif table.name == "config_secret":
            row["revision"] = -number  # which no change will have
        elif table.name == "status_latest":
            row["item_id"] = 1_000_000 + number
        elif table.name == "session_event":
            row["unique_type"] = None  # a session has one START
        elif table.name in ("record", "record_booking"):
            row["session_id"] = self._another_session(table.name, number)
        if column in ("id", KEYS.get(table.name)):
            return
        row[column] = value
        try:
            with self.database.transaction() as transaction:
                id_ = transaction.insert(table.name, **row)
                if value == NOT_UTF8:
                    key = KEYS.get(table.name, "id")
                    sql = f"UPDATE {table.name} SET {column} = CAST({column} AS TEXT) WHERE {key} = :id"
                    transaction.run(sql, id=row.get(key, id_))
            self.taken += 1
        except (NexusError, OverflowError):
            return  # the column does not take it

    def _another_session(self, table: str, number: int) -> int:
        now = SYSTEM_CLOCK.now()
        with self.database.transaction() as transaction:
            return transaction.insert(
                "session", identifier=f"session-of-{table}-{number}", instrument="FEI-Titan-TEM", user="jane",
                state=self._state.value, start_ts=now - 10**9, end_ts=now, attempts=0,
            )  # fmt: skip


def commands(good: Session) -> Iterator[tuple[str, ...]]:
    """Yield every command that only looks, in every format."""
    for words in (("list",), ("list", "-n", "9999"), ("show", good.identifier), ("trace", good.identifier)):
        yield "SessionTool", *words
        yield "SessionTool", *words, "--json"
    for form in ("short", "iso", "verbose", "cat", "json"):
        yield "TailLog", "-n", "9999", "-o", form
    yield "TailLog", "-r", "-p", "debug", "-n", "9999"
    yield "TailLog", "-S", "2000-01-01", "good"
    yield "TailLog", "-n", "9999", "--logger", "Builder", "--host", "desk", "-p", "debug"
    yield "TailLog", "-n", "9999", "-g", "good", "--cursor"
    yield (
        "TailLog",
        "-n",
        "9999",
        "--fields",
        "time,level,logger,module,line,function,host,pid,thread,message,session",
    )
    yield "TailLog", "--disk-usage"
    for field in ("level", "logger", "module", "host", "session"):
        yield "TailLog", "--values", field
        yield "TailLog", "--values", field, "--json"
    for words in ((), ("--json",), ("--csv",), ("-S", "2000-01-01"), ("-S", "2000-01-01", "Good"), ("Good*", "--json")):
        yield "TailStatus", *words
    yield "TailStatus", "--exit-on", "Good:state=idle", "--timeout", "5"
    yield "TailStatus", "--all"
    for words in (
        ("list",), ("tree",), ("get", "Good.number"), ("search", "o"), ("history", "Good.number"), ("diff", "1"),
        ("validate",), ("serialize",), ("versions",), ("Good",),
    ):  # fmt: skip
        yield "ConfigTool", *words
        if words != ("serialize",):
            yield "ConfigTool", *words, "--json"
    yield ("Doctor",)
    yield "Doctor", "--json"
    yield "Doctor", "--rows"
    yield "Doctor", "--rows", "--json"
