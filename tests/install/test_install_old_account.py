"""The account that microscope PCs had: after the upgrade it can do nothing, and the Gateway's can do what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import mysql.connector
import pytest

from NexusCore import settings
from NexusCore.storage.migrate import migrate
from tests.gateway.gateways import RunningGateway
from tests.processes import LIMIT, PROJECT, eventually, execute, rows
from tests.server import Server

OLD = "nexuslogger"
OLD_GRANTS = """
    SELECT ON alembic_version; SELECT ON facility_identity; SELECT ON config_version; SELECT ON config_parameter;
    SELECT ON config_revision; SELECT ON reservation; SELECT, INSERT, UPDATE ON session;
    SELECT, INSERT ON session_event; INSERT ON log_record; SELECT, INSERT, UPDATE (name) ON status_channel;
    SELECT, INSERT, UPDATE (channel_id, name) ON status_item; INSERT ON status_sample;
    SELECT, INSERT, UPDATE ON status_latest; SELECT, INSERT, UPDATE, DELETE ON delivery_cursor
"""
"""What older releases granted."""
ATTACKS = {
    "read the configuration": "SELECT path, value FROM config_parameter",
    "rewrite a session": "UPDATE session SET state = 'COMPLETED', user = 'mallory', start_ts = 1",
    "open a session for ever": "INSERT INTO session (identifier, instrument, user, state, start_ts, open_on, attempts)"
    " VALUES ('x', 'Titan', 'mallory', 'WAITING_FOR_END', 1, 'Titan', 0)",
    "insert an extreme id": "INSERT INTO session (id, identifier, instrument, user, state, start_ts, attempts)"
    " VALUES (9223372036854775806, 'y', 'Titan', 'mallory', 'TO_BE_BUILT', 1, 0)",
    "move a delivery cursor": "UPDATE delivery_cursor SET delivered = 9223372036854775807",
    "forge a log": "INSERT INTO log_record (ts, level, logger, module, line, `function`, host, pid, thread, message)"
    " VALUES (1, 50, 'Builder', 'm', 1, 'f', 'h', 1, 't', 'forged')",
    "lock the configuration": "SELECT revision FROM config_revision LOCK IN SHARE MODE",
    "read a secret": "SELECT * FROM config_secret",
}
NEVER_WORKED = {"read a secret"}
"""Since the release that keeps secrets apart."""


@pytest.fixture
def server(database_server: Server) -> Iterator[Server]:
    """Lend a server as an older release has left it, and clean up."""
    database_server.drop_database("nexuscore")
    migrate(database_server.create_database("nexuscore"))
    for host in ("%", "localhost"):
        database_server.execute(f"CREATE USER '{OLD}'@'{host}' IDENTIFIED BY 'Old-password-1'")
        for grant in OLD_GRANTS.split(";"):
            rights, _, table = grant.strip().rpartition(" ON ")
            database_server.execute(f"GRANT {rights} ON nexuscore.{table} TO '{OLD}'@'{host}'")
    url = database_server.url("nexuscore")
    execute(url, "INSERT INTO delivery_cursor (journal, delivered, ts) VALUES ('builder', 7, 1)")
    yield database_server
    database_server.drop_database("nexuscore")
    for user, host in database_server.execute("SELECT user, host FROM mysql.user WHERE user LIKE 'nexus%'"):
        database_server.execute(f"DROP USER '{user}'@'{host}'")


def set_up(server: Server, folder: Path) -> subprocess.CompletedProcess[str]:
    owner = "root" if os.geteuid() == 0 else os.environ["USER"]
    return subprocess.run(
        [sys.executable, PROJECT / "Install/set_up_mysql.py", "--folder", folder, "--owner", owner],
        env={**os.environ, "NEXUSCORE_MYSQL_SOCKET": str(server.socket)},
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip


def connect(server: Server) -> Any:
    return mysql.connector.connect(
        unix_socket=str(server.socket), user=OLD, password="Old-password-1", database="nexuscore", autocommit=False
    )


def works(connection: Any, statement: str) -> bool:
    """Return whether a statement is allowed; its effect is undone."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            cursor.fetchall()
    except mysql.connector.Error:
        return False
    finally:
        with suppress(Exception):  # the C extension has errors of its own
            connection.rollback()
    return True


class TestTheOldAccount:
    """Each attack works before the upgrade, and none afterwards: neither with a new login nor an old connection."""

    def test_every_attack_fails_after_the_upgrade(self, server: Server, tmp_path: Path) -> None:
        kept = connect(server)
        assert {name for name, attack in ATTACKS.items() if not works(kept, attack)} == NEVER_WORKED
        before = rows(server.url("nexuscore"), "SELECT * FROM session")
        done = set_up(server, tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"Removing the user {OLD}: microscope PCs report their sessions to the Gateway now" in done.stdout
        assert [name for name, attack in ATTACKS.items() if works(kept, attack)] == []
        with pytest.raises(mysql.connector.Error) as refused:
            connect(server)
        assert refused.value.errno == 1045
        assert rows(server.url("nexuscore"), "SELECT * FROM session") == before
        assert server.execute(f"SELECT COUNT(*) FROM mysql.user WHERE user = '{OLD}'") == [(0,)]
        with suppress(Exception):
            kept.close()
        again = set_up(server, tmp_path)
        assert (again.returncode, "Removing the user" in again.stdout) == (0, False)


class TestTheGatewaysAccount:
    """It can do all that the Gateway does."""

    def test_a_session_from_start_to_end(self, server: Server, tmp_path: Path) -> None:
        done = set_up(server, tmp_path)
        assert done.returncode == 0, done.stderr
        found = settings.load({}, (tmp_path / "nexuscore-gateway.toml",)).main
        login = server.url("nexuscore", user=found.user, password=found.password, through_socket=True)
        running = RunningGateway(server.url("nexuscore"), tmp_path, login=login)
        try:
            pc = running.pc()
            session = pc.start()
            for what in ("pause", "resume", "note", "problem", "end"):
                answer = session.post(what, text="x") if what != "end" else session.post(what)
                assert answer.status_code == 200, answer.text
            assert session.types() == ["START", "PAUSE", "RESUME", "NOTE", "PROBLEM", "END"]
            assert pc.post("heartbeat", {"session": session.identifier}).status_code == 200
            assert pc.get(f"instruments/{pc.pids[0]}/reservations").status_code == 200
            assert running.get("/metrics").status_code == 200
            execute(running.main, "UPDATE gateway_request SET ts = 0")
            eventually(lambda: rows(running.main, "SELECT COUNT(*) FROM gateway_request") == [(0,)])
            assert running.stop() == 0
            lines = rows(running.main, "SELECT level, message FROM log_record WHERE logger = 'Gateway'")
            assert [line for line in lines if line[0] > 30] == []
        finally:
            running.close()
