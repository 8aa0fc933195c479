"""What a process that only waits costs a server: one connection, and few statements."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import ConnectionLost, DatabaseDenied
from NexusCore.log.store import LogFilter, arriving
from NexusCore.storage import Database, open_database
from NexusCore.storage import pool as pool_module
from NexusCore.storage.polling import Follower, file_mark
from NexusCore.tail import Tail
from tests.mariadb import MariaDB
from tests.processes import LIMIT, app_on, eventually, execute, line_of, rows, start, tell
from tests.server import Server

SECONDS = 20.0
"""How long the waiting lasts, by a clock that takes no time."""
MOST_A_SECOND = 20

FOLLOWER = """
import sys, threading
from NexusCore import API
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.log.store import LogFilter, arriving
from NexusCore.storage import open_database
from NexusCore.tail import Tail
config, log = API.get_config("Idle"), API.get_log("idle")
seen, stop = threading.Event(), threading.Event()
config.add_callback("x", lambda parameter: seen.set())
url = API.app().settings.log
database = API.app().database(url) if sys.argv[1] == "shared" else open_database(url)
tail = Tail(database, arriving(LogFilter()), SYSTEM_CLOCK)
tail.begin()  # before anything is logged
lines = []
def follow():
    for line in tail.follow(stop):
        lines.append(line)
threading.Thread(target=follow, daemon=True).start()
log.info("begin")
while not lines:
    stop.wait(0.01)
print("ready", flush=True); input()
API.shutdown(60)
"""


class Virtual:
    """A clock whose waits take no time; it ends them after a while.

    Parameters
    ----------
    seconds
        When to end.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._passed = 0.0

    def now(self) -> int:
        return int(self._passed * 1_000_000)

    def monotonic(self) -> float:
        return self._passed

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self._passed += seconds
        if self._passed >= self._left:
            event.set()
        return event.is_set()


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Collect the statements that are sent."""
    from NexusCore.storage.transaction import Transaction

    sent: list[str] = []
    real, really = Transaction._execute, Database.glance

    def execute(self: Transaction, sql: str, values: dict[str, object]) -> Any:
        sent.append(sql)
        return real(self, sql, values)

    def glance(self: Database, sql: str) -> Any:
        sent.append(sql)
        return really(self, sql)

    with monkeypatch.context() as patched:
        patched.setattr(Transaction, "_execute", execute)
        patched.setattr(Database, "glance", glance)
        yield sent


class TestStatements:
    """A process that follows the configuration and the log asks 20 times a second at most while nothing happens."""

    def test_both_keep_to_the_rate(self, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        app = app_on(database_url, tmp_path)
        app.get_log("before").info("one")
        app.shutdown(LIMIT)
        tail = Tail(open_database(database_url), arriving(LogFilter()), Virtual(SECONDS), None)
        tail.begin()
        with counted(monkeypatch) as sent:
            assert list(tail.follow(threading.Event())) == []
        of_the_log = len(sent)
        app = app_on(database_url, tmp_path)
        live = app.live
        with app._lock:
            live.tree()  # watched from here on by the clock of the application
        live.close()
        live._stop.clear()
        live._clock = Virtual(SECONDS)
        live.store.database.wakeups = None  # a wait for those does not end by that clock
        with counted(monkeypatch) as sent:
            live._watch()
        of_the_configuration = len(sent)
        app.shutdown(LIMIT)
        assert SECONDS < of_the_log <= MOST_A_SECOND * SECONDS
        assert SECONDS < of_the_configuration <= MOST_A_SECOND * SECONDS

    def test_an_unchanged_file_is_not_read(
        self, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its times say so. A commit is seen, whether its time can be told from the one before or not."""
        database = open_database(sqlite_url)
        log = Path(f"{database.url.name}-wal")
        execute(sqlite_url, "UPDATE config_revision SET revision = 7")
        database.glance("SELECT 1")  # the log stays while a connection is open
        execute(sqlite_url, "UPDATE config_revision SET revision = 8")
        now = SYSTEM_CLOCK.now()
        assert file_mark(database.url, now) is None, "just written: the next commit may have the same time"
        mark = file_mark(database.url, now + 10_000_000)
        assert mark is not None
        assert file_mark(database.url, now + 20_000_000) == mark
        os.utime(log, (1, 1))  # as if all this had been long ago
        assert file_mark(database.url, now) not in (None, mark)
        poll = database.pool.poll
        follower = Follower(database, poll, "config_revision", SYSTEM_CLOCK)
        poll.join(follower)
        with counted(monkeypatch) as sent:
            poll.look(database, SYSTEM_CLOCK)
            before = follower.asked
            poll.look(database, SYSTEM_CLOCK)
            assert len(sent) == 1
            assert follower.asked > before, "that is as good as an answer"
            assert follower._heard == 8
            execute(sqlite_url, "UPDATE config_revision SET revision = 9")
            poll.look(database, SYSTEM_CLOCK)
            assert follower._heard == 9
        poll.leave(follower)
        follower.close()
        database.close()
        assert file_mark(database.url, now + 10_000_000) is None, "there is no log now"

    def test_of_both_one_asks(self, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The other one gets the news from it, and takes over when it has something to do or ends."""
        asked: list[tuple[str, str]] = []
        really = Database.glance

        def glance(self: Database, sql: str) -> Any:
            asked.append((threading.current_thread().name, sql))
            return really(self, sql)

        monkeypatch.setattr(Database, "glance", glance)
        ends = {name: threading.Event() for name in ("config_revision", "log_record")}
        news: list[str] = []
        ((revision,),) = rows(database_url, "SELECT revision FROM config_revision")

        def follow(table: str) -> None:
            # Objects of their own, as two parts of a program have them.
            database = open_database(database_url)
            known = revision if table == "config_revision" else None
            with closing(database.follow(table, SYSTEM_CLOCK)) as follower:
                while not ends[table].is_set():
                    follower.wait_for_news(ends[table], 0.01, known, LIMIT)
                    news.append(table)

        threads = {name: threading.Thread(target=follow, args=(name,), name=name) for name in ends}
        for thread in threads.values():
            thread.start()
        eventually(lambda: asked and all(table in asked[-1][1] for table in ends))
        begin = len(asked)
        eventually(lambda: len(asked) > begin + 5)
        (leader,) = {name for name, _ in asked[begin:]}
        (other,) = ends.keys() - {leader}
        assert news == []
        execute(database_url, "UPDATE config_revision SET revision = revision + 1")
        eventually(lambda: news == ["config_revision"])
        ends[leader].set()
        threads[leader].join(LIMIT)
        begin = len(asked)
        eventually(lambda: len(asked) > begin + 5)
        assert {name for name, _ in asked[begin + 1 :]} == {other}
        ends[other].set()
        threads[other].join(LIMIT)
        assert not any(thread.is_alive() for thread in threads.values())

    def test_one_who_leads_ends_the_waiting_of_another(self, database_url: str) -> None:
        """The other one's end is nothing that would wake it by itself."""
        ends = [threading.Event(), threading.Event()]

        def follow(stop: threading.Event) -> None:
            with closing(open_database(database_url).follow("log_record", SYSTEM_CLOCK)) as follower:
                follower.wait_for_news(stop, 0.01, None, 2 * LIMIT)

        threads = [threading.Thread(target=follow, args=(stop,)) for stop in ends]
        for thread in threads:
            thread.start()
        poll = open_database(database_url).pool.poll
        eventually(lambda: len(poll._waiting) == 2)
        for stop, thread in zip(ends, threads, strict=True):
            stop.set()
            thread.join(LIMIT)
            assert not thread.is_alive()

    @pytest.mark.parametrize("error", ["gone", "refused"])
    def test_one_that_cannot_ask_looks_for_itself(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch, error: str
    ) -> None:
        database = open_database(database_url)
        kinds = {"gone": ConnectionLost(where="", reason=""), "refused": DatabaseDenied(where="", reason="")}

        def glance(self: Database, sql: str) -> Any:
            raise kinds[error]

        monkeypatch.setattr(Database, "glance", glance)
        with closing(database.follow("log_record", SYSTEM_CLOCK)) as follower:
            follower.wait_for_news(threading.Event(), 0.0, None, LIMIT)  # returns

    def test_a_connection_that_was_lost_meanwhile(self, private_server: Server) -> None:
        """The next look has a new one."""
        database = open_database(private_server.create_database("lost"), None)
        database._check_schema = False
        assert tuple(database.glance("SELECT 1")) == (1,)
        private_server.kill()
        with pytest.raises(ConnectionLost):
            database.glance("SELECT 1")
        private_server.start()
        assert tuple(database.glance("SELECT 1")) == (1,)
        with database.reading() as reading:
            assert reading.one("SELECT 2") == (2,)
        database.close()

    def test_more_often_while_something_happens(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path)
        tail = Tail(open_database(database_url), arriving(LogFilter()), SYSTEM_CLOCK)
        tail.begin()
        idle = tail._pause()
        app.get_log("here").info("one")
        eventually(tail.poll)
        assert tail._pause() < idle
        app.shutdown(LIMIT)


class TestConnections:
    """However many of its threads look now and then, an idle process holds one connection."""

    @pytest.mark.parametrize("how", ["shared", "of its own"])
    def test_of_a_process_that_follows(self, mariadb: MariaDB, mariadb_url: str, tmp_path: Path, how: str) -> None:
        process = start(FOLLOWER, how, main=mariadb_url, home=tmp_path)
        line_of(process)
        eventually(lambda: connections(mariadb, mariadb_url) == 1)
        pause = threading.Event()
        held = []
        for _ in range(50):
            pause.wait(0.02)
            held.append(connections(mariadb, mariadb_url))
        assert held.count(1) >= 48, held
        tell(process)
        process.communicate(timeout=LIMIT)
        eventually(lambda: connections(mariadb, mariadb_url) == 0)  # a busy server takes a moment to see the end

    def test_of_a_process_that_has_delivered(
        self, mariadb: MariaDB, mariadb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("NexusCore.delivery.shipper.ADOPT_SECONDS", 0.05)
        monkeypatch.setattr("NexusCore.storage.engine.IDLE_SECONDS", 0.01)
        app = app_on(mariadb_url, tmp_path)
        app.get_log("here").info("one")
        eventually(lambda: app.database().pool.users)
        eventually(lambda: connections(mariadb, mariadb_url) == 0)
        app.get_log("here").info("two")
        assert app.shutdown(LIMIT).left == 0

    def test_one_that_is_busy_is_not_waited_for(self, mariadb: MariaDB, mariadb_url: str) -> None:
        database = open_database(mariadb_url)
        asked = threading.Event()

        def ask() -> None:
            with database.reading() as reading:
                reading.one("SELECT 1")
            asked.set()

        with database.reading():
            threading.Thread(target=ask).start()
            assert asked.wait(LIMIT)
            assert connections(mariadb, mariadb_url) == 2
        database.close()

    def test_a_spare_one_is_closed(self, mariadb: MariaDB, mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        database, other = open_database(mariadb_url), Database(open_database(mariadb_url).url)
        with database.reading(), other.reading():
            assert connections(mariadb, mariadb_url) == 2
        monkeypatch.setattr(pool_module, "SPARE_SECONDS", 0.0)
        with database.reading():
            pass
        eventually(lambda: connections(mariadb, mariadb_url) == 1)
        database.close()
        assert connections(mariadb, mariadb_url) == 1, "the other one is still used"
        other.close()
        eventually(lambda: connections(mariadb, mariadb_url) == 0)


def connections(mariadb: MariaDB, url: str) -> int:
    """Return how many connections there are to a database."""
    name = url.rpartition("/")[2]
    (row,) = mariadb.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE db = %s", name)
    return int(row[0])
