"""Reading a table by time: in order, in either direction, from any place, a bounded number of rows at a time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from itertools import islice, pairwise

import pytest

from NexusCore.log.store import LOG_COLUMNS, LogFilter, LogQuery, count, newest, records, remove, values
from NexusCore.storage import Database, open_database, pagination

LOGGERS, HOSTS, MODULES, LEVELS = ("a", "b", "c"), ("pc", "desk"), ("m", "n"), (10, 20, 30, 40)


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Lend a database with a thousand lines of all kinds, read in small pages; many bear the same time."""
    monkeypatch.setattr(pagination, "FIRST", 3)
    monkeypatch.setattr(pagination, "LARGEST_PAGE", 50)
    monkeypatch.setattr(pagination, "PAGE_ROWS", 20)
    chance = random.Random(1)
    rows = [
        (
            chance.randrange(200), chance.choice(LEVELS), chance.choice(LOGGERS), chance.choice(MODULES), 1, "f",
            chance.choice(HOSTS), 1, "t", f"line {number} {'even' if number % 2 == 0 else 'odd'}", None,
            chance.choice((None, "s-1", "s-2")),
        )
        for number in range(1000)
    ]  # fmt: skip
    with closing(open_database(database_url)) as opened:
        with opened.transaction() as transaction:
            transaction.insert_many("log_record", LOG_COLUMNS, rows)
        yield opened


CONDITIONS = [
    LogFilter(),
    LogFilter(since=50, until=120),
    LogFilter(level=30),
    LogFilter(level=20, highest=30, until=100),
    LogFilter(highest=0),
    LogFilter(loggers=("a",)),
    LogFilter(loggers=("a", "c", "a"), level=40),
    LogFilter(loggers=("nobody",)),
    LogFilter(modules=("n",), since=150),
    LogFilter(hosts=("desk",), modules=("m", "n"), loggers=("b",), level=20),
    LogFilter(session="s-1"),
    LogFilter(session="s-2", hosts=("pc",), level=30, keywords=("EVEN",)),
    LogFilter(keywords=("even", "line 1")),
    LogFilter(keywords=("nothing has this",)),
]


def expected(database: Database, wanted: LogFilter) -> list[tuple[int, int]]:
    """Return times and ids of what matches, found without an index."""
    with database.reading() as reading:
        rows = reading.all("SELECT ts, id, level, logger, module, host, session, message FROM log_record")
    found = [
        (ts, number)
        for ts, number, level, logger, module, host, session, message in rows
        if wanted.level <= level <= (99 if wanted.highest is None else wanted.highest)
        and (wanted.since or 0) <= ts <= (999 if wanted.until is None else wanted.until)
        and (not wanted.loggers or logger in wanted.loggers)
        and (not wanted.modules or module in wanted.modules)
        and (not wanted.hosts or host in wanted.hosts)
        and wanted.session in (None, session)
        and all(word.lower() in message for word in wanted.keywords)
    ]
    return sorted(found)


class TestWhatIsFound:
    """Every row that meets the conditions, once, in the order of times and ids."""

    def test_all_of_it(self, database: Database) -> None:
        for wanted in CONDITIONS:
            there = expected(database, wanted)
            for backwards in (False, True):
                found = [(one.ts, one.id) for one in records(database, LogQuery(wanted, backwards=backwards))]
                assert (wanted, found) == (wanted, there[::-1] if backwards else there)

    def test_the_newest_matching_rows_are_returned(self, database: Database) -> None:
        """003-60: the filter comes before the count."""
        for wanted in CONDITIONS:
            there = expected(database, wanted)
            for number in (1, 7, 60):
                found = [(one.ts, one.id) for one in newest(database, wanted, number)]
                assert (wanted, found) == (wanted, there[-number:])

    def test_from_any_place_on(self, database: Database) -> None:
        """Who was interrupted goes on without a gap, and nothing comes twice."""
        for wanted in CONDITIONS:
            there = expected(database, wanted)
            for place in there[:: max(1, len(there) // 3)]:
                found = records(database, LogQuery(wanted, behind=place))
                assert [(one.ts, one.id) for one in found] == [one for one in there if one > place]
                found = records(database, LogQuery(wanted, behind=place, backwards=True))
                assert [(one.ts, one.id) for one in found] == [one for one in there[::-1] if one < place]

    def test_its_values_and_its_number(self, database: Database) -> None:
        for wanted in CONDITIONS:
            there = [one.logger for one in records(database, LogQuery(wanted))]
            assert sorted(values(database, "logger", LogQuery(wanted))) == sorted(set(there))
            assert count(database, wanted, 10_000) == len(there)
            assert count(database, wanted, 5) == min(len(there), 5)

    def test_matching_rows_are_deleted_in_batches(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """In transactions of bounded size; nothing else goes."""
        monkeypatch.setattr("NexusCore.log.store.REMOVED_AT_ONCE", 30)
        for wanted in (*reversed(CONDITIONS[2:]), CONDITIONS[1], CONDITIONS[0]):
            doomed, everything = expected(database, wanted), expected(database, LogFilter())
            gone = [0, *remove(database, wanted)]
            assert gone[-1] == len(doomed)
            assert all(0 < after - before <= 30 for before, after in pairwise(gone))
            assert expected(database, LogFilter()) == sorted(set(everything) - set(doomed))
        assert expected(database, LogFilter()) == []


class TestBounds:
    """However much there is, a statement looks at a bounded number of rows, and only as many as are asked for."""

    def test_a_search_that_finds_nothing_goes_in_steps(self, database: Database) -> None:
        passed: list[int] = []
        assert not list(records(database, LogQuery(LogFilter(keywords=("nothing",)), passed=passed.append)))
        assert len(passed) >= 1000 / pagination.LARGEST_PAGE
        assert passed == sorted(passed)

    def test_nothing_is_read_ahead(self, database: Database) -> None:
        passed: list[int] = []
        assert list(islice(records(database, LogQuery(LogFilter(), passed=passed.append)), 20))
        assert passed == []

    def test_names_are_read_from_the_index(self, database: Database) -> None:
        with database.reading() as reading:
            assert pagination.names(reading, "log_record", "logger") == list(LOGGERS)
            assert pagination.names(reading, "log_record", "session") == ["s-1", "s-2"]
