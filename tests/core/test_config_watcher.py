"""What a watcher of the configuration meets, and goes on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.config import NamedConfiguration
from tests.processes import LIMIT, app_on, eventually, execute


@pytest.fixture
def cfg(app: App) -> NamedConfiguration:
    return app.get_config()


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

    def test_an_unexpected_error(self, cfg: NamedConfiguration, app: App, other: App) -> None:
        real, broken = app.live.store.revision, threading.Event()

        def once_broken() -> int:
            if not broken.is_set():
                broken.set()
                raise RuntimeError("something nobody thought of")
            return real()

        app.live.store.revision = once_broken  # type: ignore[method-assign]
        assert broken.wait(LIMIT)
        other.get_config()["x"] = 1
        eventually(lambda: cfg["x"] == 1)

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
