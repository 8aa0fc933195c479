"""A journal belongs to the facility's database, known by an identity that stays with the rows, not by host and port."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.delivery import Journal, Shipper
from NexusCore.errors import CommitUnknown
from NexusCore.log.store import LogSink
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Transaction, open_database
from NexusCore.storage.migrate import migrate
from NexusCore.storage.places import Places
from tests.journals import become, folder_for, folder_of, leave, log_payload
from tests.mariadb import MariaDB
from tests.processes import LIMIT, app_on, eventually, execute, journals, messages, rows


def another_name_of(url: str) -> str:
    """Return a URL that names the same database in another way."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        other = path.with_name("other name.db")
        other.symlink_to(path)
        return f"sqlite:///{other}"
    return url.replace("127.0.0.1", "localhost")


def deliver(url: str, home: Path) -> App:
    """Have an application at a URL deliver what it finds; return it, ended."""
    app = app_on(url, home)
    app.get_log("next").info("here")
    eventually(lambda: messages(url, "next"))
    app.shutdown(LIMIT)
    return app


def put_anew(url: str, home: Path) -> str:
    """Put a new database in the place of one, which goes to another; return the URL of that."""
    path = Path(url.removeprefix("sqlite:///"))
    moved = path.with_name("moved.db")
    for suffix in ("", "-wal", "-shm"):
        if path.with_name(path.name + suffix).exists():
            shutil.move(path.with_name(path.name + suffix), moved.with_name(moved.name + suffix))
    migrate(url)
    return f"sqlite:///{moved}"


class TestOneDatabaseOfSeveralNames:
    """What was journalled for one host or path is delivered through another of the same database."""

    def test_a_journal_is_delivered_under_another_name(self, database_url: str, tmp_path: Path) -> None:
        identity = become(database_url)
        first = deliver(database_url, tmp_path)
        leave(folder_for(first, "log", identity), [log_payload("a")])
        other = another_name_of(database_url)
        assert DatabaseURL.parse(other).place != first.settings.log.place
        deliver(other, tmp_path)
        assert messages(database_url, "dead") == ["a"]
        assert journals(tmp_path) == []

    def test_the_cursor_holds_there_too(self, database_url: str, tmp_path: Path) -> None:
        identity = become(database_url)
        first = deliver(database_url, tmp_path)
        name = leave(folder_for(first, "log", identity), [log_payload(text) for text in "abc"])
        execute(database_url, "INSERT INTO delivery_cursor (journal, delivered, ts) VALUES (:name, 2, 0)", name=name)
        deliver(another_name_of(database_url), tmp_path)
        assert messages(database_url, "dead") == ["c"]

    def test_a_process_that_knows_writes_there_at_once(self, database_url: str, tmp_path: Path) -> None:
        identity = become(database_url)
        deliver(database_url, tmp_path)
        app = app_on(database_url, tmp_path)
        app.get_log("here").info("one")
        (lock,) = journals(tmp_path)
        assert lock.parent == folder_for(app, "log", identity)
        app.shutdown(LIMIT)

    def test_a_place_whose_database_becomes_known(self, database_url: str, tmp_path: Path) -> None:
        """What was left for a host before its database ever answered goes to that database, through any host."""
        become(database_url)
        first = app_on(database_url, tmp_path)
        leave(folder_of(first, "status"), [])  # so that nothing of the place is delivered by the next line
        first.shutdown(LIMIT)
        deliver(database_url, tmp_path)
        leave(folder_of(first, "log"), [log_payload("a")])
        deliver(another_name_of(database_url), tmp_path)
        assert messages(database_url, "dead") == ["a"]

    def test_the_last_configuration_seen(self, database_url: str, tmp_path: Path) -> None:
        identity = become(database_url)
        deliver(database_url, tmp_path)
        for url in (database_url, another_name_of(database_url)):
            app = app_on(url, tmp_path)
            app.get_config()["x"] = url
            app.shutdown(LIMIT)
            app = app_on(url, tmp_path)
            app.get_log("x").info("y")
            app.shutdown(LIMIT)
        found = [path.name for path in (tmp_path / "snapshot").iterdir()]
        assert f"config-{identity}" in found
        assert len(found) <= 2, "of both, and what the second may have written before it was known"


class TestBeforeTheDatabaseIsKnown:
    """What was accepted before the database ever answered goes where the URL of that time points."""

    def test_it_is_made_later(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/later.db"
        app = app_on(url, tmp_path / "home")
        app.get_log("early").info("a")
        assert app.shutdown(0.1).left >= 1
        assert journals(tmp_path / "home")[0].parent == folder_of(app, "log")
        migrate(url)
        deliver(url, tmp_path / "home")
        assert messages(url, "early") == ["a"]

    def test_journals_of_the_release_before(self, database_url: str, tmp_path: Path) -> None:
        """They are in folders named after the place."""
        app = app_on(database_url, tmp_path)
        leave(folder_of(app, "log"), [log_payload("a")])
        deliver(database_url, tmp_path)
        assert messages(database_url, "dead") == ["a"]


def held_back(app: App) -> bool:
    """Have nothing delivered for the moment; return False if a delivery that was under way has undone that."""
    (lane,) = app._shipper._lanes
    lane.retry_at = float("inf")
    for _ in range(2):  # the second time, the thread has finished what it was doing
        app._shipper.wake()
        eventually(lambda: not app._shipper._wake.is_set())
    return lane.retry_at == float("inf")


class TestAnotherDatabaseInThePlace:
    """It gets what waited for the one before it, unless that one is elsewhere: then it gets nothing of that one's."""

    def test_the_former_is_nowhere(self, sqlite_url: str, tmp_path: Path) -> None:
        first = deliver(sqlite_url, tmp_path / "home")
        (identity,) = Places(tmp_path / "home").identities(first.settings.log.fingerprint)
        leave(folder_for(first, "log", identity), [log_payload("a")])
        put_anew(sqlite_url, tmp_path / "home")
        deliver(sqlite_url, tmp_path / "home")
        assert messages(sqlite_url, "dead") == ["a"]

    def test_the_former_is_elsewhere(self, sqlite_url: str, tmp_path: Path) -> None:
        first = deliver(sqlite_url, tmp_path / "home")
        identity = Places(tmp_path / "home").identity(first.settings.log.fingerprint)
        assert identity is not None
        moved = put_anew(sqlite_url, tmp_path / "home")
        deliver(moved, tmp_path / "home")
        leave(folder_for(first, "log", identity), [log_payload("a")])
        deliver(sqlite_url, tmp_path / "home")
        assert messages(sqlite_url, "dead") == []
        assert len(journals(tmp_path / "home")) == 1, "it waits"
        deliver(moved, tmp_path / "home")
        assert messages(moved, "dead") == ["a"]
        assert messages(sqlite_url, "dead") == []

    def test_while_a_process_runs(self, mariadb: MariaDB, mariadb_url: str, tmp_path: Path) -> None:
        """What it had accepted for the former goes to that one, what it accepts from then on to the present one."""
        former = become(mariadb_url)
        app = app_on(mariadb_url, tmp_path)
        log = app.get_log("running")
        log.info("one")
        eventually(lambda: messages(mariadb_url, "running"))
        copy = mariadb.copy_database(mariadb_url.rpartition("/")[2], "moved")
        deliver(copy, tmp_path)  # the former is known at this place, too
        (lane,) = app._shipper._lanes
        eventually(lambda: held_back(app))
        log.info("two")
        present = become(mariadb_url)
        lane.retry_at = 0.0
        app._shipper.wake()
        eventually(lambda: lane.identity == present and lane.met)  # then the journal has changed, too
        log.info("three")
        assert app.shutdown(LIMIT).dropped == 0
        assert messages(mariadb_url, "running") == ["one", "three"]
        deliver(copy, tmp_path)
        assert messages(copy, "running") == ["one", "two"]
        assert former != present
        mariadb.drop_database("moved")

    def test_it_gets_what_waited_and_nothing_that_was_delivered(self, database_url: str, tmp_path: Path) -> None:
        """An empty one has come into the place of the former, as when two databases are exchanged."""
        become(database_url)
        app = app_on(database_url, tmp_path)
        log = app.get_log("running")
        log.info("one")
        eventually(lambda: messages(database_url, "running"))
        for table in ("delivery_cursor", "log_record"):
            execute(database_url, f"DELETE FROM {table}")
        become(database_url)
        log.info("two")
        log.info("three")
        eventually(lambda: messages(database_url, "running")[-1:] == ["three"])
        report = app.shutdown(LIMIT)
        assert (report.left, report.dropped) == (0, 0)
        assert messages(database_url, "running") == ["two", "three"]
        assert not any("has gone back" in one for one in messages(database_url, "NexusCore.delivery"))

    @pytest.mark.parametrize(("cursor", "copied", "expected"), [(0, "", "345"), (1, "1", "1345"), (3, "123", "12345")])
    def test_after_a_commit_whose_answer_was_lost(
        self,
        database_url: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        cursor: int,
        copied: str,
        expected: str,
    ) -> None:
        """It gets what waited, of which the former may have got the last batch, and nothing that was acknowledged.

        What it holds already, as a copy of the former with another identity does, it does not get twice.
        """
        become(database_url)
        app = app_on(database_url, tmp_path)
        log = app.get_log("running")
        for number in "12":
            log.info(number)
        eventually(lambda: messages(database_url, "running") == ["1", "2"])
        (lane,) = app._shipper._lanes
        name, real = lane.journal.name, lane.database.write
        eventually(lambda: lane.journal.delivered == 2)

        def write(work: Callable[[Transaction], None]) -> None:
            monkeypatch.setattr(lane.database, "write", real)
            real(work)
            assert messages(database_url, "running") == ["1", "2", "3"], "the former has got it"
            execute(database_url, "DELETE FROM log_record WHERE message > :last", last=copied[-1:])
            execute(
                database_url, "UPDATE delivery_cursor SET delivered = :at WHERE journal = :name", at=cursor, name=name
            )
            become(database_url)
            raise CommitUnknown(where=database_url, reason="the answer was lost")

        monkeypatch.setattr(lane.database, "write", write)
        log.info("3")
        eventually(lambda: lane.away_since is not None)
        log.info("4")
        log.info("5")
        eventually(lambda: messages(database_url, "running")[-1:] == ["5"])
        report = app.shutdown(LIMIT)
        assert "".join(messages(database_url, "running")) == expected
        assert (report.left, report.dropped) == (0, 0)
        assert not any("has gone back" in one for one in messages(database_url, "NexusCore.delivery"))

    def test_it_is_looked_at_in_the_transaction_itself(self, database_url: str, tmp_path: Path) -> None:
        """The database may be exchanged after it was asked who it is; nothing is committed in the new one unasked."""
        become(database_url)
        app = app_on(database_url, tmp_path)
        app.get_log("running").info("one")
        eventually(lambda: messages(database_url, "running"))
        (lane,) = app._shipper._lanes
        assert lane.met
        present = become(database_url)
        app.get_log("running").info("two")
        eventually(lambda: messages(database_url, "running") == ["one", "two"])
        assert lane.identity == present
        warnings = messages(database_url, "NexusCore.delivery")
        assert any("is not the one that was there before" in one for one in warnings)
        app.shutdown(LIMIT)


class TestOtherFacilities:
    """A journal never gets to another facility's database, whatever uses the same home."""

    def test_two_databases_of_one_home(self, database_url: str, sqlite_url: str, tmp_path: Path) -> None:
        other = f"sqlite:///{tmp_path}/another facility.db"
        migrate(other)
        first = deliver(database_url, tmp_path)
        identity = Places(tmp_path).identity(first.settings.log.fingerprint)
        assert identity is not None
        leave(folder_for(first, "log", identity), [log_payload("a")])
        leave(folder_of(first, "log"), [log_payload("b")], "dead-2-1")
        deliver(other, tmp_path)
        assert messages(other, "dead") == []
        deliver(database_url, tmp_path)
        assert sorted(messages(database_url, "dead")) == ["a", "b"]

    def test_an_identity_that_is_no_name_for_a_folder(self, database_url: str, tmp_path: Path) -> None:
        become(database_url, "../../../outside")
        deliver(database_url, tmp_path / "home")
        assert open_database(database_url).identity() is None
        assert not list((tmp_path / "home").glob("places/*"))


class TestAnAccountThatMayNotRead:
    """The identity may be out of reach, where the grants are those of an older release: then the place has to do."""

    def test_records_are_delivered(self, mariadb: MariaDB, mariadb_url: str, tmp_path: Path) -> None:
        name = mariadb_url.rpartition("/")[2]
        mariadb.execute("CREATE USER 'older'@'127.0.0.1' IDENTIFIED BY 'older'")
        for table in ("alembic_version", "log_record", "delivery_cursor"):
            mariadb.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{name}`.`{table}` TO 'older'@'127.0.0.1'")
        url = mariadb.url(name, user="older", password="older")
        app = app_on(url, tmp_path)
        app.get_log("older").info("one")
        assert app.shutdown(LIMIT).left == 0
        mariadb.execute("DROP USER 'older'@'127.0.0.1'")
        assert messages(mariadb_url, "older") == ["one"]
        assert not list(tmp_path.glob("places/*"))


def test_a_journal_without_a_home(database_url: str, tmp_path: Path) -> None:
    """One that is delivered by itself goes to whatever database it is given for."""
    journal = Journal(tmp_path / "journal", app_on(database_url, tmp_path).clock)
    journal.append(log_payload("a"))
    shipper = Shipper(app_on(database_url, tmp_path).clock, 1 << 30)
    with closing(open_database(database_url)) as database:
        shipper.add(journal, database, LogSink())
        assert shipper.stop(LIMIT).left == 0
    assert rows(database_url, "SELECT message FROM log_record") == [("a",)]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"place": 1}'])
def test_a_memory_that_cannot_be_read(tmp_path: Path, content: str) -> None:
    url = DatabaseURL.parse(f"sqlite:///{tmp_path}/x.db")
    (tmp_path / "places").mkdir()
    (tmp_path / f"places/{url.fingerprint}.json").write_text(content)
    places = Places(tmp_path)
    assert places.identity(url.fingerprint) is None
    places.remember(url.fingerprint, url.place, "0123456789ab")
    assert places.identity(url.fingerprint) == "0123456789ab"
