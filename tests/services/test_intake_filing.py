"""What Intake files is where its rules say, once and whole; what it does not file stays, with a reason."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import random
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from NexusCore.facility import Sessions
from NexusCore.facility.intake_move import Method, MoveState
from NexusCore.facility.intake_moves import IntakeMoves
from NexusCore.facility.sessions import Client
from NexusCore.storage import open_database
from Services.Intake import renaming
from Services.Intake.acceptance import Acceptance, RuleCollides
from Services.Intake.filing import Filer, FilingFacts
from Services.Intake.moving import FilingInterrupted
from Services.Intake.planning import InboxFacts, Outcome, plan
from Services.Intake.rules.rule import FilingRule
from Services.Intake.rules.shipped import OVERWATCH
from Services.Intake.scanning import scan
from Services.Intake.settings import read
from Services.Intake.targets import DiskTargets
from tests.clocks import SetClock, databases_follow
from tests.disks import mounted
from tests.processes import messages
from tests.services.filing import RUN, RUN_FILED, Station, station_on
from tests.services.test_intake_plan import LONG, NAMES

DEEDS = 3000 if LONG else 25
HOSTILE = (
    b"a\nb.root", b"\xe9t\xe9.root", b"..root", b"-rf", b"--help.root", b"x" * 255, b"\xc3\xa9.root",
    b"e\xcc\x81.root", b"A.root", b"a.root", b"\x1b[31m.root", b" ", b"a ", b"a\\b.root", b"con", b"a:b", b"\x7f",
    b"...x", b"\xe2\x80\xae.root", b"EMChists_.._B_..root", b"EMChists_1_B_\n.root",
    b"EMChists_1_B_" + b"t" * 237 + b".root",
)  # fmt: skip


def hostile_names(count: int) -> list[str]:
    """Return names that a file system takes, known ones and random bytes."""
    dice = random.Random(11)
    names = dict.fromkeys(os.fsdecode(name) for name in HOSTILE)
    while len(names) < count:
        name = dice.choice(HOSTILE)[:240] + dice.randbytes(dice.randint(1, 15))
        names[os.fsdecode(name.replace(b"/", b"-").replace(b"\0", b"\n"))] = None
    return list(names)


@pytest.fixture
def station(database_url: str, tmp_path: Path) -> Iterator[Station]:
    with station_on(database_url, tmp_path) as one:
        yield one


@pytest.fixture
def local(sqlite_url: str, tmp_path: Path) -> Iterator[Station]:
    with station_on(sqlite_url, tmp_path) as one:
        yield one


class TestFiling:
    """Files are where the rule says, and the history says where they were."""

    def test_a_run(self, station: Station) -> None:
        """004-24, 004-30, 004-34: folders are made as needed, and each move is logged."""
        station.drop(content="histograms", age=3600)
        before = (station.inbox / RUN).stat()
        report = station.run()
        assert station.tree() == {RUN_FILED: "histograms", "Run300005/runInfo.yaml": "{hltMode: 'B'}\n"}
        after = (station.inbox / RUN_FILED).stat()
        assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
        note, move = station.history()
        assert (move.source, move.target) == (str(station.inbox / RUN), str(station.inbox / RUN_FILED))
        assert (move.rule, move.inbox, move.method, move.state) == ("overwatch", "det", Method.RENAME, MoveState.FILED)
        assert move.sha256 == hashlib.sha256(b"histograms").hexdigest()
        assert (note.method, note.source) == (Method.NOTE, "")
        assert len(report.filed) == 1
        line = f"det: moved {station.inbox / RUN} to {station.inbox / RUN_FILED}"
        station.app.shutdown(10)
        assert line in messages(station.url, "Intake")

    def test_a_second_pass_changes_nothing(self, station: Station) -> None:
        station.drop()
        station.root.inbox(subfolders=True)
        station.root.rule("overwatch", names="*", parse="", path="{folder}/again {name}", note_path="", divert="")
        station.run()
        assert station.tree() == {f"again {RUN}": "data"}
        assert station.run().filed == [], "what was filed is not filed again, though the rule would rename it again"
        assert station.tree() == {f"again {RUN}": "data"}

    def test_what_cannot_be_filed_is_named_once(self, local: Station) -> None:
        local.drop("other.txt")
        (local.inbox / "link.root").symlink_to("/etc/passwd")
        os.mkfifo(local.inbox / "pipe.root")
        local.drop("hard.root")
        os.link(local.inbox / "hard.root", local.inbox.parent / "second name")
        intake = local.intake()
        for _ in range(2):
            assert intake.once().done == 0
        intake.close()
        assert intake.status["refused det"].get_value() == 4
        local.app.shutdown(10)
        (line,) = [line for line in messages(local.url, "Intake") if "is not filed" in line]
        assert line.removeprefix("det: ").split("; ") == [
            "hard.root is not filed: it has 2 names (hard links), so it may be another file, too",
            "link.root is not filed: it is a symbolic link",
            "only files are filed",
            "other.txt is not filed: no rule takes it",
            "pipe.root is not filed: it is a named pipe",
            "only files are filed",
        ]

    def test_a_session_gives_the_user(self, station: Station) -> None:
        """The user is the one whose session was open when the file was written."""
        station.config["Instruments.Titan.filestore_path"] = "./Titan"
        station.root.inbox(instrument="Titan", rules="microscope", subfolders=True)
        sessions = Sessions(station.app.database(), station.app.clock)
        station.drop("early.dm4", age=7200)
        sessions.start("Titan", Client("o'brien", "titan-pc"))
        station.drop("grid 1/a.dm4")
        report = station.run()
        (move,) = [done.move for done in report.filed]
        day = Path(move.target).parts[-3]
        assert move.target == str(station.inbox.parent / f"data/Titan/o_brien/{day}/grid 1/a.dm4")
        assert [file.path for file in report.remaining] == ["early.dm4"]
        assert "no session or reservation of Titan covers" in report.remaining[0].reason

    def test_the_same_content_is_done(self, local: Station) -> None:
        local.root.rule("overwatch", conflict="same_is_done")
        local.drop()
        local.run()
        local.drop("EMChists_300005_C_2015_11_24_18_05_10.root")
        (done,) = local.run().filed
        assert done.method is Method.SAME
        assert sorted(local.tree()) == [RUN_FILED, "Run300005/runInfo.yaml"]
        local.drop("EMChists_300005_C_2015_11_24_18_05_10.root", "other data")
        (left,) = local.run().remaining
        assert "a file of that name is there, with other content" in left.reason
        assert local.tree()[RUN_FILED] == "data"

    def test_a_file_in_use(self, local: Station, monkeypatch: pytest.MonkeyPatch) -> None:
        """The system refuses the rename: it is named, stays, and is filed when that is over."""
        local.drop()

        def busy(*_: object) -> None:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

        with monkeypatch.context() as patched:
            patched.setattr("Services.Intake.moving.rename_new", busy)
            (left,) = local.run().remaining
        assert left.reason == "Device or resource busy"
        assert local.tree() == {RUN: "data"}
        assert len(local.run().filed) == 1

    def test_links_in_the_tree_lead_nowhere(self, local: Station, tmp_path: Path) -> None:
        """A folder of the target that was replaced by a link is not followed."""
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        local.run()
        (local.inbox / "Run300005").symlink_to(elsewhere)
        local.drop()
        (left,) = [file for file in local.run().remaining if file.path == RUN]
        assert "Run300005 is not a folder" in left.reason
        assert list(elsewhere.iterdir()) == []
        assert (local.inbox / RUN).exists()

    def test_hostile_names(self, local: Station) -> None:
        """Each is filed, or refused with a sentence of one line; nothing appears outside the target."""
        local.root.inbox(ignore="")
        local.root.rule("overwatch", names="*", parse="", path="all/{stem}/{name}", note_path="", divert="")
        outside = set(local.inbox.parent.iterdir())
        names = hostile_names(1000)
        for number, name in enumerate(names):
            (local.inbox / name).write_text(str(number))
        report = local.run()
        assert set(local.inbox.parent.iterdir()) == outside
        filed = {path.name: path.read_text() for path in (local.inbox / "all").rglob("*") if path.is_file()}
        left = {path.name: path.read_text() for path in local.inbox.iterdir() if path.is_file()}
        assert {**filed, **left} == {name: str(number) for number, name in enumerate(names)}
        assert filed.keys() & left.keys() == set()
        assert {"-rf", "--help.root", "A.root", "a.root", "\xe9.root", "e\u0301.root", "x" * 255} <= filed.keys()
        assert {"a\nb.root", "\udce9t\udce9.root", "\x1b[31m.root", "\u202e.root", "a\\b.root", "...x"} <= left.keys()
        assert {file.path for file in report.remaining} == left.keys()
        sentence = re.compile(r"(its name cannot be used|its target would be .+): \w+( .+)+")
        assert [file.reason for file in report.remaining if not sentence.fullmatch(file.reason)] == []
        assert all(file.reason.isprintable() for file in report.remaining)


class TestComplete:
    """A file is filed when it is complete, as its rule says."""

    @pytest.fixture
    def clock(self) -> Iterator[SetClock]:
        clock = SetClock()
        with databases_follow(clock):
            yield clock

    @pytest.fixture
    def timed(self, sqlite_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Station]:
        with station_on(sqlite_url, tmp_path, clock) as one:
            one.root.inbox(stable_seconds=100.0)
            yield one

    def test_quiet_by_the_observers_clock(self, timed: Station, clock: SetClock) -> None:
        """The times of files are set by whoever writes them, and mean nothing here."""
        intake = timed.intake()
        timed.drop(age=10**6)
        assert intake.once().done == 0
        clock.move(99)
        timed.drop(content="longer than before", age=10**6)
        assert intake.once().done == 0, "it has changed"
        clock.move(99)
        assert intake.once().done == 0
        clock.move(2)
        assert intake.once().done == 1
        intake.close()
        assert timed.tree()[RUN_FILED] == "longer than before"

    def test_open_for_writing(self, local: Station) -> None:
        """A writer that pauses is no end of the file; nor is a file that has its size from the beginning."""
        local.drop()
        with (local.inbox / RUN).open("r+") as writer:
            (left,) = local.run().remaining
            assert left.reason == "another program has it open for writing"
            writer.write("DATA")
        assert len(local.run().filed) == 1
        assert local.tree()[RUN_FILED] == "DATA"

    def test_a_reader_does_no_harm(self, local: Station) -> None:
        local.drop()
        with (local.inbox / RUN).open() as reader:
            fcntl.flock(reader, fcntl.LOCK_SH)
            assert len(local.run().filed) == 1

    def test_a_marker(self, timed: Station) -> None:
        """Then at once; the empty marker goes, or it would speak for the next file of this name."""
        timed.root.rule("overwatch", ready="marker", ready_name="{name}.done", names="*.root")
        intake = timed.intake()
        timed.drop()
        assert intake.once().done == 0
        timed.drop(f"{RUN}.done", "")
        assert intake.once().done == 1
        intake.close()
        assert sorted(timed.tree()) == [RUN_FILED, "Run300005/runInfo.yaml"]

    def test_a_lock(self, local: Station) -> None:
        local.root.rule("overwatch", ready="lock", ready_name="{name}.lock")
        local.drop()
        lock = local.drop(f"{RUN}.lock", "")
        (left,) = local.run().remaining
        assert left.reason == f"its lock {RUN}.lock is still there"
        lock.unlink()
        assert len(local.run().filed) == 1

    def test_a_rename(self, timed: Station) -> None:
        """What has its final name is complete; until then it has one that is left out."""
        timed.root.rule("overwatch", ready="rename")
        intake = timed.intake()
        part = timed.drop(f"{RUN}.part")
        assert intake.once().done == 0
        part.rename(timed.inbox / RUN)
        assert intake.once().done == 1
        intake.close()

    def test_it_changes_while_it_is_filed(self, local: Station, monkeypatch: pytest.MonkeyPatch) -> None:
        """Written to between the last look and the rename: it goes back."""
        path = local.drop()
        rename = renaming.rename_new

        def late(source, name, target, new_name):  # type: ignore[no-untyped-def]
            if name == RUN:
                with path.open("a") as writer:
                    writer.write("more")
            rename(source, name, target, new_name)

        monkeypatch.setattr("Services.Intake.moving.rename_new", late)
        (left,) = local.run().remaining
        assert left.reason == "it changed while it was moved"
        assert local.tree() == {RUN: "datamore"}
        assert local.history() == []


class TestAnotherFileSystem:
    """Copied, flushed, compared, and only then removed at its source."""

    @pytest.fixture
    def far(self, local: Station, tmp_path: Path) -> Iterator[Station]:
        with mounted(tmp_path / "far", "300k") as place:
            local.root.rule("overwatch", target=str(place))
            yield local

    def test_a_copy(self, far: Station, tmp_path: Path) -> None:
        path = far.drop(age=3600)
        path.chmod(0o640)
        before = path.stat()
        (done,) = far.run().filed
        assert done.method is Method.COPY
        assert far.tree() == {}
        after = (tmp_path / "far" / RUN_FILED).stat()
        assert (after.st_mtime_ns, after.st_mode) == (before.st_mtime_ns, before.st_mode)
        assert far.tree(tmp_path / "far")[RUN_FILED] == "data"
        far.undo()
        assert far.tree() == {RUN: "data"}
        assert path.stat().st_mtime_ns == before.st_mtime_ns
        assert far.tree(tmp_path / "far") == {}

    def test_a_full_disk(self, far: Station, tmp_path: Path) -> None:
        """It is named once, nothing is lost, and all is filed at the next pass after there is room."""
        filler = tmp_path / "far/filler"
        filler.write_bytes(b"x" * 200_000)
        for number in range(3):
            far.drop(f"EMChists_{number}_B_t.root", b"y" * 90_000)
        intake = far.intake()
        for _ in range(2):
            intake.once()
        left = intake._reports["det"].remaining
        assert len(left) == 2
        assert all(file.reason.startswith("The disk is full: ") for file in left)
        assert len([p for p in (tmp_path / "far").rglob("*") if p.name.startswith(".nexus")]) == 0
        filler.unlink()
        assert intake.once().done == 2
        intake.close()
        assert {path for path in far.tree(tmp_path / "far") if path.endswith("root")} == {
            f"Run{number}/EMC/EMChists.t.root" for number in range(3)
        }
        far.app.shutdown(10)
        assert "\n".join(messages(far.url, "Intake")).count("is not filed: The disk is full") == 2

    def test_the_share_is_away(self, far: Station, tmp_path: Path) -> None:
        """Nothing is filed into the folder that it was mounted on."""
        far.root.rule("overwatch", mount=str(tmp_path / "away"), target=str(tmp_path / "away"))
        far.drop()
        intake = far.intake()
        intake.once()
        assert "The folder" in intake.status["inbox det"].get_value()
        (tmp_path / "away").mkdir()
        intake.once()
        assert "nothing is mounted on" in intake.status["inbox det"].get_value()
        assert list((tmp_path / "away").iterdir()) == []
        (tmp_path / "away").rmdir()
        with mounted(tmp_path / "away", "300k"):
            assert intake.once().done == 1
            assert intake.status["inbox det"].get_value() == "ok"
            assert RUN_FILED in far.tree(tmp_path / "away")
        intake.close()

    def test_the_copy_is_not_what_was_read(self, far: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As with bad memory or a bad disk: the source stays."""
        far.drop()
        monkeypatch.setattr("Services.Intake.moving._write_all", lambda there, data: os.write(there, b"DAT4"))
        (left,) = far.run().remaining
        assert "has another content" in left.reason
        assert far.tree() == {RUN: "data"}
        assert far.tree(tmp_path / "far") == {}

    def test_a_file_system_without_the_flag(self, local: Station, monkeypatch: pytest.MonkeyPatch) -> None:
        """Such as NFS: a second name, then the first one goes; an existing name is not replaced."""
        monkeypatch.setattr(renaming, "_renameat2", lambda: lambda *_: errno.EINVAL)
        local.drop()
        assert len(local.run().filed) == 1
        assert (local.inbox / RUN_FILED).stat().st_nlink == 1
        assert local.tree()[RUN_FILED] == "data"


class TestRulesAreAccepted:
    """A rule under which files collide is not used before somebody accepts it, with a reason."""

    COLLIDING = ("EMChistos_1_B_t.root", "EMChists_1_B_t.root")

    def test_collisions(self, local: Station) -> None:
        for name in (*self.COLLIDING, RUN):
            local.drop(name)
        report = local.run()
        assert report.filed == []
        assert {file.reason for file in report.remaining} == {"its rule 'overwatch' is not accepted yet"}
        (note,) = report.notes
        assert "The rule 'overwatch' is not accepted: 2 collisions, such as EMChistos_1_B_t.root" in note
        (local.inbox / self.COLLIDING[0]).unlink()
        assert len(local.run().filed) == 2
        local.drop(self.COLLIDING[0])
        (left,) = [file for file in local.run().remaining if file.path == self.COLLIDING[0]]
        assert "a file of that name is there" in left.reason, "once accepted, it goes on, and names the file"

    def test_a_look_that_is_given_up_accepts_nothing(self, local: Station) -> None:
        """At whichever step Intake is to end: the files that collide may be those that were not looked at."""
        for name in self.COLLIDING:
            local.drop(name)
        present, own = read(local.config), local.app.get_config("Services.Intake")
        given_up = 0
        for steps in range(100):
            left = iter(range(steps))
            acceptance = Acceptance(
                local.config, own, local.app.database(), local.app.clock, lambda left=left: next(left, None) is None
            )
            try:
                acceptance.accept(present.rules["overwatch"], present)
            except FilingInterrupted:
                given_up += 1
            except RuleCollides:
                break
        assert 4 < given_up < 99
        assert not local.config["Services.Intake.rules.overwatch.accepted"]

    def test_a_change_is_looked_at_again(self, local: Station) -> None:
        local.run()
        first = local.config["Services.Intake.rules.overwatch.accepted"]
        local.root.rule("overwatch", path="Run{run}/{name}")
        local.run()
        assert first and local.config["Services.Intake.rules.overwatch.accepted"] != first

    def test_a_rule_that_cannot_be_used(self, local: Station) -> None:
        """It is named, with its parameter; its files stay."""
        local.root.rule("overwatch", parse="(")
        local.drop()
        intake = local.intake()
        assert intake.once().done == 0
        intake.close()
        assert "Services.Intake.rules.overwatch.parse is '('" in intake.status["settings"].get_value()
        assert local.tree() == {RUN: "data"}


@settings(
    max_examples=DEEDS, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much,
    HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(names=st.sets(NAMES, max_size=25))
def test_the_deed_is_what_the_plan_says(names: set[str], sqlite_url: str) -> None:
    """A random folder on disk: after the deed, each file is where the plan said, with its content, or where it was."""
    from NexusCore.clock import SYSTEM_CLOCK

    folder = Path(tempfile.mkdtemp())
    database = open_database(sqlite_url)
    try:
        for name in names:
            (folder / name).write_bytes(os.fsencode(name))
        filer = Filer(IntakeMoves(database, SYSTEM_CLOCK), SYSTEM_CLOCK, "me", 30, lambda: False)
        files = scan(folder, (), subfolders=False).files
        entries = plan(files, [OVERWATCH], InboxFacts("det", folder, folder), DiskTargets(folder))
        done = filer.file(entries, FilingFacts("det", folder, None), [folder])
        assert done.failures == []
        expected = {}
        for entry in entries:
            path = entry.target if entry.outcome is Outcome.FILE else folder / entry.found.name
            expected[path] = os.fsencode(entry.found.name)
        there = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        notes = {path for path in there if path.name == "runInfo.yaml"}
        assert {path: content for path, content in there.items() if path not in notes} == expected
        assert notes == {entry.root.joinpath(*entry.note.parts) for entry in entries if entry.note is not None}
    finally:
        database.close()
        shutil.rmtree(folder)


def test_a_rule_without_a_note(local: Station) -> None:
    """Rules of the facility's own need only what they say."""
    local.root.rule("plain", names="*.tif", path="pictures/{year}/{stem:lower}{suffix}", ready="rename")
    local.root.inbox(rules="plain")
    local.drop("Grid.tif")
    (done,) = local.run().filed
    assert done.move.target.endswith("/grid.tif")
    assert FilingRule("plain").sha256 != done.move.rule_sha256
