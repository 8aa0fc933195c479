"""One move: nothing is replaced, a file that changes is not moved, and the disk has a name before the database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.facility.intake_moves import IntakeMoves
from NexusCore.files import Folder
from Services.Intake import moving, renaming
from Services.Intake.filing import Filer, Filing, FilingFacts
from Services.Intake.planning import Entry, InboxFacts, plan
from Services.Intake.rules.rule import Conflict, FilingRule
from Services.Intake.scanning import scan
from Services.Intake.targets import DiskTargets
from tests.disks import mounted
from tests.services.filing import Station, station_on


@pytest.fixture
def station(sqlite_url: str, tmp_path: Path) -> Iterator[Station]:
    with station_on(sqlite_url, tmp_path) as one:
        yield one


@pytest.fixture(params=["rename", "link", "copy"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Lend a root for targets: on the same file system, on one without the flag of the rename, and on another one."""
    if request.param == "copy":
        with mounted(tmp_path / "target", "1m") as place:
            yield place
        return
    if request.param == "link":
        monkeypatch.setattr(renaming, "_renameat2", lambda: None)
    (tmp_path / "target").mkdir()
    yield tmp_path / "target"


def entries_of(station: Station, target: Path, conflict: str = Conflict.REFUSE) -> list[Entry]:
    rule = FilingRule("r", path="all/{name}", target=str(target), ready="rename", conflict=conflict)
    files = scan(station.inbox, (), subfolders=False).files
    return plan(files, [rule], InboxFacts("det", station.inbox, station.inbox), DiskTargets(station.inbox))


def carried_out(station: Station, entries: list[Entry], target: Path) -> Filing:
    filer = Filer(station.moves, SYSTEM_CLOCK, "me/", 30, lambda: False)
    return filer.file(entries, FilingFacts("det", station.inbox, None), [station.inbox, target])


class TestNothingIsReplaced:
    def test_a_name_that_was_taken_since_the_plan(self, station: Station, target: Path) -> None:
        """By another program, after the plan was made: its file stays, and ours does."""
        station.drop("a", "ours")
        entries = entries_of(station, target)
        (target / "all").mkdir()
        (target / "all/a").write_text("theirs")
        done = carried_out(station, entries, target)
        assert [failure.reason for failure in done.failures] == ["its target has just been taken by another file"]
        assert (station.tree(), station.tree(target)) == ({"a": "ours"}, {"all/a": "theirs"})
        assert station.history() == []

    def test_a_name_that_is_taken_at_the_last_moment(
        self, station: Station, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        station.drop("a", "ours")
        rename = renaming.rename_new

        def late(source: Folder, name: str, folder: Folder, new_name: str) -> None:
            (folder.path / new_name).write_text("theirs")
            rename(source, name, folder, new_name)

        monkeypatch.setattr(moving, "rename_new", late)
        done = carried_out(station, entries_of(station, target), target)
        assert len(done.failures) == 1
        assert (station.tree(), station.tree(target)) == ({"a": "ours"}, {"all/a": "theirs"})

    def test_what_was_the_same_is_another_now(self, station: Station, target: Path) -> None:
        """The source is not removed for a target that has another content by now."""
        station.drop("a", "ours")
        (target / "all").mkdir()
        (target / "all/a").write_text("ours")
        entries = entries_of(station, target, Conflict.SAME_IS_DONE)
        (target / "all/a").write_text("OURS")
        done = carried_out(station, entries, target)
        assert "has another content now" in done.failures[0].reason
        assert station.tree() == {"a": "ours"}

    def test_the_target_is_the_source(self, station: Station, tmp_path: Path) -> None:
        """The root of the target is a link to the inbox: the only copy is not taken for a second one."""
        (tmp_path / "other").symlink_to(station.inbox)
        station.drop("a", "ours")
        rule = FilingRule("r", path="{name}", target=str(tmp_path / "other"), conflict=Conflict.SAME_IS_DONE)
        files = scan(station.inbox, (), subfolders=False).files
        facts = InboxFacts("det", station.inbox, station.inbox)
        entries = plan(files, [rule], facts, DiskTargets(station.inbox))
        done = carried_out(station, entries, tmp_path / "other")
        assert done.filed == []
        assert station.tree() == {"a": "ours"}


class TestAFileThatChanges:
    def test_since_the_plan(self, station: Station, target: Path) -> None:
        path = station.drop("a")
        entries = entries_of(station, target)
        path.write_text("more data")
        assert carried_out(station, entries, target).failures[0].reason == "it has changed"
        assert station.tree() == {"a": "more data"}

    def test_another_one_of_its_name(self, station: Station, target: Path) -> None:
        """Replaced by a file of the same size and time."""
        path = station.drop("a", age=60)
        entries = entries_of(station, target)
        state = path.stat()
        (station.inbox.parent / "b").write_text("DATA")
        (station.inbox.parent / "b").rename(path)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert carried_out(station, entries, target).failures[0].reason == "it has changed"
        assert station.tree() == {"a": "DATA"}

    def test_replaced_by_a_link(self, station: Station, target: Path, tmp_path: Path) -> None:
        """What it leads to is not read, moved or removed."""
        (tmp_path / "secret").write_text("data")
        path = station.drop("a")
        entries = entries_of(station, target)
        path.unlink()
        path.symlink_to(tmp_path / "secret")
        assert len(carried_out(station, entries, target).failures) == 1
        assert station.tree(target) == {}
        assert (tmp_path / "secret").read_text() == "data"

    @pytest.mark.parametrize("target", ["copy"], indirect=True)
    @pytest.mark.parametrize("moment", ["read", "compared", "published"])
    def test_while_it_is_copied(
        self, station: Station, target: Path, monkeypatch: pytest.MonkeyPatch, moment: str
    ) -> None:
        path = station.drop("a", "data" * 10)

        def grow() -> None:
            with path.open("a") as writer:
                writer.write("more")

        if moment == "read":
            write = moving._write_all
            monkeypatch.setattr(moving, "_write_all", lambda there, data: (grow(), write(there, data)))
        elif moment == "compared":
            total = moving.Carrier.sum
            monkeypatch.setattr(moving.Carrier, "sum", lambda self, there: (grow(), total(self, there))[1])
        else:
            rename = renaming.rename_new
            monkeypatch.setattr(moving, "rename_new", lambda *words: (grow(), rename(*words)))
        done = carried_out(station, entries_of(station, target), target)
        assert "changed while it was copied" in done.failures[0].reason
        assert station.tree(target) == {}
        assert station.tree()["a"].startswith("data" * 10 + "more")
        assert station.history() == []


def test_the_disk_has_the_name_before_the_database_does(
    station: Station, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a loss of power the history would otherwise name files that are where they were."""
    steps: list[str] = []
    sync, filed = Folder.sync, IntakeMoves.filed
    monkeypatch.setattr(Folder, "sync", lambda self: (steps.append(self.path.name), sync(self))[1])
    monkeypatch.setattr(IntakeMoves, "filed", lambda self, done: (steps.append("database"), filed(self, done))[1])
    station.drop("a")
    assert len(carried_out(station, entries_of(station, target), target).filed) == 1
    assert steps[-1] == "database"
    assert {"all", "drop"} <= set(steps[:-1])
