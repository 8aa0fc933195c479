"""Journals on file systems of many kinds: mapped or written to, nothing is lost, and no process dies of its journal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from NexusCore.delivery.segments import mapping_refused
from tests.disks import by_a_program, fill, mounted, overlaid, read_only
from tests.processes import LIMIT, adopt, assert_accepted_is_stored, ended, killed_after, line_of, messages, start, tell

pytestmark = pytest.mark.faults

COUNT = 40_000
"""Records that fill several segments, the largest included."""

LOG = """
import sys
from NexusCore import API
log = API.get_log("placed")
for number in range(int(sys.argv[1])):
    log.info("%d %s", number, "x" * 200)
print("logged", flush=True)
sys.stdin.readline()
log.info("last")
print(API.shutdown(120))
"""

PLACES = {"disk": True, "overlay": True, "memory": True, "fuse": False, "fuse on a small disk": False}
"""Which kinds of place are mapped."""


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, bool]]:
    """Lend a folder on a file system of some kind; tell whether its journals are mapped."""
    kind = request.param
    with ExitStack() as stack:
        if kind == "disk":
            folder = tmp_path / "disk"
            folder.mkdir()
        elif kind == "overlay":
            folder = stack.enter_context(overlaid(tmp_path / "overlay"))
        elif kind == "memory":
            folder = stack.enter_context(mounted(tmp_path / "memory", "64m"))
        else:
            behind = tmp_path / "behind"
            if kind == "fuse":
                behind.mkdir()
            else:
                stack.enter_context(mounted(behind, "1m"))
            folder = stack.enter_context(by_a_program(tmp_path / "fuse", behind))
        yield folder, PLACES[kind]


class TestKindsOfFileSystems:
    """Whatever the home lies on: what was accepted arrives, once and in order."""

    def test_all_records_arrive_in_order(self, sqlite_url: str, place: tuple[Path, bool]) -> None:
        folder, mapped = place
        assert (mapping_refused(folder) is None) == mapped
        process = start(LOG, COUNT, main=sqlite_url, home=folder / "home")
        assert line_of(process) == "logged"
        tell(process)
        assert "left=0, dropped=0" in ended(process)
        assert [text.split()[0] for text in messages(sqlite_url, "placed")] == [*map(str, range(COUNT)), "last"]

    def test_a_killed_process(self, mariadb_url: str, place: tuple[Path, bool]) -> None:
        folder, _ = place
        reported = dict(killed_after(lines, mariadb_url, folder / "home") for lines in (1, 30, 900))
        adopt(mariadb_url, folder / "home")
        assert_accepted_is_stored(mariadb_url, reported)


class TestPlacesThatRefuse:
    """No room, no rights: memory serves, and the process lives on."""

    @pytest.mark.parametrize("size", ["100k", "300k", "1m", "5m"])
    def test_a_disk_that_others_fill(self, mariadb_url: str, tmp_path: Path, size: str) -> None:
        """At whatever size the segment is; not with SQLite, whose own files are elsewhere anyway."""
        with mounted(tmp_path / "small", size) as disk:
            process = start(LOG, 3000, main=mariadb_url, home=disk / "home")
            assert line_of(process) == "logged"
            fill(disk)
            tell(process)
            assert "left=0, dropped=0" in ended(process)
        assert [text.split()[0] for text in messages(mariadb_url, "placed")] == [*map(str, range(3000)), "last"]

    def test_nothing_can_be_written(self, mariadb_url: str, tmp_path: Path) -> None:
        (tmp_path / "behind/home").mkdir(parents=True)
        with read_only(tmp_path / "readonly", tmp_path / "behind") as folder:
            process = start(LOG, 1000, main=mariadb_url, home=folder / "home")
            assert line_of(process) == "logged"
            tell(process)
            out, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, err
        assert b"left=0, dropped=0" in out
        assert err.count(b"cannot be written (Read-only file system)") == 1
        assert len(messages(mariadb_url, "placed")) == 1001


class TestManyShortProcesses:
    """Programs that live for a moment leave nothing behind."""

    def test_two_hundred_processes_leave_no_journal_files(self, mariadb_url: str, tmp_path: Path) -> None:
        for first in range(0, 200, 20):
            processes = [start(LOG, 3, main=mariadb_url, home=tmp_path / "home") for _ in range(first, first + 20)]
            for process in processes:
                tell(process)
            for process in processes:
                assert "left=0, dropped=0" in ended(process)
        assert len(messages(mariadb_url, "placed")) == 200 * 4
        assert [path for path in (tmp_path / "home/journal").rglob("*") if path.is_file()] == []
        adopt(mariadb_url, tmp_path / "home")

    def test_killed_while_they_begin(self, mariadb_url: str, tmp_path: Path) -> None:
        """What is left of those is adopted, and then nothing is."""
        for _ in range(10):
            process = start(LOG, 1_000_000, main=mariadb_url, home=tmp_path / "home")
            while not list((tmp_path / "home").rglob("*.nxj")) and process.poll() is None:
                os.sched_yield()
            process.send_signal(signal.SIGKILL)
            process.wait(LIMIT)
        adopt(mariadb_url, tmp_path / "home")
        found = [int(text.split()[0]) for text in messages(mariadb_url, "placed")]
        assert found.count(0) <= 10
        assert [path for path in (tmp_path / "home/journal").rglob("*") if path.is_file()] == []
