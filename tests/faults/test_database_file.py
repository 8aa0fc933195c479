"""The file of an SQLite database is removed, or replaced by another one, while programs have it open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.errors import DatabaseUnusable, NoDatabaseFile
from NexusCore.settings import DatabaseURL, Settings
from NexusCore.storage import Database
from NexusCore.storage.migrate import migrate
from tests.disks import read_only
from tests.processes import LIMIT, app_on, eventually, messages, rows
from tests.tools.programs import Follower, run

pytestmark = pytest.mark.faults


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def remove(file: Path) -> None:
    """Do what ``rm nexus.db*`` does."""
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()


def copy_of(file: Path) -> Path:
    """Return a copy of a database, made while programs use it."""
    copy = file.with_name("backup")
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode=WAL")
    return copy


def values(url: str) -> dict[str, str]:
    return dict(rows(url, "SELECT path, value FROM config_parameter"))


class TestWriters:
    """Nothing that was accepted goes into a file that is no longer there."""

    def test_the_embedded_one_is_missed_too(self, tmp_path: Path) -> None:
        """A program that has used it does not put an empty one in its place; the next program does."""
        file = tmp_path / "home" / "nexus.db"
        url = DatabaseURL(kind="sqlite", name=str(file), embedded=True)
        app = App(Settings(config=url, status=url, log=url, main=url, home=file.parent), tool="test")
        cfg, log = app.get_config(), app.get_log("x")
        cfg["before"] = 1
        log.info("before")
        eventually(lambda: messages(str(url), "x"))
        remove(file)
        for number in range(40):
            log.info("after %d", number)
        with pytest.raises(NoDatabaseFile, match="does not exist"):
            cfg["n"] = 1
        assert not file.exists()
        migrate(url)
        eventually(lambda: cfg["before"] is None)
        cfg["n"] = 2
        report = app.shutdown(LIMIT)
        assert (report.left, report.dropped) == (0, 0)
        assert [text for text in messages(str(url), "x") if text != "before"] == [f"after {n}" for n in range(40)]
        assert (cfg["n"], values(str(url))["n"]) == (2, "2")

    def test_a_file_of_a_url_is_missed(self, sqlite_url: str, tmp_path: Path) -> None:
        """It is not created, since the path may be wrong; the log waits in the journal."""
        app = app_on(sqlite_url, tmp_path / "home")
        cfg, log = app.get_config(), app.get_log("x")
        log.info("before")
        eventually(lambda: messages(sqlite_url, "x"))
        copy = copy_of(file_of(sqlite_url))
        remove(file_of(sqlite_url))
        with pytest.raises(NoDatabaseFile, match="does not exist"):
            cfg["x"] = 1
        log.info("after")
        assert not file_of(sqlite_url).exists()
        copy.rename(file_of(sqlite_url))
        eventually(lambda: messages(sqlite_url, "x") == ["before", "after"])
        cfg["x"] = 2
        assert values(sqlite_url)["x"] == "2"
        assert app.shutdown(LIMIT).left == 0

    def test_a_transaction_is_not_committed_into_the_former_file(self, sqlite_url: str) -> None:
        file = file_of(sqlite_url)
        copy = copy_of(file)
        with closing(Database(DatabaseURL.parse(sqlite_url))) as database:
            tries = []

            def work(transaction: object) -> None:
                tries.append(transaction)
                transaction.insert("status_channel", name="c")  # type: ignore[attr-defined]
                if len(tries) == 1:
                    copy.rename(file)

            database.write(work)
        assert len(tries) == 2
        assert rows(sqlite_url, "SELECT name FROM status_channel") == [("c",)]

    def test_the_log_of_the_former_file_is_not_taken_for_that_of_the_new_one(self, sqlite_url: str) -> None:
        """SQLite would read the pages in it."""
        file = file_of(sqlite_url)
        copy = copy_of(file)
        with closing(Database(DatabaseURL.parse(sqlite_url))) as database:
            for number in range(50):
                with database.transaction() as transaction:
                    transaction.insert("status_channel", name=f"former {number}")
            copy.rename(file)
            with database.transaction() as transaction:
                transaction.insert("status_channel", name="new")
        assert rows(sqlite_url, "SELECT name FROM status_channel") == [("new",)]
        assert rows(sqlite_url, "PRAGMA integrity_check") == [("ok",)]

    def test_another_configuration_is_read_at_once(self, sqlite_url: str, tmp_path: Path) -> None:
        app = app_on(sqlite_url, tmp_path / "home")
        cfg = app.get_config()
        cfg["x"] = "copied"
        copy = copy_of(file_of(sqlite_url))
        cfg["x"], cfg["y"] = "lost", 1
        seen: list[object] = []
        cfg.add_callback("x", lambda parameter: seen.append(parameter.value))
        copy.rename(file_of(sqlite_url))
        eventually(lambda: (cfg["x"], cfg["y"], seen) == ("copied", None, ["copied"]))
        cfg["x"] = "new"
        assert values(sqlite_url)["x"] == "new"
        assert app.shutdown(LIMIT).left == 0


class TestFollowers:
    """Each says that the database was replaced, and goes on in the file that is there."""

    @pytest.mark.parametrize("how", ["a copy", "removed and created"])
    @pytest.mark.parametrize(
        "words", [("TailLog", "-f"), ("TailStatus", "-f"), ("ConfigTool", "watch", "--after", "0")]
    )
    def test_each_goes_on(
        self, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], how: str
    ) -> None:
        monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
        file = file_of(sqlite_url)
        app = app_on(sqlite_url, tmp_path / "home")

        def change(text: str) -> None:
            app.get_log("x").info(text)
            app.get_status("x")["n"] = text
            app.get_config()["n"] = text

        change("first")
        eventually(lambda: messages(sqlite_url, "x") == ["first"])
        copy = copy_of(file)
        with Follower(*words) as follower:
            follower.until("first")
            change("second")
            follower.until("second")
            if how == "a copy":
                copy.rename(file)
            else:
                remove(file)
                follower.until_message("does not exist")
                migrate(sqlite_url)
            follower.until_message("The database was replaced by another file. Going on with what is in it since 2")
            change("third")
            follower.until("third")
            change("fourth")
            follower.until("fourth")
        assert app.shutdown(LIMIT).left == 0


class TestReaders:
    """Who only reads creates nothing, and says what is wrong."""

    @pytest.mark.parametrize(
        "words",
        [
            ("TailLog", "-n", "1"),
            ("TailStatus",),
            ("ConfigTool", "list"),
            ("ConfigTool", "remove", "x", "--dry-run"),
            ("SessionTool", "list"),
            ("SessionTool", "show", "x"),
        ],
    )
    def test_a_home_without_a_database_stays_so(self, tmp_path: Path, words: tuple[str, ...]) -> None:
        done = run(*words, NEXUSCORE_HOME=str(tmp_path / "gone"))
        assert (done.code, done.out) == (3, "")
        assert f"{tmp_path}/gone/nexus.db does not exist." in done.err
        assert not list(tmp_path.glob("gone/nexus.db*"))

    def test_a_read_only_file_system_is_called_so(self, tmp_path: Path) -> None:
        behind = tmp_path / "behind"
        behind.mkdir()
        with read_only(tmp_path / "disk", behind) as disk:
            url = DatabaseURL(kind="sqlite", name=f"{disk}/home/nexus.db", embedded=True)
            with pytest.raises(DatabaseUnusable, match="its file system is read-only"):
                Database(url).identity()
        migrate(f"sqlite:///{behind}/nexus.db")
        with read_only(tmp_path / "other", behind) as disk:
            there = Database(DatabaseURL.parse(f"sqlite:///{disk}/nexus.db"))
            with (
                pytest.raises(DatabaseUnusable, match="its file system is read-only"),
                there.transaction() as transaction,
            ):
                transaction.insert("status_channel", name="c")
            there.close()
