"""The settings of running services: none can be lost, a change is seen at once, and a change set is one line."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from NexusCore.API import App
from NexusCore.config.catalogue import catalogue
from NexusCore.config.history import state_at
from NexusCore.config.values import readable_value
from NexusCore.declare import declare_all
from NexusCore.errors import NexusError
from NexusCore.settings import DatabaseURL
from NexusCore.storage.migrate import migrate
from tests.processes import LIMIT, PROJECT, app_on, environment_of, eventually, messages, samples

RUNNING = ("Builder", "Harvester", "Uploader")
NEEDED = {
    item.path: item.default for item in catalogue().stored if item.path.split(".")[1] in RUNNING
}  # fmt: skip
"""Everything that these services declare, with its default."""


class Running:
    """Three services on one embedded database, and a person's program beside them."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/nexus.db"
        migrate(self.url)
        declare_all(DatabaseURL.parse(self.url))
        self._folder = folder
        self.app: App = app_on(self.url, folder / "desk")
        self.config = self.app.get_config()
        self.processes = {name: self._start(name) for name in RUNNING}
        for name in RUNNING:
            eventually(lambda name=name: ("state", "idle") in samples(self.url, name), f"{name} runs")  # type: ignore[misc]

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", f"Services.{name}"], cwd=PROJECT,
            env=environment_of(self.url, self._folder / name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self, name: str) -> None:
        """Kill a service and start another one, as a supervisor does."""
        self.processes[name].kill()
        self.processes[name].wait(LIMIT)
        self.processes[name] = self._start(name)

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait(LIMIT)
        self.app.shutdown(LIMIT)

    def is_as(self, wanted: dict[str, Any]) -> bool:
        """Return whether all needed parameters are stored, with the wanted values."""
        self.app.live.catch_up()
        return all(path in self.config and self.config[path] == value for path, value in wanted.items())


class RandomHands(RuleBasedStateMachine):
    """Kills services, and sets, removes and rolls back their settings, as a person does who pays no attention."""

    folder: Path
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.running = Running(self.folder / str(next(self.numbers)))
        self.wanted = dict(NEEDED)

    def teardown(self) -> None:
        self.running.close()

    @rule(name=st.sampled_from(RUNNING))
    def kill(self, name: str) -> None:
        self.running.kill(name)

    @rule(path=st.sampled_from(sorted(NEEDED)))
    def remove(self, path: str) -> None:
        self.running.config.remove(path)
        self.wanted[path] = NEEDED[path]

    @rule(folder=st.sampled_from(["Services", *(f"Services.{name}" for name in RUNNING), "Services.Harvester.nemo"]))
    def remove_a_folder(self, folder: str) -> None:
        self.running.config.remove(folder)
        self.wanted.update({path: value for path, value in NEEDED.items() if path.startswith(f"{folder}.")})

    @rule(workers=st.integers(1, 64), seconds=st.floats(1, 3600))
    def change(self, workers: int, seconds: float) -> None:
        changes = {"Services.Builder.workers": workers, "Services.Harvester.interval": seconds}
        with self.running.config.together() as group:
            for path, value in changes.items():
                group[path] = value
        self.wanted.update(changes)

    @rule(part=st.floats(0, 1))
    def roll_back(self, part: float) -> None:
        store = self.running.app.live.store
        newest = store.revision()
        revision = max(1, min(newest, int(part * newest)))
        then = state_at(store, store.version_id("default"), revision)
        self.running.config.rollback(revision)
        self.wanted = {
            path: readable_value(then[path].value, then[path].datatype) if path in then else default
            for path, default in NEEDED.items()
        }

    @invariant()
    def none_stops_and_nothing_is_lost(self) -> None:
        eventually(lambda: self.running.is_as(self.wanted), "all settings are back")
        for name, process in self.running.processes.items():
            assert process.poll() is None, f"{name} has ended"
            assert not any(
                item == "state" and value.startswith("failed") for item, value in samples(self.running.url, name)
            )


class TestNothingIsLost:
    """A declared parameter that somebody removes, or rolls away, is back with its default; no service stops."""

    def test_whatever_hands_do(self, tmp_path: Path) -> None:
        machine: Any = type("RandomHandsHere", (RandomHands,), {"folder": Path(tempfile.mkdtemp(dir=tmp_path))})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=2, stateful_step_count=8, deadline=None, database=None, derandomize=True,
                phases=(Phase.generate,), suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip


@pytest.fixture
def running(tmp_path: Path):
    running = Running(tmp_path)
    yield running
    running.close()


class TestSeenNow:
    """What services read is seen at once, whatever their interval; changes made together are one line."""

    def test_a_change_ends_the_wait_and_is_one_line(self, running: Running) -> None:
        def passes(name: str) -> int:
            return sum(line.startswith("The configuration changed") for line in messages(running.url, name))

        running.config["Services.Harvester.interval"] = 3600.0
        eventually(lambda: passes("Harvester") == 1)
        calendar = running.app.settings.home.parent / "none.ics"
        with running.config.together() as group:
            group["Instruments.Titan.api_url"] = str(calendar)
            group["Instruments.Titan.harvester"] = "ical"
        # The next round would be an hour away.
        eventually(lambda: ("calendars_failed", "1") in samples(running.url, "Harvester"))

        before = len(messages(running.url, "Uploader"))
        running.config.remove("Services.Uploader")
        own = {path: value for path, value in NEEDED.items() if path.startswith("Services.Uploader.")}
        eventually(lambda: running.is_as(own), "the Uploader's settings are back")
        eventually(lambda: any("back with the default" in line for line in messages(running.url, "Uploader")))
        time.sleep(0.5)  # what else it has to say
        lines = messages(running.url, "Uploader")[before:]
        assert len(lines) <= 3, lines
        assert f"and {len(own) - 3} more parameters" in lines[0]

    def test_a_service_reads_the_default_before_it_is_stored(self, running: Running, tmp_path: Path) -> None:
        """Also where nobody may write: the Gateway's account, or while the database is away."""
        app = app_on(running.url, tmp_path / "reader")
        try:
            config = app.get_config()
            app.live.fall_back_on(catalogue().default)
            config.set("Services.Gateway.request_seconds", 9.0)
            config.remove("Services.Gateway.request_seconds")
            assert config["Services.Gateway.request_seconds"] == 20.0
            assert config.number("Services.Gateway.request_seconds") == 20.0
            assert config["Services.Gateway.nothing"] is None
            with pytest.raises(NexusError):
                config.number("Instruments.Titan.forgotten_hours")
        finally:
            app.shutdown(LIMIT)
