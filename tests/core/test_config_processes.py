"""The configuration between processes: nothing is reverted, nothing is missed, each change is seen once."""

from __future__ import annotations

from pathlib import Path

from NexusCore.storage.migrate import migrate
from tests.processes import LIMIT, app_on, ended, eventually, line_of, rows, run, start, tell
from tests.server import Server

SETTER = """
import sys
from NexusCore import API
cfg = API.get_config("Race")
own, rounds = sys.argv[1], int(sys.argv[2])
print("ready", flush=True); input()
for number in range(rounds):
    cfg["shared"] = f"{own} {number}"
    cfg[own] = number
    assert cfg[own] == number, (own, cfg[own], number)
API.shutdown()
"""

CALLED = """
import threading
from NexusCore import API
cfg, seen, done = API.get_config("Camera"), [], threading.Event()
def changed(parameter):
    seen.append((parameter.get_full_path(), parameter.get_value()))
    if parameter.get_value() == "last":
        done.set()
cfg.add_callback("speed", changed)
print("ready", flush=True)
assert done.wait(30)
print(seen, flush=True)
API.shutdown()
"""


class TestNothingIsReverted:
    """Two processes that set the same parameter 200 times: each change is stored, revisions have no gaps."""

    def test_every_change_of_both_is_in_the_history(self, database_url: str, tmp_path: Path) -> None:
        setters = [start(SETTER, name, 200, main=database_url, home=tmp_path / name) for name in "ab"]
        for setter in setters:
            line_of(setter)
        for setter in setters:
            tell(setter)
        for setter in setters:
            ended(setter)
        changes = rows(database_url, "SELECT revision, path, old_value, new_value FROM config_change ORDER BY revision")
        assert [revision for revision, *_ in changes] == list(range(1, changes[-1][0] + 1))
        assert rows(database_url, "SELECT revision FROM config_revision") == [(changes[-1][0],)]
        for own in "ab":
            assert [new for _, path, _, new in changes if path == f"Race.{own}"] == [str(n) for n in range(200)]
            shared = [new for _, path, _, new in changes if path == "Race.shared" and new.startswith(own)]
            assert shared == [f"{own} {n}" for n in range(200)]
        # Each change says what it replaced: a chain without a break, so nothing was written over unseen.
        for path in ("Race.shared", "Race.a", "Race.b"):
            chain = [(old, new) for _, one, old, new in changes if one == path]
            assert [old for old, _ in chain] == [None, *(new for _, new in chain[:-1])]
            stored = rows(database_url, "SELECT value FROM config_parameter WHERE path = :path", path=path)
            assert stored == [(chain[-1][1],)]


class TestCallbacksBetweenProcesses:
    """A callback in one process is called for each change made by another, once and in order (003-17)."""

    def test_a_hundred_changes(self, database_url: str, tmp_path: Path) -> None:
        called = [start(CALLED, main=database_url, home=tmp_path / str(n)) for n in range(2)]
        for process in called:
            line_of(process)
        app = app_on(database_url, tmp_path / "home")
        cfg = app.get_config("Camera")
        values = [*range(99), "last"]
        for value in values:
            cfg.set("speed", value, check=False, create=True)
        for process in called:
            assert ended(process).strip() == str([("Camera.speed", value) for value in values])
        app.shutdown()

    def test_in_a_forked_child(self, database_url: str, tmp_path: Path) -> None:
        """It goes on watching, whatever its parent's threads were doing at that moment."""
        program = """
import os, signal, sys, threading
from NexusCore import API
cfg = API.get_config()
live = API.app().live
held, forked = threading.Event(), threading.Event()
def hold():
    with live._lock:
        held.set()
        forked.wait(30)
threading.Thread(target=hold).start()
held.wait(30)
child = os.fork()
if child == 0:
    signal.alarm(25)
    done = threading.Event()
    cfg.add_callback("x", lambda parameter: done.set())
    print("ready", flush=True)
    assert done.wait(20)
    cfg["y"] = cfg["x"]
    os._exit(0)
forked.set()
assert os.waitpid(child, 0)[1] == 0
API.shutdown()
"""
        process = start(program, main=database_url, home=tmp_path / "forking")
        assert line_of(process) == "ready"
        app = app_on(database_url, tmp_path / "home")
        app.get_config()["x"] = 5
        ended(process)
        eventually(lambda: app.get_config()["y"] == 5)
        app.shutdown()


class TestTheDatabaseIsAway:
    """Known values stay readable; a process that starts then has the last ones seen; all changes come after."""

    def test_a_watcher_that_was_away_gets_all(self, private_server: Server, tmp_path: Path) -> None:
        url = private_server.create_database("nexus")
        migrate(url)
        seen: list[object] = []
        watching, setting = app_on(url, tmp_path / "watching"), app_on(url, tmp_path / "setting")
        cfg, theirs = watching.get_config(), setting.get_config()
        cfg["n"] = -1
        cfg.add_callback("n", lambda parameter: seen.append(parameter.value))
        for number in range(30):
            theirs["n"] = number
            if number in (10, 20):
                private_server.kill()
                assert cfg["n"] is not None
                private_server.start()
        eventually(lambda: seen[-1:] == [29])
        assert seen == list(range(30))
        watching.shutdown(LIMIT)
        setting.shutdown(LIMIT)

    def test_a_start_without_it(self, private_server: Server, tmp_path: Path) -> None:
        url = private_server.create_database("nexus")
        migrate(url)
        program = """
from NexusCore import API
cfg = API.get_config("Instruments")
print(cfg["speed"], API.app().live.source)
API.shutdown(1)
"""
        app = app_on(url, tmp_path / "home")
        app.get_config("Instruments")["speed"] = 5
        app.shutdown(LIMIT)
        private_server.stop()
        assert run(program, main=url, home=tmp_path / "home").strip() == "5 snapshot"
        private_server.start()
        assert run(program, main=url, home=tmp_path / "home").strip() == "5 database"
