"""The frame of the services: what comes of a pass that fails, and of settings made before the first."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import ClassVar

import pytest

from NexusCore.API import App
from NexusCore.errors import ConfigException
from NexusCore.service import Pass, Service
from NexusCore.status.process import FAILED
from tests.processes import LIMIT, PROJECT, app_on, environment_of, eventually, messages
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import Grade
from Tools.doctor.checks.services import services


class Moody(Service):
    """A service whose passes end as they are told to."""

    name: ClassVar[str] = "Builder"

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self.trouble: Exception | None = None
        self.passes = 0

    def once(self) -> Pass:
        self.passes += 1
        if self.trouble is not None:
            raise self.trouble
        return Pass()

    def goes_on(self) -> None:
        """Wait until two more passes have begun, so that one has ended."""
        before = self.passes
        eventually(lambda: self.passes > before + 1, "more passes")


class TestAPassThatFails:
    """It is logged once, counted and shown until one succeeds; it never ends the service."""

    @pytest.mark.parametrize(
        "trouble",
        [ZeroDivisionError("a fault"), ConfigException(reason="a mistake"), ValueError("a long one " + "é" * 5000)],
    )
    def test_reported_once_counted_and_shown(self, database_url: str, tmp_path: Path, trouble: Exception) -> None:
        app = app_on(database_url, tmp_path)
        service = Moody(app)
        service.config["interval"] = 0.1
        service.trouble = trouble
        running = threading.Thread(target=service.run, kwargs={"once": False})
        running.start()
        try:
            service.goes_on()
            service.goes_on()
            state = str(service.status["state"].get_value())
            assert state.startswith(FAILED)
            assert str(trouble)[:40] in state
            eventually(lambda: messages(database_url, "Builder")[1:])
            case = Case({"NEXUSCORE_DATABASE": database_url, "NEXUSCORE_HOME": str(tmp_path)})
            outcome = eventually(lambda: [one for one in services(case) if FAILED in one.sentence])[0]
            assert outcome.grade is Grade.PROBLEM
            service.trouble = None
            eventually(lambda: service.status["state"].get_value() == "idle")
            assert service.status["passes_failed"].get_value() >= 3
        finally:
            app.stop_event.set()
            running.join(LIMIT)
            app.shutdown(LIMIT)
        said = messages(database_url, "Builder")
        assert len([one for one in said if str(trouble)[:40] in one]) == 1
        assert "Builder goes on." in said


class TestSettingsMadeBefore:
    """What was set before the service first ran is checked then, and refused in a sentence."""

    def test_an_interval_that_is_none(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path)
        app.get_config()["Services.Builder.interval"] = "soon"
        service = Moody(app)
        running = threading.Thread(target=service.run, kwargs={"once": False})
        running.start()
        try:
            sentence = "'Services.Builder.interval' is 'soon', but must be a number"
            eventually(lambda: sentence in str(service.status["state"].get_value()))
            assert running.is_alive()
        finally:
            app.stop_event.set()
            running.join(LIMIT)
            app.shutdown(LIMIT)

    @pytest.mark.parametrize("name", ["Builder", "Gateway", "Harvester", "Intake", "Uploader"])
    def test_an_interval_without_a_value(self, sqlite_url: str, tmp_path: Path, name: str) -> None:
        """It counts as one that is not set."""
        app = app_on(sqlite_url, tmp_path)
        app.get_config().add(f"Services.{name}.interval", None, "double")
        app.shutdown(LIMIT)
        done = subprocess.run(
            [sys.executable, "-m", f"Services.{name}", "--once"], cwd=PROJECT,
            env=environment_of(sqlite_url, tmp_path), capture_output=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
