"""A disk that is full, where journals are or where the database is: nothing is torn, and what is lost is counted."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from NexusCore.delivery import losses
from NexusCore.storage import open_database
from NexusCore.storage.migrate import migrate
from tests.disks import fill, mounted
from tests.journals import folder_of
from tests.processes import LIMIT, adopt, app_on, ended, eventually, line_of, messages, run, samples, start, tell

pytestmark = pytest.mark.faults

NOBODY = "mysql://u:p@127.0.0.1:1/nothing"

FILL = """
import os, resource, sys, threading
from NexusCore import API
count, limit = int(sys.argv[1]), int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
log, status = API.get_log("full"), API.get_status("full")
for number in range(count):
    log.info("%d %s", number, "x" * 100)
    status["n"] = number
print("full", flush=True)
sys.stdin.readline()
log.info("last")
status["n"] = "last"
print(API.shutdown(float(sys.argv[3])))
"""
"""Logs more than there is room for; when it is told, once more."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Lend a disk of 256 kB, where this user may make one."""
    with mounted(tmp_path / "disk", "256k") as place:
        yield place


class TestNoRoomForTheJournal:
    """What finds no room on disk waits in memory; one warning says so, and no half record stays behind."""

    @pytest.mark.parametrize("database", ["there", "away"])
    def test_a_full_disk(self, database_url: str, small_disk: Path, tmp_path: Path, database: str) -> None:
        (small_disk / "other").write_bytes(b"x" * 200_000)  # leaves little for us
        url = database_url if database == "there" else NOBODY
        process = start(FILL, 3000, 0, LIMIT if database == "there" else 0.5, main=url, home=small_disk / "home")
        assert line_of(process) == "full"
        tell(process)
        out, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, err.decode()
        if database == "there":
            assert b"left=0, dropped=0" in out
            assert messages(url, "full")[-1] == "last"
            assert [text.split()[0] for text in messages(url, "full")] == [*map(str, range(3000)), "last"]
            assert [value for _, value in samples(url, "full")] == [*map(str, range(3000)), "last"]
        else:
            reported = [line for line in err.decode().splitlines() if "cannot be written" in line]
            assert 1 <= len(reported) <= 2, "once for each journal that found no room"
            assert all("The disk is full: 0 bytes of 256 KiB are free on" in line for line in reported)
            (lost,) = [line for line in err.decode().splitlines() if "are lost" in line]
            assert re.fullmatch(r"NexusCore: (\d+) records of this program are lost: neither the disk nor .*", lost)
            dropped = int(lost.split()[1])
            assert dropped > 0
            assert f"dropped={dropped})" in out.decode()
            left = int(re.search(r"left=(\d+)", out.decode())[1])
            assert left + dropped >= 2 * 3001, "delivery has logged, too, that the database is away"
            assert left * 100 < 256 * 1024, "what is on disk, and nothing else"

    def test_room_that_comes_back_at_the_end(self, small_disk: Path, tmp_path: Path, sqlite_url: str) -> None:
        """What waits in memory, while the database is away, is on disk when the program ends."""
        (small_disk / "other").write_bytes(b"x" * 200_000)
        process = start(FILL, 700, 0, 0.5, main=NOBODY, home=small_disk / "home")
        assert line_of(process) == "full"
        (small_disk / "other").unlink()
        tell(process)
        out, err = process.communicate(timeout=LIMIT)
        assert re.search(rb"left=140[2-9], dropped=0", out), "delivery has logged, too, that the database is away"
        assert b"are lost" not in err

    def test_what_was_written_before_it_was_full_survives(
        self, database_url: str, small_disk: Path, tmp_path: Path
    ) -> None:
        """The process is killed; what it still had in memory is gone, and nothing else."""
        moved = tmp_path / "home"
        process = start(FILL, 3000, 0, 0.5, main=NOBODY, home=small_disk / "home")
        assert line_of(process) == "full"
        process.kill()
        process.communicate(timeout=LIMIT)
        app = app_on(database_url, moved)
        app.shutdown(1)
        for role in ("log", "status"):
            (source,) = (small_disk / "home/journal").glob(f"{role}-*")
            app = app_on(database_url, moved)
            shutil.copytree(source, folder_of(app, role), dirs_exist_ok=True)
        adopt(database_url, moved)
        found = [text.split()[0] for text in messages(database_url, "full")]
        values = [value for _, value in samples(database_url, "full")]
        assert len(found) > 100
        assert len(values) > 100
        assert found == [str(n) for n in range(len(found))]
        assert values == [str(n) for n in range(len(values))]
        assert not [text for text in messages(database_url, "NexusCore.delivery") if "damaged" in text]

    def test_room_that_comes_back(self, database_url: str, small_disk: Path) -> None:
        """The journal is written again when what waited in memory was delivered."""
        (small_disk / "other").write_bytes(b"x" * 200_000)
        app = app_on(database_url, small_disk / "home")
        log = app.get_log("full")
        for number in range(2000):
            log.info("%d %s", number, "x" * 100)
        (small_disk / "other").unlink()
        eventually(lambda: len(messages(database_url, "full")) == 2000)
        log.info("last")
        eventually(lambda: messages(database_url, "full")[-1] == "last")
        report = app.shutdown(LIMIT)
        assert (report.left, report.dropped) == (0, 0)
        assert len(messages(database_url, "full")) == 2001

    def test_a_limit_on_the_size_of_files(self, mariadb_url: str, tmp_path: Path) -> None:
        """Not with SQLite: the limit would hold for the database's own file, too."""
        process = start(FILL, 3000, 50_000, LIMIT, main=mariadb_url, home=tmp_path / "home")
        assert line_of(process) == "full"
        tell(process)
        assert "left=0, dropped=0" in ended(process)
        assert [text.split()[0] for text in messages(mariadb_url, "full")] == [*map(str, range(3000)), "last"]


class TestNoRoomForTheDatabase:
    """SQLite's disk is full: what was accepted waits, and arrives when there is room."""

    def test_records_arrive_once_sqlite_has_room_again(self, sqlite_url: str, tmp_path: Path) -> None:
        path = Path(sqlite_url.removeprefix("sqlite:///"))
        size = path.stat().st_size // 1024 + 64  # little more than the empty database
        with mounted(tmp_path / "disk", f"{size}k") as disk:
            shutil.copy(path, disk / "nexus.db")
            url = f"sqlite:///{disk / 'nexus.db'}"
            process = start(FILL, 3000, 0, 1, main=url, home=tmp_path / "home")
            assert line_of(process) == "full"
            tell(process)
            out, err = process.communicate(timeout=LIMIT)
            assert (process.returncode, err) == (0, b"")
            assert b"dropped=0" in out
            assert b"left=0" not in out
            with closing(open_database(url)) as database, database.reading() as reading:
                assert reading.one("PRAGMA integrity_check") == ("ok",)
            for one in disk.glob("nexus.db*"):
                shutil.copy(one, path.parent)
        folder = tmp_path / "home/journal"
        app = app_on(sqlite_url, tmp_path / "home")
        for role in ("log", "status"):
            (source,) = folder.glob(f"{role}-*")
            source.rename(folder_of(app, role))
        adopt(sqlite_url, tmp_path / "home")
        assert [text.split()[0] for text in messages(sqlite_url, "full")] == [*map(str, range(3000)), "last"]
        assert [value for _, value in samples(sqlite_url, "full")] == [*map(str, range(3000)), "last"]


class TestTheJournalsLimit:
    """While the database is away DEBUG and INFO of the oldest go first; what went is counted, and the log says so."""

    PROGRAM = """
import logging, sys, threading
from NexusCore import API
log = API.get_log("limited")
for number in range(60_000):
    log.log(logging.WARNING if number % 1000 == 0 else logging.INFO, "%d %s", number, "x" * 200)
    if number % 1000 == 0:
        threading.Event().wait(0.02)
delivery = API.app()._shipper
for _ in range(500):
    if sum(path.stat().st_size for path in (API.app().settings.home / "journal").rglob("*.nxj")) < 10_000_000:
        break
    threading.Event().wait(0.02)
print(API.shutdown(0.5))
"""

    def test_warnings_stay_and_dropped_records_are_counted(self, database_url: str, tmp_path: Path) -> None:
        printed = run(self.PROGRAM, main=NOBODY, home=tmp_path / "home", NEXUSCORE_JOURNAL_SIZE="1")
        left, dropped = (int(part.partition("=")[2].rstrip(")\n")) for part in printed.split(", ")[1:])
        assert dropped > 20_000
        app = app_on(database_url, tmp_path / "home")
        (source,) = (tmp_path / "home/journal").glob("log-*")
        source.rename(folder_of(app, "log"))
        adopt(database_url, tmp_path / "home")
        found = [int(text.split()[0]) for text in messages(database_url, "limited")]
        assert found == sorted(set(found))
        assert set(range(0, 60_000, 1000)) <= set(found), "no WARNING went"
        said = [text for text in messages(database_url, "NexusCore.delivery") if "were dropped" in text]
        assert sum(int(text.split(": ")[-1].split()[0]) for text in said) <= dropped
        assert len(found) + dropped + len(messages(database_url, "NexusCore.delivery")) >= 60_000
        assert left >= len(found)


class TestLossesAreLogged:
    """What found no room anywhere is a warning in the log, as soon as one can be stored."""

    @pytest.mark.parametrize("ends", [True, False])
    def test_a_full_disk_with_journal_and_database(self, tmp_path: Path, ends: bool) -> None:
        """At the end of the program the next one logs it; while it runs, it does so itself."""
        with mounted(tmp_path / "disk", "48m") as disk:
            url = f"sqlite:///{disk}/nexus.db"
            migrate(url)
            other = disk / "other"
            fill(disk).rename(other)
            process = start(FILL, 60_000, 0, 1, main=url, home=disk / "home")
            assert line_of(process) == "full"
            if ends:
                tell(process)
                err = process.communicate(timeout=LIMIT)[1].decode()
                assert "are lost: neither the disk nor the database had room for them." in err
                other.unlink()
                adopt(url, disk / "home")
                assert not list((disk / "home").glob("journal/*/*.lost-*"))
            else:
                other.unlink()
                eventually(lambda: warned(url))
                process.kill()
                process.communicate(timeout=LIMIT)
            assert warned(url)

    def test_a_loss_is_logged_once_by_the_next_program(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path)
        app.shutdown(LIMIT)
        losses.leave(folder_of(app_on(database_url, tmp_path), "log"), "desk-1-1-1", 20_631)
        for _ in range(2):
            app = app_on(database_url, tmp_path)
            app.get_log("next").info("hello")
            app.shutdown(LIMIT)
        (text,) = [text for text in messages(database_url, "NexusCore.delivery") if "lost" in text]
        assert text.startswith("20631 records of the journal desk-1-1-1 were lost when its program ended: neither the")

    def test_a_program_without_a_log_leaves_the_note(self, database_url: str, tmp_path: Path) -> None:
        app_on(database_url, tmp_path).shutdown(LIMIT)
        app = app_on(database_url, tmp_path)
        folder = folder_of(app, "status")
        losses.leave(folder, "desk-1-1-1", 5)
        app.get_status("x")["n"] = 1
        app.shutdown(LIMIT)
        assert [count for _, _, count in losses.notes(folder)] == [5]
        app = app_on(database_url, tmp_path)
        app.get_status("x")["n"] = 1
        app.get_log("x")
        app.shutdown(LIMIT)
        assert list(losses.notes(folder)) == []
        assert [text for text in messages(database_url, "NexusCore.delivery") if text.startswith("5 records of")]


def warned(url: str) -> list[str]:
    return [text for text in messages(url, "NexusCore.delivery") if " lost" in text]
