"""Files that cannot be removed, names that take too long, and what others have put in the way: the rest is filed."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.files import Folder
from Services.Intake import moving
from Services.Intake.filing import Filer, FilingFacts
from Services.Intake.moving import Carrier, Spot
from Services.Intake.planning import Outcome, collisions
from Services.Intake.recovery import Recovery
from Services.Intake.rules.rule import Conflict, FilingRule, check
from tests.disks import mounted, read_only
from tests.services.filing import RUN, RUN_FILED, Station, planned, station_on
from tests.services.test_intake_moving import carried_out, entries_of

BACKTRACKS = "(?P<a>(a|aa)+)c"
"""For a name of many a, an expression that tries all ways to divide them."""
SLOW_NAME = "a" * 90 + "b"


@pytest.fixture
def station(sqlite_url: str, tmp_path: Path) -> Iterator[Station]:
    with station_on(sqlite_url, tmp_path) as one:
        yield one


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Lend a root for targets on another file system."""
    with mounted(tmp_path / "target", "1m") as place:
        yield place


def refuse_removal(station: Station, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """Have the system refuse to remove anything from the drop folder."""
    remove = Folder.remove

    def refused(self: Folder, name: str) -> None:
        if self.path == station.inbox:
            raise OSError(error, os.strerror(error), name)
        remove(self, name)

    monkeypatch.setattr(Folder, "remove", refused)


class TestAFileThatCannotBeRemoved:
    """Its copy is taken back: the file is there once, and is tried again when its disk lets it go."""

    @pytest.mark.parametrize("error", [errno.EROFS, errno.EPERM, errno.EBUSY, errno.EIO])
    @pytest.mark.parametrize("conflict", [Conflict.REFUSE, Conflict.KEEP_BOTH])
    def test_it_is_there_once(
        self, station: Station, disk: Path, monkeypatch: pytest.MonkeyPatch, error: int, conflict: Conflict
    ) -> None:
        station.drop("a", "ours")
        with monkeypatch.context() as patch:
            refuse_removal(station, patch, error)
            for _ in range(3):
                done = carried_out(station, entries_of(station, disk, conflict), disk)
                assert "so its copy was taken back" in done.failures[0].reason
        assert (station.tree(), station.tree(disk), station.history()) == ({"a": "ours"}, {}, [])
        assert len(carried_out(station, entries_of(station, disk, conflict), disk).filed) == 1
        assert (station.tree(), station.tree(disk)) == ({}, {"all/a": "ours"})

    def test_it_is_not_copied_at_each_look(self, station: Station, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A large one would keep both disks busy."""
        station.drop("a", "ours")
        refuse_removal(station, monkeypatch, errno.EPERM)
        filer = Filer(station.moves, SYSTEM_CLOCK, "me/", 30, lambda: False)
        copies: list[str] = []
        write = Carrier._write_part
        monkeypatch.setattr(
            Carrier,
            "_write_part",
            lambda self, source, *rest: (copies.append(source.path), write(self, source, *rest))[1],
        )
        for _ in range(3):
            done = filer.file(entries_of(station, disk), FilingFacts("det", station.inbox, None), [station.inbox, disk])
            assert "cannot be removed" in done.failures[0].reason
        assert len(copies) == 1

    def test_a_drop_folder_that_is_read_only(self, station: Station, tmp_path: Path, disk: Path) -> None:
        """It is found out before anything is copied."""
        station.drop("a", "ours")
        with read_only(tmp_path / "seen", station.inbox) as inbox:
            entries = entries_of(station, disk)
            filer = Filer(station.moves, SYSTEM_CLOCK, "me/", 30, lambda: False)
            done = filer.file(entries, FilingFacts("det", inbox, None), [inbox, disk])
        assert "this user cannot remove it from" in done.failures[0].reason
        assert (station.tree(), station.tree(disk), station.history()) == ({"a": "ours"}, {}, [])

    def test_what_is_gone_meanwhile_keeps_its_copy(
        self, station: Station, disk: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An error after the removal: the copy is the only one."""
        path = station.drop("a", "ours")

        def gone(self: Carrier, source: Spot, seen: object) -> None:
            path.unlink()
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(moving.Carrier, "_remove", gone)
        assert len(carried_out(station, entries_of(station, disk), disk).filed) == 1
        assert station.tree(disk) == {"all/a": "ours"}

    def test_after_a_crash(self, station: Station, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Killed between the copy and the removal, which is refused since: the next Intake takes the copy back."""

        def killed(self: Carrier, source: Spot, seen: object) -> None:
            raise KeyboardInterrupt

        station.drop("a", "ours")
        with monkeypatch.context() as patch:
            patch.setattr(moving.Carrier, "_remove", killed)
            patch.setattr(type(station.moves), "release", lambda self, moves: None)
            with pytest.raises(KeyboardInterrupt):
                carried_out(station, entries_of(station, disk), disk)
        assert station.tree(disk) == {"all/a": "ours"}
        refuse_removal(station, monkeypatch, errno.EROFS)
        recovery = Recovery(station.moves, Carrier(lambda: False), "next/r", 30, station.app.get_log("Intake"))
        recovery.run([station.inbox, disk], ["me/"])
        assert (station.tree(), station.tree(disk), station.history()) == ({"a": "ours"}, {}, [])


class TestNamesThatTakeTooLong:
    """One name of an expression that tries everything is refused with a sentence; the others are filed."""

    def test_the_others_are_filed(self, station: Station) -> None:
        station.root.rule("slow", parse=BACKTRACKS, path="done/{name}")
        station.root.inbox(rules="slow; overwatch")
        station.drop(SLOW_NAME)
        station.drop("aaac")
        station.drop(RUN)
        report = station.run()
        assert station.tree() == {
            SLOW_NAME: "data",
            "done/aaac": "data",
            RUN_FILED: "data",
            "Run300005/runInfo.yaml": "{hltMode: 'B'}\n",
        }
        (left,) = report.remaining
        assert left.reason == (
            "the expression of its rule takes too long for this name; simplify Services.Intake.rules.slow.parse"
        )

    def test_the_other_threads_go_on(self) -> None:
        """So that a signal ends it: with the interpreter held, nothing else would run until the time is over."""
        ticks, end = [0], threading.Event()

        def tick() -> None:
            while not end.wait(0.001):
                ticks[0] += 1

        thread = threading.Thread(target=tick)
        thread.start()
        entries = planned([SLOW_NAME], FilingRule("slow", parse=BACKTRACKS))
        seen = ticks[0]
        end.set()
        thread.join()
        assert entries[SLOW_NAME].outcome is Outcome.REFUSED
        assert seen > 5

    def test_patterns_with_many_stars(self) -> None:
        rule = FilingRule("stars", names="*a" * 80 + "b", folders="*a" * 80 + "b")
        check(rule)
        assert not rule.selects("a" * 250, "a" * 250, 1)
        assert planned(["a" * 250], rule)["a" * 250].outcome is Outcome.UNMATCHED


class TestWhatIsInTheWay:
    """Links, pipes and the like keep their own files from being filed; the rule is used."""

    @pytest.mark.parametrize("place", ["Run300005", "Run300005/EMC", RUN_FILED])
    def test_a_link_keeps_no_rule_from_being_used(self, station: Station, tmp_path: Path, place: str) -> None:
        link = station.inbox / place
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(tmp_path / "elsewhere")
        station.drop()
        other = "EMChistos_7_B_2015_11_24_18_05_10.root"
        station.drop(other)
        report = station.run()
        assert [
            file.path for file in report.remaining if file.outcome is Outcome.REFUSED and "its target is" in file.reason
        ] == [RUN]
        assert (station.inbox / "Run7/EMC/EMChists.2015_11_24_18_05_10.root").is_file()
        assert not (station.inbox / other).exists()

    def test_colliding_files_still_do(self) -> None:
        entries = planned([RUN], taken={RUN_FILED: "other"})
        assert len(collisions(entries.values())) == 1

    @pytest.mark.parametrize("kind", ["link", "pipe"])
    def test_a_note_that_cannot_be_written(self, station: Station, kind: str) -> None:
        note = station.inbox / "Run300005/runInfo.yaml"
        note.parent.mkdir()
        if kind == "link":
            note.symlink_to("nowhere")
        else:
            os.mkfifo(note)
        station.drop()
        report = station.run()
        assert (station.inbox / RUN_FILED).is_file()
        assert any("its note was not written" in file.reason for file in report.remaining)
