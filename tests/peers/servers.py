"""Real servers to test against: a NEMO, a CalDAV server and a CDCS, run by the program that lies beside the project.

Their environments take a minute to make, so they are kept between runs, in the user's cache
(``NEXUSCORE_TEST_PEERS_HOME`` names another place). Each process of tests has a set of its own: they are numbered, and
a lock says which are taken.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

    def requests(self) -> list[str]:
        """Return the requests so far that its log shows, as ``GET /path``."""
        return [" ".join(one) for one in _REQUEST.findall(self.log.read_text(errors="replace"))]


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


@contextmanager
def running(home: Path, name: str, **settings: str) -> Iterator[PeerServer]:
    """Run a server with fresh data on a free port; `settings` are environment variables of `peer.py`."""
    more = ("--schema", str(SCHEMA)) if name == "cdcs" else ()
    started = _peer("start", name, "--home", str(home), "--port", str(_free_port(home)), *more, **settings)
    if started.returncode:
        pytest.fail(f"the {name} does not start: {started.stderr}", pytrace=False)
    try:
        facts: dict[str, Any] = json.loads(started.stdout)
        yield PeerServer(
            name, facts["url"], facts["pid"], facts["tokens"], facts.get("passwords", {}), Path(facts["log"])
        )
    finally:
        stopped = _peer("stop", "--home", str(home), name)
        assert stopped.returncode == 0, stopped.stderr


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
