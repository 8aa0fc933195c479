"""Every text arrives as it was given, however it is sent and whichever of the driver's two connections sends it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import mysql.connector
import pytest

from NexusCore.errors import DatabaseRefused, NexusError
from NexusCore.storage import Database, open_database
from tests.processes import rows
from tests.server import Server

ODD = (
    "the delimiter ; isn't that",  # the driver takes it for a command of the mysql client's
    "delimiter it's",
    "DELIMITER $$\nit's; -- a $$ b",
    "delimiter \\' '' \"`",
    "it's \\ % %% %s %(value)s :value ?",
    "'), (1, 2, 'x'), ('",
    "\x00\x01\x1a\r\n\t",
    "\U0001f52c \u00e4\u0301 \u202e",
    "\\",
    "'",
    "",
    "x" * 70_000,
)
COLUMNS = ("item_id", "ts", "value", "expires")


@pytest.fixture(params=["extension", "pure"])
def database(request: pytest.FixtureRequest, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Lend a database, on servers by each of the driver's connections."""
    connect: Callable[..., Any] = mysql.connector.connect
    if request.param == "pure":
        if database_url.startswith("sqlite"):
            pytest.skip("SQLite has one driver")
        monkeypatch.setattr(mysql.connector, "connect", lambda **options: connect(**options, use_pure=True))
    one = open_database(database_url)
    yield one
    one.close()


class TestTextsArriveAsTheyAre:
    """No text is taken for a part of a statement, or of a script."""

    def test_many_in_one_statement(self, database: Database, database_url: str) -> None:
        sent = [(number, -number, text, None) for number, text in enumerate(ODD * 50)]
        with database.transaction() as transaction:
            transaction.insert_many("status_latest", COLUMNS, sent)
        assert rows(database_url, "SELECT item_id, ts, value, expires FROM status_latest ORDER BY item_id") == sent

    @pytest.mark.parametrize("text", ODD)
    def test_every_statement_keeps_an_odd_text(self, database: Database, text: str) -> None:
        with database.transaction() as transaction:
            transaction.insert("status_latest", item_id=1, ts=2, value=text)
            transaction.upsert("status_latest", COLUMNS, ("item_id",), [(1, 3, text, 4), (2, 3, text, None)])
            transaction.insert_new("status_latest", COLUMNS, [(2, 9, "", None), (3, 9, text, None)])
            transaction.run("UPDATE status_latest SET value = :text WHERE value = :text AND item_id = 3", text=text)
            found = transaction.all("SELECT item_id, ts, value FROM status_latest WHERE value = :text", text=text)
            assert transaction.one("SELECT :text, '%'", text=text) == (text, "%")
        assert found == [(1, 3, text), (2, 3, text), (3, 9, text)]

    def test_random_texts_come_back_unchanged(self, database: Database) -> None:
        """Drawn from what has a meaning in SQL, in the driver's formats and in scripts."""
        chance = random.Random(11)
        pieces = [
            "delimiter ",
            "'",
            '"',
            "`",
            "\\",
            "%s",
            "%",
            "\n",
            ";",
            "--",
            "#",
            "/*",
            "*/",
            "\0",
            "$$",
            "é",
            "\U0001f52c",
        ]
        sent = [(number, 0, "".join(chance.choices(pieces, k=chance.randrange(12))), None) for number in range(600)]
        with database.transaction() as transaction:
            transaction.insert_many("status_latest", COLUMNS, sent)
            assert transaction.all("SELECT item_id, ts, value, expires FROM status_latest ORDER BY item_id") == sent

    def test_a_pattern_without_values(self, database: Database) -> None:
        with database.reading() as reading:
            assert reading.one("SELECT '100%', 7 % 4") == ("100%", 3)

    def test_half_a_character(self, database: Database) -> None:
        for number in (1, 5):
            with pytest.raises(DatabaseRefused), database.transaction() as transaction:
                transaction.insert_many("status_latest", COLUMNS, [(n, 0, "\ud800", None) for n in range(number)])

    def test_rows_of_different_lengths(self, database: Database, database_url: str) -> None:
        """Nothing is shifted from one row to the next."""
        with pytest.raises((NexusError, ValueError)), database.transaction() as transaction:
            transaction.insert_many("status_latest", COLUMNS, [(1, 2, "a"), (3, 4, "b", None, 6)])
        with pytest.raises((NexusError, ValueError)), database.transaction() as transaction:
            transaction.insert_many("status_latest", COLUMNS, [(1, 2, "a", None)] * 199 + [(1, 2, "a")])
        assert rows(database_url, "SELECT * FROM status_latest") == []


class TestModesOfTheServer:
    """What a server's own sql_mode says of quotes and backslashes does not matter."""

    @pytest.mark.parametrize(
        "mode", ["NO_BACKSLASH_ESCAPES", "ANSI", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT"]
    )
    def test_texts_arrive_as_they_are(self, database_server: Server, server_database_url: str, mode: str) -> None:
        before = database_server.execute("SELECT @@GLOBAL.sql_mode")[0][0]
        database_server.execute(f"SET GLOBAL sql_mode = '{mode}'")
        try:
            database = open_database(server_database_url)
            sent = [(number, 0, text, None) for number, text in enumerate(ODD)]
            with database.transaction() as transaction:
                transaction.insert_many("status_latest", COLUMNS, sent)
                found = transaction.all("SELECT item_id, ts, value, expires FROM status_latest ORDER BY item_id")
            database.close()
        finally:
            database_server.execute("SET GLOBAL sql_mode = %s", before)
        assert found == sent
