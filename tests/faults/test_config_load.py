"""The configuration under load: every change is stored and seen once and in order, whatever the server does."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from NexusCore.API import App
from tests.faults.load import LONG
from tests.faults.servers import server, server_url
from tests.mariadb import MariaDB
from tests.processes import LIMIT, app_on, ended, eventually, line_of, rows, start, tell

__all__ = ["server", "server_url"]

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900 if LONG else 120)]

SETTERS = 4
ROUNDS = 2000 if LONG else 60

SETTER = """
import sys, threading
from NexusCore import API
from NexusCore.errors import DatabaseBusy, DatabaseUnreachable
own, rounds = sys.argv[1], int(sys.argv[2])
cfg = API.get_config("Load")
print("ready", flush=True); sys.stdin.readline()
again = 0
for number in range(rounds):
    while True:
        try:
            # Once more is harmless, should the answer to the first have been lost: it changes nothing then.
            with cfg.together(f"round {number}") as group:
                group[own] = number
                group[f"pair.{own}.a"] = number
                group[f"pair.{own}.b"] = -number
            cfg["shared"] = own
            break
        except (DatabaseUnreachable, DatabaseBusy):
            again += 1
            threading.Event().wait(0.05)
print(again)
API.shutdown()
"""
"""Sets, again and again until it succeeds, parameters of its own in groups, and one that all share."""


class Watcher:
    """Keeps what its callbacks are told."""

    def __init__(self, url: str, home: Path) -> None:
        self.app: App = app_on(url, home)
        self.seen: list[tuple[int, str, object]] = []
        self.app.get_config("Load").add_callback(
            "", lambda parameter: self.seen.append((parameter.revision, parameter.path, parameter.value))
        )


class TestWatching:
    """Four processes set, three watch, one of them comes late; the server is killed in between."""

    def test_on_a_server_that_is_killed(
        self, server: MariaDB, server_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        watchers = [Watcher(server_url, tmp_path / f"watcher {number}") for number in range(2)]
        setters = [
            start(SETTER, f"p{own}", ROUNDS, main=server_url, home=tmp_path / "setters") for own in range(SETTERS)
        ]
        for setter in setters:
            line_of(setter)
        begin = time.monotonic()
        for setter in setters:
            tell(setter)
        for number in range(5 if LONG else 1):
            threading.Event().wait(2 if LONG else 0.1)
            server.kill()
            server.start()
            if number == 0:
                watchers.append(Watcher(server_url, tmp_path / "late watcher"))
        again = sum(int(ended(setter)) for setter in setters)
        took = time.monotonic() - begin
        changes = rows(
            server_url,
            "SELECT revision, path, new_value FROM config_change WHERE path LIKE 'Load.%' ORDER BY revision",
        )
        try:
            for watcher in watchers:
                eventually(lambda watcher=watcher: watcher.seen and watcher.seen[-1][0] == changes[-1][0])  # type: ignore[misc]
                first = watcher.seen[0][0]
                seen = [(revision, path, str(value)) for revision, path, value in watcher.seen]
                assert seen == [one for one in changes if one[0] >= first]
            assert [watcher.seen[0][0] for watcher in watchers[:2]] == [changes[0][0]] * 2
        finally:
            for watcher in watchers:
                watcher.app.shutdown(LIMIT)
        revisions = rows(server_url, "SELECT revision FROM config_change ORDER BY revision")
        assert [revision for (revision,) in revisions] == list(range(1, len(revisions) + 1))
        for own in range(SETTERS):
            for path, sign in ((f"Load.p{own}", 1), (f"Load.pair.p{own}.a", 1), (f"Load.pair.p{own}.b", -1)):
                values = [int(value) for _, one, value in changes if one == path]
                assert values == [sign * number for number in range(ROUNDS)], "each once, none reverted"
        with capsys.disabled() if LONG else nullcontext():
            print(f"\n  {len(changes)} changes in {took:.1f} s, {again} attempts were repeated; 0 missed, 0 twice")
