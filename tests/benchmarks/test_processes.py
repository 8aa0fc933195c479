"""What processes cost and how soon changes reach them, on this machine and elsewhere."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.storage import open_database
from NexusCore.tail import Tail, TailSource
from tests.benchmarks.conftest import Figures
from tests.benchmarks.measuring import PROJECT, app_of, child, kind
from tests.mariadb import MariaDB


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> App:
    one = app_of(database_url, tmp_path / "home")
    yield one
    one.shutdown(20)


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


VALUES = """
import sys, time
from NexusCore import API
status = API.get_status("Bench")
print("ready", flush=True)
sys.stdin.readline()
for number in range({count}):
    status["sent"] = time.time_ns()
    time.sleep(1 / {rate})
API.shutdown()
"""

HOMES = {"home": (5, 80), "other": (40, 80)}
"""Folder of the writer's home, that of the follower or not as on another host; median and worst, in milliseconds, until
a change of the configuration is seen."""


class TestAcrossProcesses:
    """How long until another process sees it."""

    @pytest.mark.parametrize("home", HOMES)
    def test_a_change(self, app: App, database_url: str, tmp_path: Path, figures: Figures, home: str) -> None:
        delays: list[float] = []
        app.get_config("Bench").add_callback(
            "sent", lambda parameter: delays.append((time.time_ns() - int(parameter.get_value())) / 1e6)
        )
        with child(database_url, tmp_path / home, CHANGES) as writer:
            writer.stdout.readline()
            writer.communicate("go\n", timeout=60)
        time.sleep(0.3)
        assert len(delays) == 100
        name = f"change to callback, {'this machine' if home == 'home' else 'elsewhere'} ({kind(database_url)})"
        median, worst = HOMES[home]
        figures.at_most(f"{name}, median", statistics.median(delays), median, "ms")
        figures.at_most(f"{name}, worst", max(delays), worst, "ms")

    def test_a_change_while_nothing_else_happens(
        self, app: App, database_url: str, tmp_path: Path, figures: Figures
    ) -> None:
        """As on another host, by the pace of a watcher that has seen nothing for a while."""
        delays: list[float] = []
        app.get_config("Bench").add_callback(
            "sent", lambda parameter: delays.append((time.time_ns() - int(parameter.get_value())) / 1e6)
        )
        program = CHANGES.replace("range(100)", "range(15)").replace(
            "sleep(0.03)", "sleep(1.1 + number * 37 % 100 / 1000)"
        )
        with child(database_url, tmp_path / "other", program) as writer:
            writer.stdout.readline()
            writer.communicate("go\n", timeout=60)
        time.sleep(0.3)
        assert len(delays) == 15
        name = f"rare change to callback elsewhere ({kind(database_url)})"
        figures.at_most(f"{name}, median", statistics.median(delays), 40, "ms")
        figures.at_most(f"{name}, worst", max(delays), 80, "ms")

    @pytest.mark.parametrize("rate", [0.5, 5, 20])
    @pytest.mark.parametrize("what", ["log", "status"])
    def test_to_a_tool_that_follows(
        self, database_url: str, tmp_path: Path, figures: Figures, what: str, rate: float
    ) -> None:
        tool, program = {"log": ("TailLog", LINES), "status": ("TailStatus", VALUES)}[what]
        environment = {**os.environ, "NEXUSCORE_DATABASE": database_url, "NEXUSCORE_HOME": str(tmp_path / "home")}
        command = [sys.executable, "-m", f"Tools.{tool}", "-f"]
        count = max(6, int(rate * 4))
        with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True) as follower:
            time.sleep(2)
            with child(database_url, tmp_path / "home", program.format(count=count, rate=rate)) as writer:
                writer.stdout.readline()
                writer.stdin.write("go\n")
                writer.stdin.flush()
                delays = []
                for _ in range(count):
                    sent = int(re.search(r"\d{19}", follower.stdout.readline())[0])
                    delays.append((time.time_ns() - sent) / 1e6)
                writer.communicate(timeout=60)
            follower.terminate()
            follower.communicate(timeout=60)
        name = f"{what} to {tool} -f, this machine, {rate}/s ({kind(database_url)})"
        figures.at_most(f"{name}, median", statistics.median(delays), 15, "ms")

    @pytest.mark.parametrize("rate", [0.5, 5])
    def test_a_line_of_log_for_a_follower(
        self, database_url: str, tmp_path: Path, figures: Figures, rate: float
    ) -> None:
        """By the follower's own pace, which slows down where nothing comes."""
        source = TailSource("log_record", "t.message, t.id", lambda row: int(row[0]))
        tail = Tail(open_database(database_url), source, SYSTEM_CLOCK)
        tail.begin()
        count, stop = max(6, int(rate * 4)), threading.Event()
        delays: list[float] = []

        def follow() -> None:
            delays.extend((time.time_ns() - sent) / 1e6 for sent in tail.follow(stop))

        follower = threading.Thread(target=follow)
        follower.start()
        with child(database_url, tmp_path / "other", LINES.format(count=count, rate=rate)) as writer:
            writer.stdout.readline()
            writer.communicate("go\n", timeout=60)
        time.sleep(0.5)
        stop.set()
        follower.join()
        assert len(delays) == count
        name = f"log call to follower elsewhere, {rate}/s ({kind(database_url)})"
        figures.at_most(f"{name}, median", statistics.median(delays), 60, "ms")
        figures.at_most(f"{name}, worst", max(delays), 300, "ms")

    @pytest.mark.parametrize("rate", [5, 100, 1000])
    def test_a_line_of_log(self, database_url: str, tmp_path: Path, figures: Figures, rate: int) -> None:
        source = TailSource("log_record", "t.message, t.id", lambda row: int(row[0]))
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

    def test_import_beside_the_driver(self, tmp_path: Path, figures: Figures) -> None:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
        used: dict[str, list[float]] = {"NexusCore.API": [], "mysql.connector": []}
        for number in range(16):
            # In turns, and processor time, so that whatever else the machine does falls on both.
            for module, spans in used.items():
                program = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
                done = subprocess.run(
                    [sys.executable, "-c", program], cwd=PROJECT, stdout=subprocess.PIPE, check=True, env=environment
                )
                if number:
                    spans.append(float(done.stdout))
        ours, theirs = map(statistics.median, used.values())
        figures.at_most("import NexusCore.API / import mysql.connector", ours / theirs, 0.5, "x")

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


IDLE = """
import sys, threading
from NexusCore import API
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.log.store import LOG_COLUMNS
from NexusCore.log.store import LogFilter, arriving
from NexusCore.tail import Tail
API.get_config("Bench")
tail = Tail(API.app().database(API.app().settings.log), arriving(LogFilter()), SYSTEM_CLOCK)
tail.begin()
stop = threading.Event()
threading.Thread(target=lambda: list(tail.follow(stop)), daemon=True).start()
print("ready", flush=True)
sys.stdin.readline()
API.shutdown()
"""

BARE = """
import os, sys, time
from NexusCore.storage import open_database
database = open_database(os.environ["NEXUSCORE_DATABASE"])
database.glance("SELECT 1")
raw = database.pool.borrow().raw
begin, until = time.process_time(), time.monotonic() + 20
while time.monotonic() < until:
    time.sleep(0.07)
    database.dialect.first_row(raw, "SELECT 1")
print(time.process_time() - begin, flush=True)
"""

MANY = """
import os, signal, sys, threading
import mysql.connector
from NexusCore import API
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.log.store import LOG_COLUMNS
from NexusCore.log.store import LogFilter, arriving
from NexusCore.tail import Tail
children = []
for number in range(75):
    child = os.fork()
    if child == 0:
        API.get_config("Bench")
        tail = Tail(API.app().database(API.app().settings.log), arriving(LogFilter()), SYSTEM_CLOCK)
        tail.begin()
        list(tail.follow(threading.Event()))
    children.append(child)
print("ready", flush=True)
sys.stdin.readline()
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
os._exit(0)
"""


class TestManyProcesses:
    """What processes cost that only wait: each follows the configuration and the log."""

    def test_one(self, mariadb: MariaDB, mariadb_url: str, tmp_path: Path, figures: Figures) -> None:
        with child(mariadb_url, tmp_path / "idle", IDLE) as process:
            process.stdout.readline()
            time.sleep(1)
            rate, connections = self.asked(mariadb, mariadb_url)
            process.communicate("end\n", timeout=60)
        figures.at_most("queries of an idle process (mysql)", rate, 25, "/s")
        figures.at_most("connections of an idle process (mysql)", connections, 1, "")

    def test_processor_time(self, database_url: str, tmp_path: Path, figures: Figures) -> None:
        program = IDLE.replace('print("ready"', "import time; time.sleep(3); begin = time.process_time(); print(0")
        program = program.replace("API.shutdown()", "print(time.process_time() - begin, flush=True); API.shutdown()")
        with child(database_url, tmp_path / "idle", program) as process:
            process.stdout.readline()
            time.sleep(20)
            spent = float(process.communicate("end\n", timeout=60)[0])
        with child(database_url, tmp_path / "bare", BARE) as process:
            bare = float(process.communicate(timeout=60)[0])
        name = kind(database_url)
        figures.at_most(f"processor time of an idle process ({name})", 3 * spent, 0.2, "s/min")
        figures.compare(f"that of the driver alone, asked as often ({name})", 3 * bare, "s/min")

    def test_seventy_five(self, mariadb: MariaDB, mariadb_url: str, tmp_path: Path, figures: Figures) -> None:
        with child(mariadb_url, tmp_path / "idle", MANY) as process:
            process.stdout.readline()
            time.sleep(15)  # until each has found its pace
            rate, connections = self.asked(mariadb, mariadb_url)
            process.communicate("end\n", timeout=60)
        figures.at_most("connections of 75 idle processes (mysql)", connections, 100, "")
        figures.at_most("queries of each of 75 idle processes (mysql)", rate / 75, 25, "/s")

    @staticmethod
    def asked(mariadb: MariaDB, url: str) -> tuple[float, int]:
        """Return the statements a second for three seconds, and the most connections meanwhile."""
        count = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'QUESTIONS'"
        held = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = %s"
        numbers, times, most = [], [], []
        for _ in range(2):
            numbers.append(int(mariadb.execute(count)[0][0]))
            times.append(time.monotonic())
            time.sleep(3)
            most.append(int(mariadb.execute(held, url.rpartition("/")[2])[0][0]))
        # Each statement of ours connects, and sets what the connection is to be like.
        own = 2 * 4
        return (numbers[1] - numbers[0] - own) / (times[1] - times[0]), max(most)
