"""A session has one START and one END: the database itself refuses another one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import DatabaseRefused
from NexusCore.facility.sessions import Client, Sessions
from NexusCore.storage import Database, open_database
from NexusCore.storage.migrate import migrate
from tests.core.tables import connect, differences
from tests.processes import rows
from tests.server import Server

PC = Client("ada", "pc")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url)
    yield opened
    opened.close()


class TestOneStartAndOneEnd:
    """000-39: whatever a program does."""

    @pytest.mark.parametrize("event", ["START", "END"])
    def test_a_second_one_is_refused(self, database: Database, event: str) -> None:
        sessions = Sessions(database, SYSTEM_CLOCK)
        session = sessions.end(sessions.start("A", PC).identifier, PC)
        values = {"session_id": session.id, "ts": 1, "user": "x", "host": "x", "zone": ""}
        with pytest.raises(DatabaseRefused), database.transaction() as transaction:
            transaction.insert("session_event", event_type=event, unique_type=event, **values)
        for _ in range(2):
            with database.transaction() as transaction:
                transaction.insert("session_event", event_type="NOTE", unique_type=None, **values)
        assert [one.type.value for one in sessions.events(session)] == ["START", "END", "NOTE", "NOTE"]


class TestAnOlderDatabase:
    """One in which a session has two ENDs can be brought up to date; nothing of it is lost."""

    def test_the_first_one_counts(self, tmp_path: Path, database_server: Server) -> None:
        for url in (f"sqlite:///{tmp_path}/old.db", database_server.create_database("old_events")):
            migrate(url, "0004")
            with connect(url).connect() as connection:
                connection.exec_driver_sql(
                    "INSERT INTO session (id, identifier, instrument, user, state, start_ts, attempts)"
                    " VALUES (1, 'a', 'A', 'ada', 'TO_BE_BUILT', 1, 0), (2, 'b', 'A', 'ada', 'TO_BE_BUILT', 1, 0)"
                )
                for session, event in ((1, "START"), (1, "END"), (1, "END"), (2, "START"), (1, "NOTE"), (2, "END")):
                    connection.exec_driver_sql(
                        "INSERT INTO session_event (session_id, event_type, ts, user, host, zone)"
                        f" VALUES ({session}, '{event}', 1, 'ada', 'pc', '')"
                    )
                connection.commit()
            migrate(url)
            assert differences(url) == []
            assert rows(url, "SELECT session_id, event_type, unique_type FROM session_event ORDER BY id") == [
                (1, "START", "START"),
                (1, "END", "END"),
                (1, "END", None),
                (2, "START", "START"),
                (1, "NOTE", None),
                (2, "END", "END"),
            ]
        database_server.drop_database("old_events")
