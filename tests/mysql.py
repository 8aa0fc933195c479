"""A real MySQL server of the tests' own, from packages that are unpacked into the user's cache.

The scripts beside the project know how it is fetched and started (``NEXUSCORE_TEST_PEERS``). Its programs are kept
between runs in the user's cache; ``NEXUSCORE_TEST_MYSQL`` names another folder, which holds them as ``root`` or gets
them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import filelock
import platformdirs

from tests.peers.servers import PEERS
from tests.server import Server

SCRIPTS = PEERS / "mysql"
HOME = Path(os.environ.get("NEXUSCORE_TEST_MYSQL") or platformdirs.user_cache_path("nexuscore-mysql"))
# Taken here: a test's own world has another home.
ENVIRONMENT = dict(os.environ)
FETCH_LIMIT = 600.0
"""Seconds that the download may take; 20 are usual."""


class MySQLMissing(Exception):
    """There is no MySQL on this machine, for the reason given."""


def programs() -> Path:
    """Return the folder of the server's programs; fetch them if this is the first time.

    Raises
    ------
    MySQLMissing
        If they cannot be had.
    """
    if not (SCRIPTS / "get_mysql.sh").exists():
        raise MySQLMissing(f"no scripts that fetch MySQL at {SCRIPTS} (set NEXUSCORE_TEST_PEERS)")
    root = HOME / "root"
    if root.exists():
        return root
    HOME.mkdir(parents=True, exist_ok=True)
    # Parallel processes of tests come here at the same time.
    with filelock.FileLock(HOME / "fetching.lock", timeout=FETCH_LIMIT):
        if not root.exists():
            _fetch(root)
    return root


def _fetch(root: Path) -> None:
    # Whole or not at all: a download that was broken off leaves nothing that looks like programs.
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=root.parent) as folder:
        try:
            done = subprocess.run(
                ["bash", str(SCRIPTS / "get_mysql.sh"), folder],
                env=ENVIRONMENT,
                capture_output=True,
                text=True,
                timeout=FETCH_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise MySQLMissing(f"MySQL could not be fetched within {FETCH_LIMIT:.0f} s") from None
        if done.returncode or not Path(folder, "root/sbin/mysqld").exists():
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise MySQLMissing(f"MySQL could not be fetched ({lines[-1] if lines else 'no reason given'})")
        shutil.move(Path(folder, "root"), root)


class MySQL(Server):
    """One private MySQL server; see `Server`.

    Raises
    ------
    MySQLMissing
        If its programs cannot be had.
    """

    name = "MySQL"

    def __init__(self, options: Sequence[str] = ()) -> None:
        self._programs = programs()
        super().__init__(options)

    def install_command(self) -> list[str]:
        """Return the command that makes an empty data folder."""
        return [*self._script("init"), "--innodb-redo-log-capacity=8M", "--innodb-flush-method=nosync"]

    def start_command(self) -> list[str]:
        """Return the command that runs the server; it makes certificates of its own."""
        return [
            *self._script("start"),
            f"--socket={self.socket}",
            f"--pid-file={self.folder / 'm.pid'}",
            f"--tmpdir={self.folder}",
            "--skip-name-resolve",
            "--performance-schema=OFF",
            "--skip-log-bin",
            "--innodb-buffer-pool-size=16M",
            "--innodb-redo-log-capacity=8M",
            "--max-connections=200",
            "--connect-timeout=60",  # a client on a busy machine may take its time
            # As with MariaDB: a commit survives `kill`, not a power cut of the machine.
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-flush-method=nosync",
        ]

    def _script(self, action: str) -> list[str]:
        return ["bash", str(SCRIPTS / "mysqld.sh"), str(self._programs), str(self.data), str(self.port), action]
