"""A migration that is killed, at whatever statement, leaves nothing that the next one cannot finish."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from NexusCore.storage.migrate import migrate
from tests.core.tables import assert_complete
from tests.processes import LIMIT, PROJECT, environment_of, start
from tests.server import Server

RANDOM_KILLS = 60 if os.environ.get("NEXUSCORE_TEST_LONG") else 3

ALL_KILLS = 600.0
"""Seconds for some seventy kills on a machine with much else to do; 20 are usual."""

KILL_AT_EACH = """
import json, os, re, signal, sys
from sqlalchemy import Engine, event
from NexusCore.storage.migrate import migrate

url, starts_over = sys.argv[1], sys.argv[2] == "starts over"
CHANGES = ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE")
left = 1

def count(statement):
    global left
    left -= 1
    if left == 0:
        os.write(pipe, statement.encode())
        os.kill(os.getpid(), signal.SIGKILL)

@event.listens_for(Engine, "after_cursor_execute")
def executed(connection, cursor, statement, *rest):
    bare = " ".join(re.sub("--.*", "", statement).split())
    if bare.startswith(CHANGES):
        count(bare)

@event.listens_for(Engine, "commit")
def commits(connection):
    count("COMMIT")

at, views, number = [], set(), 1
while True:
    reading, pipe = os.pipe()
    left = number
    child = os.fork()
    if not child:
        migrate(url)
        os._exit(0)
    os.close(pipe)
    status = os.waitpid(child, 0)[1]
    statement = os.read(reading, 10_000).decode()
    os.close(reading)
    if status == 0:
        break
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
    at.append(statement)
    # What commits by itself is passed over from now on: the next statement is the first. Views are made every time.
    if " VIEW " in statement:
        views.add(statement)
    if starts_over:
        number += 1
    elif views:
        number = len(views) + (2 if statement == "COMMIT" else 1)
    else:
        number = 1 if statement.startswith(("CREATE", "ALTER")) else number + 1
    if starts_over:
        import sqlite3
        tables = sqlite3.connect(url.removeprefix("sqlite:///")).execute("SELECT name FROM sqlite_master").fetchall()
        assert not tables, (statement, tables)
    assert len(at) < 500, at[-3:]
print(json.dumps(at))
"""
"""Kills the migration of one database at each of its statements, one after the other, until it is complete."""


def killed_at_each(url: str, home: Path, how: str) -> list[str]:
    """Return the statements at which the migration was killed."""
    process = start(KILL_AT_EACH, url, how, main=url, home=home)
    out, err = process.communicate(timeout=ALL_KILLS)
    assert process.returncode == 0, err.decode()
    found: list[str] = json.loads(out)
    assert sum(statement.startswith("CREATE TABLE") for statement in found) >= 17
    assert found[-1] == "COMMIT"
    return found


def command(url: str, home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "NexusCore.storage.migrate"],
        cwd=PROJECT,
        env=environment_of(url, home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def killed_at_random(url: str, home: Path, chance: random.Random) -> bool:
    """Kill the command at some moment; return whether it was still at work."""
    process = command(url, home)
    try:
        process.wait(chance.uniform(0.3, 3.0))
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait(LIMIT) == -signal.SIGKILL


@pytest.mark.timeout(900)
class TestKilledAtEachStatement:
    """Whatever the migration had done, the next one finishes it."""

    def test_all_or_nothing(self, tmp_path: Path) -> None:
        """SQLite: after a kill there is no table."""
        url = f"sqlite:///{tmp_path}/nexus.db"
        killed_at_each(url, tmp_path, "starts over")
        assert_complete(url)

    def test_on_a_server(self, database_server: Server, tmp_path: Path) -> None:
        """MySQL and MariaDB commit each change of the tables: the next migration goes on behind it."""
        url = database_server.create_database("interrupted")
        at = killed_at_each(url, tmp_path, "goes on")
        database_server.execute("SELECT 1")
        assert_complete(url)
        assert any(statement.startswith("ALTER TABLE") for statement in at)
        database_server.drop_database("interrupted")


@pytest.mark.timeout(3600)  # for the long form
class TestKilledAtRandom:
    """The command that operators type: 3 times, or 60 with NEXUSCORE_TEST_LONG."""

    def test_an_embedded_one(self, tmp_path: Path) -> None:
        chance = random.Random(6)
        for number in range(RANDOM_KILLS):
            path = tmp_path / f"{number}.db"
            killed_at_random(f"sqlite:///{path}", tmp_path, chance)
            if path.exists():
                with closing(sqlite3.connect(path)) as raw:
                    (tables,) = raw.execute("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'").fetchone()
                assert tables == 0 or tables > 16, "none or all"
            assert command(f"sqlite:///{path}", tmp_path).wait(LIMIT) == 0
            assert_complete(f"sqlite:///{path}", declared=True)

    def test_on_a_server(self, database_server: Server, tmp_path: Path) -> None:
        chance = random.Random(6)
        for _ in range(RANDOM_KILLS):
            url = database_server.create_database("killed")
            killed_at_random(url, tmp_path, chance)
            assert command(url, tmp_path).wait(LIMIT) == 0
            assert_complete(url, declared=True)
            database_server.drop_database("killed")


class TestTogether:
    """Migrations of one database that begin at the same time follow each other, and all succeed."""

    @pytest.mark.parametrize("state", ["empty", "complete"])
    def test_three_processes_migrate_one_database(self, database_server: Server, tmp_path: Path, state: str) -> None:
        url = database_server.create_database("together")
        if state == "complete":
            migrate(url)
        assert [process.wait(LIMIT) for process in [command(url, tmp_path) for _ in range(3)]] == [0, 0, 0]
        assert_complete(url, declared=True)
        database_server.drop_database("together")

    def test_one_that_takes_too_long(self, database_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        """The wait has a limit, and a sentence."""
        from NexusCore.errors import DatabaseBusy
        from NexusCore.settings import DatabaseURL
        from NexusCore.storage import migration_lock

        url = database_server.create_database("slow")
        monkeypatch.setattr(migration_lock, "MIGRATION_WAIT_SECONDS", 0)
        with database_server.connection() as other:
            migration_lock.on_server(other, DatabaseURL.parse(url))
            with pytest.raises(DatabaseBusy, match="another program is creating or updating its tables"):
                migrate(url)
        database_server.drop_database("slow")

    def test_a_file_that_is_being_made(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same sentence for SQLite."""
        from NexusCore.errors import DatabaseBusy
        from NexusCore.settings import DatabaseURL
        from NexusCore.storage import migration_lock

        url = DatabaseURL.parse(f"sqlite:///{tmp_path}/nexus.db")
        monkeypatch.setattr(migration_lock, "MIGRATION_WAIT_SECONDS", 0)
        with migration_lock.on_file(url), pytest.raises(DatabaseBusy, match="another program is creating or updating"):
            migrate(url)
