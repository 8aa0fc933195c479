"""A machine that starts no more processes: what there is reads the files, one after the other."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import NoReturn

import pytest

from Services.Builder.extraction import fork_server_process, processes, workers
from Services.Builder.extraction.fork_server import ForkDelayed, ForkServer, supported
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.processes import ChildProcess, Launch
from Services.Builder.extraction.reader import WorkersUnavailable
from Services.Builder.extraction.workers import Workers

FUNCTION = """
import time
from Services.Builder.extraction.jobs import unknown

def work(job):
    time.sleep(0.3)
    yield unknown(job, "read")
"""
forks = pytest.mark.skipif(not supported(), reason="processes cannot be forked for another one on this system")


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "function_of_test_processes_limit.py").write_text(FUNCTION)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "function_of_test_processes_limit:work"


def read(pool: Workers) -> Iterator[str]:
    jobs = [Job(Path(f"/files/{number}")) for number in range(4)]
    return (one.warnings[-1] for one in pool.extract_all(jobs))


def no_process(*_: object, **__: object) -> NoReturn:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


@forks
class TestForkedProcesses:
    """001-50: all files are read, however few processes there are."""

    def test_one_is_to_be_had(self, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
        fork, made = ForkServer.fork, []

        def first_only(server: ForkServer, launch: Launch) -> ChildProcess:
            if made:
                raise ForkDelayed(reason="for a test")
            made.append(fork(server, launch))
            return made[0]

        monkeypatch.setattr(ForkServer, "fork", first_only)
        with Workers(3, 60.0, 1024, function) as pool:
            assert list(read(pool)) == ["read"] * 4
            assert len(pool.children()) == 1

    def test_none_is_to_be_had_beside_the_one_that_they_are_forked_from(
        self, function: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(server: ForkServer, launch: Launch) -> NoReturn:
            raise ForkDelayed(reason="for a test")

        monkeypatch.setattr(ForkServer, "fork", refuse)
        with Workers(1, 60.0, 1024, function) as pool:
            assert list(read(pool)) == ["read"] * 4
            assert pool._server is None, "it made room for one that reads"

    def test_compiling_is_left_out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The process that others are forked from stays, if it cannot have another one compile."""
        monkeypatch.setattr(os, "fork", no_process)
        fork_server_process._fill(tmp_path / "cache", ())
        assert not (tmp_path / "cache").exists()


class TestProcessesThatAreStartedAlone:
    """Likewise; where there is none at all, the session fails with a sentence, and is tried again later."""

    def test_one_is_to_be_had(self, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
        start, made = processes.start_alone, []

        def first_only(work: str, launch: Launch) -> ChildProcess:
            if made:
                no_process()
            made.append(start(work, launch))
            return made[0]

        monkeypatch.setattr(workers, "start_alone", first_only)
        with Workers(3, 60.0, 1024, function, forked=False) as pool:
            assert list(read(pool)) == ["read"] * 4

    @pytest.mark.parametrize("forked", [False, pytest.param(True, marks=forks)])
    def test_none_is_to_be_had(self, function: str, monkeypatch: pytest.MonkeyPatch, forked: bool) -> None:
        monkeypatch.setattr(Popen, "__init__", no_process)
        monkeypatch.setattr(Popen, "__del__", lambda process: None)
        with (
            Workers(1, 60.0, 1024, function, forked=forked) as pool,
            pytest.raises(WorkersUnavailable, match=r"do not start: the system starts no more processes \(the limit"),
        ):
            list(read(pool))
