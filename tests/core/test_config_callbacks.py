"""Callbacks of the configuration: who hears of which change."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from NexusCore.API import App
from NexusCore.config import NamedConfiguration
from NexusCore.config.parameter import ConfigParameter
from NexusCore.errors import (
    ConfigException,
)
from tests.processes import LIMIT, eventually, rows


class TestCallbacks:
    """A callback is called for each change of its names, once, in order, on a thread of its own (003-17)."""

    def test_a_change_by_another_process(self, cfg: NamedConfiguration, other: App) -> None:
        seen: list[tuple[str, object]] = []
        cfg["Camera.speed"] = 0
        cfg.add_callback(["Camera"], lambda parameter: seen.append((parameter.get_full_path(), parameter.get_value())))
        theirs = other.get_config("Camera")
        for number in range(1, 101):
            theirs["speed"] = number
        theirs["gain"] = "new"
        theirs.remove("speed")
        expected = [("Camera.speed", n) for n in range(1, 101)]
        eventually(lambda: len(seen) >= 102)
        assert seen == [*expected, ("Camera.gain", "new"), ("Camera.speed", None)]

    def test_one_that_cannot_be_called_is_refused(self, cfg: NamedConfiguration) -> None:
        wrong: Any
        for wrong in (None, "x"):
            with pytest.raises(ConfigException, match="a callback must be a function, but is"):
                cfg.add_callback("x", wrong)

    def test_an_exception_stops_no_other(self, cfg: NamedConfiguration, app: App, database_url: str) -> None:
        """It is logged."""
        app.get_log("any")
        seen: list[object] = []

        def broken(parameter: ConfigParameter) -> None:
            raise LookupError("broken callback")

        cfg.add_callback("x", broken)
        cfg.add_callback("x", lambda parameter: seen.append(parameter.value))
        cfg["x"], cfg["x"] = 1, 2
        eventually(lambda: seen == [1, 2])
        eventually(lambda: rows(database_url, "SELECT id FROM log_record WHERE traceback LIKE '%broken callback%'"))

    def test_a_slow_one_delays_no_change(self, cfg: NamedConfiguration) -> None:
        release, entered = threading.Event(), threading.Event()

        def slow(parameter: ConfigParameter) -> None:
            entered.set()
            release.wait(LIMIT)

        cfg.add_callback("x", slow)
        cfg["x"] = 1
        assert entered.wait(LIMIT)
        cfg["x"] = 2
        assert cfg["x"] == 2
        release.set()

    def test_one_may_change_the_configuration(self, cfg: NamedConfiguration) -> None:
        cfg.add_callback("x", lambda parameter: cfg.set("y", parameter.value, create=True))
        cfg["x"] = 5
        eventually(lambda: cfg["y"] == 5)

    def test_one_that_was_taken_away_is_not_called(self, cfg: NamedConfiguration) -> None:
        seen: list[object] = []
        first, second = (lambda parameter: seen.append("first")), (lambda parameter: seen.append("second"))
        cfg.add_callback(["x", "y"], first)
        cfg.add_callback("x", second)
        cfg.del_callback("x", first)
        cfg["x"], cfg["y"] = 1, 1
        eventually(lambda: len(seen) == 2)
        assert seen == ["second", "first"]

    def test_neighbours_do_not_count(self, cfg: NamedConfiguration) -> None:
        seen: list[str] = []
        cfg.add_callback(["A.b", "A.F"], lambda parameter: seen.append(parameter.path))
        cfg["A.bc"], cfg["A.FG.h"], cfg["A.F.g"], cfg["AA.b"], cfg["A.b"] = 1, 2, 3, 4, 5
        eventually(lambda: len(seen) == 2)
        assert seen == ["A.F.g", "A.b"]
