"""ConfigUI and its database: never asked for a key, and missed without harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from NexusCore.config.store import Edit
from NexusCore.storage import open_database
from tests.mariadb import MariaDB
from tests.tools.config_ui_stage import FACILITY, INTERVAL, ui
from tests.tools.conftest import configure
from tests.tools.emulated import (
    DOWN,
    ENTER,
    ERASE_LINE,
    ESCAPE,
    HOME,
    LEFT,
    PAGE_DOWN,
    PAGE_UP,
    RIGHT,
    UP,
)

AWAY = "The database does not answer; these are the last known values"
MANY = 5000


class TestMany:
    """It stays quick with 5,000 parameters: keys are answered from memory, and only what is seen is drawn."""

    def test_no_key_asks_the_database(
        self, private_mariadb: MariaDB, mariadb_template: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They work while the server is frozen."""
        from NexusCore.storage.migrate import migrate

        url = private_mariadb.create_database("many")
        migrate(url)
        monkeypatch.setenv("NEXUSCORE_DATABASE", url)
        columns = ("version_id", "path", "name", "value", "datatype", "comment", "last_modified", "revision")
        numbers = [(f"Big.f{i // 1000}.parameter{i % 1000:03}", i) for i in range(MANY)]
        with open_database(url).transaction() as transaction:
            rows = [(1, path, path[7:], str(i), "integer", f"number {i}", 1, 1) for path, i in numbers]
            transaction.insert_many("config_parameter", columns, rows)
        with ui("Big.f2.parameter500") as screen:
            screen.until_chosen("parameter500 = 2500")
            private_mariadb.pause()
            screen.type(PAGE_DOWN)
            screen.until_chosen("parameter515 = 2515")
            screen.type(PAGE_UP * 2 + DOWN)
            screen.until_chosen("parameter486 = 2486")
            screen.type("/parameter99")
            screen.until_chosen("Big.f0.parameter990 = 990")
            screen.type("9" + DOWN * 4 + ENTER)
            screen.until("5 of 5", chosen="parameter999 = 4999")
            before = len(screen.written)
            screen.type(UP)
            screen.until_chosen("parameter998 = 4998")
            assert len(screen.written) - before < 24 * 80

            screen.type(ENTER + "0" + ENTER + ENTER)
            screen.until("The database has not answered yet. Esc stops waiting")
            screen.type(ESCAPE)
            screen.until_said("it is not known whether the change was made")
            screen.until("^ parameter998 = 49980$")
            screen.type(ESCAPE + HOME)
            screen.until_chosen("▾ Big")
            private_mariadb.resume()
            screen.until("parameter998")
            screen.type("q")
            assert screen.end() == 0


class TestAway:
    """While the database is away one line says so, values stay readable, and it goes on when it is back."""

    @pytest.fixture
    def server(self, private_mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch) -> MariaDB:
        """Lend a server with a configuration that the test may stop."""
        from NexusCore.storage.migrate import migrate

        url = private_mariadb.create_database("away")
        migrate(url)
        monkeypatch.setenv("NEXUSCORE_DATABASE", url)
        log_here = (Edit("Log.stdout", value=True), Edit("Log.stdout_level", value="DEBUG"))
        configure(open_database(url), *FACILITY, *log_here)
        return private_mariadb

    def test_away_and_back(self, server: MariaDB) -> None:
        with ui(INTERVAL) as screen:
            screen.until_chosen("interval = 30")
            server.stop()
            screen.until(AWAY, chosen="interval = 30")
            screen.type(LEFT + LEFT + DOWN + RIGHT)
            screen.until(r"token = \*\*\*\*\*", chosen="▾ Harvester")
            screen.type("/interval" + ENTER + ENTER + ERASE_LINE + "12" + ENTER + "why not" + ENTER)
            screen.until_said("does not answer .* host right[?]")
            screen.until("^ interval = 12$")
            screen.type(ESCAPE + "h")
            screen.until_said("does not answer .* host right[?]")
            screen.until_chosen("interval = 30")
            screen.type(ENTER + ERASE_LINE + "12" + ENTER)
            screen.until("^ Why?")
            server.start()
            screen.until_gone(AWAY)
            screen.type(ENTER)
            screen.until("Stored as", chosen="interval = 12")
            configure(open_database(server.url("away")), Edit(INTERVAL, value=13))
            screen.until_chosen("interval = 13")

            # What was last seen is kept when it ends, so that the next can begin with it.
            screen.type("q")
            assert screen.end() == 0
            assert b"cannot be watched" not in screen.written, "the log is not written across the screen"
        server.stop()
        with ui(INTERVAL) as screen:
            screen.until(AWAY, chosen="interval = 13")
            server.start()
            screen.until_gone(AWAY)

    def test_away_from_the_beginning(self, server: MariaDB, tmp_path: Path) -> None:
        server.stop()
        with ui(columns=200, NEXUSCORE_HOME=str(tmp_path / "new")) as screen:
            assert screen.end() == 3
            screen.until("ConfigUI: The database at .* does not answer")
            assert screen.is_restored
