"""What was filed can be put back, and what would be filed is shown before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.facility.intake_move import MoveState
from Services.Intake.commands.dry_run import planned as dry_plan
from Services.Intake.commands.dry_run import shown
from Services.Intake.commands.session import CommandContext
from Services.Intake.planning import Outcome
from Services.Intake.settings import read
from tests.services.filing import RUN, Station, station_on


@pytest.fixture
def station(database_url: str, tmp_path: Path) -> Iterator[Station]:
    with station_on(database_url, tmp_path) as one:
        yield one


@pytest.fixture
def local(sqlite_url: str, tmp_path: Path) -> Iterator[Station]:
    with station_on(sqlite_url, tmp_path) as one:
        yield one


class TestUndo:
    """Names and bytes are what they were before; what has changed since stays."""

    def test_all(self, station: Station) -> None:
        before = {f"EMChists_{number}_B_t.root": str(number) for number in range(20)}
        for name, content in before.items():
            station.drop(name, content)
        assert len(station.run().filed) == 20
        undone = station.undo()
        assert (len(undone.files), undone.kept) == (20, [])
        assert station.tree() == before
        assert sorted(path.name for path in station.inbox.iterdir()) == sorted(before), "no empty folders are left"
        assert {move.state for move in station.history()} == {MoveState.UNDONE}
        report = station.run()
        assert report.filed == []
        assert {file.reason for file in report.remaining} == {
            "it was put back by an undo; it is filed again when it or its rule changes"
        }
        station.drop("EMChists_3_B_t.root", "another")
        assert len(station.run().filed) == 1
        station.root.rule("overwatch", path="{run}/{name}")
        assert len(station.run().filed) == 19

    def test_what_has_changed_stays(self, local: Station) -> None:
        names = [f"EMChists_{number}_B_t.root" for number in range(5)]
        for name in names:
            local.drop(name)
        local.run()
        filed = [local.inbox / f"Run{number}/EMC/EMChists.t.root" for number in range(5)]
        filed[0].write_text("DATA")
        filed[1].unlink()
        filed[2].unlink()
        filed[2].symlink_to("/etc/passwd")
        local.drop(names[3], "new")
        undone = local.undo()
        assert [move.source for move in undone.files] == [str(local.inbox / names[4])]
        reasons = {Path(move.target).parts[-3]: reason for move, reason in undone.kept if move.source}
        assert reasons["Run0"] == "its content is not what was filed"
        assert reasons["Run1"] == "it is not there any more"
        assert "Run2" in reasons
        assert reasons["Run3"] == f"there is another file at {local.inbox / names[3]}"
        assert local.tree()[names[3]] == "new"
        assert local.tree()["Run3/EMC/EMChists.t.root"] == "data"

    def test_only_one_rule_and_time(self, local: Station) -> None:
        local.drop()
        local.run()
        assert local.undo(rule="microscope").files == []
        assert local.undo(since=local.app.clock.now()).files == []
        assert len(local.undo().files) == 1

    def test_what_was_the_same(self, local: Station) -> None:
        """The one whose source was removed gets its file again; the other one stays as it is until it is its turn."""
        local.root.rule("overwatch", conflict="same_is_done")
        local.drop()
        local.run()
        local.drop("EMChists_300005_C_2015_11_24_18_05_10.root")
        local.run()
        local.undo()
        assert local.tree() == {RUN: "data", "EMChists_300005_C_2015_11_24_18_05_10.root": "data"}


class TestDryRun:
    """What is shown is what is done."""

    def test_it_is_shown(self, local: Station) -> None:
        for name in (RUN, "EMChistos_1_B_t.root", "EMChists_1_B_t.root", "x.txt"):
            local.drop(name)
        config = local.config
        session = CommandContext(
            local.app.database(), config, read(config), local.moves, local.app.clock, "me", local.app.stop_event,
            None, None,  # type: ignore[arg-type]
        )  # fmt: skip
        inbox = session.settings.inboxes[0]
        entries = dry_plan(session, inbox, None)[0]
        text = "\n".join(shown(inbox, entries))
        assert f"EMChists.2015_11_24_18_05_10.root  <- {RUN}" in text
        assert "1 file would be filed into 1 folder; 1 note; 2 collisions" in text
        assert "EMChists_1_B_t.root: its target is Run1/EMC/EMChists.t.root, but 2 files have the same target" in text
        assert "1 file taken by no rule:\n    x.txt" in text
        assert len(local.tree()) == 4
        invented = dry_plan(session, inbox, ["EMChists_7_B_t.root", "", "a/b\x1b.root"])[0]
        assert [entry.outcome for entry in invented] == [Outcome.FILE, Outcome.REFUSED]
