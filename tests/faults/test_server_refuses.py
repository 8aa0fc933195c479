"""A server that is there, but will not: what was accepted is kept until it will, and no bad record stops the others."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing
from pathlib import Path

import mysql.connector
import pytest

from NexusCore.errors import DatabaseBusy, DatabaseDenied, DatabaseUnreachable
from NexusCore.storage import dialect
from tests.faults.load import Load, assert_accepted_is_stored
from tests.faults.servers import server, server_url
from tests.mariadb import MariaDB
from tests.processes import LIMIT, adopt, app_on, eventually, messages, rows, samples

__all__ = ["server", "server_url"]

pytestmark = pytest.mark.faults


def plain_user(server: MariaDB, url: str) -> str:
    """Return the URL for a user who may work on the tables, and nothing else."""
    database = url.rpartition("/")[2]
    server.execute("CREATE OR REPLACE USER 'plain'@'127.0.0.1' IDENTIFIED BY 'plain'")
    server.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{database}`.* TO 'plain'@'127.0.0.1'")
    return server.url(database, user="plain", password="plain")


class TestLocks:
    """Rows that another holds are waited for, and in the end given up for now, never for good."""

    def test_a_lock_that_is_held_for_long(
        self, server: MariaDB, server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dialect, "BUSY_SECONDS", 1)
        app = app_on(server_url, tmp_path / "home")
        status, log, cfg = app.get_status("locked"), app.get_log("locked"), app.get_config()
        status["n"] = 0
        eventually(lambda: samples(server_url, "locked"))
        name = server_url.rpartition("/")[2]
        with server.connection() as other, other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(f"SELECT * FROM `{name}`.status_latest FOR UPDATE")
            cursor.fetchall()
            cursor.execute(f"SELECT * FROM `{name}`.config_revision FOR UPDATE")
            cursor.fetchall()
            for number in range(1, 100):
                status["n"] = number
                log.info("%d", number)
            monkeypatch.setattr("NexusCore.config.once.CHANGE_WAIT_SECONDS", 1.0)
            with pytest.raises(DatabaseBusy, match="Try again"):
                cfg["x"] = 1
            eventually(lambda: any(lane.away_since is not None for lane in app._shipper._lanes), "it is put off")
            cursor.execute("ROLLBACK")
        eventually(lambda: len(samples(server_url, "locked")) == 100)
        cfg["x"] = 1
        assert (app.shutdown(LIMIT).left, cfg["x"]) == (0, 1)
        assert samples(server_url, "locked") == [("n", str(n)) for n in range(100)]
        assert messages(server_url, "locked") == [str(n) for n in range(1, 100)]

    def test_connections_that_are_killed(self, server: MariaDB, server_url: str, tmp_path: Path) -> None:
        load = Load(server_url, tmp_path / "home", 0.001)
        name = server_url.rpartition("/")[2]
        for _ in range(30):
            for (thread,) in server.execute("SELECT id FROM information_schema.processlist WHERE db = %s", name):
                server.execute(f"KILL {thread}", may_fail=True)
            threading.Event().wait(0.02)
        assert_accepted_is_stored(load, load.end())


class TestNoConnection:
    """Nobody is let in for a while: what is accepted meanwhile arrives afterwards."""

    def test_too_many_connections(self, server: MariaDB, server_url: str, tmp_path: Path) -> None:
        before = server.execute("SELECT @@max_connections")[0][0]
        url = plain_user(server, server_url)
        try:
            with ExitStack() as stack:
                server.execute("SET GLOBAL max_connections = 10")
                with pytest.raises(mysql.connector.Error):
                    for _ in range(30):
                        stack.enter_context(
                            closing(
                                mysql.connector.connect(
                                    host="127.0.0.1", port=server.port, user="plain", password="plain"
                                )
                            )
                        )
                app = app_on(url, tmp_path / "home")
                log = app.get_log("crowded")
                with pytest.raises(DatabaseUnreachable, match="Too many connections"):
                    app.get_config()
                for number in range(100):
                    log.info("%d", number)
                eventually(lambda: any(lane.away_since is not None for lane in app._shipper._lanes), "it is put off")
                assert app.shutdown(0.1).dropped == 0
        finally:
            server.execute("SET GLOBAL max_connections = %s", before)
        adopt(url, tmp_path / "home")
        assert messages(url, "crowded") == [str(n) for n in range(100)]

    def test_an_account_that_is_locked(self, server: MariaDB, server_url: str, tmp_path: Path) -> None:
        url = plain_user(server, server_url)
        app = app_on(url, tmp_path / "home")
        log = app.get_log("locked_out")
        log.info("before")
        eventually(lambda: messages(server_url, "locked_out"))
        server.execute("ALTER USER 'plain'@'127.0.0.1' ACCOUNT LOCK")
        for (thread,) in server.execute("SELECT id FROM information_schema.processlist WHERE user = 'plain'"):
            server.execute(f"KILL {thread}", may_fail=True)
        log.info("while")
        late = app_on(url, tmp_path / "other")
        with pytest.raises(DatabaseDenied, match="Check the user"):
            late.get_config()
        late.shutdown(1)
        eventually(lambda: any(lane.away_since is not None for lane in app._shipper._lanes), "it is put off")
        server.execute("ALTER USER 'plain'@'127.0.0.1' ACCOUNT UNLOCK")
        eventually(lambda: messages(server_url, "locked_out") == ["before", "while"])
        assert app.shutdown(LIMIT).left == 0


class TestReadOnly:
    """A server that takes no writes, as one that lost its quorum or is a replica."""

    def test_all_is_kept(self, server: MariaDB, server_url: str, tmp_path: Path) -> None:
        url = plain_user(server, server_url)
        app = app_on(url, tmp_path / "home")
        cfg, log, status = app.get_config(), app.get_log("read_only"), app.get_status("read_only")
        cfg["x"] = 1
        server.execute("SET GLOBAL read_only = ON")
        try:
            for number in range(100):
                log.info("%d", number)
                status["n"] = number
            with pytest.raises((DatabaseUnreachable, DatabaseDenied), match="read-only"):
                cfg["x"] = 2
            assert cfg["x"] == 1
            eventually(lambda: any(lane.away_since is not None for lane in app._shipper._lanes), "it is put off")
            assert messages(server_url, "read_only") == []
        finally:
            server.execute("SET GLOBAL read_only = OFF")
        cfg["x"] = 2
        eventually(lambda: len(messages(server_url, "read_only")) == 100)
        assert app.shutdown(LIMIT).left == 0
        assert messages(server_url, "read_only") == [str(n) for n in range(100)]
        assert samples(server_url, "read_only") == [("n", str(n)) for n in range(100)]


class TestPacketsThatAreTooLarge:
    """With max_allowed_packet at 1 MB, what fits arrives; what never can is set aside and counted."""

    def test_a_batch_is_sent_in_parts(self, small_packets: str, tmp_path: Path) -> None:
        """Thousands of records, none of them large, that wait while the database is away."""
        app = app_on(small_packets, tmp_path / "home")
        log = app.get_log("many")
        for number in range(4000):
            log.info("%d %s", number, "'" * 1000)  # doubled on its way
        assert app.shutdown(LIMIT).left == 0
        assert [text.split()[0] for text in messages(small_packets, "many")] == [str(n) for n in range(4000)]

    def test_one_that_never_fits(self, small_packets: str, tmp_path: Path) -> None:
        app = app_on(small_packets, tmp_path / "home")
        log, status = app.get_log("mixed"), app.get_status("mixed")
        status.new2d("grid", (1000, 1000))
        for number in range(50):
            log.info("%d", number)
            status["n"] = number
            if number == 25:
                log.warning("x" * 1_000_000 + "\U0001f52c")
                log.warning("\U0001f52c" * 300_000)
                status["grid"].set_value([[255] * 1000] * 1000)
        eventually(lambda: len(samples(small_packets, "mixed")) >= 50)
        # Refused by an attempt that comes later; what is refused at the very end is said on standard error alone.
        eventually(lambda: messages(small_packets, "NexusCore.delivery"), "it is said in the log")
        report = app.shutdown(LIMIT)
        assert report.left == 0
        assert report.dropped == 2, "the grid, and the text of four bytes a character"
        found = messages(small_packets, "mixed")
        assert [one for one in found if len(one) < 10] == [str(n) for n in range(50)]
        assert [one[:2] for one in found if len(one) >= 10] == ["xx"]
        assert [value for name, value in samples(small_packets, "mixed") if name == "n"] == [str(n) for n in range(50)]
        assert all(".refused" in message for message in messages(small_packets, "NexusCore.delivery"))

    def test_a_parameter_that_is_too_long(self, small_packets: str, tmp_path: Path) -> None:
        app = app_on(small_packets, tmp_path / "home")
        cfg = app.get_config()
        cfg["x"] = "short"
        with pytest.raises((DatabaseUnreachable, DatabaseDenied, Exception), match=r"packet|at most 65,536"):
            cfg["x"] = "x" * 2_000_000
        cfg["y"] = "after"
        assert (cfg["x"], cfg["y"]) == ("short", "after")
        app.shutdown(LIMIT)


@pytest.fixture
def small_packets(server: MariaDB, server_url: str) -> str:
    server.execute("SET GLOBAL max_allowed_packet = 1048576")
    assert rows(server_url, "SELECT @@max_allowed_packet") == [(1048576,)]
    return server_url
