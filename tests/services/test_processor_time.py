"""A small file that keeps its reader busy is given up long before its time on the clock is over."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from Services.Builder.extraction import compiling, processor_time
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.preloading import cache_folder
from Services.Builder.extraction.processor_time import ProcessorTime, processor_seconds
from Services.Builder.extraction.workers import Workers
from Services.Builder.model import ContactSheet, Extraction

FUNCTIONS = '''
"""What the reading processes of these tests do with a file: what its name says."""
import re, time
from Services.Builder.extraction.jobs import unknown

def spin():
    re.match(r"(a+)+$", "a" * 80 + "b")  # in C, holding the interpreter

def work(job):
    name = job.path.name
    if name == "spins":
        spin()
    elif name == "spins after its metadata":
        yield unknown(job, "the metadata")
        spin()
    elif name == "waits":
        time.sleep(2)
    elif name == "answers":
        for _ in range(4):
            until = time.process_time() + 0.4
            while time.process_time() < until:
                pass
            yield unknown(job, "a part")
    yield unknown(job, "all")
'''
SENTENCE = "took more than 1 s of processor time, too much for 4 B, and was given up; the file may be damaged."
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make the functions above importable in the processes, and have files of 4 bytes for them."""
    (tmp_path / "functions_of_test_processor_time.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "functions_of_test_processor_time:work"


def read(tmp_path: Path, function: str, names: Sequence[str]) -> dict[str, Extraction]:
    """Read files of 4 bytes by name, each within 10 minutes."""
    for name in names:
        (tmp_path / name).write_bytes(b"data")
    with Workers(1, 600.0, 1024, function) as workers:
        return {one.path.name: one for one in workers.extract_all(Job(tmp_path / name) for name in names)}


@needs_proc
class TestAFileThatKeepsItsReaderBusy:
    """001-48: it costs only itself, and not the time that a large file may take."""

    @pytest.fixture(autouse=True)
    def one_second(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(processor_time, "LEAST_SECONDS", 1.0)
        monkeypatch.setattr(processor_time, "SHARE", 0.0)

    def test_it_is_given_up_and_says_why(self, tmp_path: Path, function: str) -> None:
        found = read(tmp_path, function, ["spins", "good"])
        assert found["spins"].warnings == (f"Reading the file {SENTENCE}",)
        assert not found["spins"].whole
        assert found["good"].warnings == ("all",)

    def test_what_was_read_before_is_kept(self, tmp_path: Path, function: str) -> None:
        (found,) = read(tmp_path, function, ["spins after its metadata"]).values()
        assert found.warnings == ("the metadata", f"The preview is missing: drawing it {SENTENCE}")

    def test_waiting_takes_no_processor_time(self, tmp_path: Path, function: str) -> None:
        assert read(tmp_path, function, ["waits"])["waits"].warnings == ("all",)

    def test_each_answer_begins_it_anew(self, tmp_path: Path, function: str) -> None:
        assert read(tmp_path, function, ["answers", "good"])["answers"].warnings == ("all",)


class TestHowMuchAFileMayTake:
    """It follows from the size of all its files."""

    def allowed(self, job: Job, seconds: float = 60.0) -> float | None:
        allowance = ProcessorTime.of(job, os.getpid(), seconds)
        return None if allowance is None else allowance.seconds

    def test_by_its_size_and_its_time_on_the_clock(self, tmp_path: Path) -> None:
        small, large = tmp_path / "a.emi", tmp_path / "a_1.ser"
        small.write_bytes(b"")
        with large.open("wb") as file:
            file.truncate(30_000_000)
        assert self.allowed(Job(small)) == 10.0
        assert self.allowed(Job(small, companions=(large,))) == 40.0
        assert self.allowed(Job(small), seconds=1.0) == 10.0
        assert self.allowed(Job(small), seconds=600.0) == 100.0

    def test_of_what_has_no_size_it_is_not_known(self, tmp_path: Path) -> None:
        (tmp_path / "a.zspy").mkdir()
        assert self.allowed(Job(tmp_path / "a.zspy")) is None
        assert self.allowed(Job(tmp_path / "gone.dm3")) is None
        assert self.allowed(replace(Job(tmp_path / "sheet"), sheet=ContactSheet("", ()))) is None

    def test_compiling_is_not_the_files_fault(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        names = ("a.emd", "a.dm3", "a.tvips")
        for name in names:
            (tmp_path / name).write_bytes(b"")
        cold = [self.allowed(Job(tmp_path / name)) for name in names]
        cache = cache_folder(os.environ)
        cache.mkdir(parents=True)
        compiling._mark(cache).touch()
        assert cold == [30.0, 10.0, 30.0]
        assert [self.allowed(Job(tmp_path / name)) for name in names] == [10.0, 10.0, 30.0]


@needs_proc
class TestProcessorTime:
    """It is that of a process, and none where it has ended."""

    def test_of_this_process(self) -> None:
        before, seen = processor_seconds(os.getpid()), time.process_time()
        while time.process_time() < seen + 0.2:
            pass
        assert processor_seconds(os.getpid()) - before >= 0.15

    def test_of_one_that_is_not_there(self) -> None:
        assert processor_seconds(2**31 - 1) == 0.0
