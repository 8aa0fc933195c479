"""Following a table: each row once, none missed, whatever order the writers commit in (`NexusCore.tail`)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest

from NexusCore import tail as tail_module
from NexusCore.errors import ConfigException, DatabaseBusy, DatabaseUnreachable
from NexusCore.log.record import LogRecord
from NexusCore.log.store import LOG_COLUMNS, LogFilter, arriving
from NexusCore.storage import Database, Transaction, open_database
from NexusCore.tail import Away, Back, Tail, TailCursor
from tests.clocks import HandClock
from tests.processes import execute


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(open_database(database_url)) as database:
        yield database


@pytest.fixture
def server_database(server_database_url: str) -> Iterator[Database]:
    with closing(open_database(server_database_url)) as database:
        yield database


def insert(transaction: Transaction, *texts: str, level: int = 20) -> None:
    rows = [(0, level, "log", "module", 1, "f", "host", 1, "thread", text, None, None) for text in texts]
    transaction.insert_many("log_record", LOG_COLUMNS, rows)


def add(database: Database, *texts: str, level: int = 20) -> None:
    with database.transaction() as transaction:
        insert(transaction, *texts, level=level)


def follower(
    database: Database, clock: HandClock, cursor: TailCursor | None = None, wanted: LogFilter | None = None
) -> Tail[LogRecord]:
    tail = Tail(database, arriving(wanted or LogFilter()), clock, cursor)
    if cursor is None:
        tail.begin()
    return tail


def texts(records: list[LogRecord]) -> list[str]:
    return [record.message for record in records]


class TestInOrder:
    """Rows come in the order of their ids, from where the follower began."""

    def test_only_what_comes_after_the_beginning(self, database: Database, clock: HandClock) -> None:
        add(database, "before")
        tail = follower(database, clock)
        add(database, "a", "b")
        assert texts(tail.poll()) == ["a", "b"]
        add(database, "c")
        assert texts(tail.poll()) == ["c"]
        assert tail.poll() == []

    def test_an_empty_table(self, database: Database, clock: HandClock) -> None:
        tail = follower(database, clock)
        assert tail.poll() == []
        add(database, "first")
        assert texts(tail.poll()) == ["first"]

    def test_more_than_one_query_takes(self, database: Database, clock: HandClock) -> None:
        tail = follower(database, clock)
        expected = [str(number) for number in range(2 * tail_module.BATCH + 5)]
        add(database, *expected)
        found = [*tail.poll(), *tail.poll(), *tail.poll()]
        assert texts(found) == expected

    def test_rows_that_do_not_match_are_no_holes(self, database: Database, clock: HandClock) -> None:
        tail = follower(database, clock, wanted=LogFilter(level=30))
        add(database, "info")
        add(database, "warning", level=30)
        add(database, "info")
        assert texts(tail.poll()) == ["warning"]
        assert not tail.cursor.holes

    def test_from_a_cursor(self, database: Database, clock: HandClock) -> None:
        tail = follower(database, clock)
        add(database, "a")
        tail.poll()
        written = str(tail.cursor)
        add(database, "b", "c")
        assert texts(follower(database, clock, TailCursor.parse(written)).poll()) == ["b", "c"]

    @pytest.mark.parametrize("text", ["", "x", "{}", "[]", "5", '["a"]', "[null]"])
    def test_a_text_that_is_no_cursor(self, text: str) -> None:
        with pytest.raises(ConfigException, match="is not a valid cursor"):
            TailCursor.parse(text)


class TestLateCommits:
    """A row that becomes visible after a later one is handed out all the same, once."""

    def test_a_hole_that_fills(self, server_database: Database, clock: HandClock) -> None:
        tail = follower(server_database, clock)
        with server_database.transaction() as late:
            insert(late, "late 1", "late 2")
            add(server_database, "early")
            assert texts(tail.poll()) == ["early"]
            assert len(tail.cursor.holes) == 2
            resumed = follower(server_database, clock, TailCursor.parse(str(tail.cursor)))
        assert texts(tail.poll()) == texts(resumed.poll()) == ["late 1", "late 2"]
        assert tail.poll() == resumed.poll() == []
        assert not tail.cursor.holes

    def test_many_transactions_in_reverse_order(self, server_database: Database, clock: HandClock) -> None:
        tail = follower(server_database, clock)
        found: list[str] = []
        with ExitStack() as stack:  # which commits the last one first
            for number in range(20):
                insert(stack.enter_context(server_database.transaction()), f"{number} a", f"{number} b")
                stack.callback(lambda: found.extend(texts(tail.poll())))
        found += texts(tail.poll())
        assert sorted(found) == sorted(f"{number} {one}" for number in range(20) for one in "ab")

    def test_one_that_is_under_way_at_the_beginning(self, server_database: Database, clock: HandClock) -> None:
        with server_database.transaction() as late:
            insert(late, "late")
            add(server_database, "before")
            tail = follower(server_database, clock)
            assert tail.poll() == []
        assert texts(tail.poll()) == ["late"]

    def test_however_far_behind(self, server_database: Database, clock: HandClock) -> None:
        """Sixteen writers with batches of thousands of rows are that far apart."""
        with server_database.transaction() as late:
            insert(late, "late")
            for _ in range(5):
                add(server_database, *map(str, range(10_000)))
            tail = follower(server_database, clock)
        assert texts(tail.poll()) == ["late"]

    def test_one_that_is_rolled_back_is_given_up(self, server_database: Database, clock: HandClock) -> None:
        tail = follower(server_database, clock)
        with pytest.raises(LookupError), server_database.transaction() as doomed:
            insert(doomed, "never")
            add(server_database, "other")
            assert texts(tail.poll()) == ["other"]
            raise LookupError
        assert tail.poll() == []
        assert len(tail.cursor.holes) == 1
        for _ in range(int(tail_module.HOLE_SECONDS) + 2):
            clock.advance(1)
            assert tail.poll() == []
        assert not tail.cursor.holes

    def test_time_without_polls_does_not_count(self, server_database: Database, clock: HandClock) -> None:
        """The server, this machine or the network stood still for longer than any hole is remembered."""
        tail = follower(server_database, clock)
        with server_database.transaction() as late:
            insert(late, "late")
            add(server_database, "early")
            assert texts(tail.poll()) == ["early"]
            clock.advance(10 * tail_module.HOLE_SECONDS)
            assert tail.poll() == []
        clock.advance(tail_module.YOUNG_SECONDS)
        assert texts(tail.poll()) == ["late"]


class HastyClock(HandClock):
    """Nobody has to wait for it."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.advance(seconds)
        return event.is_set()


class Faulty(Database):
    """A database that goes away at a chosen query of its readers, or for a number of them."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.url)
        self.fail_at = -1
        self.asked = 0
        self.away: Exception | None = None
        self.comes_back_after = 0

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        if self.away is not None:
            self.comes_back_after -= 1
            if self.comes_back_after:
                raise self.away
            self.away = None
        with super().reading() as reading:
            real = reading.all

            def asked(sql: str, **values: object) -> list[tuple[Any, ...]]:
                self.asked += 1
                if self.asked == self.fail_at:
                    raise DatabaseUnreachable(where="here", reason="it went away")
                return real(sql, **values)

            reading.all = asked  # type: ignore[method-assign]
            yield reading


class TestOldHoles:
    """Where many rows were deleted a follower does not ask for them at each look, but it still asks."""

    def test_a_late_one(self, server_database: Database, clock: HandClock) -> None:
        with closing(Faulty(server_database)) as counting:
            tail = follower(counting, clock)
            with server_database.transaction() as late:
                insert(late, "late")
                add(server_database, "early")
                assert texts(tail.poll()) == ["early"]
                clock.advance(tail_module.YOUNG_SECONDS)
                tail.poll()
                counting.asked = 0
                for _ in range(10):
                    assert tail.poll() == []
                assert counting.asked == 10, "one query a look: is there anything new"
            clock.advance(tail_module.YOUNG_SECONDS)
            assert texts(tail.poll()) == ["late"]


class TestTheDatabaseGoesAway:
    """After the database was away the follower goes on where it was."""

    @pytest.mark.parametrize("query", range(1, 6))
    def test_in_the_middle_of_a_poll(
        self, server_database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch, query: int
    ) -> None:
        """What was read before it went is not lost, and not handed out twice."""
        monkeypatch.setattr(tail_module, "_RUNS_PER_QUERY", 1)
        monkeypatch.setattr(tail_module, "_HOLE_DISTANCE", 0)
        with closing(Faulty(server_database)) as faulty:
            tail = follower(faulty, clock)
            with server_database.transaction() as late:
                insert(late, "late 1", "late 2")
                add(server_database, "early")
                found = texts(tail.poll())
            add(server_database, "new")
            faulty.asked, faulty.fail_at = 0, query
            for _ in range(2):
                try:
                    found += texts(tail.poll())
                except DatabaseUnreachable:
                    found.append("away")
        assert found == ["early", "away", "late 1", "late 2", "new"]

    @pytest.mark.parametrize("fault", [DatabaseUnreachable, DatabaseBusy])
    def test_it_is_reported_once(self, database: Database, fault: type[DatabaseUnreachable | DatabaseBusy]) -> None:
        with closing(Faulty(database)) as faulty:
            tail = follower(faulty, HastyClock())
            stop = threading.Event()
            seen: list[Any] = []
            add(database, "before")
            for one in tail.follow(stop):
                seen.append(one)
                if isinstance(one, LogRecord):
                    faulty.away = fault(where="here", reason="it went away")
                if isinstance(one, Away):
                    assert one.error is faulty.away
                    add(database, "meanwhile")
                    faulty.comes_back_after = 3
                if len(seen) == 4:
                    stop.set()
        assert [one.message if isinstance(one, LogRecord) else type(one) for one in seen] == [
            "before", Away, Back, "meanwhile",
        ]  # fmt: skip


def put(url: str, number: int, message: str) -> None:
    """Insert a row of a given id."""
    columns = ", ".join(LOG_COLUMNS)
    values = f"1, 20, 'n', 'm', 1, 'f', 'h', 1, 't', '{message}', NULL, NULL"
    execute(url, f"INSERT INTO log_record (id, {columns}) VALUES ({number}, {values})")


class TestTheCursor:
    """It stands behind what was handed out, no more: who is killed and resumes misses nothing."""

    def test_in_the_middle_of_a_batch(self, database: Database, clock: HandClock) -> None:
        tail = follower(database, clock)
        add(database, *"abcdef")
        following = tail.follow(threading.Event())
        assert [next(following).message for _ in range(3)] == ["a", "b", "c"]  # type: ignore[union-attr]
        resumed = follower(database, clock, TailCursor.parse(str(tail.cursor)))
        add(database, "g")
        assert texts(resumed.poll()) == ["d", "e", "f", "g"]
        assert [next(following).message for _ in range(4)] == ["d", "e", "f", "g"]  # type: ignore[union-attr]

    def test_who_resumes_after_every_row(
        self, database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What waits does not grow."""
        monkeypatch.setattr(tail_module, "BATCH", 10)
        cursor, found = TailCursor(0), []
        add(database, *map(str, range(100)))
        for _ in range(100):
            tail = follower(database, clock, cursor)
            found.append(next(tail.follow(threading.Event())).message)  # type: ignore[union-attr]
            cursor = TailCursor.parse(str(tail.cursor))
            assert len(cursor.holes) <= 2 * tail_module.BATCH
        assert sorted(found, key=int) == [str(n) for n in range(100)]
        assert follower(database, clock, cursor).poll() == []

    def test_who_breaks_off_and_begins_again(self, database: Database, clock: HandClock) -> None:
        tail = follower(database, clock)
        add(database, *"abc")
        assert [next(tail.follow(threading.Event())).message for _ in range(3)] == ["a", "b", "c"]  # type: ignore[union-attr]

    def test_a_batch_counts_when_the_next_is_requested(self, database: Database, clock: HandClock) -> None:
        """A batch counts as handed out when the next one is asked for: who is stopped meanwhile gets it again."""
        tail, stop = follower(database, clock), threading.Event()
        add(database, *"abc")
        following = tail.batches(stop)
        assert [one.message for one in next(following)] == ["a", "b", "c"]  # type: ignore[union-attr]
        resumed = follower(database, clock, TailCursor.parse(str(tail.cursor)))
        assert texts(resumed.poll()) == ["a", "b", "c"]
        add(database, "d")
        assert [one.message for one in next(following)] == ["d"]  # type: ignore[union-attr]
        resumed = follower(database, clock, TailCursor.parse(str(tail.cursor)))
        assert texts(resumed.poll()) == ["d"]
        stop.set()
        assert list(following) == []
        assert follower(database, clock, TailCursor.parse(str(tail.cursor))).poll() == []

    def test_behind_a_gap_as_a_killed_server_leaves(
        self, database: Database, database_url: str, clock: HandClock
    ) -> None:
        """What many writers had under way is taken back, and some of it may yet come."""
        tail = follower(database, clock)
        add(database, "a")
        (first,) = (record.id for record in tail.poll())
        put(database_url, first + 200_000, "far behind")
        assert texts(tail.poll()) == ["far behind"]
        resumed = follower(database, clock, TailCursor.parse(str(tail.cursor)))
        put(database_url, first + 1, "late")
        put(database_url, first + 199_999, "later")
        assert texts(resumed.poll()) == ["late", "later"]

    def test_a_number_out_of_all_proportion_does_not_cost_the_memory(
        self, database: Database, database_url: str, clock: HandClock
    ) -> None:
        tail = follower(database, clock)
        put(database_url, 1_000_000_000_000, "odd")
        assert texts(tail.poll()) == ["odd"]
        assert len(TailCursor.parse(str(tail.cursor)).holes) == tail_module.WIDEST
        put(database_url, 999_999_999_999, "near it")
        assert texts(tail.poll()) == ["near it"]

    def test_deleted_rows_stop_no_reader(self, database: Database, database_url: str, clock: HandClock) -> None:
        """As old rows are, in a facility that keeps a year of logs."""
        tail = follower(database, clock)
        add(database, *"abcdef")
        execute(database_url, "DELETE FROM log_record WHERE message IN ('b', 'd', 'f')")
        assert texts(tail.poll()) == ["a", "c", "e"]
        add(database, "g")
        assert texts(tail.poll()) == ["g"]
