"""Files are read on a Dask cluster where the configuration names one, and here where it is away."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from Services.Builder.extraction import cluster as cluster_module
from Services.Builder.extraction.cluster import Cluster, ClusterAway
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.pools import Pools
from Services.Builder.model import Extraction
from Services.Builder.settings import BuilderSettings
from tests.processes import eventually
from tests.services.builder_facility import PROJECT, Facility, wait_for

pytest.importorskip("distributed", reason="the extra [dask] is not installed")

SECONDS = 60
FUNCTION = "readers_of_test_cluster:work"
READERS = '''
"""What is called in the place of a reader on the cluster of these tests: the name of the file says what it does."""
import os, re
from Services.Builder.extraction import workers
from Services.Builder.extraction.jobs import unknown

def work(job):
    name = job.path.name
    if name.startswith("crash"):
        os.abort()
    if name.startswith("hang"):
        re.match(r"(a+)+$", "a" * 80 + "b")  # in C, holding the interpreter
    if name.startswith("eat"):
        bytearray(1 << 33)
    yield unknown(job, f"read by a child of {os.getppid()}")
'''


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class DaskCluster:
    """A scheduler and one worker, as an operator starts them."""

    def __init__(self, folder: Path) -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self._folder = folder
        self._environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{PROJECT}"}
        self.processes: list[subprocess.Popen[bytes]] = []

    def start_scheduler(self) -> None:
        port = self.address.rpartition(":")[2]
        self._start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")

    def start_worker(self) -> None:
        options = ["--nthreads", "2", "--no-nanny", "--no-dashboard", "--death-timeout", str(SECONDS)]
        self._start("distributed.cli.dask_worker", self.address, "--host", "127.0.0.1", *options)

    def _start(self, module: str, *arguments: str) -> None:
        log = (self._folder / f"{module}.log").open("ab")
        with log:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", module, *arguments],
                    cwd=self._folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def wait_until_it_works(self) -> None:
        def works() -> bool:
            try:
                with Cluster(self.address, 1, 512):
                    return True
            except ClusterAway:
                return False

        wait_for(works, SECONDS)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(SECONDS)


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[DaskCluster]:
    """Run a cluster whose workers do what a file's name says."""
    (tmp_path / "readers_of_test_cluster.py").write_text(READERS)
    one = DaskCluster(tmp_path)
    one.start_scheduler()
    one.start_worker()
    one.wait_until_it_works()
    yield one
    one.close()


@pytest.fixture
def settings(tmp_path: Path) -> BuilderSettings:
    class Unset:
        def __getitem__(self, name: str) -> None:
            return None

    return replace(BuilderSettings.read(Unset(), tmp_path), seconds_per_file=3.0, memory_mb=1024)


def jobs(folder: Path, *names: str) -> list[Job]:
    return [Job(folder / name) for name in names]


def never() -> bool:
    return False


def warnings(found: list[Extraction]) -> dict[str, str]:
    return {one.path.name: one.warnings[-1] for one in found}


class TestReadingOnACluster:
    """A bad file costs one dataset there, too: it has limits of time and memory, and a process of its own to crash."""

    def test_good_and_bad_files(self, dask: DaskCluster, tmp_path: Path) -> None:
        names = ("good 1", "crash", "hang", "eat", "good 2", "good 3")
        with Cluster(dask.address, 3.0, 1024, FUNCTION) as cluster:
            found = warnings(list(cluster.extract_all(jobs(tmp_path, *names), never)))
        assert set(found) == set(names)
        worker = dask.processes[1].pid
        assert [found[f"good {number}"] for number in (1, 2, 3)] == [f"read by a child of {worker}"] * 3
        assert found["crash"] == "Reading the file crashed the program that does it (SIGABRT)."
        assert found["hang"] == "Reading the file took longer than 3 s and was given up."
        assert found["eat"] == "Reading the file takes more memory than one file is allowed."

    def test_reading_stops_on_request(self, dask: DaskCluster, tmp_path: Path) -> None:
        begin = time.monotonic()
        with Cluster(dask.address, 300.0, 1024, FUNCTION) as cluster:
            found = list(
                cluster.extract_all(jobs(tmp_path, "hang 1", "hang 2"), lambda: time.monotonic() > begin + 0.5)
            )
        assert found == []

    def test_the_same_files_twice(self, dask: DaskCluster, tmp_path: Path) -> None:
        """Nothing is taken from the cluster's memory: a file may have changed."""
        with Cluster(dask.address, 3.0, 1024, FUNCTION) as cluster:
            for _ in range(2):
                assert len(list(cluster.extract_all(jobs(tmp_path, "good 1"), never))) == 1

    def test_a_worker_that_dies(self, dask: DaskCluster, tmp_path: Path) -> None:
        """The rest of the files is for somebody else to read."""

        def worker_dies() -> bool:
            dask.processes[-1].kill()  # from here: the process that reads may send no signals out of its sandbox
            return False

        cluster = Cluster(dask.address, 60.0, 1024, FUNCTION, patience=3.0)
        with cluster, pytest.raises(ClusterAway) as caught:
            list(cluster.extract_all(jobs(tmp_path, "hang"), worker_dies))
        assert "no result came" in str(caught.value)


class TestABuilderWithACluster:
    """`Services.Builder.dask_scheduler` is all that has to be said."""

    def test_a_session_is_built_on_the_cluster(self, database_url: str, tmp_path: Path) -> None:
        facility = Facility(database_url, tmp_path)
        facility.files.mkdir()
        start = datetime(2026, 3, 4, 9, tzinfo=UTC)
        for number in range(5):
            path = facility.files / f"{number}.txt"
            path.write_text("grid 3")
            os.utime(path, ((start + timedelta(minutes=number)).timestamp(),) * 2)
        dask = DaskCluster(tmp_path)
        dask.start_scheduler()
        dask.start_worker()
        try:
            dask.wait_until_it_works()
            facility.configure(
                f"Instruments.FEI-Titan-TEM.filestore_path={facility.files}",
                f"Services.Builder.dask_scheduler={dask.address}",
            )
            session = facility.session(start, start + timedelta(hours=1))
            facility.run("Services.Builder", "--once")
        finally:
            dask.close()
        record = facility.record(session)
        assert record.files == 5
        assert Path(record.path).read_text().count("</preview>") == 5
        assert not any("on this machine" in message for message in facility.messages())


class TestAClusterThatIsAway:
    """The session is built on this machine, and the log says once why."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cluster_module, "SCHEDULER_SECONDS", 1.0)
        monkeypatch.setattr(cluster_module, "_stuck", [])

    def test_a_closed_port_is_reported(self) -> None:
        address = f"tcp://127.0.0.1:{free_port()}"
        with pytest.raises(ClusterAway) as caught, Cluster(address, 1.0, 512):
            pass
        assert str(caught.value).startswith(f"The Dask cluster at {address} cannot be used: ")
        assert str(caught.value).endswith(". Services.Builder.dask_scheduler names it.")

    @pytest.mark.parametrize(
        "address",
        ["nonsense", "tcp://no.such.host.invalid:8786", "carrier-pigeon://here:1", "tcp://here", "tcp://here:99999"],
    )
    def test_unusable_addresses_are_refused(self, address: str) -> None:
        with pytest.raises(ClusterAway), Cluster(address, 1.0, 512):
            pass

    def test_a_silent_listener_is_reported(self) -> None:
        """Who listens, and says nothing."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
            for reason in ("it does not answer", "it has not answered an earlier call yet"):
                with pytest.raises(ClusterAway, match=reason), Cluster(address, 1.0, 512):
                    pass

    def test_asking_in_vain_leaves_nothing_behind(self) -> None:
        before = set(threading.enumerate())  # others' threads may end meanwhile
        for _ in range(3):
            with pytest.raises(ClusterAway), Cluster(f"tcp://127.0.0.1:{free_port()}", 1.0, 512):
                pass
        eventually(lambda: not set(threading.enumerate()) - before, "no thread is left")

    def test_a_scheduler_without_workers(self, tmp_path: Path) -> None:
        dask = DaskCluster(tmp_path)
        dask.start_scheduler()
        try:
            wait_for(lambda: "no workers" in _why(dask.address), SECONDS)
        finally:
            dask.close()

    def test_the_files_are_read_here(
        self, settings: BuilderSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        address = f"tcp://127.0.0.1:{free_port()}"
        (tmp_path / "notes.txt").write_text("grid 3")
        pools = Pools(logging.getLogger("Builder"))
        caplog.set_level(logging.INFO)
        try:
            for _ in range(2):
                news = pools.extract_all(
                    jobs(tmp_path, "notes.txt"), replace(settings, dask_scheduler=address, seconds_per_file=60.0), never
                )
                (found,) = news
                assert found.dataset_type == "Notes"
        finally:
            pools.close()
        said = [(one.levelname, one.getMessage()) for one in caplog.records if one.name == "Builder"]
        assert [level for level, _ in said] == ["WARNING", "INFO"]
        assert said[0][1].endswith("This machine reads 1 of 1 file.")


def _why(address: str) -> str:
    try:
        with Cluster(address, 1.0, 512):
            return ""
    except ClusterAway as error:
        return str(error)
