"""A real database server of the tests' own: private folder, private socket, a free port on the loopback interface.

`tests.mariadb` and `tests.mysql` say how each kind is installed and started; all else is here.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import mysql.connector

START_LIMIT = 60.0
"""Seconds a server may take to answer or to stop; a healthy one needs two at the most."""
LOOK_EVERY = 0.02
"""Seconds between two looks at a starting server."""
MEMORY = Path("/dev/shm")
MEMORY_NEEDED = 6 << 30
"""Bytes that are free in memory where the servers' folders lie there; those of a whole run take one sixth of it."""
NO_SYNC = ("/usr/lib/*/libeatmydata.so", "/usr/lib*/libeatmydata/libeatmydata.so", "/usr/lib*/libeatmydata.so")
"""Where distributions keep the library that makes `fsync` cost nothing: only a power cut would show the difference."""
USER = PASSWORD = "tester"
"""The account in `Server.url`; it may do everything on the private server."""


class Server(ABC):
    """One private server. `start` it, and `close` it at the end; as a context manager it does both.

    Parameters
    ----------
    options
        More options for the server, such as ``("--max-connections=5",)``.
    """

    name: str
    """What it is called, for a person."""

    def __init__(self, options: Sequence[str] = ()) -> None:
        self.folder = _folder()
        self.data = self.folder / "data"
        self.socket = self.folder / "m.sock"
        self.port = _free_port()
        self.options = tuple(options)
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    @abstractmethod
    def install_command(self) -> list[str]:
        """Return the command that makes an empty data folder, whose root needs no password."""

    @abstractmethod
    def start_command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the server, on the same port as before, and wait until it answers."""
        if self.running:
            return
        first = not self.data.exists()
        if first:
            self._install()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_dies_with_us(), *self.start_command(), *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_without_sync(),
            )
        self._wait_until_it_answers()
        if first:
            for host in ("127.0.0.1", "localhost"):
                self.execute(f"CREATE USER '{USER}'@'{host}' IDENTIFIED BY '{PASSWORD}'")
                self.execute(f"GRANT ALL ON *.* TO '{USER}'@'{host}' WITH GRANT OPTION")

    def stop(self) -> None:
        """Stop the server in an orderly way; its data stay."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a power cut would: no farewell to its clients, no clean-up. Its data stay."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze the server: connections stay open, nothing answers, until `resume`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        self._paused = True
        # One thread takes the signal and stops the others: on a busy machine these still answer for a while.
        threads = Path(f"/proc/{self._process.pid}/task")
        deadline = time.monotonic() + START_LIMIT
        while any(_state(thread) != "T" for thread in threads.iterdir()):
            assert time.monotonic() < deadline, "the server did not stand still"
            time.sleep(LOOK_EVERY)

    def resume(self) -> None:
        """Let a frozen server go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        self._paused = False

    def close(self) -> None:
        """End the server and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def running(self) -> bool:
        """Whether the server's process lives (a paused one does)."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- databases -------------------------------------------------------------------------------------------------

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD, through_socket: bool = False) -> str:
        """Return the URL of a database on this server, over TCP unless told otherwise."""
        account = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        option = f"?unix_socket={quote(str(self.socket))}" if through_socket else ""
        return f"mysql://{account}@127.0.0.1:{self.port}/{database}{option}"

    def create_database(self, name: str) -> str:
        """Create an empty database and return its URL."""
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database; a connection that a test left open on it does not stand in the way."""
        for thread, _, _, database, *_ in self.execute("SHOW PROCESSLIST"):
            if database == name:
                # KILL is refused for a connection that has just gone by itself; that is what it was meant for.
                self.execute(f"KILL {thread}", may_fail=True)
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def copy_database(self, source: str, target: str) -> str:
        """Create `target` with the tables, views and rows of `source`, and return its URL."""
        url = self.create_database(target)
        with self.connection() as connection, connection.cursor() as cursor:
            for name, statement in self._definitions(cursor, source):
                cursor.execute(f"USE `{target}`")
                cursor.execute("SET foreign_key_checks = 0")
                cursor.execute(statement)
                if " VIEW " not in statement.partition("(")[0]:
                    cursor.execute(f"INSERT INTO `{target}`.`{name}` SELECT * FROM `{source}`.`{name}`")
        return url

    def execute(self, statement: str, *values: object, may_fail: bool = False) -> list[tuple[Any, ...]]:
        """Run one statement as root and return its rows."""
        with self.connection() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(statement, values)
            except mysql.connector.Error:
                if not may_fail:
                    raise
                return []
            return list(cursor.fetchall()) if cursor.with_rows else []

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """Connect as root through the socket, for as long as the block lasts; every statement commits by itself."""
        connection = mysql.connector.connect(
            unix_socket=str(self.socket), user="root", autocommit=True, charset="utf8mb4", collation="utf8mb4_bin"
        )
        try:
            yield connection
        finally:
            connection.close()

    @staticmethod
    def _definitions(cursor: Any, database: str) -> list[tuple[str, str]]:
        """Return names and CREATE statements of a database's tables, then of its views."""
        cursor.execute(f"SHOW FULL TABLES FROM `{database}`")
        kinds = sorted(cursor.fetchall(), key=lambda row: (row[1] == "VIEW", row[0]))
        cursor.execute(f"USE `{database}`")
        found = []
        for name, _ in kinds:
            cursor.execute(f"SHOW CREATE TABLE `{database}`.`{name}`")
            found.append((str(name), str(cursor.fetchall()[0][1]).replace(f"`{database}`.", "")))
        return found

    # -- the process -----------------------------------------------------------------------------------------------

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    def _install(self) -> None:
        empty = _installed.get(type(self))
        if empty is not None:
            shutil.copytree(empty, self.data)
            return
        self.data.mkdir()
        command = self.install_command()
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=START_LIMIT, check=False, env=_without_sync()
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr or done.stdout}")
        (self.data / "auto.cnf").unlink(missing_ok=True)  # a name that is to be the server's alone
        _installed[type(self)] = _kept(self.data)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                self.execute("SELECT 1")
            except mysql.connector.Error as error:
                if not self.running or time.monotonic() > deadline:
                    tail = "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-20:])
                    raise RuntimeError(f"the tests' {self.name} server did not start ({error}):\n{tail}") from error
                time.sleep(LOOK_EVERY)
            else:
                return

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._paused:
            self.resume()
        self._process.send_signal(how)
        try:
            self._process.wait(START_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(START_LIMIT)
        self._process = None


def _state(thread: Path) -> str:
    """Return the letter of a thread's state: what follows its name, which stands in brackets (proc(5))."""
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def as_root() -> list[str]:
    """Return the option with which a server lets root run it: it refuses to, otherwise."""
    return ["--user=root"] if os.geteuid() == 0 else []


_installed: dict[type[Server], Path] = {}
"""Empty data folders, as each kind of server was installed the first time: a copy is made in no time."""


def _kept(data: Path) -> Path:
    folder = _folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(data, folder / "data")
    return folder / "data"


def _folder() -> Path:
    """Make a folder for a server where it is quick: a table is made five times as fast in memory.

    A socket's path may have 107 bytes at most, and a test's own temporary folder can be longer than that.
    """
    return Path(tempfile.mkdtemp(prefix=f"nx{os.getpid()}-", dir=_quick_place()))


@cache
def _quick_place() -> Path:
    if not MEMORY.is_dir():
        return Path("/tmp")
    for left in MEMORY.glob("nx*-*"):  # by tests that were killed
        if not Path("/proc", left.name[2:].partition("-")[0]).exists():
            shutil.rmtree(left, ignore_errors=True)
    available = re.search(r"MemAvailable: *(\d+) kB", Path("/proc/meminfo").read_text())
    free = min(shutil.disk_usage(MEMORY).free, int(available[1]) << 10 if available else 0)
    return MEMORY if free > MEMORY_NEEDED else Path("/tmp")


def _without_sync() -> dict[str, str]:
    """Return the environment in which a server need not wait for the disk."""
    library = next((found for pattern in NO_SYNC for found in sorted(Path("/").glob(pattern[1:]))), None)
    return dict(os.environ) if library is None else {**os.environ, "LD_PRELOAD": str(library)}


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _dies_with_us() -> list[str]:
    """Return a prefix that ends the server when the thread that started it is gone, as when the tests are killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
