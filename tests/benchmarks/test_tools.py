"""How quick the operators' tools are: their first output, the log of a large facility, a line that others log."""

from __future__ import annotations

import os
import pty
import select
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from NexusCore.API import App
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.facility.sessions import Client, Sessions
from NexusCore.log.store import LOG_COLUMNS
from NexusCore.settings import load
from NexusCore.storage import Database, open_database
from NexusCore.storage.migrate import migrate
from tests.benchmarks import filling
from tests.benchmarks.conftest import Figures
from tests.benchmarks.measuring import kind
from tests.mariadb import MariaDB

PROJECT = Path(__file__).resolve().parents[2]
ROWS = int(os.environ.get("NEXUSCORE_TEST_LOG_ROWS", "500000"))
"""Lines of log that are searched; a large facility has five million."""
RUNS = 15


def environment(url: str, home: Path) -> dict[str, str]:
    """Return the variables of a tool's process on a warm machine, where Python has compiled it before."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "NEXUSCORE_DATABASE": url, "NEXUSCORE_HOME": str(home)}


def tool(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"Tools.{name}", *words]


class TestFirstOutput:
    """Against a program that does nothing but import the driver, in the same run; in a pipe and on a terminal."""

    @pytest.mark.parametrize("where", ["pipe", "terminal"])
    def test_it(self, mariadb_url: str, tmp_path: Path, figures: Figures, where: str) -> None:
        variables = environment(mariadb_url, tmp_path / "home")
        app = App(load(variables, files=()))
        app.get_log("Bench").info("a line")
        app.get_status("Bench")["state"] = "idle"
        Sessions(app.database(), SYSTEM_CLOCK).start("Titan", Client(user="jane", host="pc"))
        app.shutdown(20)
        driver = [sys.executable, "-c", "import mysql.connector"]
        words = ("ConfigTool list", "SessionTool list", "TailLog", "TailStatus", "Doctor", "Doctor --journals")
        tools = [tool(*command.split()) for command in words]
        spans: dict[str, list[float]] = {}
        # In turns, so that whatever else the machine does slows all of them down.
        for number in range(RUNS + 1):
            for command in (driver, *tools):
                span = (self.whole if command is driver else getattr(self, where))(command, variables)
                if number:
                    spans.setdefault(" ".join(command[2:]), []).append(span)
        # The quickest of each: what else the machine does can only make them slower.
        base = min(spans.pop(driver[2]))
        for name, found in spans.items():
            ratio = min(found) / base
            what = f"{name.removeprefix('Tools.')}: first output, {where} / import mysql.connector"
            figures.at_most(what, ratio, 1.6, "x")

    @staticmethod
    def whole(command: Sequence[str], variables: dict[str, str]) -> float:
        begin = time.perf_counter()
        subprocess.run(command, cwd=PROJECT, env=variables, check=True)
        return time.perf_counter() - begin

    @staticmethod
    def terminal(command: Sequence[str], variables: dict[str, str]) -> float:
        master, slave = pty.openpty()
        variables = {**variables, "TERM": "xterm-256color", "COLUMNS": "80"}
        begin = time.perf_counter()
        with subprocess.Popen(command, cwd=PROJECT, env=variables, stdin=slave, stdout=slave, stderr=slave) as process:
            os.close(slave)
            assert os.read(master, 1)
            span = time.perf_counter() - begin
            with suppress(OSError):  # how a terminal says that nobody is there any more
                while os.read(master, 65536):
                    pass
        os.close(master)
        assert process.returncode == 0
        return span

    @staticmethod
    def pipe(command: Sequence[str], variables: dict[str, str]) -> float:
        begin = time.perf_counter()
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(command, cwd=PROJECT, env=variables, **streams) as process:
            assert process.stdout.read(1)
            span = time.perf_counter() - begin
            process.stdout.read()
        assert process.returncode == 0
        return span


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def large_log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Lend the URL of a database with a large log."""
    folder = tmp_path_factory.mktemp("large")
    if request.param == "sqlite":
        url = f"sqlite:///{folder}/nexus.db"
    else:
        url = request.getfixturevalue("mariadb").create_database("large_log")
    migrate(url)
    database = open_database(url)
    filling.fill(database, ROWS, SYSTEM_CLOCK.now())
    database.close()
    yield url
    if request.param == "mariadb":
        server: MariaDB = request.getfixturevalue("mariadb")
        server.drop_database("large_log")


SEARCHES: dict[str, tuple[str, ...]] = {
    "-n 50": (),
    "-S -1h": ("-S", "-1h"),
    "-S -1h -n 50": ("-S", "-1h", "-n", "50"),
    "a common level": ("-p", "info"),
    "a rare level": ("-p", "critical"),
    "a common logger": ("--logger", "Builder"),
    "a rare logger": ("--logger", filling.RARE_LOGGER),
    "a module": ("--module", "module07"),
    "a host": ("--host", "pc-03"),
    "a session": ("--session", filling.session(ROWS // 3)),
    "a level of a logger": ("--logger", "Builder", "-p", "error"),
    "a logger on a host": ("--logger", "Builder", "--host", "pc-03"),
    "a rare logger on a common host": ("--logger", filling.RARE_LOGGER, "--host", "pc-03"),
    "a level of a logger, a host and a module": (
        "--logger", "Builder", "--host", "pc-03", "--module", "module07", "-p", "error",
    ),
    "a word, within an hour": ("-S", "-1h", "angström"),
    "an expression, within an hour": ("-S", "-1h", "-g", "frame [0-9]*7 .*nowhere"),
    "the values of a field": ("--values", "logger"),
}  # fmt: skip


class TestALargeLog:
    """Filters run in the database, on its indexes: each question is answered within a second, program and all."""

    @pytest.mark.timeout(3600)
    def test_searches(self, large_log: str, tmp_path: Path, figures: Figures) -> None:
        variables = environment(large_log, tmp_path)
        for what, words in SEARCHES.items():
            spans = []
            for _ in range(2):
                begin = time.perf_counter()
                done = subprocess.run(
                    tool("TailLog", *words), cwd=PROJECT, env=variables, capture_output=True, check=False
                )
                spans.append(time.perf_counter() - begin)
                assert done.returncode in (0, 1), done.stderr
            # The first of a kind, too: what was asked before is not what is asked next.
            figures.at_most(f"TailLog, {ROWS:,} lines, {what} ({kind(large_log)})", max(spans), 1, "s")


class TestWordsWithoutAMatch:
    """No index helps there: every line is read, and on a terminal a line of progress says how far."""

    @pytest.mark.timeout(3600)
    @pytest.mark.parametrize("words", [("nowhere",), ("nowhere", "-v", "frame"), ("angström",)])
    def test_words(self, large_log: str, tmp_path: Path, figures: Figures, words: tuple[str, ...]) -> None:
        variables = environment(large_log, tmp_path)
        spans = []
        for what in ((), words):
            begin = time.perf_counter()
            subprocess.run(tool("TailLog", *what), cwd=PROJECT, env=variables, capture_output=True, check=False)
            spans.append(time.perf_counter() - begin)
        seconds = max(0.0, spans[1] - spans[0]) * 1_000_000 / ROWS
        figures.at_most(f"TailLog {' '.join(words)}, no match, a million lines ({kind(large_log)})", seconds, 3, "s")


LINES = """
import sys, time
from NexusCore import API
log = API.get_log("Bench")
log.info("%d", time.time_ns())
print("ready", flush=True)
sys.stdin.readline()
for number in range({count}):
    log.info("%d", time.time_ns())
    time.sleep(1 / {rate})
API.shutdown()
"""


class TestFollowing:
    """From a log call in one process to the line that ``TailLog -f`` of another writes."""

    @pytest.mark.parametrize("output", ["short", "json"])
    def test_what_a_line_costs(self, database_url: str, tmp_path: Path, figures: Figures, output: str) -> None:
        """At 4,000 lines a second, in small transactions, as many writers make them."""
        seconds, rate, together = 5, 4000, 100
        database, lines = open_database(database_url), seconds * rate
        self.log_many(database, "begin", [0])
        with subprocess.Popen(
            tool("TailLog", "-f", "-o", output), cwd=PROJECT, env=environment(database_url, tmp_path),
            stdout=subprocess.PIPE,
        ) as reader:  # fmt: skip
            try:
                reader.stdout.readline()
                drained = threading.Thread(target=self.drain, args=(reader.stdout, lines), daemon=True)
                drained.start()
                before = self.used(reader.pid)
                begin = time.monotonic()
                for first in range(0, lines, together):
                    self.log_many(database, "frame %d of the tilt series", range(first, first + together))
                    time.sleep(max(0.0, begin + (first + together) / rate - time.monotonic()))
                drained.join(60)
                cost = (self.used(reader.pid) - before) / lines * 1e6
                assert not drained.is_alive()
            finally:
                reader.terminate()
        database.close()
        figures.at_most(f"TailLog -f -o {output}, processor time of a line ({kind(database_url)})", cost, 12, "µs")

    @staticmethod
    def log_many(database: Database, message: str, numbers: Iterable[int]) -> None:
        with database.transaction() as transaction:
            transaction.insert_many("log_record", LOG_COLUMNS, [
                (time.time_ns() // 1000, 20, "Camera", "acquire", 40 + number % 30, "run", "titan-pc", 4711, "Main",
                 message.replace("%d", str(number)), None, "5e55104-1")
                for number in numbers
            ])  # fmt: skip

    @staticmethod
    def drain(stream: IO[bytes], lines: int) -> None:
        while lines > 0 and (read := os.read(stream.fileno(), 1 << 20)):
            lines -= read.count(b"\n")

    @staticmethod
    def used(process: int) -> float:
        """Return the processor time of a process's first thread, in seconds."""
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9

    @pytest.mark.parametrize("rate", [5, 100])
    def test_a_line(self, database_url: str, tmp_path: Path, figures: Figures, rate: int) -> None:
        variables = environment(database_url, tmp_path / "home")
        count = min(200, rate * 5)
        program = [sys.executable, "-c", LINES.format(count=count, rate=rate)]
        delays: list[float] = []
        with (
            subprocess.Popen(
                program, cwd=PROJECT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as writer,
            subprocess.Popen(
                tool("TailLog", "-f", "-o", "cat", "--logger", "Bench"), cwd=PROJECT, env=variables,
                stdout=subprocess.PIPE, text=True,
            ) as reader,
        ):  # fmt: skip
            writer.stdout.readline()
            assert select.select([reader.stdout], [], [], 30)[0], "TailLog shows nothing"
            reader.stdout.readline()
            writer.stdin.write("go\n")
            writer.stdin.flush()
            for _ in range(count):
                sent = int(reader.stdout.readline())
                delays.append((time.time_ns() - sent) / 1e6)
            writer.communicate(timeout=60)
            reader.terminate()
        name = f"log call to TailLog -f elsewhere, {rate}/s ({kind(database_url)})"
        figures.at_most(f"{name}, median", statistics.median(delays), 60, "ms")
        figures.at_most(f"{name}, worst", max(delays), 300, "ms")
