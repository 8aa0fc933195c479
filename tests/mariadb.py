"""A real MariaDB server of the tests' own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from tests.server import Server, as_root

PROGRAMS = ("mariadbd", "mariadb-install-db")


class MariaDB(Server):
    """One private MariaDB server; see `Server`.

    Raises
    ------
    FileNotFoundError
        If this machine has no MariaDB server's programs.
    """

    name = "MariaDB"

    def __init__(self, options: Sequence[str] = ()) -> None:
        self._programs = {name: _find(name) for name in PROGRAMS}
        super().__init__(options)

    def install_command(self) -> list[str]:
        """Return the command that makes an empty data folder."""
        return [
            self._programs["mariadb-install-db"],
            "--no-defaults",
            f"--datadir={self.data}",
            # A server that starts removes what looks like its leftovers, also those of one that runs.
            f"--tmpdir={self.folder}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *as_root(),
        ]

    def start_command(self) -> list[str]:
        """Return the command that runs the server."""
        return [
            self._programs["mariadbd"],
            "--no-defaults",
            f"--datadir={self.data}",
            f"--tmpdir={self.folder}",
            f"--socket={self.socket}",
            f"--pid-file={self.folder / 'm.pid'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-networking=0",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--innodb-buffer-pool-size=16M",
            "--innodb-log-file-size=8M",
            "--max-connections=200",
            "--connect-timeout=60",  # a client on a busy machine may take its time
            # A commit reaches the operating system, so it survives `kill`; only a power cut of the machine loses it.
            "--innodb-flush-log-at-trx-commit=2",
            "--debug-no-sync",
            *as_root(),
        ]


def _find(program: str) -> str:
    """Return where a program is; the server's own stands in sbin, which is not on everyone's path."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin:/usr/libexec")
    if found is None:
        raise FileNotFoundError(f"the program {program} is not installed; ./install.sh test installs it")
    return found
