"""Retention: old log records and status values go, if the configuration says so, and hold up no writer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.declare import declare
from NexusCore.log.store import LogFilter
from NexusCore.log.store import remove as remove_records
from NexusCore.retention import DAY, LOCK_FILE, LOG_DAYS, STATUS_DAYS, Retention, paced
from NexusCore.status.store import changes, latest
from NexusCore.status.store import remove as remove_values
from NexusCore.storage import Database, open_database
from tests.processes import LIMIT, app_on
from tests.tools.conftest import configure, log, report

OLD = 5_000
"""Rows that are old."""


def numbers(database: Database, table: str) -> int:
    with database.reading() as reading:
        row = reading.one(f"SELECT COUNT(*) FROM {table}")
    assert row is not None
    return int(row[0])


@pytest.fixture
def aged(database_url: str) -> Iterator[Database]:
    """Lend a database with log and status of 40 days ago and of today."""
    with closing(open_database(database_url)) as database:
        now = SYSTEM_CLOCK.now()
        for ts in (now - 40 * DAY, now):
            for number in range(5):
                log(database, f"line {number}", ts=ts + number)
                report(database, (ts + number, "Camera", f"x{number % 2}", str(number), None))
        report(database, (now - 40 * DAY, "Pump", "state", "on", None))
        yield database


class TestWhatGoes:
    """Only what is older than its setting, and never the newest value of an element."""

    def test_by_the_settings(self, aged: Database, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path)
        try:
            declare(app.get_config(), ["Facility"])
            for path, days, left in (
                (None, 0, (10, 11)),
                (LOG_DAYS, 50, (10, 11)),
                (LOG_DAYS, 30, (5, 11)),
                (STATUS_DAYS, 30, (5, 5)),
            ):
                if path is not None:
                    app.get_config()[path] = days
                Retention(app, app.get_log("Builder")).once()
                counts = numbers(aged, "log_record WHERE message LIKE 'line%'"), numbers(aged, "status_sample")
                assert (path, days, counts) == (path, days, left)
        finally:
            app.shutdown()
        assert [(sample.channel, sample.name, sample.value) for sample in latest(aged)] == [
            ("Camera", "x0", "4"), ("Camera", "x1", "3"), ("Pump", "state", "on"),
        ]  # fmt: skip

    def test_by_one_service_of_a_machine(self, sqlite_url: str, tmp_path: Path) -> None:
        with closing(open_database(sqlite_url)) as database:
            log(database, "old", ts=SYSTEM_CLOCK.now() - 2 * DAY)
            configure(database, Edit(LOG_DAYS, value=1))
        app = app_on(sqlite_url, tmp_path)
        try:
            retention = Retention(app, app.get_log("Builder"))
            with FileLock(tmp_path / LOCK_FILE):
                assert retention.once() == (0, 0)
            assert retention.once() == (1, 0)
        finally:
            app.shutdown()


class TestWritersGoOn:
    """It works in short transactions with pauses, so that writers get between any two of them."""

    def test_a_writer_gets_in_after_each_batch(self, database_url: str) -> None:
        with closing(open_database(database_url)) as database, closing(open_database(database_url)) as other:
            now = SYSTEM_CLOCK.now()
            for number in range(OLD // 1000):
                report(database, *((number, "Camera", "x", str(one), None) for one in range(1000)))
                log(database, "old", ts=number)
            for steps in (remove_values(database, now), remove_records(database, LogFilter(until=now))):
                for number, _ in enumerate(steps):
                    # The deletion is under way, between two of its transactions: no lock of it is left.
                    report(other, (now + number, "Camera", "y", str(number), None))
                    log(other, "new", ts=now + 1)
            assert numbers(database, "log_record") > 0
            assert {sample.name for sample in changes(database)} == {"y"}

    def test_it_pauses_as_its_work_was_long_and_ends_when_told(self) -> None:
        class Clock:
            def __init__(self) -> None:
                self.at = 0.0
                self.pauses: list[float] = []

            def now(self) -> int:
                return round(self.at * 1_000_000)

            def monotonic(self) -> float:
                return self.at

            def wait(self, event: threading.Event, seconds: float) -> bool:
                self.pauses.append(seconds)
                self.at += seconds
                return len(self.pauses) == 4

        clock = Clock()

        def steps() -> Iterator[int]:
            for took in (0.0, 1.0, 64.0, 0.5, 0.5):
                clock.at += took
                yield 1000

        assert len(list(paced(steps(), clock, threading.Event()))) == 4
        assert clock.pauses == pytest.approx([0.05, 2.0, 5.0, 1.0])


class TestAsAService:
    """A service does it by itself, and says how much went."""

    def test_one_line_in_the_log(self, sqlite_url: str, tmp_path: Path) -> None:
        with closing(open_database(sqlite_url)) as database:
            for _ in range(3):
                log(database, "old", ts=SYSTEM_CLOCK.now() - 2 * DAY)
            configure(database, Edit(LOG_DAYS, value=1))
            app = app_on(sqlite_url, tmp_path)
            try:
                Retention(app, app.get_log("Builder")).once()
            finally:
                app.shutdown(LIMIT)
            with database.reading() as reading:
                lines = [message for (message,) in reading.all("SELECT message FROM log_record")]
            assert lines == ["Deleted 3 log records older than 1 day"]
