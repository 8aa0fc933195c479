"""Transactions, connections and their errors: promises of `NexusCore.storage`, on both databases."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
from pathlib import Path

import mysql.connector
import pytest

from NexusCore.errors import (
    DatabaseBusy,
    DatabaseDenied,
    DatabaseFull,
    DatabaseNotSecure,
    DatabaseRefused,
    DatabaseUnreachable,
    DatabaseUnusable,
    NexusError,
    NoDatabaseFile,
    NoSuchDatabase,
    SchemaMismatch,
    SchemaMissing,
)
from NexusCore.log.store import LOG_COLUMNS, LOG_FIELDS
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database, Transaction, dialect, open_database, server_errors
from NexusCore.storage.migrate import migrate
from tests.processes import LIMIT, execute, rows, run
from tests.server import Server


@pytest.fixture
def database(database_url: str) -> Database:
    return open_database(database_url)


def channels(url: str) -> list[str]:
    return [name for (name,) in rows(url, "SELECT name FROM status_channel ORDER BY name")]


class TestReading:
    """What is read is what the driver says it is; an error in the middle of many rows is an error."""

    def test_values_come_back_with_their_types(self, database: Database) -> None:
        texts = ["", "plain", "Größe 20 µm", "電子顯微鏡 👩🔬", "x" * 100_000, "a\0b\nc"]
        written = [
            (number - 3, 2**31 - 1 - number, "log", "module", -number, "f", "h", 1, "t", text, text or None, None)
            for number, text in enumerate(texts)
        ]
        with database.transaction() as transaction:
            transaction.insert_many("log_record", LOG_COLUMNS, written)
        with database.reading() as reading:
            found = reading.all(f"SELECT {LOG_FIELDS}, 1.5E0 FROM log_record t ORDER BY t.id")
            assert reading.all("SELECT id FROM log_record WHERE id < 0") == []
        assert found == [(*row, number, 1.5) for number, row in enumerate(written, 1)]
        assert [type(value) for value in found[0]] == [int] * 2 + [str] * 2 + [int] + [str] * 2 + [int] + [str] * 2 + [
            type(None), type(None), int, float,
        ]  # fmt: skip

    def test_an_error_behind_the_first_rows(self, server_database_url: str) -> None:
        """The rows come while the server still looks for the next ones."""
        database = open_database(server_database_url)
        row = (1, 20, "log", "module", 1, "f", "h", 1, "t", "x" * 1000, None, None)
        with database.transaction() as transaction:
            transaction.insert_many("log_record", LOG_COLUMNS, [row] * 1000)
        fails_at = "(SELECT s.id FROM log_record s WHERE s.id = 1 OR (t.id = 900 AND s.id = 2))"
        with pytest.raises(DatabaseRefused), database.reading() as reading:
            reading.all(f"SELECT t.id, t.message, {fails_at} FROM log_record t ORDER BY t.id")
        with database.reading() as reading:
            assert reading.all("SELECT COUNT(*) FROM log_record") == [(1000,)]


class TestTransactionsHaveNoHalf:
    """A transaction is committed when its block ends and rolled back when the block raises."""

    def test_rows_are_visible_only_after_the_commit(self, database: Database, database_url: str) -> None:
        with database.transaction() as transaction:
            transaction.insert("status_channel", name="a")
            transaction.insert_many("status_channel", ("name",), [("b",), ("c",)])
            assert channels(database_url) == []
        assert channels(database_url) == ["a", "b", "c"]

    @pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, DatabaseRefused])
    def test_an_exception_undoes_all(self, database: Database, database_url: str, fault: type[BaseException]) -> None:
        with pytest.raises(fault), database.transaction() as transaction:
            transaction.insert("status_channel", name="a")
            raise fault(where="", reason="") if issubclass(fault, NexusError) else fault
        assert channels(database_url) == []
        with database.transaction() as transaction:
            transaction.insert("status_channel", name="b")
        assert channels(database_url) == ["b"]

    def test_a_statement_that_fails_undoes_the_ones_before(self, database: Database, database_url: str) -> None:
        with pytest.raises(DatabaseRefused), database.transaction() as transaction:
            transaction.insert("status_channel", name="a")
            transaction.insert("status_channel", name="a")
        assert channels(database_url) == []

    def test_ids_are_those_of_the_rows(self, database: Database, database_url: str) -> None:
        with database.transaction() as transaction:
            first, second = (transaction.insert("status_channel", name=name) for name in "ab")
        assert rows(database_url, "SELECT id FROM status_channel ORDER BY name") == [(first,), (second,)]

    def test_values_are_never_part_of_the_statement(self, database: Database, database_url: str) -> None:
        odd = "'; DROP TABLE status_channel; -- %s %(a)s :b ?\\ \x00 \U0001f52c"
        with database.transaction() as transaction:
            transaction.insert("status_channel", name=odd)
            assert transaction.one("SELECT name FROM status_channel WHERE name = :name", name=odd) == (odd,)
        assert channels(database_url) == [odd]

    def test_thousands_of_rows_at_once(self, database: Database, database_url: str) -> None:
        with database.transaction() as transaction:
            transaction.insert_many("status_channel", ("name",), [(f"{n}",) for n in range(2500)])
        assert rows(database_url, "SELECT COUNT(*) FROM status_channel") == [(2500,)]


class TestRowsOfTheSameKey:
    """What differs between the databases comes to the same."""

    def test_insert_new_passes_over_them(self, database: Database, database_url: str) -> None:
        with database.transaction() as transaction:
            transaction.insert_new("status_channel", ("name",), [("a",), ("b",)])
            transaction.insert_new("status_channel", ("name",), [("b",), ("c",)])
        assert channels(database_url) == ["a", "b", "c"]

    def test_insert_new_does_not_hide_other_errors(self, database: Database) -> None:
        with pytest.raises(DatabaseRefused), database.transaction() as transaction:
            transaction.insert_new("status_channel", ("name",), [(None,)])

    def test_upsert_replaces_only_older_ones(self, database: Database, database_url: str) -> None:
        columns, key = ("item_id", "ts", "value", "expires"), ("item_id",)
        with database.transaction() as transaction:
            transaction.upsert("status_latest", columns, key, [(1, 10, "ten", None)], newer="ts")
            transaction.upsert("status_latest", columns, key, [(1, 9, "nine", 3)], newer="ts")
            transaction.upsert("status_latest", columns, key, [(2, 9, "nine", 3), (2, 9, "again", 4)], newer="ts")
        expected = [(1, 10, "ten", None), (2, 9, "again", 4)]
        assert rows(database_url, "SELECT item_id, ts, value, expires FROM status_latest ORDER BY item_id") == expected


class TestOthersInTheWay:
    """`write` runs again when a deadlock or a lock was in the way, and gives up with a sentence."""

    def test_a_deadlock_is_retried(self, server_database_url: str) -> None:
        database = open_database(server_database_url)
        with database.transaction() as transaction:
            transaction.insert_many("status_latest", ("item_id", "ts"), [(1, 0), (2, 0)])
        meet = threading.Barrier(2)
        attempts: list[int] = []

        def add(first: int, second: int) -> None:
            def work(transaction: Transaction) -> None:
                attempts.append(first)
                transaction.run("UPDATE status_latest SET ts = ts + 1 WHERE item_id = :id", id=first)
                if len(attempts) <= 2:
                    meet.wait(LIMIT)
                transaction.run("UPDATE status_latest SET ts = ts + 1 WHERE item_id = :id", id=second)

            database.write(work)

        threads = [threading.Thread(target=add, args=pair) for pair in ((1, 2), (2, 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert rows(server_database_url, "SELECT ts FROM status_latest ORDER BY item_id") == [(2,), (2,)]
        assert len(attempts) == 3

    def test_it_gives_up_with_a_sentence(self, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dialect, "BUSY_SECONDS", 0 if database_url.startswith("sqlite") else 1)
        monkeypatch.setattr("NexusCore.storage.engine.RETRY_SECONDS", 2.0)
        database = open_database(database_url)
        with database.transaction() as transaction:
            transaction.insert("status_latest", item_id=1, ts=0)
        update = "UPDATE status_latest SET ts = ts + 1 WHERE item_id = 1"
        with database.transaction() as transaction:
            transaction.run(update)
            with pytest.raises(DatabaseBusy, match="Try again"):
                open_database(database_url).write(lambda other: other.run(update))
        assert rows(database_url, "SELECT ts FROM status_latest") == [(1,)]

    def test_reading_waits_for_them(self, database: Database) -> None:
        """As for a node of a cluster that is late; a real one is in tests/faults/test_galera.py."""
        attempts: list[int] = []

        def look(reading: Transaction) -> object:
            attempts.append(1)
            if len(attempts) < 3:
                raise DatabaseBusy(where="somewhere", reason="Lock wait timeout exceeded")
            return reading.one("SELECT 7")

        numbers = random.getstate()
        assert database.read(look) == (7,)
        assert len(attempts) == 3
        assert random.getstate() == numbers  # a program that seeds Python's numbers gets the same ones

    def test_reading_gives_up_in_the_end(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("NexusCore.storage.engine.READ_SECONDS", 0.1)

        def look(reading: Transaction) -> object:
            raise DatabaseBusy(where="somewhere", reason="Lock wait timeout exceeded")

        with pytest.raises(DatabaseBusy):
            database.read(look)


class TestErrorsAreSorted:
    """By what a person can do about them, and whether it is the row's own fault: only then is it not tried again."""

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (sqlite3.SQLITE_BUSY, DatabaseBusy), (sqlite3.SQLITE_BUSY_SNAPSHOT, DatabaseBusy),
            (sqlite3.SQLITE_PROTOCOL, DatabaseBusy), (sqlite3.SQLITE_FULL, DatabaseFull),
            (sqlite3.SQLITE_IOERR_WRITE, DatabaseUnusable), (sqlite3.SQLITE_CORRUPT, DatabaseUnusable),
            (sqlite3.SQLITE_READONLY, DatabaseDenied), (sqlite3.SQLITE_CONSTRAINT_UNIQUE, DatabaseRefused),
            (sqlite3.SQLITE_TOOBIG, DatabaseRefused), (sqlite3.SQLITE_MISMATCH, DatabaseRefused),
        ],
    )  # fmt: skip
    def test_sqlite_codes_become_the_right_errors(self, code: int, kind: type[NexusError]) -> None:
        error = sqlite3.OperationalError("reason")
        error.sqlite_errorcode = code
        assert type(dialect.SQLite().translate(error, "here")) is kind

    @pytest.mark.parametrize(
        ("number", "kind"),
        [
            (1205, DatabaseBusy), (1213, DatabaseBusy), (1114, DatabaseFull), (1021, DatabaseFull),
            (2006, DatabaseUnreachable), (2013, DatabaseUnreachable), (1290, DatabaseUnusable),
            (1040, DatabaseUnusable), (1142, DatabaseDenied), (1045, DatabaseDenied), (1146, SchemaMissing),
            (1062, DatabaseRefused), (1264, DatabaseRefused), (1366, DatabaseRefused), (1406, DatabaseRefused),
            (1644, DatabaseRefused), (1153, DatabaseRefused), (1047, DatabaseUnusable), (1180, DatabaseUnusable),
            (1836, DatabaseUnusable), (1792, DatabaseUnusable), (1129, DatabaseUnusable), (3100, DatabaseUnusable),
            (1203, DatabaseUnusable), (1226, DatabaseUnusable), (1026, DatabaseUnusable), (1135, DatabaseUnusable),
            (3101, DatabaseBusy), (3572, DatabaseBusy), (1969, DatabaseBusy), (3024, DatabaseBusy),
            (1206, DatabaseBusy), (1020, DatabaseBusy), (1412, DatabaseBusy),
            (2055, DatabaseUnreachable), (1053, DatabaseUnreachable),
            (1927, DatabaseUnreachable), (3032, DatabaseUnreachable), (3169, DatabaseUnreachable),
            (3159, DatabaseNotSecure), (3098, DatabaseRefused), (4025, DatabaseRefused), (1105, DatabaseRefused),
        ],
    )  # fmt: skip
    def test_mysql_numbers_become_the_right_errors(self, number: int, kind: type[NexusError]) -> None:
        """Galera tells of its conflicts at COMMIT, where the driver's C extension raises an error of its own."""
        assert type(dialect.MySQL().translate(mysql.connector.Error("reason", number), "here")) is kind

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (mysql.connector.Error("Got error 149 'Lock deadlock' during COMMIT", 1180), DatabaseBusy),
            (mysql.connector.Error("Got error 5 'Input/output error' during COMMIT", 1180), DatabaseUnusable),
            (mysql.connector.Error("new", 9999, sqlstate="40001"), DatabaseBusy),
            (mysql.connector.Error("new", 9999, sqlstate="08S01"), DatabaseUnreachable),
            (mysql.connector.Error("new", 9999, sqlstate="HY000"), DatabaseRefused),
            (mysql.connector.Error("Got a packet bigger than ...", 1153, sqlstate="08S01"), DatabaseRefused),
            (mysql.connector.errors.OperationalError("MySQL Connection not available."), DatabaseUnreachable),
        ],
    )  # fmt: skip
    def test_by_more_than_their_number(self, error: mysql.connector.Error, kind: type[NexusError]) -> None:
        """Group Replication tells of a conflict in the text; a number of a newer server has at least its SQLSTATE."""
        assert type(dialect.MySQL().translate(error, "here")) is kind

    def test_no_number_has_two_meanings(self) -> None:
        sets = [server_errors.CONNECTION_LOST, server_errors.UNUSABLE, server_errors.BUSY, server_errors.DENIED]
        assert sum(map(len, sets)) == len(frozenset().union(*sets))


class TestErrorsSayWhatToDo:
    """Errors of the drivers come out as those of the project, whatever the database."""

    def test_missing_tables_name_the_migration_command(self, tmp_path: Path, database_server: Server) -> None:
        (tmp_path / "no.db").touch()
        for url in (f"sqlite:///{tmp_path}/no.db", database_server.create_database("no_tables")):
            with pytest.raises(SchemaMissing, match=r"NexusCore\.storage\.migrate"):
                rows(url, "SELECT 1")
        database_server.drop_database("no_tables")

    def test_an_unknown_revision_is_named(self, database_url: str) -> None:
        execute(database_url, "UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(SchemaMismatch, match="9999"):
            rows(database_url, "SELECT 1")

    def test_a_mistyped_path_is_an_error_and_no_new_database(self, tmp_path: Path) -> None:
        with pytest.raises(NoDatabaseFile, match="mistyped"):
            rows(f"sqlite:///{tmp_path}/mistyped.db", "SELECT 1")
        assert not (tmp_path / "mistyped.db").exists()

    def test_no_database_file(self, tmp_path: Path) -> None:
        (tmp_path / "text.db").write_text("this is no database, but it is long enough to be taken for one" * 20)
        for path, reason in ((tmp_path / "text.db", "not a database"), (tmp_path, "unable to open")):
            with pytest.raises(DatabaseUnusable, match=rf"cannot be used now \(.*{reason}") as caught:
                rows(f"sqlite:///{path}", "SELECT 1")
            assert "server" not in str(caught.value)

    def test_a_closed_port_is_reported_without_the_password(self) -> None:
        with pytest.raises(DatabaseUnreachable, match="does not answer") as caught:
            rows("mysql://u:secret@127.0.0.1:1/x", "SELECT 1")
        assert "secret" not in str(caught.value)

    def test_a_wrong_password(self, database_server: Server) -> None:
        with pytest.raises(DatabaseDenied, match="password") as caught:
            rows(database_server.url("nexus", password="hunter2"), "SELECT 1")
        assert "hunter2" not in str(caught.value)

    def test_no_such_database(self, database_server: Server) -> None:
        for ask in (migrate, lambda url: rows(url, "SELECT 1")):
            with pytest.raises(NoSuchDatabase, match=r"database at .*nowhere.* does not exist .* Is its name right\?"):
                ask(database_server.url("nowhere"))


class TestAServerThatGoesAway:
    """Whenever it goes, the error says so; a later transaction connects anew."""

    @pytest.mark.parametrize("moment", ["before a query", "within a transaction", "at the commit", "at the rollback"])
    def test_is_called_unreachable(self, private_server: Server, moment: str) -> None:
        url = private_server.create_database("nexus")
        migrate(url)
        database = open_database(url)
        with database.transaction() as transaction:
            transaction.insert("status_channel", name="first")

        def use() -> None:
            if moment == "before a query":
                private_server.kill()
                with database.reading() as reading:
                    reading.one("SELECT 1")
            with database.transaction() as transaction:
                transaction.insert("status_channel", name="second")
                private_server.kill()
                if moment == "within a transaction":
                    transaction.insert("status_channel", name="third")
                if moment == "at the rollback":
                    raise LookupError

        with pytest.raises(LookupError if moment == "at the rollback" else DatabaseUnreachable):
            use()
        private_server.start()
        with database.transaction() as transaction:
            transaction.insert("status_channel", name="fourth")
        assert channels(url) == ["first", "fourth"]

    def test_a_connection_lost_while_idle_is_replaced(self, private_server: Server) -> None:
        url = private_server.create_database("nexus")
        migrate(url)
        database = open_database(url)
        for name in ("first", "second"):
            with database.transaction() as transaction:
                transaction.insert("status_channel", name=name)
            private_server.stop()
            private_server.start()
        assert channels(url) == ["first", "second"]


class TestForks:
    """Connections are never shared with a forked child, and its end does not close its parent's."""

    PROGRAM = """
import os, sys
from NexusCore.storage import open_database
database = open_database(os.environ["NEXUSCORE_DATABASE"])
who = "SELECT CONNECTION_ID()" if sys.argv[1] == "mysql" else "SELECT 0"
def ask():
    with database.reading() as reading:
        return reading.one(who)[0]
mine = ask()
child = os.fork()
if child == 0:
    how = sys.argv[2]
    if how == "used":
        assert ask() != mine or sys.argv[1] == "sqlite"
    if how == "closed":
        database.close()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert ask() == mine
with database.transaction() as transaction:
    transaction.insert("status_channel", name="parent")
"""

    @pytest.mark.parametrize("how", ["used", "closed", "ignored"])
    def test_the_parent_keeps_its_own(self, database_url: str, tmp_path: Path, how: str) -> None:
        run(self.PROGRAM, database_url.partition(":")[0], how, main=database_url, home=tmp_path)
        assert channels(database_url) == ["parent"]

    def test_a_fork_while_another_thread_takes_a_connection(self, database_url: str, tmp_path: Path) -> None:
        """The lock that the other thread holds at that moment will never be released in the child."""
        program = """
import os, signal, sys, threading
from NexusCore.storage import open_database
database = open_database(os.environ["NEXUSCORE_DATABASE"])
held, forked = threading.Event(), threading.Event()
def hold():
    with database.pool._changed:
        held.set()
        forked.wait(60)
threading.Thread(target=hold).start()
held.wait(60)
child = os.fork()
if child == 0:
    signal.alarm(30)
    with database.transaction() as transaction:
        transaction.insert("status_channel", name="child")
    os._exit(0)
forked.set()
assert os.waitpid(child, 0)[1] == 0
"""
        run(program, main=database_url, home=tmp_path)
        assert channels(database_url) == ["child"]


class TestTheEmbeddedDatabase:
    """Without any settings there is a database of one's own, made at first use; no other is made by itself."""

    def test_it_is_made_at_first_use(self, tmp_path: Path) -> None:
        url = DatabaseURL(kind="sqlite", name=str(tmp_path / "deep/nexus.db"), embedded=True)
        with Database(url).reading() as reading:
            assert reading.all("SELECT * FROM session") == []
        with sqlite3.connect(url.name) as raw:
            assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        raw.close()
        if os.name == "posix":
            assert Path(url.name).stat().st_mode & 0o077 == 0
