"""How quick the core is: what calls cost, and how quickly records are delivered. Most are ratios within one run."""

from __future__ import annotations

import logging
import logging.handlers
import queue
import statistics
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.log.store import LOG_COLUMNS
from NexusCore.storage import open_database
from tests.benchmarks.conftest import Figures
from tests.benchmarks.measuring import CALLS, app_of, child, kind, spans, timed
from tests.processes import rows


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> App:
    one = app_of(database_url, tmp_path / "home")
    yield one
    one.shutdown(20)


class TestCalls:
    """What a program pays for a line of log, a status value, a parameter."""

    def test_log(self, app: App, database_url: str, figures: Figures) -> None:
        """Against the standard library's handler for the same purpose, in alternating rounds, during delivery."""
        waiting: queue.Queue[object] = queue.Queue()
        plain = logging.Logger("plain", logging.DEBUG)
        plain.addHandler(logging.handlers.QueueHandler(waiting))
        log = app.get_log("Bench")
        log.info("begin")
        rounds = []
        for _ in range(5):
            ours = spans(lambda number: log.info("message number %d of %s", number, "a session"))
            theirs = spans(lambda number: plain.info("message number %d of %s", number, "a session"))
            waiting.queue.clear()
            rounds.append([mine / its for mine, its in zip(ours, theirs, strict=True)])
        median, p99, mean = (statistics.median(column) for column in zip(*rounds, strict=True))
        figures.at_most(f"log.info / QueueHandler, median ({kind(database_url)})", median, 0.30, "x")
        figures.at_most(f"log.info / QueueHandler, 99th percentile ({kind(database_url)})", p99, 1.0, "x")
        figures.at_most(f"log.info / QueueHandler, mean of 50,000 ({kind(database_url)})", mean, 0.40, "x")

    def test_a_level_that_is_disabled(self, app: App, database_url: str, figures: Figures) -> None:
        plain = logging.Logger("plain", logging.WARNING)
        log = app.get_log("Bench")
        log.setLevel(logging.WARNING)
        ratios = []
        for _ in range(5):
            ours = spans(lambda number: log.info("message number %d of %s", number, "a session"))
            theirs = spans(lambda number: plain.info("message number %d of %s", number, "a session"))
            ratios.append(ours[0] / theirs[0])
        name = f"log.info, disabled, / the standard library's ({kind(database_url)})"
        figures.at_most(name, statistics.median(ratios), 1.1, "x")

    def test_status(self, app: App, database_url: str, figures: Figures) -> None:
        status = app.get_status("Bench")
        status["x"] = -1

        def change(number: int) -> None:
            status["x"] = number

        def keep(number: int) -> None:
            status["x"] = 7

        waiting: queue.Queue[object] = queue.Queue()
        plain = logging.Logger("plain", logging.DEBUG)
        plain.addHandler(logging.handlers.QueueHandler(waiting))
        rounds = []
        for _ in range(5):  # in turn, since a machine is not equally quick from one second to the next
            theirs, _ = timed(lambda number: plain.info("message number %d of a session", number))
            waiting.queue.clear()
            changed, _ = timed(change)
            unchanged, _ = timed(keep)
            rounds.append((changed / theirs, unchanged / theirs))
        changed, unchanged = (statistics.median(column) for column in zip(*rounds, strict=True))
        figures.at_most(f"status[x] = changed / QueueHandler ({kind(database_url)})", changed, 0.2, "x")
        figures.at_most(f"status[x] = unchanged / QueueHandler ({kind(database_url)})", unchanged, 0.05, "x")

    def test_configuration(self, app: App, database_url: str, figures: Figures) -> None:
        config = app.get_config("Bench")
        config["x"] = 1
        figures.at_most(f"cfg[known] ({kind(database_url)})", timed(lambda number: config["x"])[0], 0.8, "µs")
        figures.at_most(f"cfg[missing] ({kind(database_url)})", timed(lambda number: config["y"])[0], 0.8, "µs")

    @pytest.mark.parametrize(("count", "limit"), [(5_000, 100), (20_000, 400)])
    def test_loading(self, app: App, database_url: str, figures: Figures, count: int, limit: float) -> None:
        with app.get_config().together() as group:
            for number in range(count):
                group[f"Tree.folder{number % 50}.p{number}"] = number
        spans = []
        for _ in range(5):
            other = App(app.settings)
            with other.database().reading() as reading:  # connected: what a connection costs is the server's affair
                reading.one("SELECT 1")
            begin = time.perf_counter()
            other.get_config("Tree")
            spans.append((time.perf_counter() - begin) * 1000)
            other.shutdown()
        name = f"get_config of {count} parameters ({kind(database_url)})"
        figures.at_most(f"{name}, median", statistics.median(spans), limit, "ms")


LARGE = """
import time
from NexusCore import API
from NexusCore.config import snapshot, view, watch
database = API.app().database()
with database.reading() as reading:  # connected: what a connection costs is the server's affair
    begin = time.process_time()
    reading.all("SELECT revision, version_id, path, value, datatype, comment, limits, last_modified "
                "FROM config_parameter WHERE version_id = 1")
    plain = time.process_time() - begin
begin = time.process_time()
API.get_config("Tree")
print((time.process_time() - begin) / plain)
"""

MEMORY = """
from NexusCore import API
API.get_config("Tree")
API.shutdown()  # by then, the snapshot is written
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


class TestALargeConfiguration:
    """What 50,000 parameters cost a program that asks for few of them."""

    def test_it(self, app: App, database_url: str, tmp_path: Path, figures: Figures) -> None:
        with app.get_config().together() as group:
            for number in range(CALLS):
                group[f"Tree.folder{number % 500}.parameter{number}"] = (number, f"value {number}", number / 7)[
                    number % 3
                ]
        ratios = [float(self.said(LARGE, database_url, tmp_path)) for _ in range(5)]
        name = f"get_config of {CALLS:,} parameters ({kind(database_url)})"
        figures.at_most(f"{name} / a plain SELECT, processor time", statistics.median(ratios), 3, "x")
        memory = max(int(self.said(MEMORY, database_url, tmp_path)) for _ in range(2)) / 1024
        figures.at_most(f"{name}, memory at the most", memory, 60, "MB")

    @staticmethod
    def said(program: str, url: str, folder: Path) -> str:
        with child(url, folder / "other", program) as process:
            return process.communicate(timeout=120)[0]


class TestDelivery:
    """How quickly what was accepted reaches the database, against the driver's own 1,000-row executemany."""

    ROUNDS = 3

    def test_logs(self, database_url: str, tmp_path: Path, figures: Figures) -> None:
        """In turns, since the table grows meanwhile. Delivery runs while the calls are made; all of its time counts."""
        plain = [self.plain(database_url)]
        ours, drained = [], []
        for number in range(self.ROUNDS):
            app = app_of(database_url, tmp_path / f"home {number}")
            log = app.get_log("Bench")
            begin = time.perf_counter()
            for number in range(CALLS):
                log.info("message number %d of a session", number)
            accepted = time.perf_counter()
            report = app.shutdown(60)
            end = time.perf_counter()
            assert report.delivered == CALLS
            ours.append(CALLS / (end - begin))
            drained.append(end - accepted)
            plain.append(self.plain(database_url))
        rate, theirs = statistics.mean(ours), statistics.mean(plain)
        which = kind(database_url)
        figures.at_least(
            f"logs delivered / plain inserts ({which})", rate / theirs, 0.85 if which != "sqlite" else 0.5, "x"
        )
        figures.at_least(f"logs delivered ({which})", rate, 20_000, "rows/s")
        figures.at_most(f"left to deliver after the last log call ({which})", statistics.mean(drained), 2, "s")

    def test_processor_time(self, database_url: str, tmp_path: Path, figures: Figures) -> None:
        """What the delivery thread takes for a record, those who log may have to wait for."""
        begin = time.thread_time()
        self.plain(database_url)
        theirs = time.thread_time() - begin
        app = app_of(database_url, tmp_path / "home")
        log, database = app.get_log("Bench"), open_database(database_url)
        for number in range(CALLS):
            log.info("message number %d of a session", number)
        until = time.monotonic() + 60
        while rows(database, "SELECT COUNT(*) FROM log_record") != [(2 * CALLS,)]:
            assert time.monotonic() < until
            time.sleep(0.1)
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "delivery"]
        ours = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        app.shutdown(20)
        which = kind(database_url)
        # Of SQLite, the inserts themselves are this process's.
        name, most = f"delivery thread's / plain inserts' processor time ({which})", 1 if which != "sqlite" else 1.5
        figures.at_most(name, ours / theirs, most, "x")

    @staticmethod
    def plain(url: str) -> float:
        row = (
            1,
            20,
            "Bench",
            "test_core",
            1,
            "f",
            "host",
            1,
            "MainThread",
            "message number 1 of a session",
            None,
            None,
        )
        database = open_database(url)
        statement = database.dialect.insert("log_record", LOG_COLUMNS)
        begin = time.perf_counter()
        for _ in range(CALLS // 1000):
            with database.transaction() as transaction, closing(transaction._raw.cursor()) as cursor:
                cursor.executemany(statement, [row] * 1000)
        return CALLS / (time.perf_counter() - begin)

    def test_status(self, app: App, database_url: str, figures: Figures) -> None:
        status = app.get_status("Bench")
        begin = time.perf_counter()
        for number in range(CALLS):
            status["x"] = number
        report = app.shutdown(60)
        assert report.delivered == CALLS
        rate = CALLS / (time.perf_counter() - begin)
        figures.at_least(f"status delivered ({kind(database_url)})", rate, 20_000, "rows/s")


class TestNewNames:
    """How quickly names of status come in that were never seen before."""

    def test_channels(self, app: App, database_url: str, figures: Figures) -> None:
        begin = time.perf_counter()
        for number in range(2000):
            app.get_status(f"Bench {number}")["x"] = number
        assert app.shutdown(60).delivered == 2000
        spent = time.perf_counter() - begin
        figures.at_most(f"2,000 new channels ({kind(database_url)})", spent, 4, "s")

    def test_items(self, app: App, database_url: str, figures: Figures) -> None:
        begin = time.perf_counter()
        for number in range(10_000):
            app.get_status(f"Bench {number % 500}")[f"item {number}"] = number
        assert app.shutdown(60).delivered == 10_000
        spent = time.perf_counter() - begin
        figures.at_most(f"10,000 new items in 500 channels ({kind(database_url)})", spent, 1, "s")
