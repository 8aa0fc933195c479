"""Followers of log and status while sixteen processes write through the API: 0 missed, 0 twice."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import NexusError
from NexusCore.log.record import LogRecord
from NexusCore.log.store import LOG_COLUMNS, LogFilter
from NexusCore.log.store import arriving as logs
from NexusCore.status.store import StatusSample
from NexusCore.status.store import arriving as values
from NexusCore.storage import open_database
from NexusCore.tail import Away, Back, Tail, TailCursor, TailSource
from tests.faults.load import LONG
from tests.faults.servers import server, server_url
from tests.mariadb import MariaDB
from tests.processes import adopt, line_of, start, tell

__all__ = ["server", "server_url"]

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800 if LONG else 120)]

WRITERS = 16
ROWS = 1_000_000 if LONG else 20_000
"""Records and changes of status together, of all writers."""
PATIENCE = 900.0 if LONG else 60.0

WRITER = """
import sys, threading
from NexusCore import API
own, count = sys.argv[1], int(sys.argv[2])
log, status = API.get_log("writer"), API.get_status("writer")
status["ready"] = own
print("ready", flush=True); sys.stdin.readline()
for number in range(count):
    log.info("%s %d", own, number)
    status[own] = number
    if number % 200 == 0:
        threading.Event().wait(0.001)
print("accepted", flush=True); sys.stdin.readline()
print(API.shutdown(600).left)
"""


class Follower(threading.Thread):
    """Keeps what it is handed out; begins anew from its cursor after every so many rows."""

    def __init__(self, url: str, source: TailSource[Any], key: Callable[[Any], str | None], anew_after: int) -> None:
        super().__init__(daemon=True)
        self.seen: list[str] = []
        self.away = self.back = 0
        self.stop = threading.Event()
        self._url, self._source, self._key, self._anew_after = url, source, key, anew_after
        self.start()

    def run(self) -> None:
        cursor = TailCursor(0)
        while not self.stop.is_set():
            with closing(open_database(self._url)) as database:
                tail = Tail(database, self._source, SYSTEM_CLOCK, cursor)
                self._follow(tail)
                cursor = TailCursor.parse(str(tail.cursor))

    def _follow(self, tail: Tail[Any]) -> None:
        count = 0
        for one in tail.follow(self.stop):
            self.away += isinstance(one, Away)
            self.back += isinstance(one, Back)
            key = None if isinstance(one, (Away, Back)) else self._key(one)
            if key is not None:
                self.seen.append(key)
                count += 1
                if count == self._anew_after:
                    return


def of_log(record: LogRecord) -> str | None:
    return record.message if record.logger == "writer" else None


def of_status(sample: StatusSample) -> str | None:
    return f"{sample.name} {sample.value}" if sample.name.isdigit() else None


def roll_back(url: str, stop: threading.Event) -> None:
    """Begin transactions and give them up, so that ids are missing for good."""
    rows = [(0, 10, "never", "m", 1, "f", "h", 1, "t", "x", None, None)] * 300
    with closing(open_database(url)) as database:
        while not stop.is_set():
            with suppress(NexusError, LookupError), database.transaction() as transaction:
                transaction.insert_many("log_record", LOG_COLUMNS, rows)
                stop.wait(0.02)
                raise LookupError
            stop.wait(0.05)


def write(url: str, home: Path, during: Callable[[], None]) -> None:
    """Have all writers write, and wait until what they wrote is stored."""
    count = ROWS // WRITERS // 2
    writers: list[subprocess.Popen[bytes]] = [start(WRITER, own, count, main=url, home=home) for own in range(WRITERS)]
    for writer in writers:
        line_of(writer)
    for writer in writers:
        tell(writer)
    during()
    for writer in writers:
        assert line_of(writer) == "accepted"
    for writer in writers:
        tell(writer)
    for writer in writers:
        _, err = writer.communicate(timeout=PATIENCE)
        assert writer.returncode == 0, err.decode()
    adopt(url, home)


class TestSixteenWriters:
    """1,000,000 rows in the long form, with rollbacks and a server that is killed in between."""

    def check(self, url: str, home: Path, during: Callable[[], None]) -> tuple[float, Follower]:
        wanted = LogFilter(loggers=("writer",))
        followers = [
            Follower(url, logs(wanted), of_log, 1 << 60),
            Follower(url, logs(LogFilter()), of_log, 1000),
            Follower(url, values(), of_status, 1 << 60),
        ]
        stop = threading.Event()
        rolling = threading.Thread(target=roll_back, args=(url, stop), daemon=True)
        rolling.start()
        begin = time.monotonic()
        write(url, home, during)
        took = time.monotonic() - begin
        stop.set()
        rolling.join(60)
        stop = threading.Event()
        expected = {f"{own} {number}" for own in range(WRITERS) for number in range(ROWS // WRITERS // 2)}
        for follower in followers:
            deadline = time.monotonic() + PATIENCE
            while len(follower.seen) < len(expected) and time.monotonic() < deadline:
                stop.wait(0.05)
            follower.stop.set()
            follower.join(60)
            twice = [key for key, times in Counter(follower.seen).items() if times > 1]
            missed = expected.difference(follower.seen)
            assert (len(missed), len(twice), len(follower.seen)) == (0, 0, len(expected))
        return took, followers[0]

    def test_on_a_server_that_is_killed(
        self, server: MariaDB, server_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def during() -> None:
            for _ in range(5 if LONG else 1):
                threading.Event().wait(3 if LONG else 0.2)
                server.kill()
                threading.Event().wait(0.2)
                server.start()

        took, follower = self.check(server_url, tmp_path / "home", during)
        assert follower.away == follower.back
        with capsys.disabled() if LONG else nullcontext():
            print(f"\n  MariaDB: {ROWS} rows in {took:.1f} s, away {follower.away} times, 0 missed, 0 twice")

    def test_sqlite_misses_no_row(self, sqlite_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        took, _ = self.check(sqlite_url, tmp_path / "home", lambda: None)
        with capsys.disabled() if LONG else nullcontext():
            print(f"\n  SQLite: {ROWS} rows in {took:.1f} s, 0 missed, 0 twice")
