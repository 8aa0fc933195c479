"""How quick the Builder is, and how much memory it takes: a session of 40 files, cold, warm and built again."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK, to_ts
from NexusCore.facility import Records, Session, Sessions, State
from NexusCore.facility.sessions import Client
from NexusCore.storage import open_database
from Services.Builder.extraction.compiling import is_filled
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.preloading import cache_folder
from Services.Builder.extraction.workers import Workers
from Services.Builder.finding.files import TimeRange, find_files
from Services.Builder.sample import SampleSession, make_session
from tests.benchmarks.conftest import Figures
from tests.benchmarks.measuring import kind
from tests.processes import app_on, environment_of
from tests.services.instrument_files import DATA, MISSING

PROJECT = Path(__file__).resolve().parents[2]
USER = Client(user="ada", host="titan-pc")
MEGABYTE = 1024 * 1024
LIMIT = 120.0
LOOK_EVERY = 0.02


class Facility:
    """One instrument that leaves sample sessions of 40 files."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.files = url, folder, folder / "Titan"
        self.environment = environment_of(url, folder / "home")
        self.sessions = Sessions(open_database(url), SYSTEM_CLOCK)
        app = app_on(url, folder / "other")
        app.get_config()["Instruments.Titan.filestore_path"] = str(self.files)
        app.get_config()["Services.Builder.interval"] = 0.1
        app.shutdown()
        self.command("--once")  # which leaves its settings' defaults

    def made(self, seed: int) -> SampleSession:
        return make_session(self.files, datetime(2026, 3, seed, 9, tzinfo=UTC), seed=seed)

    def session(self, made: SampleSession) -> Session:
        one = self.sessions.start("Titan", USER, ts=to_ts(made.start))
        return self.sessions.end(one.identifier, USER, ts=to_ts(made.end))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "Services.Builder", *arguments]
        return subprocess.Popen(command, cwd=PROJECT, env=self.environment, stderr=subprocess.DEVNULL)

    def command(self, *arguments: str) -> None:
        assert self.start(*arguments).wait(LIMIT) == 0

    def files_of(self, session: Session) -> int:
        record = Records(open_database(self.url), SYSTEM_CLOCK).of_session(session.id)
        assert record is not None
        return record.files

    def is_built(self, session: Session) -> bool:
        return self.sessions.get(session.identifier).state is State.BUILT


@pytest.fixture
def facility(database_url: str, tmp_path: Path) -> Facility:
    return Facility(database_url, tmp_path)


def processes(root: int) -> Iterator[int]:
    """Yield a process and all below it."""
    yield root
    for task in Path(f"/proc/{root}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from processes(int(child))


def proportional_memory(root: int) -> int:
    """Return the memory of a tree of processes in bytes: PSS, in which shared pages count once."""
    total = 0
    for process in processes(root):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it has just ended
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def processor_time(pid: int) -> float:
    """Return the processor time that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_used() -> float:
    """Return the processor time, in seconds, of all processes that were started from here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def until(condition: Callable[[], bool], watched: Callable[[], None] = lambda: None) -> float:
    """Wait for a condition; return how long it took, in seconds."""
    begin = time.perf_counter()
    while not condition():
        assert time.perf_counter() - begin < LIMIT
        watched()
        time.sleep(LOOK_EVERY)
    return time.perf_counter() - begin


class TestASessionOf40Files:
    """Cold: a new process that ends when it is done. Warm: a service that has built a session before."""

    def test_cold(self, facility: Facility, database_url: str, figures: Figures) -> None:
        session = facility.session(facility.made(1))
        begin, used = time.perf_counter(), children_used()
        facility.command("--once")
        took, used = time.perf_counter() - begin, children_used() - used
        assert facility.files_of(session) == 40
        figures.at_most(f"40 files, cold, --once ({kind(database_url)})", took, 5, "s")
        # What does not depend on what else the machine does: two processors need half of it.
        figures.at_most(f"40 files, cold, processor time ({kind(database_url)})", used, 5, "s")

    def test_memory(self, facility: Facility, database_url: str, figures: Figures) -> None:
        """Apart from the time: looking at a process's memory holds it up."""
        facility.session(facility.made(1))
        process, peaks = facility.start("--once"), [0]
        until(lambda: process.poll() is not None, lambda: peaks.append(proportional_memory(process.pid)))
        assert process.returncode == 0
        figures.at_most(f"40 files, PSS of all processes ({kind(database_url)})", max(peaks) / MEGABYTE, 600, "MB")

    def test_built_again(self, facility: Facility, database_url: str, figures: Figures) -> None:
        session = facility.session(facility.made(1))
        facility.command("--once")
        begin = time.perf_counter()
        facility.command("--once", "--session", session.identifier)
        took = time.perf_counter() - begin
        figures.at_most(f"40 unchanged files again, --once ({kind(database_url)})", took, 1.5, "s")

    def test_warm(self, facility: Facility, database_url: str, figures: Figures) -> None:
        first, second = facility.made(1), facility.made(2)
        service = facility.start()
        try:
            before = facility.session(first)
            until(lambda: facility.is_built(before))
            session = facility.session(second)
            took = until(lambda: facility.is_built(session))
            assert facility.files_of(session) == 40
        finally:
            service.terminate()
            service.wait(LIMIT)
        figures.at_most(f"40 files, warm, from END to BUILT ({kind(database_url)})", took, 3, "s")


class TestTheFirstSpectrumImageOfVelox:
    """Its reader compiles functions; once they are in the cache, a new process has them from there."""

    def test_processor_time(self, tmp_path: Path, figures: Figures) -> None:
        path = DATA / "emd_velox/fei_emd_si.emd"
        if not path.is_file():
            pytest.skip(MISSING)
        cache = cache_folder(os.environ)
        for attempt in (1, 2):  # the first one fills the cache
            with Workers(1, 300.0, 4096) as workers:
                (found,) = workers.extract_all([Job(path, tmp_path / "a.png", tmp_path / "a.json")])
                used = sum(processor_time(child.pid) for child in workers.children())
                if attempt == 1:
                    until(lambda: is_filled(cache))
            assert found.dataset_type == "SpectrumImage"
        figures.at_most("first Velox spectrum image of a process, processor time", used, 2, "s")


class TestALargeFileStore:
    """001-27: a walk through 20,000 files for many sessions costs what it costs for one."""

    def test_a_walk(self, tmp_path: Path, figures: Figures) -> None:
        begin = datetime(2026, 3, 4, tzinfo=UTC)
        for number in range(20_000):
            path = tmp_path / f"{number % 100}" / f"{number}.dm3"
            if number < 100:
                path.parent.mkdir()
            path.touch()
            moment = (begin + timedelta(seconds=number)).timestamp()
            os.utime(path, (moment, moment))
        windows = [
            TimeRange(
                f"{number}", begin + timedelta(seconds=200 * number), begin + timedelta(seconds=200 * number + 199)
            )
            for number in range(100)
        ]
        spans = []
        for chosen in (windows[:1], windows):
            start = time.perf_counter()
            found = find_files(tmp_path, chosen)
            spans.append(time.perf_counter() - start)
            assert all(len(files) == 200 for files in found.files.values())
        figures.at_most("20,000 files, 1 session", spans[0], 1, "s")
        figures.at_most("20,000 files, 100 sessions together", spans[1], 2, "s")
