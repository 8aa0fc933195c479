"""Delivery while processes are killed, servers come and go, and answers get lost: 0 lost, 0 twice."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from NexusCore.storage.migrate import migrate
from tests.faults.load import LONG
from tests.mariadb import MariaDB
from tests.processes import (
    adopt,
    app_on,
    assert_accepted_is_stored,
    ended,
    eventually,
    killed_after,
    line_of,
    messages,
    samples,
    start,
    tell,
)

pytestmark = pytest.mark.faults

STEADY = """
import sys, threading
from NexusCore import API
log, status = API.get_log("steady"), API.get_status("steady")
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
number = 0
while not stop.is_set():
    log.info("%d", number)
    status["n"] = number
    number += 1
    if number % 100 == 0:
        stop.wait(0.01)
    if number == 100:
        print("begun", flush=True)
print(number)
API.shutdown(60)
"""


class Cutter:
    """A way to the database that breaks at chosen commits: the server gets the COMMIT, its answer is thrown away.

    Parameters
    ----------
    port
        The server's.
    cut
        Tells, for the number of a commit, whether its answer gets lost.
    """

    def __init__(self, port: int, cut: frozenset[int]) -> None:
        self._server = ("127.0.0.1", port)
        self._cut = cut
        self._commits = 0
        self.broken = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            lost = threading.Event()
            threading.Thread(target=self._to_server, args=(client, server, lost), daemon=True).start()
            threading.Thread(target=self._to_client, args=(client, server, lost), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        try:
            while data := client.recv(1 << 16):
                if data[4:].upper() == b"\x03COMMIT" and self._is_to_be_lost():
                    lost.set()
                server.sendall(data)
        except OSError:
            pass
        finally:
            _hang_up(server)

    def _to_client(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        try:
            while (data := server.recv(1 << 16)) and not lost.is_set():
                client.sendall(data)
        except OSError:
            pass
        finally:
            _hang_up(client)

    def _is_to_be_lost(self) -> bool:
        with self._lock:
            self._commits += 1
            found = self._commits in self._cut
            self.broken += found
            return found


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # `close` alone leaves it open while another thread reads from it
    connection.close()


@pytest.fixture
def own_server(private_mariadb: MariaDB) -> Iterator[str]:
    """Return the URL of a database on a server that the test may stop."""
    url = private_mariadb.create_database("nexus")
    migrate(url)
    yield url
    private_mariadb.start()


class TestKill9:
    """What a process was told is accepted is stored, once, although it was killed the next moment."""

    @pytest.mark.parametrize("seed", range(1, 6 if LONG else 3))
    def test_ten_killed_processes_lose_nothing_accepted(self, database_url: str, tmp_path: Path, seed: int) -> None:
        """Processes one after the other, each adopting what the ones before it left (five seeds in the long form)."""
        chance = random.Random(seed)
        reported = dict(
            killed_after(int(2 ** chance.uniform(0, 11)), database_url, tmp_path / "home") for _ in range(10)
        )
        adopt(database_url, tmp_path / "home")
        assert_accepted_is_stored(database_url, reported)

    def test_several_at_once(self, database_url: str, tmp_path: Path) -> None:
        """Processes that start together adopt the same journals: one gets each."""
        reported: dict[int, int] = {}
        for generation in range(3):
            threads = [
                threading.Thread(
                    target=lambda lines=lines: reported.update([killed_after(lines, database_url, tmp_path / "home")])
                )
                for lines in (50 * generation + 1, 400, 900)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        assert len(reported) == 9
        adopt(database_url, tmp_path / "home")
        assert_accepted_is_stored(database_url, reported)


class TestTheServerComesAndGoes:
    """While the database is away its journal grows, and drains in order when it is back."""

    def test_restarts_keep_records_in_order(self, private_mariadb: MariaDB, own_server: str, tmp_path: Path) -> None:
        process = start(STEADY, main=own_server, home=tmp_path / "home")
        assert line_of(process) == "begun"
        for end in (private_mariadb.stop, private_mariadb.kill, private_mariadb.stop):
            before = len(messages(own_server, "steady"))
            eventually(lambda before=before: len(messages(own_server, "steady")) > before)  # type: ignore[misc]
            end()
            private_mariadb.start()
        tell(process)
        count = int(ended(process))
        adopt(own_server, tmp_path / "home")
        assert messages(own_server, "steady") == [str(n) for n in range(count)]
        assert samples(own_server, "steady") == [("n", str(n)) for n in range(count)]

    def test_a_server_that_freezes(self, private_mariadb: MariaDB, own_server: str, tmp_path: Path) -> None:
        """It answers nothing, but its connections stand: `shutdown` is not held up by it."""
        app = app_on(own_server, tmp_path / "home")
        log = app.get_log("frozen")
        log.info("before")
        eventually(lambda: messages(own_server, "frozen"))
        private_mariadb.pause()
        log.info("while")
        report = app.shutdown(0.2)
        private_mariadb.resume()
        assert (report.delivered, report.left, report.dropped) == (1, 1, 0)
        # The delivery thread of this process may still be at it, or leave the record to another process.
        for lane in app._shipper._lanes:
            lane.journal.close()
        adopt(own_server, tmp_path / "home")
        assert messages(own_server, "frozen") == ["before", "while"]


class TestTheAnswerToACommitIsLost:
    """The commit took effect, the process does not know: its records are stored once all the same."""

    def test_none_is_stored_twice(self, mariadb: MariaDB, mariadb_url: str, tmp_path: Path) -> None:
        cutter = Cutter(mariadb.port, frozenset({2, 3, 5}))
        url = mariadb_url.replace(f":{mariadb.port}/", f":{cutter.port}/") + "?ssl_disabled=true"
        app = app_on(url, tmp_path / "home")
        log, status = app.get_log("doubtful"), app.get_status("doubtful")
        for number in range(200):
            log.info("%d", number)
            status["n"] = number
            if number % 20 == 0:
                eventually(lambda n=number: len(messages(mariadb_url, "doubtful")) > n)  # type: ignore[misc]
        eventually(lambda: len(samples(mariadb_url, "doubtful")) == 200)
        report = app.shutdown(30)
        cutter.close()
        assert cutter.broken == 3
        assert (report.left, report.dropped) == (0, 0)
        assert messages(mariadb_url, "doubtful") == [str(n) for n in range(200)]
        assert samples(mariadb_url, "doubtful") == [("n", str(n)) for n in range(200)]
        assert report.delivered == 400 + len(messages(mariadb_url, "NexusCore.delivery"))
