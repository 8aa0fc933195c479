"""Real servers to test against: a NEMO, a CalDAV server and a CDCS, run by the program that lies beside the project.

Their environments take a minute to make, so they are kept between runs, in the user's cache
(``NEXUSCORE_TEST_PEERS_HOME`` names another place). Each process of tests has a set of its own: they are numbered, and
a lock says which are taken. A start takes one or two seconds, putting the data back a few hundredths: so a server
goes on from test to test, and each test finds its data as they were at first.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs
import pytest

from tests.processes import PROJECT

PEERS = Path(os.environ.get("NEXUSCORE_TEST_PEERS") or PROJECT.parent / "shared/peers")
SCHEMA = PROJECT / "Services/Builder/record/schema/nexus-experiment.xsd"
MISSING = f"no peer servers at {PEERS} (set NEXUSCORE_TEST_PEERS)"
HOME = Path(os.environ.get("NEXUSCORE_TEST_PEERS_HOME") or platformdirs.user_cache_path("nexuscore-peers"))
# Taken here: a test's own world has another home, and no cache of pip's.
ENVIRONMENT = dict(os.environ)
MOST = 64
PORTS = 150
"""Ports of each set of servers. Two that looked for a free one at once could find the same, and one would be taken for
the other; below 32768 the system gives none to programs that do not care."""
FIRST_PORT = 21_000
_REQUEST = re.compile(r"\b(GET|HEAD|POST|PUT|PATCH|DELETE|REPORT|PROPFIND)\b(?: request for)?[ '\"]+(/[^ '\"]*)")
FIRST_START = 420.0
"""Seconds for a start that makes the environment and fills the database, on a machine with much else to do."""
ANSWER_WITHIN = 60.0
"""Seconds that a running server may take to accept a connection, and its database to be free."""


@dataclass(frozen=True)
class PeerServer:
    """A server that runs."""

    name: str
    url: str
    pid: int
    tokens: dict[str, str]
    passwords: dict[str, str]
    log: Path
    """Its access log: every request."""
    log_start: int = 0
    """Bytes in that log when the test got the server."""

    def requests(self) -> list[str]:
        """Return the requests of this test that its log shows, as ``GET /path``."""
        text = self.log.read_bytes()[self.log_start :].decode(errors="replace")
        return [" ".join(one) for one in _REQUEST.findall(text)]

    @property
    def answers(self) -> bool:
        """Whether it can be connected to."""
        address = urlsplit(self.url)
        with suppress(OSError), socket.create_connection((address.hostname, address.port), ANSWER_WITHIN):
            return True
        return False


@contextmanager
def own_home() -> Iterator[Path]:
    """Lend a folder for the servers of this process of tests: the first one that nobody else has."""
    for number in range(MOST):
        home = HOME / str(number)
        home.mkdir(parents=True, exist_ok=True)
        with (home / "taken").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield home
            return
    pytest.fail(f"all {MOST} sets of servers in {HOME} are in use", pytrace=False)


class Peers:
    """The servers that tests share: each is started once, and its data are put back for each test.

    Parameters
    ----------
    home
        The folder of the servers.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._started: dict[str, PeerServer] = {}

    def fresh(self, name: str) -> PeerServer:
        """Return a running server with fresh data; a server that a test has stopped is started again."""
        server = self._started.get(name)
        if server is None or not server.answers:
            server = _start(self._home, name)
        else:
            _put_back(self._home / name)
            server = replace(server, log_start=server.log.stat().st_size)
        self._started[name] = server
        return server

    def close(self) -> None:
        """Stop all servers."""
        for name in self._started:
            _stop(self._home, name)


@contextmanager
def running(home: Path, name: str, **settings: str) -> Iterator[PeerServer]:
    """Run a server of the test's own with fresh data, in place of the shared one.

    `settings` are environment variables of `peer.py`.
    """
    try:
        yield _start(home, name, **settings)
    finally:
        _stop(home, name)


def _start(home: Path, name: str, **settings: str) -> PeerServer:
    more = ("--schema", str(SCHEMA)) if name == "cdcs" else ()
    started = _peer("start", name, "--home", str(home), "--port", str(_free_port(home)), *more, **settings)
    if started.returncode:
        pytest.fail(f"the {name} does not start: {started.stderr}", pytrace=False)
    facts: dict[str, Any] = json.loads(started.stdout)
    return PeerServer(name, facts["url"], facts["pid"], facts["tokens"], facts.get("passwords", {}), Path(facts["log"]))


def _stop(home: Path, name: str) -> None:
    stopped = _peer("stop", "--home", str(home), name)
    assert stopped.returncode == 0, stopped.stderr


def _put_back(folder: Path) -> None:
    """Give a running server the data that it was started with.

    Databases are written through SQLite: it waits for a request that still writes, and whoever reads sees one state.
    Other files are replaced as whole folders.
    """
    for seeded in (folder / "seeded").iterdir():
        used = folder / "data" / seeded.name
        if seeded.suffix == ".sqlite3":
            with closing(sqlite3.connect(seeded)) as source, closing(sqlite3.connect(used, ANSWER_WITHIN)) as target:
                target.execute("PRAGMA synchronous = OFF")
                source.backup(target)
        elif seeded.is_dir():
            fresh, old = (folder / f"{seeded.name}.{state}" for state in ("fresh", "old"))
            for left in (fresh, old):  # by tests that were killed
                shutil.rmtree(left, ignore_errors=True)
            shutil.copytree(seeded, fresh)
            used.rename(old)
            fresh.rename(used)
            shutil.rmtree(old, ignore_errors=True)


def _free_port(home: Path) -> int:
    """Return a port that nobody listens at, and no other process of tests will take."""
    first = FIRST_PORT + int(home.name) % MOST * PORTS if home.name.isdecimal() else 0
    for _ in range(PORTS):
        port = first + next(_turns) % PORTS if first else 0
        with closing(socket.socket()) as trial, suppress(OSError):
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(("127.0.0.1", port))
            return int(trial.getsockname()[1])
    pytest.fail(f"none of the ports from {first} on is free", pytrace=False)


_turns = itertools.count()


def _peer(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PEERS / "peer.py"), *arguments],
        env={**ENVIRONMENT, **settings},
        capture_output=True,
        text=True,
        timeout=FIRST_START,
    )
