"""However a Builder ends, and however many there are: each session has one record, and is built once."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from NexusCore.delivery.frames import Frame, decode
from NexusCore.errors import DatabaseBusy
from NexusCore.facility import Session, State
from NexusCore.facility.sessions import EventType
from Services.Builder.record.validation import validate
from Services.Builder.sample import SampleSession, make_session
from tests.faults.load import LONG
from tests.processes import eventually, execute, rows
from tests.services.builder_facility import Facility

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600 if LONG else 600)]

START = datetime(2026, 3, 4, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROUNDS = 100 if LONG else 10
LIFE = 1.2
"""Seconds in which a Builder that is not killed has made a small session's record, most of the time."""
SECONDS = 120


@pytest.fixture
def facility(database_url: str, tmp_path: Path) -> Facility:
    one = Facility(database_url, tmp_path)
    one.files.mkdir()
    one.configure(f"Facility.data_root={tmp_path}", "Instruments.FEI-Titan-TEM.filestore_path=./Titan")
    one.run("Services.Builder", "--once")  # which leaves its settings' defaults
    return one


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SampleSession]:
    folder = tmp_path_factory.mktemp("sample")
    return folder, make_session(folder, START)


def small_session(facility: Facility, number: int, files: int = 3) -> Session:
    """Leave a session with a few notes; each has an hour of its own."""
    start = START + number * HOUR
    for file in range(files):
        path = facility.files / f"{number}" / f"{file}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"grid {number}.{file}")
        os.utime(path, ((start + timedelta(minutes=file + 1)).timestamp(),) * 2)
    return facility.session(start, start + HOUR / 2)


def let_the_lease_run_out(facility: Facility) -> None:
    execute(facility.url, "UPDATE session SET lease_until = 0 WHERE state = 'BUILDING'")


def assert_one_record(facility: Facility, session: Session) -> None:
    assert facility.sessions.get(session.identifier).state is State.BUILT
    record = facility.record(session)
    document = Path(record.path).read_bytes()
    assert hashlib.sha256(document).hexdigest() == record.sha256
    assert validate(document) == []
    assert rows(facility.url, "SELECT COUNT(*) FROM record WHERE session_id = :id", id=session.id) == [(1,)]


def attempts(facility: Facility, session: Session) -> int:
    return [one.type for one in facility.sessions.events(session)].count(EventType.RECORD_GENERATION)


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
    for process in processes:
        process.communicate(timeout=SECONDS)


class TestKilledAtAnyMoment:
    """001-50: after ``kill -9`` and a restart there is one record, and what was read is not read again."""

    def test_random_kills_leave_one_record_per_session(self, facility: Facility) -> None:
        chance = random.Random(os.urandom(8))
        killed = 0
        for number in range(ROUNDS):
            session = small_session(facility, number)
            process = facility.start("Builder")
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.0, LIFE))
            killed += facility.sessions.get(session.identifier).state is not State.BUILT
            process.kill()
            process.communicate(timeout=SECONDS)
            facility.run("Services.Builder", "--once")  # on the same machine, nobody waits for the dead one's lease
            assert_one_record(facility, session)
            assert attempts(facility, session) <= 2
        print(f"{killed} of {ROUNDS} Builders were killed before their record was there")
        records = facility.folder / "home/records"
        assert len(list(records.glob("*.xml"))) == ROUNDS
        assert [one for one in records.iterdir() if one.name.startswith(".")] == []

    def test_in_the_middle_of_a_large_session(self, facility: Facility, made: tuple[Path, SampleSession]) -> None:
        shutil.copytree(made[0], facility.files, dirs_exist_ok=True)
        session = facility.session(made[1].start, made[1].end)
        process = facility.start("Builder")
        try:
            eventually(lambda: kept(facility) >= 3, "some files are done")
        finally:
            process.kill()
            process.communicate(timeout=SECONDS)
        done = kept(facility)
        assert facility.sessions.get(session.identifier).state is State.BUILDING
        let_the_lease_run_out(facility)
        facility.run("Services.Builder", "--once")
        assert_one_record(facility, session)
        files = facility.record(session).files
        assert f"{done} of {files} files taken from the cache" in facility.messages()


def kept(facility: Facility) -> int:
    """Return how many extractions are in the only cache there is."""
    found = list((facility.folder / "home/cache/extractions").glob("*.nxc"))
    data = found[0].read_bytes() if found else b""
    return sum(isinstance(piece, Frame) for piece, _ in decode(data, complete=False))


class TestTwoBuilders:
    """001-14: on one database they share the work; each session is built once."""

    def test_each_of_many_sessions_is_built_once(self, facility: Facility) -> None:
        sessions = [small_session(facility, number, files=1) for number in range(100 if LONG else 20)]
        facility.configure("Services.Builder.interval=0.2")
        both = [facility.start("Builder") for _ in range(2)]
        try:
            waiting = "SELECT COUNT(*) FROM session WHERE state <> 'BUILT'"
            eventually(lambda: rows(facility.url, waiting) == [(0,)], "all are built")
        finally:
            end(*both)
        for session in sessions:
            assert_one_record(facility, session)
            assert attempts(facility, session) == 1
        built = facility.messages()
        assert sum("in 1 activity: " in message for message in built) == len(sessions)

    def test_one_takes_over_from_one_that_is_suspended(
        self, facility: Facility, made: tuple[Path, SampleSession]
    ) -> None:
        """Whose lease has run out; when it goes on, it changes nothing."""
        shutil.copytree(made[0], facility.files, dirs_exist_ok=True)
        session = facility.session(made[1].start, made[1].end)
        suspended = facility.start("Builder")
        try:
            eventually(lambda: kept(facility) >= 1, "it is at work")
            suspend_between_writes(facility, suspended)
            facility.run("Services.Builder", "--once")
            assert_one_record(facility, session)
            before = facility.record(session)
            suspended.send_signal(signal.SIGCONT)
            eventually(
                lambda: any("Another Builder has taken the session over" in one for one in facility.messages()),
                "it notices",
            )
        finally:
            end(suspended)
        assert facility.record(session) == before
        assert_one_record(facility, session)
        assert attempts(facility, session) == 2


def suspend_between_writes(facility: Facility, process: subprocess.Popen[str]) -> None:
    """Suspend a Builder and let its lease run out; not while it holds the database's lock, where SQLite has but one."""
    for _ in range(10):
        process.send_signal(signal.SIGSTOP)
        try:
            let_the_lease_run_out(facility)
        except DatabaseBusy:
            process.send_signal(signal.SIGCONT)
        else:
            return
    raise AssertionError("it writes all the time")
