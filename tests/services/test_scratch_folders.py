"""What processes that read, or have others read, leave in the folder for temporary files: nothing for long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from Services.Builder.extraction.scratch_folder import PREFIX, ScratchFolder, remove_abandoned
from tests.processes import LIMIT, LOOK_EVERY, PROJECT
from tests.services.builder_facility import Facility
from tests.services.signal_files import image

OWNER = """
import sys
from Services.Builder.extraction.scratch_folder import ScratchFolder
folder = ScratchFolder()
(folder.path / "file").write_text("x")
print(folder.path, flush=True)
sys.stdin.read()
"""
SLOW = """
import sys, time
from pathlib import Path
sys.path.insert(0, {code!r})
from Services.Builder.commands import extract; from Services.Builder.extraction import workers
workers.Workers.__init__.__defaults__ = (*workers.Workers.__init__.__defaults__[:3], "slow_of_test_scratch:work")
sys.exit(extract.main([sys.argv[1]]))
"""
READER = """
import time
def work(job):
    job.preview.with_name("begun").touch()
    time.sleep(600)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def until(folder: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    end = SYSTEM_CLOCK.monotonic() + LIMIT
    while not list(folder.glob(pattern)):
        if process.poll() is not None or SYSTEM_CLOCK.monotonic() > end:
            process.kill()
            pytest.fail(str(process.communicate()))
        time.sleep(LOOK_EVERY)


def test_folders_of_killed_processes_only_are_removed(temporary: Path) -> None:
    command = [sys.executable, "-c", OWNER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    killed, living = (subprocess.Popen(command, cwd=PROJECT, **pipes) for _ in range(2))  # type: ignore[call-overload]
    left, used = (Path(one.stdout.readline().strip()) for one in (killed, living))
    (temporary / f"{PREFIX}link").symlink_to(used)
    (temporary / "nexuscore-other").mkdir()
    killed.kill()
    killed.communicate()
    with ScratchFolder() as own:
        assert left.exists()
        remove_abandoned()
        assert (left.exists(), used.exists(), own.exists()) == (False, True, True)
    assert {one.name for one in temporary.iterdir()} == {used.name, f"{PREFIX}link", "nexuscore-other"}
    living.kill()
    living.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_extract_removes_its_own_when_it_is_ended(tmp_path: Path, temporary: Path, number: signal.Signals) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/slow_of_test_scratch.py").write_text(READER)
    (tmp_path / "a.txt").write_text("a")
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW.format(code=str(tmp_path / "code")), str(tmp_path / "a.txt")],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(PROJECT)}, text=True, stderr=subprocess.PIPE,
    )  # fmt: skip
    until(temporary, "*/made/begun", process)
    process.send_signal(number)
    _out, errors = process.communicate(timeout=LIMIT)
    assert (process.returncode, errors) == (128 + number, "")
    assert list(temporary.iterdir()) == []


def test_the_next_builder_removes_what_a_killed_one_left(tmp_path: Path, temporary: Path) -> None:
    facility = Facility(f"sqlite:///{tmp_path}/nexus.db", tmp_path)
    facility.files.mkdir()
    facility.run("NexusCore.storage.migrate")
    facility.configure("Instruments.FEI-Titan-TEM.filestore_path=" + str(facility.files))
    facility.configure(f"Services.Builder.records_path={tmp_path / 'records'}")
    image(facility.files / "a.hspy", 64)
    past = datetime.now(UTC) - timedelta(minutes=10)
    os.utime(facility.files / "a.hspy", (past.timestamp(), past.timestamp()))
    facility.session(past - timedelta(minutes=5), past + timedelta(minutes=5))
    environment = {**os.environ, "NEXUSCORE_DATABASE": f"sqlite:///{tmp_path}/nexus.db"}
    process = subprocess.Popen(
        [sys.executable, "-m", "Services.Builder", "--once"],
        cwd=PROJECT, env={**environment, "NEXUSCORE_HOME": str(tmp_path / "home")}, text=True, stderr=subprocess.PIPE,
    )  # fmt: skip
    until(temporary, f"{PREFIX}*", process)
    process.kill()
    process.communicate()
    assert list(temporary.glob(f"{PREFIX}*"))
    facility.run("Services.Builder", "--once")
    assert list(temporary.glob(f"{PREFIX}*")) == []
