"""A disk that is full, as each tool and service meets it: the first thing that a person reads is that it is full."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from NexusCore.facility import Session, State
from tests.disks import fill, mounted
from tests.processes import app_on
from tests.services.builder_facility import Facility
from tests.tools.programs import PROJECT, Done, bash, run_command

pytestmark = pytest.mark.faults

FULL = "The disk is full: 0 bytes of 1.0 MiB are free on {} (tmpfs)."
TOOLS = (
    ("ConfigTool", "list"), ("ConfigTool", "Some.parameter=1"), ("SessionTool", "list"), ("TailLog",), ("TailStatus",),
)  # fmt: skip
SERVICES = ("Harvester", "Builder", "Uploader")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Lend a disk of one megabyte."""
    with mounted(tmp_path / "disk", "1m") as place:
        yield place


@pytest.fixture
def full_database(sqlite_template: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a database on a disk that is full."""
    shutil.copy(sqlite_template, disk / "nexus.db")
    with closing(sqlite3.connect(disk / "nexus.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    fill(disk)
    url = f"sqlite:///{disk / 'nexus.db'}"
    monkeypatch.setenv("NEXUSCORE_DATABASE", url)
    return url


@pytest.fixture
def facility(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Facility:
    """Lend a facility whose database has room."""
    monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
    one = Facility(sqlite_url, tmp_path)
    one.files.mkdir()
    one.configure(f"Facility.data_root={tmp_path}", "Instruments.FEI-Titan-TEM.filestore_path=./Titan")
    return one


def module(name: str, *words: object, **variables: str) -> Done:
    return run_command([sys.executable, "-m", name, *map(str, words)], **variables)


class TestTheDatabasesDisk:
    """SQLite says of it "disk I/O error", "unable to open database file" or "database or disk is full"."""

    @pytest.mark.parametrize("words", TOOLS, ids=" ".join)
    def test_tools_say_that_the_disk_is_full(self, full_database: str, disk: Path, words: tuple[str, ...]) -> None:
        done = module(f"Tools.{words[0]}", *words[1:])
        assert (done.code, done.err.count("\n")) == (3, 1), done
        assert done.err.startswith(f"{words[0]}: {FULL.format(disk)} The database at {full_database} stores nothing")

    @pytest.mark.parametrize("name", SERVICES)
    def test_services_say_that_the_disk_is_full(self, full_database: str, disk: Path, name: str) -> None:
        done = module(f"Services.{name}", "--once")
        assert done.code == 3
        *others, last = done.err.splitlines()
        assert last.startswith(f"{name}: {FULL.format(disk)}")
        assert all(FULL.format(disk) in one for one in others), "its log says the same, if it comes to that"

    def test_doctor_begins_with_it(self, full_database: str, disk: Path) -> None:
        done = module("Tools.Doctor")
        assert done.code == 3
        assert done.lines[0] == "Disks"
        assert f"The disk is full: only 0 bytes of 1.0 MiB are free for {disk} (the database)." in done.lines[1]
        assert done.out.count(f"are free for {disk} (the database)") == 1

    @pytest.mark.parametrize("program", ["NexusCore/storage/migrate", "NexusCore/declare", "Install/demo"])
    def test_set_up_says_that_the_disk_is_full(self, full_database: str, disk: Path, program: str) -> None:
        done = run_command([sys.executable, f"{PROJECT / program}.py"], PYTHONPATH=str(PROJECT))
        assert (done.code, done.err.startswith(FULL.format(disk))) == (3, True), done

    def test_first_use_says_that_the_disk_is_full(self, disk: Path) -> None:
        fill(disk)
        done = module("Tools.ConfigTool", "S.n=1", NEXUSCORE_HOME=str(disk / "home"))
        assert (done.code, done.err.startswith(f"ConfigTool: {FULL.format(disk)}")) == (3, True), done


class TestTheHomesDisk:
    """Where journals, snapshots and caches are: what is only for speed is done without; the rest says so."""

    def test_tools_work_without_room_at_home(self, facility: Facility, disk: Path) -> None:
        fill(disk)
        for words in (("ConfigTool", "Some.parameter=1"), ("ConfigTool", "list")):
            done = module(f"Tools.{words[0]}", *words[1:], NEXUSCORE_HOME=str(disk / "home"))
            assert (done.code, "Traceback" in done.err) == (0, False), done

    @pytest.mark.parametrize("name", SERVICES)
    def test_services_say_that_no_journal_is_possible(self, facility: Facility, disk: Path, name: str) -> None:
        fill(disk)
        done = module(f"Services.{name}", "--once", NEXUSCORE_HOME=str(disk / "home"))
        first, *others = done.err.splitlines()
        assert first.startswith(f"NexusCore: {FULL.format(disk)} The journals in {disk / 'home/journal'} cannot be")
        if done.code:  # the Builder notes there that it lives
            assert others[-1].startswith(f"{name}: {FULL.format(disk)}")
        assert "Traceback" not in done.err

    def test_doctor_begins_with_it(self, facility: Facility, disk: Path) -> None:
        fill(disk)
        done = module("Tools.Doctor", NEXUSCORE_HOME=str(disk / "home"))
        assert "The disk is full: only 0 bytes" in done.lines[1]


class TestTheOutputsDisk:
    """What a tool prints, or writes because it was asked to."""

    @pytest.mark.parametrize(
        "words",
        ["ConfigTool list", "ConfigTool serialize", "TailStatus --json", "TailLog -o json", "Doctor", "Doctor --json",
         "TailLog --help"],
    )  # fmt: skip
    def test_a_full_disk_at_standard_output_is_reported(self, facility: Facility, disk: Path, words: str) -> None:
        facility.configure("Some.parameter=1")
        app = app_on(facility.url, facility.folder / "filling")
        app.get_log("Some").info("line")
        app.get_status("Some")["element"] = 1
        app.shutdown(60)
        (disk / "out").touch()
        fill(disk)
        done = bash(f"{words} >{disk}/out")
        sentence = f"{words.split()[0]}: {FULL.format(disk)} Make room there, and try again.\n"
        assert (done.code, done.err) == (1, sentence)

    def test_an_unfinished_bundle_is_reported_and_removed(self, facility: Facility, disk: Path) -> None:
        fill(disk)
        done = module("Tools.Doctor", "--bundle", disk / "help.zip")
        assert done.err.splitlines()[-1].startswith(
            f"Doctor: {FULL.format(disk)} The archive {disk}/help.zip cannot be"
        )
        assert not list(disk.glob("help.zip*")), "no half of it"

    def test_programs_of_the_builder(self, facility: Facility, disk: Path) -> None:
        fill(disk)
        done = module("Services.Builder.sample", disk / "sample")
        assert (done.code, done.err.startswith("The disk is full: ")) == (1, True), done


class TestTheRecordsDisk:
    """The Builder's, for records, previews and scratch files; the Uploader's, for copies."""

    @pytest.fixture
    def session(self, facility: Facility) -> Session:
        """Lend a session with an image whose preview takes some hundred kilobytes."""
        start = datetime.now(UTC) - timedelta(hours=2)
        noise = Image.frombytes("RGB", (800, 800), random.Random(1).randbytes(800 * 800 * 3))
        noise.save(facility.files / "noise.tif")
        moment = (start + timedelta(minutes=5)).timestamp()
        os.utime(facility.files / "noise.tif", (moment, moment))
        return facility.session(start, start + timedelta(minutes=10))

    def test_a_record_waits_for_room_for_previews(self, facility: Facility, session: Session, disk: Path) -> None:
        """A record whose previews found no room is not published without them; it is made when there is room."""
        (disk / "other").write_bytes(b"x" * 900_000)
        facility.configure(f"Services.Builder.records_path={disk}/records")
        facility.run("Services.Builder", "--once", code=1)
        failed = facility.sessions.get(session.identifier)
        assert failed.state is State.ERROR
        assert failed.last_error is not None
        assert failed.last_error.startswith("The disk is full: ")
        assert "What was read of 1 file could not be written to" in failed.last_error
        assert not list((disk / "records").glob("*.xml"))
        facility.configure(f"Services.Builder.records_path={facility.folder}/records")
        facility.run("Services.Builder", "--session", session.identifier)
        record = facility.record(session)
        assert list(Path(record.path).with_suffix(".files").rglob("*.png"))

    def test_no_room_at_all(self, facility: Facility, session: Session, disk: Path) -> None:
        facility.configure(f"Services.Builder.records_path={disk}/records")
        fill(disk)
        facility.run("Services.Builder", "--once", code=1)
        failed = facility.sessions.get(session.identifier)
        assert (failed.last_error or "").startswith(FULL.format(disk))

    def test_scratch_goes_elsewhere_or_is_reported(self, facility: Facility, session: Session, disk: Path) -> None:
        """Python takes another folder for temporary files if it finds one; so either all is well, or it is told."""
        fill(disk)
        done = module("Services.Builder", "--dry-run", NEXUSCORE_HOME=str(facility.folder / "home"), TMPDIR=str(disk))
        assert "Traceback" not in done.err
        assert done.code == 0 or "The disk is full: " in done.err

    def test_a_full_destination_fails_the_upload(self, facility: Facility, session: Session, disk: Path) -> None:
        facility.run("Services.Builder", "--once")
        facility.configure("Services.Uploader.destinations=directory", f"Services.Uploader.directory.path={disk}")
        (disk / "other").write_bytes(b"x" * 900_000)
        done = facility.run("Services.Uploader", "--once", code=1)
        assert "ERROR Uploader: The disk is full: " in done.stderr
        assert "Make room there, and try again." in done.stderr
