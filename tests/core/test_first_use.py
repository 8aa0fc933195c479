"""The first call of the first program makes the embedded database, whoever else makes the first call at that moment."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from NexusCore.settings import DatabaseURL
from NexusCore.storage import engine
from NexusCore.storage.migrate import migrate
from tests.processes import LIMIT, PROJECT, adopt, messages, rows

HOMES = 20 if os.environ.get("NEXUSCORE_TEST_LONG") else 2
CALLS = {
    "log first": "API.get_log('x').info('y'); API.get_config('z')",
    "configuration first": "API.get_config('z'); API.get_log('x').info('y')",
}


def program(calls: str, home: Path, *, before: str = "") -> subprocess.Popen[str]:
    """Start what a newcomer types, on a home folder of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", f"{before}\nfrom NexusCore import API; {calls}; API.shutdown()"],
        cwd=PROJECT,
        env={**os.environ, "NEXUSCORE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def embedded(path: Path) -> DatabaseURL:
    return DatabaseURL(kind="sqlite", name=str(path), embedded=True)


@pytest.mark.timeout(1800)  # for the long form
class TestTheFirstProgram:
    """An empty home is enough, in either order of the calls, for one program or for several at once."""

    @pytest.mark.parametrize("calls", CALLS.values(), ids=CALLS)
    @pytest.mark.parametrize("together", [1, 4])
    def test_in_a_new_home(self, tmp_path: Path, calls: str, together: int) -> None:
        for number in range(HOMES):
            home = tmp_path / f"home{number}"
            processes = [program(calls, home) for _ in range(together)]
            for process in processes:
                out, err = process.communicate(timeout=LIMIT)
                assert (process.returncode, out, err) == (0, "", "")
            assert messages(f"sqlite:///{home}/nexus.db", "x") == ["y"] * together

    def test_eight_threads_can_create_it_together(self, tmp_path: Path) -> None:
        """Each has a connection, and a database object, of its own."""
        url = embedded(tmp_path / "nexus.db")
        together = threading.Barrier(8)

        def ask(number: int) -> int:
            together.wait(LIMIT)
            with closing(engine.Database(url)) as database, database.transaction() as transaction:
                return transaction.insert("status_channel", name=str(number))

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(ask, range(8))) == list(range(1, 9))

    def test_two_databases_at_once(self, tmp_path: Path) -> None:
        """What Alembic is doing, it keeps in variables of its modules."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: migrate(f"sqlite:///{tmp_path}/{number}.db"), range(4)))
        for number in range(4):
            assert rows(f"sqlite:///{tmp_path}/{number}.db", "SELECT `name` FROM `config_version`") == [("default",)]


class TestAnUnfinishedDatabase:
    """What a killed program left is finished: by the first use of the embedded one, by ``migrate`` everywhere."""

    @pytest.mark.parametrize("left", ["a file", "tables without a revision"])
    def test_the_next_use_completes_the_tables(self, tmp_path: Path, left: str) -> None:
        path = tmp_path / "nexus.db"
        with closing(sqlite3.connect(path)) as raw:
            raw.execute("PRAGMA journal_mode=WAL")
            if left == "tables without a revision":
                migrate(f"sqlite:///{tmp_path}/other.db")
                with closing(sqlite3.connect(tmp_path / "other.db")) as other:
                    other.backup(raw)
                raw.execute("DELETE FROM alembic_version")
                raw.execute("DROP TABLE upload")
                raw.execute("DELETE FROM config_change")
                raw.commit()
        with closing(engine.Database(embedded(path))) as database:
            assert rows(database, "SELECT `path` FROM `config_change`") == [("default_version",)]
            assert rows(database, "SELECT COUNT(*) FROM `upload`") == [(0,)]
            assert rows(database, "SELECT COUNT(*) FROM `facility_identity`") == [(1,)]

    def test_one_that_a_user_named_is_not_touched(self, tmp_path: Path) -> None:
        """A path that somebody chose may be the wrong one."""
        path = tmp_path / "mine.db"
        path.touch()
        with pytest.raises(engine.SchemaMissing, match=r"holds no NexusCore tables.*NexusCore\.storage\.migrate"):
            rows(f"sqlite:///{path}", "SELECT 1")
        assert path.stat().st_size == 0


class TestWithoutTheSetUpPackages:
    """SQLAlchemy and Alembic are an extra; without them the first use says so, and logging never raises."""

    ABSENT = "import sys; sys.modules['alembic'] = None"

    def test_reading_the_configuration_names_the_missing_package(self, tmp_path: Path) -> None:
        process = program("API.get_config('z')", tmp_path / "home", before=self.ABSENT)
        _, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 1
        assert "the package alembic is not installed. ./install.sh installs it" in err

    def test_a_log_record_waits_in_the_journal(self, tmp_path: Path) -> None:
        """The record waits in the journal for the first program that can make the tables."""
        home = tmp_path / "home"
        process = program("API.get_log('x').info('y')", home, before=self.ABSENT)
        process.communicate(timeout=LIMIT)
        assert process.returncode == 0
        migrate(f"sqlite:///{home}/nexus.db")
        adopt(f"sqlite:///{home}/nexus.db", home)
        assert messages(f"sqlite:///{home}/nexus.db", "x") == ["y"]
