"""A real Galera cluster of three MariaDB nodes, on loopback addresses and in folders of its own."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import mysql.connector

from tests.mariadb import MariaDB
from tests.server import LOOK_EVERY

PROVIDERS = (
    "/usr/lib/galera/libgalera_smm.so",
    "/usr/lib64/galera-4/libgalera_smm.so",
    "/usr/lib64/galera/libgalera_smm.so",
    "/usr/lib/libgalera_smm.so",
)
"""Where distributions keep Galera's library."""
SYNC_LIMIT = 120.0
"""Seconds in which a node joins; a healthy one needs two."""
USERS = ("mysql", "nobody")
"""Whom the nodes run as when root starts them, the first that there is."""

_TRANSFER = """#!/bin/sh
# A state transfer that transfers nothing: each node begins with a copy, and gets what it misses as write-sets.
while [ $# -gt 0 ]; do
    case $1 in
        --role) role=$2 ;;
        --address) address=$2 ;;
        --gtid) gtid=$2 ;;
        --bypass) bypass=yes ;;
    esac
    shift
done
place=@FOLDER@/transfer-$(echo "$address" | tr -c '0-9\\n' -)
case $role in
    joiner)
        rm -f "$place"
        echo "ready $address"
        until [ -s "$place" ]; do sleep 0.05; done
        cat "$place" ;;
    donor)
        [ "$bypass" = yes ] || exit 95
        echo "$gtid" >"$place.new"
        mv "$place.new" "$place"
        echo "done $gtid" ;;
esac
"""


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def provider() -> str | None:
    """Return where Galera's library is, or None if this machine has none."""
    return next((one for one in PROVIDERS if Path(one).exists()), None)


class Node(MariaDB):
    """One node of a cluster."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__()
        self.cluster = cluster
        self.number = number
        self.group_port, self._transfer_port = _free_port(), _free_port()
        self.position: str | None = None
        self.bootstrap = False

    def start_command(self) -> list[str]:
        """Return the command that runs the node."""
        if not self.cluster.formed:
            return super().start_command()
        found = [part for part in super().start_command() if not part.startswith(("--user=", "--innodb-flush-log"))]
        members = ",".join(f"127.0.0.1:{node.group_port}" for node in self.cluster.nodes)
        settings = {
            "gmcast.listen_addr": f"tcp://127.0.0.1:{self.group_port}",
            "ist.recv_addr": f"127.0.0.1:{self._transfer_port}",
            "gcache.size": "64M",
            **self.cluster.settings,
        }
        return [
            *found,
            "--innodb-flush-log-at-trx-commit=0",
            "--wsrep-on=ON",
            f"--wsrep-provider={provider()}",
            f"--wsrep-cluster-address=gcomm://{'' if self.bootstrap else members}",
            "--wsrep-cluster-name=tests",
            f"--wsrep-node-name=n{self.number}",
            "--wsrep-node-address=127.0.0.1",
            f"--wsrep-provider-options={';'.join(f'{key}={value}' for key, value in settings.items())}",
            "--wsrep-sst-method=nothing",
            f"--wsrep-sst-receive-address=127.0.0.1:{self._transfer_port}",
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
            *(["--wsrep-new-cluster"] if self.bootstrap else []),
            *([f"--wsrep-start-position={self.position}"] if self.position else []),
        ]

    def start(self) -> None:
        """Start the node, and wait until it answers; to its users, which a joiner does late."""
        if not self.cluster.formed:
            super().start()
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix(), *self.start_command()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment(),
            )  # fmt: skip
        self._wait_until_it_answers()

    def _prefix(self) -> list[str]:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            return []
        user = self.cluster.user
        who = [f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"] if user else []
        return [setpriv, *who, "--pdeathsig", "KILL"]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self.cluster.folder}:{os.environ.get('PATH', '')}"}

    def own(self) -> None:
        """Give the node's folder to the user it runs as."""
        if self.cluster.user:
            subprocess.run(["chown", "-R", f"{self.cluster.user}:", self.folder], check=True)

    def rejoin(self) -> None:
        """Start the node again after it was killed, from where it was, and wait until it takes part."""
        output = subprocess.run(
            [*self._prefix(), *self.start_command(), "--wsrep-recover", "--disable-log-error"],
            capture_output=True, text=True, timeout=SYNC_LIMIT, check=False,
        )  # fmt: skip
        positions = re.findall(r"Recovered position:?\s*(\S+)", output.stderr + output.stdout)
        assert positions, output.stderr[-2000:]
        self.position, self.bootstrap = positions[-1], False
        self.start()
        self.wait_until_synced()

    def status(self, name: str) -> str:
        """Return one of Galera's status variables."""
        found = self.execute(f"SHOW GLOBAL STATUS LIKE 'wsrep_{name}'")
        return str(found[0][1]) if found else ""

    def wait_until_synced(self) -> None:
        """Wait until the node has caught up with the cluster."""
        deadline = time.monotonic() + SYNC_LIMIT
        while True:
            try:
                if self.status("local_state_comment") == "Synced" and self.status("ready") == "ON":
                    return
            except mysql.connector.Error:
                assert self.running, self._log.read_text("utf-8", "replace")[-3000:]
            assert time.monotonic() < deadline, self._log.read_text("utf-8", "replace")[-3000:]
            time.sleep(LOOK_EVERY)

    def isolate(self, yes: bool) -> None:
        """Cut the node off from the others, or let it back."""
        self.execute(f"SET GLOBAL wsrep_provider_options = 'gmcast.isolate={int(yes)}'")

    def become_primary(self) -> None:
        """Go on without quorum, as an administrator decides when the others are gone for good."""
        self.execute("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'")


class Cluster:
    """Three nodes with the same database.

    Parameters
    ----------
    settings
        More of Galera's provider options, such as shorter time-outs.
    """

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self.settings = settings or {}
        self.formed = False
        names = {entry.pw_name for entry in pwd.getpwall()}
        self.user = next((one for one in USERS if one in names), None) if os.geteuid() == 0 else None
        self.nodes = [Node(self, number) for number in (1, 2, 3)]
        self.folder = self.nodes[0].folder.with_suffix(".cluster")
        self.folder.mkdir(mode=0o777)
        self.folder.chmod(0o777)
        script = self.folder / "wsrep_sst_nothing"
        script.write_text(_TRANSFER.replace("@FOLDER@", str(self.folder)))
        script.chmod(0o755)

    def form(self, databases: Sequence[str]) -> None:
        """Fill the first node with databases and their tables, copy it to the others, and start all."""
        from NexusCore.storage.migrate import migrate

        first = self.nodes[0]
        first.start()
        for name in databases:
            migrate(first.create_database(name))
        first.stop()
        self.formed = first.bootstrap = True
        first.own()
        first.start()  # which makes the cluster's identity
        first.wait_until_synced()
        first.stop()
        for node in self.nodes[1:]:
            shutil.copytree(first.data, node.data, ignore=shutil.ignore_patterns("*galera.cache"))
            node.own()
        first.start()
        first.wait_until_synced()
        for node in self.nodes[1:]:
            node.start()
            node.wait_until_synced()

    def url(self, database: str, first: int = 1) -> str:
        """Return the URL of all nodes, one of them first."""
        nodes = [*self.nodes[first - 1 :], *self.nodes[: first - 1]]
        others = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        return nodes[0].url(database).replace(f"127.0.0.1:{nodes[0].port}", others)

    def wait_until_whole(self) -> None:
        """Wait until all nodes take part."""
        for node in self.nodes:
            node.wait_until_synced()

    def close(self) -> None:
        """End all nodes and remove their folders."""
        for node in self.nodes:
            node.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
