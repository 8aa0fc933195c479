"""What a watcher of the configuration meets, and goes on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.config import NamedConfiguration
from NexusCore.errors import DatabaseBusy
from tests.processes import LIMIT, app_on, eventually, execute, rows


def other_value(url: str) -> object:
    ((value,),) = rows(url, "SELECT value FROM config_parameter WHERE path = 'x'")
    return value


class TestTheWatcherSurvives:
    """Whatever it meets, later changes are seen, none missed."""

    def test_a_change_that_it_cannot_read(self, cfg: NamedConfiguration, other: App, database_url: str) -> None:
        """Someone may have written into the tables by hand."""
        seen: list[object] = []
        cfg.add_callback("x", lambda parameter: seen.append(parameter.value))
        theirs = other.get_config()
        theirs["x"] = 1
        eventually(lambda: seen == [1])
        for path, value, limits in (("x", "no number", None), ("z", "1", "no json")):
            execute(
                database_url,
                """INSERT INTO config_change (revision, version_id, version, path, action, new_value, datatype, who,
                                              host, tool, ts, limits)
                   SELECT r.revision + 1, v.id, v.name, :path, 'set', :value, 'integer', 'w', 'h', 't', 0, :limits
                     FROM config_revision r CROSS JOIN config_version v WHERE v.name = 'default'""",
                path=path,
                value=value,
                limits=limits,
            )
            execute(database_url, "UPDATE config_revision SET revision = revision + 1")
        theirs["x"] = 2
        eventually(lambda: seen[-1:] == [2])

    def test_a_change_that_is_stored_but_cannot_be_read_back(
        self, cfg: NamedConfiguration, app: App, other: App, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The call does not fail: who set the value would set it again. What was set is seen when it returns."""
        cfg["x"] = 1
        store = app.live.store
        real = store.changes_since

        away, seen = threading.Event(), []

        def refuse(revision: int, *, current: bool = False) -> object:
            if current or away.is_set():
                raise DatabaseBusy(where=database_url, reason="Lock wait timeout exceeded")
            return real(revision)

        cfg.add_callback("x", lambda parameter: seen.append(parameter.value))
        monkeypatch.setattr(store, "changes_since", refuse)
        away.set()
        cfg["x"] = 2
        assert (cfg["x"], other_value(database_url)) == (2, "2")
        eventually(lambda: seen == [2], "who watches it is called")
        other.get_config()["y"] = 1
        away.clear()
        eventually(lambda: "y" in cfg, "the watcher takes over what others changed")
        other.get_config()["x"] = 3
        eventually(lambda: seen == [2, 3], "nobody is called twice")

    def test_an_unexpected_error(self, cfg: NamedConfiguration, app: App, other: App) -> None:
        real, broken = app.live.store.revision, threading.Event()

        def once_broken() -> int:
            if not broken.is_set():
                broken.set()
                raise RuntimeError("something nobody thought of")
            return real()

        app.live.store.revision = once_broken  # type: ignore[method-assign]
        other.get_config()["x"] = 1
        assert broken.wait(LIMIT)
        eventually(lambda: cfg["x"] == 1)
        other.get_config()["x"] = 2
        eventually(lambda: cfg["x"] == 2)

    def test_parameters_that_cannot_be_read_at_the_start(self, database_url: str, tmp_path: Path) -> None:
        """The others are there."""
        first = app_on(database_url, tmp_path / "first")
        first.get_config()["good"] = 1
        first.get_config()["bad"] = 2
        first.shutdown(LIMIT)
        execute(database_url, "UPDATE config_parameter SET value = 'no number' WHERE path = 'bad'")
        second = app_on(database_url, tmp_path / "second")
        try:
            assert second.get_config()["good"] == 1
            second.get_config().set("bad", 3)
            assert second.get_config()["bad"] == 3
        finally:
            second.shutdown(LIMIT)
