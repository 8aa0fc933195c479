"""How quick the core is: calls, delivery, changes reaching other processes. Ratios within one run where one stands."""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.settings import load
from NexusCore.storage import open_database
from NexusCore.tail import Source, Tail
from tests.benchmarks.conftest import Figures

PROJECT = Path(__file__).resolve().parents[2]
CALLS = 50_000


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> App:
    one = App(load({"NEXUSCORE_DATABASE": database_url, "NEXUSCORE_HOME": str(tmp_path / "home")}, files=()))
    yield one
    one.shutdown(20)


def timed(call: Callable[[int], object], count: int = CALLS) -> tuple[float, float]:
    """Return median and 99th percentile of a call, in microseconds."""
    clock = time.perf_counter_ns
    spans = []
    for number in range(count):
        begin = clock()
        call(number)
        spans.append(clock() - begin)
    spans.sort()
    return spans[count // 2] / 1000, spans[int(count * 0.99)] / 1000


def kind(url: str) -> str:
    return url.partition("://")[0]


class TestCalls:
    """What a program pays for a line of log, a status value, a parameter."""

    def test_log(self, app: App, database_url: str, figures: Figures) -> None:
        plain = logging.Logger("plain", logging.DEBUG)
        plain.addHandler(logging.handlers.QueueHandler(queue.Queue()))
        log = app.get_log("Bench")
        log.info("begin")
        ours, p99 = timed(lambda number: log.info("message number %d of a session", number))
        theirs, _ = timed(lambda number: plain.info("message number %d of a session", number))
        figures.at_most(f"log.info / QueueHandler, median ({kind(database_url)})", ours / theirs, 0.9, "x")
        figures.at_most(f"log.info, 99th percentile ({kind(database_url)})", p99, 30, "µs")

    def test_status(self, app: App, database_url: str, figures: Figures) -> None:
        status = app.get_status("Bench")
        status["x"] = -1

        def change(number: int) -> None:
            status["x"] = number

        def keep(number: int) -> None:
            status["x"] = 7

        figures.at_most(f"status[x] = changed ({kind(database_url)})", timed(change)[0], 4.5, "µs")
        keep(0)
        figures.at_most(f"status[x] = unchanged ({kind(database_url)})", timed(keep)[0], 1, "µs")

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


class TestDelivery:
    """How quickly what was accepted reaches the database, against plain 1,000-row statements on the same server."""

    def plain(self, url: str) -> float:
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
        columns = (
            "ts", "level", "logger", "module", "line", "function", "host", "pid", "thread", "message", "traceback",
            "session",
        )  # fmt: skip
        database = open_database(url)
        begin = time.perf_counter()
        for _ in range(CALLS // 1000):
            with database.transaction() as transaction:
                transaction.insert_many("log_record", columns, [row] * 1000)
        return CALLS / (time.perf_counter() - begin)

    def test_logs(self, app: App, database_url: str, figures: Figures) -> None:
        log = app.get_log("Bench")
        begin = time.perf_counter()
        for number in range(CALLS):
            log.info("message number %d of a session", number)
        accepted = time.perf_counter()
        report = app.shutdown(60)
        assert report.delivered == CALLS
        # Delivery runs while the calls are made; all of its time counts.
        rate = CALLS / (time.perf_counter() - begin)
        drained = time.perf_counter() - accepted
        if kind(database_url) == "mysql":
            figures.at_least("logs delivered / plain inserts (mysql)", rate / self.plain(database_url), 0.6, "x")
        figures.at_least(f"logs delivered ({kind(database_url)})", rate, 20_000, "rows/s")
        figures.at_most(f"left to deliver after the last log call ({kind(database_url)})", drained, 2, "s")

    def test_status(self, app: App, database_url: str, figures: Figures) -> None:
        status = app.get_status("Bench")
        begin = time.perf_counter()
        for number in range(CALLS):
            status["x"] = number
        report = app.shutdown(60)
        assert report.delivered == CALLS
        rate = CALLS / (time.perf_counter() - begin)
        figures.at_least(f"status delivered ({kind(database_url)})", rate, 20_000, "rows/s")


def child(url: str, home: Path, program: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "NEXUSCORE_DATABASE": url, "NEXUSCORE_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


CHANGES = """
import sys, time
from NexusCore import API
config = API.get_config("Bench")
print("ready", flush=True)
sys.stdin.readline()
for number in range(100):
    config["sent"] = str(time.time_ns())
    time.sleep(0.03)
API.shutdown()
"""

LINES = """
import sys, time
from NexusCore import API
log = API.get_log("Bench")
print("ready", flush=True)
sys.stdin.readline()
for number in range({count}):
    log.info("%d", time.time_ns())
    time.sleep(1 / {rate})
API.shutdown()
"""


class TestAcrossProcesses:
    """How long until another process sees it."""

    def test_a_change(self, app: App, database_url: str, tmp_path: Path, figures: Figures) -> None:
        delays: list[float] = []
        app.get_config("Bench").add_callback(
            "sent", lambda parameter: delays.append((time.time_ns() - int(parameter.get_value())) / 1e6)
        )
        with child(database_url, tmp_path / "other", CHANGES) as writer:
            writer.stdout.readline()
            writer.communicate("go\n", timeout=60)
        time.sleep(0.3)
        assert len(delays) == 100
        name = f"change to callback elsewhere ({kind(database_url)})"
        figures.at_most(f"{name}, median", statistics.median(delays), 60, "ms")
        figures.at_most(f"{name}, worst", max(delays), 250, "ms")

    def test_an_idle_watcher(self, mariadb_url: str, tmp_path: Path, figures: Figures) -> None:
        app = App(load({"NEXUSCORE_DATABASE": mariadb_url, "NEXUSCORE_HOME": str(tmp_path / "home")}, files=()))
        app.get_config("Bench")
        asked = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'COM_SELECT'"
        other = open_database(mariadb_url)
        counts, moments = [], []
        for _ in range(2):
            with other.reading() as reading:
                counts.append(int(reading.one(asked)[0]))
            moments.append(time.monotonic())
            time.sleep(3)
        app.shutdown()
        rate = (counts[1] - counts[0] - 1) / (moments[1] - moments[0])
        figures.at_most("queries of an idle watcher (mysql)", rate, 25, "/s")

    @pytest.mark.parametrize("rate", [5, 100, 1000])
    def test_a_line_of_log(self, database_url: str, tmp_path: Path, figures: Figures, rate: int) -> None:
        source = Source("log_record", "t.message, t.id", lambda row: int(row[0]))
        tail = Tail(open_database(database_url), source, SYSTEM_CLOCK)
        tail.begin()
        count = min(500, rate * 4)
        delays: list[float] = []
        with child(database_url, tmp_path / "other", LINES.format(count=count, rate=rate)) as writer:
            writer.stdout.readline()
            writer.stdin.write("go\n")
            writer.stdin.flush()
            until = time.monotonic() + 30
            while len(delays) < count and time.monotonic() < until:
                delays += [(time.time_ns() - sent) / 1e6 for sent in tail.poll()]
                time.sleep(0.025)
            writer.communicate(timeout=60)
        assert len(delays) == count
        name = f"log call to tail elsewhere, {rate}/s ({kind(database_url)})"
        figures.at_most(f"{name}, median", statistics.median(delays), 60, "ms")
        figures.at_most(f"{name}, worst", max(delays), 300, "ms")


class TestAProcess:
    """What it costs to have the API at all."""

    def test_import(self, tmp_path: Path, figures: Figures) -> None:
        # Compiled, as on any machine from the second time on, also where this run's environment forbids it.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
        for module in ("NexusCore", "NexusCore.API"):
            program = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
            command = [sys.executable, "-c", program]
            answers = [subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment) for _ in range(7)]
            spans = [float(answer.stdout) for answer in answers]
            figures.at_most(f"import {module}", statistics.median(spans) * 1000, 50, "ms")

    def test_memory(self, database_url: str, tmp_path: Path, figures: Figures) -> None:
        program = (
            "from NexusCore import API\n"
            "config, status, log = API.get_config('Bench'), API.get_status('Bench'), API.get_log('Bench')\n"
            "status['state'] = 'idle'; log.info('begin')\n"
            "import time; time.sleep(0.5)\n"
            "print(next(line for line in open('/proc/self/status') if line.startswith('VmRSS')).split()[1])\n"
        )
        with child(database_url, tmp_path / "other", program) as process:
            kilobytes = int(process.communicate(timeout=60)[0])
        figures.at_most(f"client's memory ({kind(database_url)})", kilobytes / 1024, 45, "MB")
