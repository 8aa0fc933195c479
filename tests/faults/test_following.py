"""Following the log while many processes write, roll back, and the server comes and goes: 0 missed, 0 twice."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.log.record import LogRecord
from NexusCore.log.store import LogFilter, arriving
from NexusCore.storage import open_database
from NexusCore.storage.migrate import migrate
from NexusCore.tail import Away, Back, Tail, TailCursor
from tests.mariadb import MariaDB
from tests.processes import LIMIT, ended, eventually, line_of, start, tell

pytestmark = pytest.mark.faults

WRITER = """
import os, random, sys
from NexusCore.log.store import LOG_COLUMNS
from NexusCore.storage import open_database
own, rounds, chance = sys.argv[1], int(sys.argv[2]), random.Random(sys.argv[1])
database = open_database(os.environ["NEXUSCORE_DATABASE"])
def row(text):
    return (0, 20, "writer", "m", 1, "f", "h", 1, "t", text, None, None)
print("ready", flush=True); input()
for number in range(rounds):
    size = chance.choice([1, 3, 50, 300])
    try:
        with database.transaction() as transaction:
            rows = [row(f"{own} {number} {part}") for part in range(size)]
            for first in range(0, size, 100):  # other writers' ids come in between
                transaction.insert_many("log_record", LOG_COLUMNS, rows[first : first + 100])
            if chance.random() < 0.2:
                raise LookupError
        print(f"{number} {size}")
    except LookupError:
        pass
"""


class Following:
    """Followers of the writers' log, each on a thread of its own, for as long as a block lasts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.seen: list[LogRecord | Away | Back] = []
        """By one that stays."""
        self.seen_in_turns: list[str] = []
        """By one after the other: a new one after each 500 rows, from the cursor of the last."""

    def __enter__(self) -> Following:
        for target in (self._stay, self._take_turns):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(LIMIT)

    @property
    def messages(self) -> list[str]:
        return [one.message for one in self.seen if isinstance(one, LogRecord)]

    def count(self, kind: type[Away | Back]) -> int:
        return sum(isinstance(one, kind) for one in self.seen)

    def _tail(self, cursor: TailCursor) -> Tail[LogRecord]:
        return Tail(open_database(self._url), arriving(LogFilter(loggers=("writer",))), SYSTEM_CLOCK, cursor)

    def _stay(self) -> None:
        self.seen.extend(self._tail(TailCursor(0)).follow(self._stop))

    def _take_turns(self) -> None:
        cursor = TailCursor(0)
        while not self._stop.is_set():
            follower = self._tail(cursor)
            for one in follower.follow(self._stop):
                if isinstance(one, LogRecord):
                    self.seen_in_turns.append(one.message)
                    if len(self.seen_in_turns) % 500 == 0:
                        break
            cursor = TailCursor.parse(str(follower.cursor))


def written(url: str, home: Path, owners: range, rounds: int) -> set[str]:
    """Have processes write at the same time; return the messages that they say they have committed."""
    writers = [start(WRITER, own, rounds, main=url, home=home) for own in owners]
    for writer in writers:
        line_of(writer)
    for writer in writers:
        tell(writer)
    done: set[str] = set()
    for own, writer in zip(owners, writers, strict=True):
        for line in ended(writer).splitlines():
            number, size = line.split()
            done |= {f"{own} {number} {part}" for part in range(int(size))}
    return done


class TestManyWriters:
    """Eight processes with transactions of 1 to 300 rows, a fifth of them rolled back."""

    def test_none_is_missed_and_none_comes_twice(self, database_url: str, tmp_path: Path) -> None:
        with Following(database_url) as following:
            expected = written(database_url, tmp_path, range(8), 40 if database_url.startswith("mysql") else 15)
            eventually(lambda: min(len(following.seen), len(following.seen_in_turns)) >= len(expected))
        for found in (following.messages, following.seen_in_turns):
            assert len(found) == len(set(found)), "twice"
            assert set(found) == expected


class TestTheServerComesAndGoes:
    """A follower says that it is away, and that it is back, and goes on where it was."""

    def test_two_outages_are_reported_and_nothing_is_missed(self, private_mariadb: MariaDB, tmp_path: Path) -> None:
        url = private_mariadb.create_database("nexus")
        migrate(url)
        with Following(url) as following:
            expected = written(url, tmp_path, range(2), 10)
            for times in (1, 2):
                private_mariadb.kill()
                eventually(lambda times=times: following.count(Away) == times, "it is away")  # type: ignore[misc]
                private_mariadb.start()
                eventually(lambda times=times: following.count(Back) == times, "it is back")  # type: ignore[misc]
                expected |= written(url, tmp_path, range(2 * times, 2 * times + 2), 10)
            eventually(lambda: min(len(following.messages), len(following.seen_in_turns)) >= len(expected))
        assert sorted(following.messages) == sorted(following.seen_in_turns) == sorted(expected)
        kinds = [type(one) for one in following.seen if not isinstance(one, LogRecord)]
        assert kinds == [Away, Back] * 2
