"""Programs that tests run as processes of their own, and what tests ask of databases and journals around them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from NexusCore.API import App
from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.settings import DatabaseURL, Settings
from NexusCore.storage import Database, open_database

PROJECT = Path(__file__).resolve().parents[1]
LIMIT = 60.0
"""Seconds after which a test gives up waiting: far more than a slow machine needs."""
LOOK_EVERY = 0.01
_started: list[subprocess.Popen[bytes]] = []


def settings_of(main: str, home: Path, *, status: str | None = None, log: str | None = None) -> Settings:
    """Return settings for databases by URL."""
    url = DatabaseURL.parse(main)
    return Settings(
        config=url,
        status=DatabaseURL.parse(status) if status else url,
        log=DatabaseURL.parse(log) if log else url,
        main=url,
        home=home,
    )


def app_on(
    main: str, home: Path, clock: Clock = SYSTEM_CLOCK, *, status: str | None = None, log: str | None = None
) -> App:
    """Return an application on databases by URL."""
    return App(settings_of(main, home, status=status, log=log), clock, tool="test")


def environment_of(main: str, home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a process that works on a database."""
    return {**os.environ, "NEXUSCORE_DATABASE": main, "NEXUSCORE_HOME": str(home), **more}


def start(program: str, *arguments: object, main: str, home: Path, **more: str) -> subprocess.Popen[bytes]:
    """Start a Python program given as text; its standard streams are pipes."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=PROJECT,
        env=environment_of(main, home, **more),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _started.append(process)
    return process


@pytest.fixture(autouse=True)
def no_process_stays() -> Iterator[None]:
    """End the processes that a test which failed left running."""
    yield
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.kill()
        if process.stdout is not None and not process.stdout.closed:
            process.communicate(timeout=LIMIT)


def ended(process: subprocess.Popen[bytes]) -> str:
    """Wait for a process that is to succeed; return what it printed."""
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the process did not end; it printed {out!r} and {err.decode()}") from None
    assert process.returncode == 0, err.decode()
    return out.decode()


def run(program: str, *arguments: object, main: str, home: Path, **more: str) -> str:
    """Run a Python program given as text to its good end; return what it printed."""
    return ended(start(program, *arguments, main=main, home=home, **more))


def line_of(process: subprocess.Popen[bytes]) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the process ended: " + (process.stderr.read().decode() if process.stderr else "")
    return line.decode().rstrip("\n")


def tell(process: subprocess.Popen[bytes], line: str = "") -> None:
    """Send a process a line."""
    assert process.stdin is not None
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()


def eventually(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait until `condition` holds; return what it returned."""
    pause = threading.Event()
    for _ in range(int(LIMIT / LOOK_EVERY)):
        found = condition()
        if found:
            return found
        pause.wait(LOOK_EVERY)
    raise AssertionError(f"this did not come true: {what or condition}")


def rows(url: str | Database, sql: str, **values: object) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with closing(open_database(url) if isinstance(url, str) else url) as database, database.reading() as reading:
        return reading.all(sql, **values)


def execute(url: str, sql: str, **values: object) -> None:
    """Run one statement and commit."""
    with closing(open_database(url)) as database, database.transaction() as transaction:
        transaction.run(sql, **values)


def messages(url: str, logger: str) -> list[str]:
    """Return the stored messages of a logger, in order of arrival."""
    return [one for (one,) in rows(url, "SELECT message FROM log_record WHERE logger = :name ORDER BY id", name=logger)]


def samples(url: str, channel: str) -> list[tuple[str, str]]:
    """Return the stored names and values of a status channel, in order of arrival."""
    sql = """SELECT i.name, s.value FROM status_sample s JOIN status_item i ON i.id = s.item_id
               JOIN status_channel c ON c.id = i.channel_id WHERE c.name = :name ORDER BY s.id"""
    return [(str(item), str(value)) for item, value in rows(url, sql, name=channel)]


def journals(home: Path) -> list[Path]:
    """Return the locks of all journals below a home folder."""
    return sorted(home.glob("journal/*/*.lock"))


def adopt(main: str, home: Path, *, log: str | None = None) -> None:
    """Have a new application on this home deliver the journals that dead processes left."""
    left = set(journals(home))
    app = app_on(main, home, log=log)
    app.get_log("adopter").info("here")
    app.get_status("adopter")["state"] = "here"
    try:
        eventually(lambda: not left.intersection(journals(home)), f"the journals {left} are adopted")
    finally:
        app.shutdown(LIMIT)


UNTIL_KILLED = """
import os
from NexusCore import API
log, status = API.get_log("doomed"), API.get_status("doomed")
number = 0
while True:
    log.info("%d", number)
    status["n"] = number
    number += 1
    os.write(1, b"%d\\n" % number)
"""
"""Logs and tells of each record that was accepted."""


def killed_after(lines: int, main: str, home: Path) -> tuple[int, int]:
    """Run a process that logs without end, kill it after so many lines; return its id and how many it told of."""
    process = start(UNTIL_KILLED, main=main, home=home)
    for _ in range(lines):
        line_of(process)
    process.kill()
    assert process.stdout is not None
    reported = lines + process.stdout.read().count(b"\n")
    process.communicate(timeout=LIMIT)
    return process.pid, reported


def assert_accepted_is_stored(url: str, reported: dict[int, int]) -> None:
    """Assert that what killed processes told of is in the database, once and in order."""
    stored: dict[int, list[int]] = {pid: [] for pid in reported}
    for pid, message in rows(url, "SELECT pid, message FROM log_record WHERE logger = 'doomed' ORDER BY id"):
        stored[pid].append(int(message))
    for pid, numbers in stored.items():
        assert numbers == list(range(len(numbers))), "once and in order"
        # One call may have been accepted that the process had no time to tell of.
        assert 0 <= len(numbers) - reported[pid] <= 1
    values = [int(value) for _, value in samples(url, "doomed")]
    logged = sum(map(len, stored.values()))
    assert logged - len(reported) <= len(values) <= logged
