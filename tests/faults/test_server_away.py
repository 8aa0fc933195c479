"""A server that is stopped or killed under load: what was accepted is stored, once, and no caller waits for it."""

from __future__ import annotations

import random
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.faults.load import LONG, Load, assert_accepted_is_stored
from tests.faults.servers import server, server_url
from tests.mariadb import MariaDB
from tests.processes import LIMIT, app_on, eventually, messages, rows, run, start

__all__ = ["server", "server_url"]

pytestmark = pytest.mark.faults


class TestUnderLoad:
    """003-11: 100 log records and 100 changes of status a second, and the server is not there."""

    @pytest.mark.parametrize("how", ["stop", "pause"])
    def test_for_a_while(
        self, server: MariaDB, server_url: str, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Fifteen seconds in the long form."""
        load = Load(server_url, tmp_path / "home")
        getattr(server, how)()
        threading.Event().wait(15 if LONG else 1)  # the load goes on meanwhile
        server.resume() if how == "pause" else server.start()
        eventually(lambda: len(messages(server_url, "load")) > 100)
        ledger = load.end()
        assert_accepted_is_stored(load, ledger)
        with capsys.disabled() if LONG else nullcontext():
            print(f"\n  server {how}: {ledger}")

    def test_killed_at_random(
        self, server: MariaDB, server_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Twenty times in the long form."""
        chance = random.Random(20)
        load = Load(server_url, tmp_path / "home", 0.001)
        for _ in range(20 if LONG else 3):
            threading.Event().wait(chance.uniform(0, 0.5))
            server.kill()
            threading.Event().wait(chance.uniform(0, 0.3))
            server.start()
        ledger = load.end()
        assert_accepted_is_stored(load, ledger)
        with capsys.disabled() if LONG else nullcontext():
            print(f"\n  server killed: {ledger}")


class TestItSaysSo:
    """That the database is away, and that it is back, is in the log."""

    def test_in_the_log(self, server: MariaDB, server_url: str, tmp_path: Path) -> None:
        app = app_on(server_url, tmp_path / "home")
        cfg, log = app.get_config(), app.get_log("module")
        log.info("before")
        eventually(lambda: messages(server_url, "module"))
        server.stop()
        log.info("while")
        eventually(lambda: app.live.trouble)
        server.start()
        eventually(lambda: messages(server_url, "module") == ["before", "while"])
        eventually(lambda: app.live.trouble is None)
        log.info("after")
        cfg["x"] = 1
        assert app.shutdown(LIMIT).left == 0
        said = rows(server_url, "SELECT logger, level, message FROM log_record WHERE logger <> 'module' ORDER BY id")
        assert sorted((logger, level) for logger, level, _ in said) == [
            ("NexusCore.config", 20), ("NexusCore.config", 30), ("NexusCore.delivery", 20), ("NexusCore.delivery", 30),
        ]  # fmt: skip
        assert any("is back" in message for _, _, message in said)


END = """
import sys
from NexusCore import API
log, status = API.get_log("ending"), API.get_status("ending")
if "config" in sys.argv:
    try:
        cfg = API.get_config("Ending")
        cfg.add_callback("x", print)
    except Exception as error:
        print(type(error).__name__)
for number in range(2000):
    log.info("%d", number)
    status["n"] = number
if "wait" in sys.argv:
    print("ready", flush=True)
    sys.stdin.readline()
    log.info("last"); status["n"] = "last"
if "shutdown" in sys.argv:
    print(API.shutdown().left)
"""


class TestAProcessEnds:
    """Within a bounded time of its last statement, whatever the database does, with `shutdown` or without it."""

    @pytest.mark.parametrize("how", ["stop", "pause"])
    @pytest.mark.parametrize("shutdown", ["shutdown", "return"])
    def test_that_began_with_it(
        self, server: MariaDB, server_url: str, tmp_path: Path, how: str, shutdown: str
    ) -> None:
        process = start(END, "config", "wait", shutdown, main=server_url, home=tmp_path / "home")
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        eventually(lambda: len(messages(server_url, "ending")) == 2000)
        getattr(server, how)()
        _, err = process.communicate(b"\n", timeout=LIMIT)
        assert (process.returncode, err) == (0, b"")
        server.resume() if how == "pause" else server.start()

    @pytest.mark.parametrize("how", ["stop", "pause"])
    @pytest.mark.parametrize("shutdown", ["shutdown", "return"])
    def test_that_never_saw_it(self, server: MariaDB, server_url: str, tmp_path: Path, how: str, shutdown: str) -> None:
        getattr(server, how)()
        run(END, shutdown, main=server_url, home=tmp_path / "home")
        printed = run(END, "config", shutdown, main=server_url, home=tmp_path / "home")
        assert printed.splitlines()[0] == "DatabaseUnreachable", "there is no snapshot either"
        server.resume() if how == "pause" else server.start()
