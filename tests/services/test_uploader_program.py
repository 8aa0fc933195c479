"""The Uploader as a program: exit codes, a dry run, and an end when told to; on both databases."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.facility import Record, State
from NexusCore.facility.records import UploadState
from NexusCore.service import Pass, main
from Services.Uploader.destinations import Receipt
from Services.Uploader.service import Uploader
from tests.processes import LIMIT, PROJECT, environment_of, eventually, messages, rows, samples
from tests.services.uploading import Facility, Fickle, facility_on, give

HOLD = """
import pathlib, sys
from Services.Uploader.instance_lock import InstanceLock
one = InstanceLock(pathlib.Path(sys.argv[1]), "here")
print(one.take(), flush=True)
sys.stdin.readline()
"""
"""Is an Uploader at work, until it is told to end."""
END_LIMIT = 20.0
"""Seconds that a service told to end may take where much else is done: less than a silent server would take."""


@pytest.fixture
def facility(database_url: str, tmp_path: Path) -> Iterator[Facility]:
    with facility_on(database_url, tmp_path) as one:
        yield one


class TestTheProgram:
    """``python -m Services.Uploader``: exit codes, a dry run, and an end when told to."""

    def run(self, url: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "Services.Uploader", *arguments],
            cwd=PROJECT,
            env=environment_of(url, home),
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )

    def start(self, facility: Facility) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "Services.Uploader"],
            cwd=PROJECT,
            env=environment_of(facility.url, facility.home),
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_nothing_to_do(self, database_url: str, tmp_path: Path) -> None:
        done = self.run(database_url, tmp_path / "home", "--once")
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        ("url", "code"), [("postgres://x:secret@y/z", 2), ("mysql://u:secret@127.0.0.1:1/nexus", 3)]
    )
    def test_a_database_that_is_none(self, tmp_path: Path, url: str, code: int) -> None:
        done = self.run(url, tmp_path / "home", "--once")
        assert done.returncode == code, done.stderr
        (line,) = done.stderr.splitlines()
        assert line.startswith("Uploader: The database ")
        assert "secret" not in line

    def test_a_dry_run_and_the_real_one(self, facility: Facility) -> None:
        """The one says what the other does, and changes nothing."""
        good, bad = facility.built(), facility.built("Quanta")
        Path(bad.path).unlink()
        done = self.run(facility.url, facility.home, "--dry-run")
        assert done.returncode == 1
        assert f"Would send the record 'Rock salt' ({good.path}) to directory" in done.stderr
        assert f"The record 'Rock salt' cannot be sent: {bad.path}: No such file" in done.stderr
        assert not facility.uploaded.exists()
        assert rows(facility.url, "SELECT * FROM upload") == []
        assert not [
            name for name, _ in samples(facility.url, "Uploader") if name.startswith(("destination", "records"))
        ]
        done = self.run(facility.url, facility.home, "--once")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert (facility.state(good), facility.state(bad)) == (State.COMPLETED, State.BUILT)

    def test_sigterm_ends_it_in_order(self, facility: Facility) -> None:
        """Its last lines are in the database."""
        running = self.start(facility)
        eventually(lambda: messages(facility.url, "Uploader"))
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate(timeout=END_LIMIT)
        assert running.returncode == 0, errors
        assert "Traceback" not in errors
        assert messages(facility.url, "Uploader")[-1] == "Uploader ends"

    def test_it_ends_although_a_destination_is_silent(
        self, facility: Facility, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is left alone, and the record counts as not yet sent."""
        released, asked = threading.Event(), threading.Event()

        class Silent(Fickle):
            def put(self, record: Record) -> Receipt:
                asked.set()
                released.wait(LIMIT)
                return super().put(record)

        give(monkeypatch, Silent("silent"))
        facility.config["Services.Uploader.destinations"] = "silent"
        record = facility.built()
        uploader = Uploader(facility.app)

        def end() -> None:
            asked.wait(LIMIT)
            facility.app.stop_event.set()

        ending = threading.Thread(target=end)
        ending.start()
        try:
            assert uploader.once() == Pass()
        finally:
            released.set()
            ending.join(LIMIT)
        upload = facility.upload(record, "silent")
        assert (upload.state, upload.attempts) == (UploadState.WAITING, 0)
        assert facility.state(record) is State.BUILT

    def test_a_second_one(self, facility: Facility) -> None:
        """It leaves to the first what that is at; killed, the first one holds up nobody."""
        record = facility.built()
        holding = subprocess.Popen(
            [sys.executable, "-c", HOLD, facility.home],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert holding.stdout is not None
        assert holding.stdout.readline() == "True\n"
        done = self.run(facility.url, facility.home, "--once")
        assert done.returncode == 0, done.stderr
        assert "Another Uploader is running on this machine; skipping this pass" in done.stderr
        assert facility.state(record) is State.BUILT
        holding.kill()
        holding.communicate(timeout=LIMIT)
        self.run(facility.url, facility.home, "--once")
        assert facility.state(record) is State.COMPLETED

    def test_a_running_one(self, facility: Facility, tmp_path: Path) -> None:
        """003-08: it sees a changed setting, says so, and keeps to it."""
        facility.config["Services.Uploader.interval"] = 0.1
        (tmp_path / "share").mkdir()
        running = self.start(facility)
        try:
            eventually(lambda: messages(facility.url, "Uploader"))
            facility.config["Services.Uploader.directory.path"] = str(tmp_path / "share")
            changed = f"The configuration changed: Services.Uploader.directory.path is now '{tmp_path}/share'"
            eventually(lambda: changed in messages(facility.url, "Uploader"))
            record = facility.built()
            eventually(lambda: facility.state(record) is State.COMPLETED)
            assert (tmp_path / "share" / f"{record.session}.xml").exists()
        finally:
            running.terminate()
            running.communicate(timeout=END_LIMIT)

    def test_help_is_printed_with_exit_code_0(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            main(Uploader, ["--help"])
        assert end.value.code == 0
        assert "--dry-run" in capsys.readouterr().out
