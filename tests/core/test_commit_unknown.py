"""A COMMIT whose answer is lost: nothing is stored twice, and what can be looked up is not reported as failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import mysql.connector
import pytest
from mysql.connector.connection_cext import CMySQLConnection

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config import once
from NexusCore.config.store import ConfigStore, Edit, Origin
from NexusCore.errors import CommitUnknown, DatabaseUnreachable, ValueRefused
from NexusCore.storage import Database, dialect, open_database

ORIGIN = Origin("alice", "pc", "test")


@pytest.fixture
def database(mariadb_url: str) -> Iterator[Database]:
    opened = open_database(mariadb_url)
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database) -> ConfigStore:
    return ConfigStore(database, SYSTEM_CLOCK)


@pytest.fixture(params=["took effect", "did not"])
def lose_next(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lend a function after which the next COMMIT gets no answer, whether it took effect or not."""
    real = CMySQLConnection.commit
    armed: list[bool] = []

    def commit(self: CMySQLConnection) -> None:
        if not armed:
            real(self)
            return
        armed.clear()
        if request.param == "took effect":
            real(self)
        self.close()
        raise mysql.connector.errors.OperationalError("Lost connection to MySQL server during query", 2013)

    monkeypatch.setattr(CMySQLConnection, "commit", commit)
    return lambda: armed.append(True)


class TestConfiguration:
    """A change is stored once, and its revision is returned."""

    def test_a_lost_answer_stores_the_value_once(self, store: ConfigStore, lose_next: Callable[[], None]) -> None:
        version = store.version_id("default")
        lose_next()
        revisions = store.apply(version, "default", [Edit("A.b", value=1)], ORIGIN)
        assert revisions == [store.revision()]
        assert [one.new_value for one in store.history(version, "A.b")] == ["1"]

    def test_only_if_it_is_unchanged(self, store: ConfigStore, lose_next: Callable[[], None]) -> None:
        """The change itself is not taken for one that someone else made meanwhile."""
        version = store.version_id("default")
        (before,) = store.apply(version, "default", [Edit("A.b", value=1)], ORIGIN)
        lose_next()
        (after,) = store.apply(version, "default", [Edit("A.b", value=2, if_revision=before)], ORIGIN)
        assert after == before + 1
        with pytest.raises(ValueRefused, match="changed meanwhile"):
            store.apply(version, "default", [Edit("A.b", value=3, if_revision=before)], ORIGIN)

    def test_someone_elses_change_is_not_taken_for_it(self, store: ConfigStore, lose_next: Callable[[], None]) -> None:
        version = store.version_id("default")
        other = ConfigStore(open_database(store.database.url), SYSTEM_CLOCK)
        store.apply(version, "default", [Edit("A.b", value=1)], ORIGIN)
        lose_next()
        store.apply(version, "default", [Edit("A.b", value=2)], ORIGIN)
        other.apply(version, "default", [Edit("A.b", value=3)], Origin("bob", "pc", "test"))
        assert [one.new_value for one in store.history(version, "A.b")] == ["3", "2", "1"]
        other.database.close()

    def test_what_cannot_be_looked_up_is_not_said_to_have_failed(
        self, store: ConfigStore, lose_next: Callable[[], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Others hold the lock when it is to be looked up: "try again" would be the wrong advice."""
        monkeypatch.setattr(dialect, "BUSY_SECONDS", 1)
        monkeypatch.setattr(once, "CHANGE_WAIT_SECONDS", 0.5)
        version = store.version_id("default")
        other = open_database(store.database.url)
        lost = CMySQLConnection.commit
        with ExitStack() as held:

            def commit(self: CMySQLConnection) -> None:
                try:
                    lost(self)
                finally:
                    monkeypatch.setattr(CMySQLConnection, "commit", lost)
                    held.enter_context(other.transaction()).one("SELECT revision FROM config_revision FOR UPDATE")

            lose_next()
            monkeypatch.setattr(CMySQLConnection, "commit", commit)
            with pytest.raises(CommitUnknown, match="Whether the last change took effect is not known"):
                store.apply(version, "default", [Edit("A.b", value=1)], ORIGIN)
        other.close()

    def test_versions_survive_lost_answers(self, store: ConfigStore, lose_next: Callable[[], None]) -> None:
        store.apply(store.version_id("default"), "default", [Edit("A.b", value=1)], ORIGIN)
        lose_next()
        assert store.add_version("night") == store.version_id("night")
        lose_next()
        assert len(store.copy("default", "day", False, ORIGIN)) == len(store.load(store.version_id("default")))
        lose_next()
        store.delete_version("day", ORIGIN)
        assert store.versions() == ["default", "night"]


class TestOthers:
    """What cannot be looked up is done once, and said to be uncertain."""

    def test_it_is_not_done_again(self, database: Database, lose_next: Callable[[], None]) -> None:
        attempts = []
        lose_next()
        with pytest.raises(CommitUnknown, match="Whether the last change took effect is not known") as caught:
            database.write(lambda transaction: attempts.append(transaction.insert("status_channel", name="once")))
        assert isinstance(caught.value, DatabaseUnreachable)
        assert len(attempts) == 1
