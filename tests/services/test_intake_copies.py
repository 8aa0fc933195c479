"""Copies of filed files: made until they are there, read again, repaired from one that is good."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path

import pytest

from NexusCore.clock import Clock
from NexusCore.facility.file_copies import FileCopies
from NexusCore.facility.file_copy import FileCopy
from NexusCore.facility.intake_move import Method, NewMove
from NexusCore.facility.intake_moves import Filed, IntakeMoves
from Services.Intake.service import Intake
from tests.clocks import SetClock, databases_follow
from tests.disks import fill, mounted
from tests.processes import LIMIT, messages, rows
from tests.services.filing import RUN, RUN_FILED, Station, station_on

HOUR = 3600.0


@pytest.fixture
def clock() -> Iterator[SetClock]:
    clock = SetClock()
    with databases_follow(clock):
        yield clock


@pytest.fixture
def station(database_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Station]:
    with mirrored(database_url, tmp_path, clock) as one:
        yield one


@pytest.fixture
def local(sqlite_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Station]:
    with mirrored(sqlite_url, tmp_path, clock) as one:
        yield one


class mirrored:  # noqa: N801  used like a function
    """A station with two mirrors in folders."""

    def __init__(self, url: str, folder: Path, clock: Clock) -> None:
        self._station = station_on(url, folder, clock)
        self._folder = folder

    def __enter__(self) -> Station:
        station = self._station.__enter__()
        for name in ("one", "two"):
            (self._folder / name).mkdir()
            station.root.mirror(name, path=str(self._folder / name))
        station.root.rule("overwatch", target=".", ready="rename")
        return station

    def __exit__(self, *error: object) -> None:
        self._station.__exit__(*error)  # type: ignore[arg-type]


def once(intake: Intake) -> None:
    intake.once()
    intake._copying._wait()


def states(station: Station) -> dict[tuple[str, str], str]:
    found = rows(station.url, "SELECT mirror, path, state FROM file_copy")
    return {(mirror, path): state for mirror, path, state in found}


class TestCopies:
    """Each mirror gets each file; the table says when it was last found to be right."""

    def test_both(self, station: Station, tmp_path: Path) -> None:
        station.drop(content="histograms")
        intake = station.intake()
        once(intake)
        intake.close()
        for name in ("one", "two"):
            assert station.tree(tmp_path / name) == {RUN_FILED: "histograms"}, "notes are not data"
        assert states(station) == {("one", RUN_FILED): "good", ("two", RUN_FILED): "good"}
        filed = (tmp_path / "data" / RUN_FILED).stat()
        assert (tmp_path / "one" / RUN_FILED).stat().st_mtime_ns == filed.st_mtime_ns
        assert intake.status["copies_outstanding"].get_value() == 0

    def test_only_some_inboxes(self, local: Station, tmp_path: Path) -> None:
        local.root.mirror("two", inboxes="other; another")
        local.drop()
        intake = local.intake()
        once(intake)
        intake.close()
        assert local.tree(tmp_path / "two") == {}
        assert set(states(local)) == {("one", RUN_FILED)}

    def test_a_mirror_that_is_away(self, local: Station, tmp_path: Path, clock: SetClock) -> None:
        """It holds up nothing, is named once, shows what is outstanding and since when, and is made up for."""
        (tmp_path / "two").rmdir()
        local.drop()
        intake = local.intake()
        once(intake)
        clock.move(50)
        once(intake)
        assert local.tree(tmp_path / "one") == {RUN_FILED: "data"}
        assert not (tmp_path / "two").exists(), "what is missing may be a file system that is not mounted"
        assert intake.status["copies two"].get_value() == "1 copy outstanding, the oldest for 50 s"
        assert intake.status["copies_oldest_seconds"].get_value() == 50
        assert "is not a folder (is it mounted?)" in intake.status["mirror two"].get_value()
        (tmp_path / "two").mkdir()
        once(intake)
        intake.close()
        assert local.tree(tmp_path / "two") == {RUN_FILED: "data"}
        assert (intake.status["mirror two"].get_value(), intake.status["copies two"].get_value()) == ("ok", "ok")
        local.app.shutdown(10)
        lines = [line for line in messages(local.url, "Intake") if line.startswith("The mirror two")]
        assert len(lines) == 2
        assert lines[0] == f"The mirror two cannot be used: {tmp_path / 'two'} is not a folder (is it mounted?)."
        assert lines[1] == "The mirror two can be used again"

    def test_a_full_mirror(self, local: Station, tmp_path: Path, clock: SetClock) -> None:
        """It is tried again within a minute after there is room."""
        with mounted(tmp_path / "small", "300k") as small:
            local.root.mirror("two", path=str(small))
            filler = fill(small)
            local.drop(content=b"x" * 100_000)
            intake = local.intake()
            for _ in range(4):
                once(intake)
                clock.move(60)
            ((attempts, reason),) = rows(local.url, "SELECT attempts, reason FROM file_copy WHERE mirror = 'two'")
            assert attempts == 4
            assert reason.startswith("The disk is full: ")
            assert [path for path in small.rglob("*") if path.is_file()] == [filler]
            assert intake.status["mirror two"].get_value() == reason
            filler.unlink()
            once(intake)
            intake.close()
            assert intake.status["mirror two"].get_value() == "ok"
            assert (small / RUN_FILED).stat().st_size == 100_000
        local.app.shutdown(10)
        (line,) = [line for line in messages(local.url, "Intake") if line.startswith("two: no copy of")]
        assert line.startswith(f"two: no copy of {tmp_path / 'data' / RUN_FILED}: The disk is full: 0 bytes of 300 KiB")
        assert f"on {tmp_path / 'small'}" in line

    def test_many_copies_that_fail_are_one_warning(self, local: Station, tmp_path: Path) -> None:
        """Each is named, but the mails are left for alerts."""
        local.root.inbox(oldest_minutes=0.0)
        for number in range(5):
            name = RUN.replace("300005", str(number))
            other = tmp_path / "one" / RUN_FILED.replace("300005", str(number))
            other.parent.mkdir(parents=True)
            other.write_text("theirs")
            local.drop(name)
        intake = local.intake()
        once(intake)
        intake.close()
        local.app.shutdown(10)
        named = rows(local.url, "SELECT level FROM log_record WHERE message LIKE 'one: no copy of %' ORDER BY id")
        assert [level for (level,) in named] == [30, 20, 20, 20, 20]

    @pytest.mark.parametrize("back", [False, True])
    def test_another_place(self, local: Station, tmp_path: Path, back: bool) -> None:
        """It has no copies yet, though the mirror has its name: all are made, also by an Intake that begins anew."""
        local.drop()
        intake = local.intake()
        once(intake)
        intake.close()
        (tmp_path / "three").mkdir()
        local.root.mirror("two", path=str(tmp_path / "three"))
        intake = local.intake()
        once(intake)
        assert local.tree(tmp_path / "three") == {RUN_FILED: "data"}
        if back:
            local.root.mirror("two", path=str(tmp_path / "two"))
            once(intake)
        intake.close()
        assert set(states(local).values()) == {"good"}
        assert local.tree(tmp_path / "two") == {RUN_FILED: "data"}

    def test_a_pass_that_leaves_copies_outstanding(self, local: Station, tmp_path: Path) -> None:
        """Who waits for one pass is told, by its exit code, too."""
        (tmp_path / "one" / RUN_FILED).parent.mkdir(parents=True)
        (tmp_path / "one" / RUN_FILED).write_text("theirs")
        (tmp_path / "two").rmdir()
        local.drop()
        intake = local.intake()
        assert local.passes(intake).failed == 3
        intake.close()
        local.app.shutdown(10)
        assert any(line.startswith("one: 1 copy is outstanding: ") for line in messages(local.url, "Intake"))

    def test_somebody_elses_file_stays(self, local: Station, tmp_path: Path) -> None:
        other = tmp_path / "one" / RUN_FILED
        other.parent.mkdir(parents=True)
        other.write_text("theirs")
        local.drop()
        intake = local.intake()
        once(intake)
        intake.close()
        assert other.read_text() == "theirs"
        assert states(local)["one", RUN_FILED] == "waiting"
        assert "there is another file at" in intake.status["mirror one"].get_value()

    def test_after_an_undo_the_copy_stays(self, local: Station, tmp_path: Path) -> None:
        local.drop()
        intake = local.intake()
        once(intake)
        local.undo()
        assert set(states(local).values()) == {"left"}
        (tmp_path / "one" / RUN_FILED).write_text("DATA")
        once(intake)
        intake.close()
        assert (tmp_path / "one" / RUN_FILED).read_text() == "DATA"


class TestWhatGetsReadyLate:
    """A large file that is still being moved gets its copy, though many others have been filed after it."""

    def test_it_is_not_forgotten(self, local: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("Services.Intake.copying.LOOK_BACK", 0)
        path = local.drop("large.dat")
        target = tmp_path / "data/large.dat"
        new = NewMove("det", "r", "0" * 64, None, str(path), str(target), 4, 1, str(path.stat().st_ino))
        (move,) = local.moves.claim("slow", 3600, [new])
        local.drop()
        intake = local.intake()
        once(intake)
        path.rename(target)
        sha256 = hashlib.sha256(b"data").hexdigest()
        local.moves.filed([Filed(move, sha256, Method.RENAME)])
        once(intake)
        assert local.tree(tmp_path / "one") == {"large.dat": "data", RUN_FILED: "data"}
        local.root.mirror("two", inboxes="det")
        local.root.mirror("three", path=str(tmp_path / "three"))
        (tmp_path / "three").mkdir()
        once(intake)
        intake.close()
        assert local.tree(tmp_path / "three") == {"large.dat": "data", RUN_FILED: "data"}


class TestAudit:
    """A copy that is not what it was is found, named, and made again from a good one."""

    @pytest.mark.parametrize("damage", ["flipped", "cut", "missing", "link"])
    def test_a_damaged_copy(self, station: Station, tmp_path: Path, clock: SetClock, damage: str) -> None:
        station.drop(content="histograms")
        intake = station.intake()
        once(intake)
        copy = tmp_path / "one" / RUN_FILED
        before = copy.stat()
        if damage == "flipped":
            copy.write_text("hist0grams")
            os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
        elif damage == "cut":
            copy.write_text("hist")
        else:
            copy.unlink()
        if damage == "link":
            copy.symlink_to("/etc/hostname")
        clock.move(23 * HOUR)
        once(intake)
        assert states(station)["one", RUN_FILED] == "good", "it is not time yet"
        clock.move(2 * HOUR)
        once(intake)
        if damage == "link":
            assert copy.is_symlink(), "what is not a file is for a person to look at"
            assert states(station)["one", RUN_FILED] == "damaged"
            copy.unlink()
            clock.move(60)
            once(intake)
        intake.close()
        assert copy.read_text() == "histograms"
        assert states(station)["one", RUN_FILED] == "good"
        station.app.shutdown(10)
        lines = [line for line in messages(station.url, "Intake") if line.startswith("one: the copy of")]
        assert "is damaged: " in lines[0]
        assert lines[-1].endswith(f"{RUN_FILED} was repaired")

    def test_from_another_mirror(self, local: Station, tmp_path: Path, clock: SetClock) -> None:
        """The filed file is gone or another one by now: the other mirror has what was filed."""
        local.drop()
        intake = local.intake()
        once(intake)
        (tmp_path / "data" / RUN_FILED).write_text("edited by its user")
        (tmp_path / "one" / RUN_FILED).write_text("rotten")
        clock.move(25 * HOUR)
        for _ in range(2):
            once(intake)
        intake.close()
        assert (tmp_path / "one" / RUN_FILED).read_text() == "data"
        assert (tmp_path / "data" / RUN_FILED).read_text() == "edited by its user"

    def test_nothing_good_is_left(self, local: Station, tmp_path: Path, clock: SetClock) -> None:
        """It is an error in the log, and shows as outstanding."""
        local.drop()
        intake = local.intake()
        once(intake)
        for folder in ("data", "one", "two"):
            (tmp_path / folder / RUN_FILED).write_text("rotten")
        clock.move(25 * HOUR)
        for _ in range(3):
            once(intake)
        intake.close()
        assert states(local)["one", RUN_FILED] == "lost"
        assert intake.status["copies_outstanding"].get_value() == 2
        (tmp_path / "data" / RUN_FILED).write_text("data")
        copies = FileCopies(local.app.database(), local.app.clock)
        assert copies.outstanding()["one"].copies == 1


def test_a_mirror_that_hangs_does_not_hold_up_the_end(local: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a file server that is gone: its thread ends with the process."""
    answers = threading.Event()
    monkeypatch.setattr("Services.Intake.mirrors.directory.DirectoryMirror.check", lambda self: answers.wait(LIMIT))
    local.drop()
    intake = local.intake()
    try:
        monkeypatch.setattr(intake._copying, "_wait", lambda: None)
        intake.once()
        local.app.stop_event.set()
        intake.close()
        threads = list(intake._copying._running.values())
        assert [thread.done() for thread in threads] == [False, False]
    finally:
        answers.set()
    wait(threads, LIMIT)
    assert local.tree() == {}, "what was filed is filed"


def test_a_copy_that_was_undone_meanwhile_is_left(local: Station, clock: SetClock) -> None:
    """What a slow mirror says late changes nothing."""
    local.drop()
    intake = local.intake()
    once(intake)
    intake.close()
    copies = FileCopies(local.app.database(), clock)
    clock.move(25 * HOUR)
    late: list[FileCopy] = copies.to_check("one", clock.now())
    local.undo()
    copies.damaged(late[0], "late")
    assert set(states(local).values()) == {"left"}
    assert IntakeMoves(local.app.database(), clock).history()[0].source in ("", str(local.inbox / RUN))
