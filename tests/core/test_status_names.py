"""Channels and items by name: made many at once, and read only as far as they are wanted."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest

from NexusCore.API import App
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.status import names
from NexusCore.status.store import arriving, changes, latest
from NexusCore.storage import Transaction, open_database
from NexusCore.tail import Tail, TailCursor
from tests.mariadb import MariaDB
from tests.processes import LIMIT, eventually, rows


class TestNamesAreLearnedManyAtOnce:
    """However many channels and items are new, few statements make them; those who make the same do not collide."""

    def test_thousands_of_names_need_few_statements(self, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        wanted = {(f"channel {number % 1500}", f"item {number}") for number in range(2000)}
        sent: list[int] = []
        many, one = Transaction._each, Transaction._execute

        def counted_many(self: Transaction, statement: str, rows: Any) -> None:
            sent.append(len(rows))
            many(self, statement, rows)

        def counted(self: Transaction, sql: str, values: dict[str, object]) -> Any:
            sent.append(1)
            return one(self, sql, values)

        monkeypatch.setattr(Transaction, "_each", counted_many)
        monkeypatch.setattr(Transaction, "_execute", counted)
        database = open_database(database_url)
        found = names.learn(database, wanted)
        monkeypatch.undo()
        assert found.keys() == wanted
        assert len(sent) <= 3 * (1500 + 2000) / names.NAMES_PER_STATEMENT + 3
        stored = "SELECT c.name, i.name, i.id FROM status_item i JOIN status_channel c ON c.id = i.channel_id"
        assert {(channel, name): item for channel, name, item in rows(database_url, stored)} == found
        assert names.learn(database, wanted) == found, "and they stay"

    def test_one_statement_of_many_rows(self, mariadb: MariaDB, mariadb_url: str) -> None:
        """The driver makes one of them only where it understands the statement."""
        database = open_database(mariadb_url)
        asked = "SHOW SESSION STATUS LIKE 'Com_insert'"
        with database.transaction() as transaction:
            before = int(transaction.all(asked)[0][1])
            transaction.insert_new("status_channel", ("name",), [(f"{number}",) for number in range(500)])
            rows_of_latest = [(number, number, "x", None) for number in range(500)]
            columns = ("item_id", "ts", "value", "expires")
            transaction.upsert("status_latest", columns, ("item_id",), rows_of_latest, newer="ts")
            assert int(transaction.all(asked)[0][1]) - before == 2

    def test_at_the_same_time(self, database_url: str) -> None:
        wanted = [(f"channel {number}", f"item {number}") for number in range(600)]
        found: list[dict[tuple[str, str], int]] = []

        def learn(own: int) -> None:
            mine = random.Random(own).sample(wanted, 400)
            found.append(names.learn(open_database(database_url), mine))

        threads = [threading.Thread(target=learn, args=(own,)) for own in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert len(found) == 6
        ids = {name: {one[name] for one in found if name in one} for name in wanted}
        assert all(len(numbers) <= 1 for numbers in ids.values())


class TestSomeChannelsOnly:
    """A reader of some channels has only these read from the database."""

    def test_latest_and_changes(self, app: App, database_url: str) -> None:
        for channel in ("one", "one%", "other", "On"):
            app.get_status(channel)["n"] = channel
        eventually(lambda: len(rows(database_url, "SELECT * FROM status_sample")) == 4)
        database = open_database(database_url)
        exact = names.Channels(("one", "missing"))
        begins = names.Channels(prefixes=("one%",))
        assert [sample.channel for sample in latest(database, exact)] == ["one"]
        assert [sample.channel for sample in latest(database, begins)] == ["one%"]
        assert [sample.channel for sample in latest(database, names.Channels())] == []
        assert len(latest(database)) == 4
        assert [sample.channel for sample in changes(database, channels=exact)] == ["one"]
        tail = Tail(database, arriving(exact), SYSTEM_CLOCK, TailCursor(0))
        assert [sample.channel for sample in tail.poll()] == ["one"]
