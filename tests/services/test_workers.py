"""The pool of processes that read files: one bad file costs one dataset, and nothing is left behind."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from Services.Builder.extraction.fork_server import ForkRefused, ForkServer, supported
from Services.Builder.extraction.jobs import Job, TimeLimit, unknown
from Services.Builder.extraction.pools import Pools
from Services.Builder.extraction.reader import WorkersUnavailable
from Services.Builder.extraction.workers import EXTRACT, Workers
from Services.Builder.settings import BuilderSettings

PROJECT = Path(__file__).resolve().parents[2]
SECONDS = 60.0
"""A wait in these tests ends at the latest after this long, with a failure."""

FUNCTIONS = '''
"""What the children of these tests do with a job: what its path says."""
import os, re, signal, time
from dataclasses import replace
from Services.Builder.extraction.jobs import unknown

def work(job):
    name = job.path.name
    if name.startswith("good"):
        yield unknown(job, f"pid {os.getpid()}")
    elif name == "interrupted":
        os.kill(os.getpid(), signal.SIGINT)
        yield unknown(job, f"pid {os.getpid()}")
    elif name == "crash":
        os.abort()
    elif name == "leave":
        os._exit(3)
    elif name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif name == "hang":
        if job.preview:
            job.preview.write_text(str(os.getpid()))
        re.match(r"(a+)+$", "a" * 80 + "b")  # in C, holding the interpreter
    elif name == "eat":
        bytearray(1 << 33)
    elif name == "grow":
        kept = bytearray(400 << 20)
        yield unknown(job, f"pid {os.getpid()}, {len(kept)} bytes")
    elif name.startswith("hold"):
        kept = bytearray(300 << 20)
        kept[:: 4096] = b"x" * len(kept[:: 4096])
        time.sleep(1.5)
        yield unknown(job, f"pid {os.getpid()}, {len(kept)} bytes")
    elif name == "half":
        yield unknown(job, "the metadata")
        time.sleep(300)
    elif name == "parent":
        yield unknown(job, f"{os.getppid()} {os.getcwd()} {os.environ['HOME']} {os.environ.get('SECRET')}")
    elif name == "raise":
        raise ValueError("a bug")
    elif name == "metadata, then crash":
        yield unknown(job, "the metadata")
        os.abort()
    elif name == "large":
        yield replace(unknown(job, "all but the hash"), hashing=True)
        time.sleep(3)
        yield replace(unknown(job, "all"), sha256="abc")
    elif name == "hashing for ever":
        while True:
            yield replace(unknown(job, "all but the hash"), hashing=True)
            time.sleep(0.1)
    elif name == "chatter":
        print("noise"); os.write(1, b"noise"); os.write(2, b"noise")
        yield unknown(job, "said")
'''


@pytest.fixture
def jobs_module(tmp_path, monkeypatch):
    """Make the functions above importable, here and in the children."""
    (tmp_path / "jobs_of_test_workers.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "jobs_of_test_workers:work"


@pytest.fixture(params=[True, False], ids=["forked", "alone"])
def forked(request):
    """Whether processes are forked from one that has the libraries, or each is started alone."""
    if request.param and not supported():
        pytest.skip("processes cannot be forked for another one on this system")
    return request.param


@pytest.fixture
def pool(jobs_module, others, forked):
    """Return a maker of pools that work on those functions; all are closed in the end."""
    made: list[Workers] = []

    def make(count: int = 1, seconds: float = SECONDS, memory: int = 1024, budget: int | None = None) -> Workers:
        made.append(Workers(count, seconds, memory, jobs_module, budget_mb=budget, forked=forked))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert children() == set(), "no process is left, not even as a zombie"


@pytest.fixture(autouse=True)
def others(monkeypatch):
    """Leave out of `children` what runs for other tests, such as a database server."""
    monkeypatch.setattr(children, "others", _listed(), raising=False)


def children() -> set[int]:
    """Return the processes that this test has started and not reaped."""
    return _listed() - children.others


def readers(workers: Workers) -> set[int]:
    """Return those of `children` that read files: not the one that they are forked from."""
    return children() - ({workers._server.pid} if workers._server else set())


def _listed() -> set[int]:
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return {int(pid) for pid in listed.split()}


def said(extractions) -> list[str]:
    return [one.warnings[-1] for one in extractions]


def jobs(*names: str) -> list[Job]:
    return [Job(Path("/files") / name) for name in names]


def gone(pid: int) -> bool:
    """Tell whether a process has ended (an orphan may stay a zombie until init reaps it)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def wait_for(condition, what: str):
    """Wait until a condition is true, for a bounded time; return its value."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {SECONDS} s")


def written(folder: Path) -> list[str]:
    """Return what the children have written into their scratch folders, below a folder, under the name 'mark'."""
    return [text for one in folder.rglob("mark") if (text := one.read_text())]


class TestABadFileCostsOnlyItself:
    """001-48, 001-50: a crash, a hang and a flood of memory each end one process and one dataset."""

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("crash", "Reading the file crashed the program that does it (SIGABRT)."),
            ("leave", "Reading the file crashed the program that does it (exit code 3)."),
            ("killed", "Reading the file was ended by the system, usually for lack of memory."),
            ("eat", "Reading the file takes more memory than one file is allowed."),
            ("raise", "Reading the file failed (ValueError)."),
        ],
    )
    def test_the_next_file_is_read(self, pool, name, sentence):
        found = list(pool().extract_all(jobs("good 1", name, "good 2")))
        assert [one.path.name for one in found] == ["good 1", name, "good 2"]
        assert found[1].warnings == (sentence,)
        assert (found[1].dataset_type, found[1].data_type, found[1].format) == ("Unknown", "Unknown", "unknown")
        assert said(found)[2].startswith("pid ")
        assert not found[1].whole, "another attempt may yield more"

    def test_a_file_that_hangs_is_given_up(self, pool):
        found = list(pool(seconds=0.3).extract_all(jobs("hang", "good")))
        assert said(found)[0] == "Reading the file took longer than 0.3 s and was given up."
        assert said(found)[1].startswith("pid ")

    def test_metadata_survive_a_preview_that_crashes(self, pool):
        (found,) = pool().extract_all(jobs("metadata, then crash"))
        assert found.warnings == (
            "the metadata",
            "The preview is missing: drawing it crashed the program that does it (SIGABRT).",
        )

    def test_hashing_has_a_time_of_its_own(self, pool):
        """A file whose hash alone is missing is not given up after the time for reading."""
        with pool(1, 1.5) as workers:
            (found,) = workers.extract_all(replace(job, hash_seconds=60) for job in jobs("large"))
        assert (found.sha256, found.hashing, found.whole) == ("abc", False, False)

    def test_that_time_has_an_end(self, pool, monkeypatch):
        """A process under a hostile file's control cannot ask for it again and again."""
        monkeypatch.setattr("Services.Builder.extraction.reader.HASHING_GRACE", 0.5)
        with pool(1, 1.5) as workers:
            (found,) = workers.extract_all(replace(job, hash_seconds=0.1) for job in jobs("hashing for ever"))
        assert found.warnings[-1].startswith("The SHA-256 is missing: the process that takes it gave no answer")
        assert not found.hashing

    def test_a_slow_file_does_not_hold_up_the_others(self, pool):
        found = list(pool(count=2, seconds=3).extract_all(jobs("hang", *(f"good {number}" for number in range(10)))))
        assert [one.path.name for one in found][-1] == "hang"
        assert len(found) == 11

    def test_what_a_reader_prints_stays_in_its_process(self, pool, capfd):
        assert said(pool().extract_all(jobs("chatter"))) == ["said"]
        assert capfd.readouterr() == ("", "")


class TestProcessesAreKept:
    """Starting one takes longer than reading ten files."""

    def test_for_the_next_file_and_the_next_session(self, pool):
        workers = pool()
        first, second = said(workers.extract_all(jobs("good", "good")))
        (third,) = said(workers.extract_all(jobs("good")))
        assert first == second == third

    def test_one_that_used_much_memory_is_replaced(self, pool):
        workers = pool(memory=512)
        grown, after = said(workers.extract_all(jobs("grow", "good")))
        assert grown.split(",")[0] != after

    def test_although_the_program_itself_is_large(self, pool):
        large = bytearray(b"x") * 2**28
        workers = pool(memory=256)
        first, second = said([*workers.extract_all(jobs("good")), *workers.extract_all(jobs("good"))])
        assert (first, len(large)) == (second, 2**28)

    def test_one_that_was_ended_meanwhile_is_replaced(self, pool):
        workers = pool()
        (before,) = said(workers.extract_all(jobs("good")))
        pid = int(before.split()[1])
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: gone(pid), "the end of the process")
        (after,) = said(workers.extract_all(jobs("good")))
        assert after.startswith("pid ") and after != before

    def test_no_more_are_started_than_there_are_files(self, pool):
        workers = pool(count=8)
        list(workers.extract_all(jobs("good")))
        assert len(readers(workers)) == 1

    def test_they_can_be_started_before_there_is_a_file(self, pool, forked):
        workers = pool(count=2)
        workers.start(5)
        started = children()
        assert len(started) == (1 if forked else 2), "the one that all are forked from, or all"
        workers.start(5)
        found = said(workers.extract_all(jobs(*(f"good {number}" for number in range(6)))))
        assert started <= children()
        assert {int(one.split()[1]) for one in found} <= readers(workers)
        assert len(readers(workers)) <= 2

    def test_nothing_to_do_starts_nothing(self, pool):
        assert list(pool().extract_all([])) == []
        assert children() == set()


class TestStoppingIsPrompt:
    """A service that is told to stop does not wait for a file."""

    def test_stop_ends_the_processes(self, pool, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # what the children write stays in a folder there
        work = [Job(Path("/files/hang"), preview=tmp_path / "mark") for _ in range(2)]
        workers = pool(count=2)
        done = list(workers.extract_all(work, lambda: len(written(tmp_path)) == 2))
        assert done == []
        assert readers(workers) == set()

    def test_stopped_before_it_begins(self, pool):
        assert list(pool().extract_all(jobs("good"), lambda: True)) == []

    def test_an_abandoned_run_leaves_no_answer_for_the_next(self, pool):
        workers = pool(count=2)
        running = workers.extract_all(jobs("good 1", "hang"))
        next(running)
        running.close()
        found = list(workers.extract_all(jobs("good 2")))
        assert [one.path.name for one in found] == ["good 2"]

    def test_ctrl_c_is_the_parents_business(self, pool):
        assert said(pool().extract_all(jobs("interrupted")))[0].startswith("pid ")

    def test_children_die_with_a_parent_that_is_killed(self, jobs_module, tmp_path):
        code = (
            "from pathlib import Path; from Services.Builder.extraction.jobs import Job\n"
            "from Services.Builder.extraction.workers import Workers\n"
            f"list(Workers(1, 300, 1024, {jobs_module!r}).extract_all([Job(Path('/files/hang'), Path('/mark'))]))"
        )
        environment = {
            **os.environ,
            "TMPDIR": str(tmp_path),
            "PYTHONPATH": os.pathsep.join([str(tmp_path), str(PROJECT)]),
        }
        parent = subprocess.Popen([sys.executable, "-c", code], env=environment)
        try:
            pid = int(*wait_for(lambda: written(tmp_path), "the start of the job"))
        finally:
            parent.kill()
            parent.wait(SECONDS)
        wait_for(lambda: gone(pid), "the end of the child")


class TestAnotherOneIsForkedFrom:
    """What has the libraries forks each process; nothing is lost with it, and it leaves nothing behind."""

    @pytest.fixture
    def forked(self):
        if not supported():
            pytest.skip("processes cannot be forked for another one on this system")
        return True

    def test_they_are_children_of_this_process_with_folders_of_their_own(self, pool, monkeypatch):
        monkeypatch.setenv("SECRET", "p4ssw0rd")
        workers = pool(2)
        parent, folder, home, secret = said(workers.extract_all(jobs("parent")))[0].split()
        assert (int(parent), home, secret) == (os.getpid(), folder, "None")
        assert Path(folder) != workers._server._scratch.path

    def test_when_it_is_killed_another_one_is_started(self, pool):
        workers = pool(2)
        first = said(workers.extract_all(jobs("good")))
        os.kill(workers._server.pid, signal.SIGKILL)
        assert said(workers.extract_all(jobs("good"))) == first, "those that it forked are still there"
        found = {one.path.name: one.warnings[-1] for one in workers.extract_all(jobs("crash", "good 1", "good 2"))}
        assert sorted(found) == ["crash", "good 1", "good 2"]
        assert all(found[name].startswith("pid ") for name in ("good 1", "good 2"))

    def test_when_it_is_killed_while_it_gets_ready(self, pool):
        workers = pool(1)
        workers.start(1)
        os.kill(workers._server.pid, signal.SIGKILL)
        assert said(workers.extract_all(jobs("good")))[0].startswith("pid ")

    def test_it_dies_with_a_parent_that_is_killed(self, jobs_module, tmp_path):
        code = (
            "import time; from pathlib import Path; from Services.Builder.extraction.jobs import Job\n"
            "from Services.Builder.extraction.workers import Workers\n"
            f"workers = Workers(2, 300, 1024, {jobs_module!r}); list(workers.extract_all([Job(Path('/files/good'))]))\n"
            "print(workers._server.pid, *[child._process.pid for child in workers._children], flush=True)\n"
            "time.sleep(300)"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(PROJECT)])}
        parent = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        try:
            pids = [int(pid) for pid in parent.stdout.readline().split()]
            assert len(pids) == 2
        finally:
            parent.kill()
            parent.wait(SECONDS)
            parent.stdout.close()
        for pid in pids:
            wait_for(lambda pid=pid: gone(pid), "the end of the process")

    def test_it_has_one_thread_when_it_has_imported_all(self, tmp_path):
        server = ForkServer(EXTRACT, tmp_path / "cache")
        try:
            wait_for(lambda: server.ready(0.1), "its start")
            assert len(list(Path(f"/proc/{server.pid}/task").iterdir())) == 1
            environment = Path(f"/proc/{server.pid}/environ").read_bytes()
            assert b"NEXUSCORE" not in environment
        finally:
            server.close()

    def test_where_it_cannot_fork_each_is_started_alone(self, pool, monkeypatch):
        def refuse(self, launch):
            raise ForkRefused(reason="for a test")

        monkeypatch.setattr(ForkServer, "fork", refuse)
        workers = pool(1)
        assert said(workers.extract_all(jobs("good")))[0].startswith("pid ")
        assert workers._server is None


class TestAllHaveOneBudgetOfMemory:
    """One may take what the others leave; when all take too much, the largest begins again, alone."""

    def test_two_that_do_not_fit_together(self, pool):
        found = list(pool(2, memory=1024, budget=450).extract_all(jobs("hold 1", "hold 2", "good")))
        assert sorted(one.path.name for one in found) == ["good", "hold 1", "hold 2"]
        assert all("bytes" in text or text.startswith("pid") for text in said(found))

    def test_one_that_does_not_fit_alone(self, pool):
        (found,) = pool(2, memory=4096, budget=256).extract_all(jobs("hold 1"))
        assert found.warnings == ("Reading the file takes more memory than one file is allowed.",)


class TestTheTimeOfASession:
    """001-50: when it is over, all files are there, as far as they have been read."""

    def test_what_is_left_is_named(self, pool, forked):
        workers = pool(2, budget=None)
        list(workers.extract_all(jobs("good")))

        class Limit(TimeLimit):
            def over(self):
                return any(child.best is not None for child in workers._children)

        found = {
            one.path.name: one
            for one in workers.extract_all(jobs("half", "hang", "good 1", "good 2"), limit=Limit(3600, 0))
        }
        assert sorted(found) == ["good 1", "good 2", "half", "hang"]
        assert found["half"].warnings[0] == "the metadata"
        assert (
            found["half"]
            .warnings[1]
            .endswith("drawing it was not done within 3,600 s, the time for all files of a session.")
        )
        assert found["good 2"].warnings == ("Not read within 3,600 s, the time for all files of a session.",)
        assert not any(one.in_time or one.whole for one in found.values())
        assert said(workers.extract_all(jobs("good 3")))[0].startswith("pid ")


class TestSettingsHoldFromTheNextSessionOn:
    """003-08: a changed limit replaces the processes, an unchanged one keeps them."""

    def test_a_changed_limit(self, jobs_module, monkeypatch, tmp_path):
        monkeypatch.setattr(Workers.__init__, "__defaults__", (2, 60.0, 2048, jobs_module))
        pools = Pools(logging.getLogger("test"))
        settings = BuilderSettings.read(Unset(), tmp_path)
        changed = replace(settings, seconds_per_file=30.0)
        try:
            first, second, third = (
                said(pools.extract_all(jobs("good"), one, lambda: False)) for one in (settings, settings, changed)
            )
        finally:
            pools.close()
        assert first == second != third
        assert children() == set()


class Unset:
    """A configuration without any parameter."""

    def __getitem__(self, name):
        return None


class TestWhatCannotStartSaysSo:
    """A broken installation is an error of the service, not of every file."""

    def test_a_function_that_is_not_there(self):
        with (
            Workers(function="no_such_module:work") as workers,
            pytest.raises(WorkersUnavailable, match="no_such_module"),
        ):
            list(workers.extract_all(jobs("good")))
        assert children() == set()

    def test_importing_the_pool_is_light(self):
        code = (
            "import sys, Services.Builder.extraction.workers\n"
            "print(sorted({'numpy', 'rsciio', 'matplotlib', 'PIL', 'dask', 'h5py'} & set(sys.modules)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=SECONDS
        )
        assert done.stdout == "[]\n"


class TestRealWork:
    """The pool's own function extracts files."""

    def test_a_file_and_a_broken_one(self, tmp_path):
        (tmp_path / "notes.txt").write_text("grid 3")
        (tmp_path / "a.dm3").write_bytes(b"\0\0\0\3")
        work = [Job(tmp_path / name, tmp_path / f"{name}.png") for name in ("notes.txt", "a.dm3")]
        with Workers(1) as workers:
            notes, broken = workers.extract_all(work)
        assert (notes.dataset_type, notes.preview) == ("Notes", tmp_path / "notes.txt.png")
        assert "ends too early" in broken.warnings[0]
        assert unknown(work[1], "x").path == broken.path
