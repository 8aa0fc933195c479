"""A service on a machine whose clock is wrong, by ``faketime``, takes nothing away from those on other machines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from NexusCore.facility import Session, State
from tests.processes import PROJECT
from tests.services.builder_facility import USER, Facility

pytestmark = pytest.mark.skipif(shutil.which("faketime") is None, reason="the program faketime is not installed")

SECONDS = 100
MINUTES = 600.0
"""How long the sessions here are held, in seconds: far less than the hour by which the clocks are wrong."""


@pytest.fixture
def facility(server_database_url: str, tmp_path: Path) -> Facility:
    """Lend a facility on a server: SQLite has no clock but the machine's, which is one for all that use it."""
    one = Facility(server_database_url, tmp_path)
    one.files.mkdir()
    one.configure(
        f"Facility.data_root={tmp_path}",
        "Instruments.FEI-Titan-TEM.filestore_path=./Titan",
        "Services.Builder.settle=0",
    )
    return one


def session_with_a_file(facility: Facility) -> Session:
    start = datetime.now(UTC) - timedelta(hours=8)
    note = facility.files / "note.txt"
    note.write_text("grid 1")
    os.utime(note, ((start + timedelta(minutes=10)).timestamp(),) * 2)
    return facility.session(start, start + timedelta(hours=1))


def once(facility: Facility, service: str, shift: str, home: str = "other") -> str:
    """Make a pass of a service on another machine, whose clock is shifted; return what it logged."""
    done = subprocess.run(
        ["faketime", "-f", shift, sys.executable, "-m", f"Services.{service}", "--once"],
        cwd=PROJECT,
        env={**facility.environment, "NEXUSCORE_HOME": str(facility.folder / home)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("shift", ["+1h", "-1h"])
def test_a_builder_leaves_a_session_to_the_one_that_has_it(facility: Facility, shift: str) -> None:
    session = session_with_a_file(facility)
    held = facility.sessions.claim(USER, "the other", MINUTES)
    assert held is not None
    once(facility, "Builder", shift)
    assert facility.sessions.get(session.identifier).attempts == 1
    assert facility.sessions.finish(held, "the other", State.TO_BE_BUILT)
    once(facility, "Builder", shift)
    assert facility.sessions.get(session.identifier).state is State.BUILT


def test_an_uploader_leaves_a_record_to_the_one_that_has_it(facility: Facility) -> None:
    session = session_with_a_file(facility)
    facility.run("Services.Builder", "--once")
    record, records = facility.record(session), facility.records
    records.expect([(record, "directory")])
    assert records.claim(record, "directory", "the other", MINUTES) is not None
    once(facility, "Uploader", "+1h")
    assert facility.sessions.get(session.identifier).state is State.BUILT
    assert records.uploads(record)[0].unanswered_ts is None, "nobody took over"
    assert records.uploaded(record, "directory", "1", None, owner="the other")
