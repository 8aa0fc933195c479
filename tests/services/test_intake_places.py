"""Folders that lie in each other: what would feed itself for ever is refused with a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.facility.inboxes import Inbox
from Services.Intake.places import loops
from Services.Intake.settings import IntakeSettings, read
from tests.services.filing import RUN, Station, station_on


@pytest.fixture
def station(sqlite_url: str, tmp_path: Path) -> Iterator[Station]:
    with station_on(sqlite_url, tmp_path) as one:
        yield one


def settings_of(station: Station) -> IntakeSettings:
    return read(station.config)


class TestMirrors:
    """A mirror in a folder from which files are taken, or in which they are filed, would copy its own copies."""

    @pytest.mark.parametrize("place", ["drop", "drop/in/it", "data", "data/in/it", ".", "target", "target/in"])
    def test_a_mirror_is_apart(self, station: Station, tmp_path: Path, place: str) -> None:
        station.root.rule("overwatch", target=str(tmp_path / "target"))
        station.root.mirror("v", path=str(tmp_path / place))
        settings = settings_of(station)
        assert settings.mirrors == ()
        assert "where files are received or filed" in settings.faults["Services.Intake.mirrors.v"]

    def test_one_beside_them_is_fine(self, station: Station, tmp_path: Path) -> None:
        station.root.mirror("v", path=str(tmp_path / "drop2"))
        settings = settings_of(station)
        assert ([mirror.name for mirror in settings.mirrors], settings.faults) == (["v"], {})

    def test_a_link_does_not_hide_it(self, station: Station, tmp_path: Path) -> None:
        (station.inbox / "v").mkdir()
        (tmp_path / "vault").symlink_to(station.inbox / "v")
        station.root.inbox(subfolders=True)
        station.root.mirror("v", path=str(tmp_path / "vault"))
        station.drop()
        intake = station.intake()
        intake.once()
        assert list((station.inbox / "v").iterdir()) == []
        assert "where files are received or filed" in intake.status["mirror v"].get_value()
        intake.close()

    @pytest.mark.parametrize("address", ["a/b:/x", "./host:/x", "/x", "host", ":x", "-e:/x"])
    def test_an_address_that_rsync_takes_for_a_folder_here(self, station: Station, address: str) -> None:
        station.root.mirror("v", kind="rsync", path=address)
        assert "use host:/folder" in settings_of(station).faults["Services.Intake.mirrors.v"]

    @pytest.mark.parametrize("address", ["host:/x", "me@host:x/y", "rsync://host/module/x", "rsync://host:873/m"])
    def test_an_address_of_another_host(self, station: Station, address: str) -> None:
        station.root.mirror("v", kind="rsync", path=address)
        assert settings_of(station).faults == {}


class TestInboxes:
    @pytest.mark.parametrize(("place", "subfolders"), [("/", False), ("data", False), ("data", True), (".", True)])
    def test_a_drop_folder_is_its_own(self, station: Station, tmp_path: Path, place: str, subfolders: bool) -> None:
        station.root.inbox("all", path=str(tmp_path / place), subfolders=subfolders)
        settings = settings_of(station)
        assert "use a folder of its own" in settings.faults["Services.Intake.inboxes.all"]
        assert "all" not in [inbox.name for inbox in settings.inboxes]

    def test_in_another_one(self, station: Station) -> None:
        """The outer one has its files, if it looks into subfolders."""
        station.root.inbox("inner", path=str(station.inbox / "inner"))
        assert settings_of(station).faults == {}
        station.root.inbox(subfolders=True)
        settings = settings_of(station)
        assert "is in the folder of the inbox 'det'" in settings.faults["Services.Intake.inboxes.inner"]
        assert [inbox.name for inbox in settings.inboxes] == ["det"]

    @pytest.mark.parametrize("path", ["", "drop", "./drop"])
    def test_a_path_is_quoted_as_it_was_given(self, station: Station, path: str) -> None:
        station.root.inbox("odd", path=path)
        assert f"inboxes.odd.path is '{path}'" in settings_of(station).faults["Services.Intake.inboxes.odd"]

    def test_a_rule_that_does_not_exist(self, station: Station) -> None:
        station.root.inbox(rules="overwach")
        fault = settings_of(station).faults["Services.Intake.inboxes.det.rules"]
        assert fault.endswith("which does not exist. Did you mean 'overwatch'?")


@pytest.mark.parametrize("root", ["", "data", "."])
def test_a_relative_target_needs_the_root_of_data(station: Station, root: str) -> None:
    """Else files would go to where Intake was started."""
    station.root.inbox("titan", path=str(station.inbox.parent / "titan"), rules="microscope")
    station.config["Facility.data_root"] = root
    settings = settings_of(station)
    assert "Facility.data_root, and that is not set" in settings.faults["Services.Intake.rules.microscope"]
    assert "microscope" not in settings.rules
    assert "overwatch" in settings.rules


class TestLoops:
    """Rules that file into each other's inboxes: a rule does not file again what it has filed."""

    @pytest.mark.parametrize("conflict", ["refuse", "keep_both"])
    def test_what_comes_back_stays(self, station: Station, tmp_path: Path, conflict: str) -> None:
        for name, other in (("det", "b"), ("b", "c"), ("c", "det")):
            folder = station.inbox if other == "det" else tmp_path / other
            folder.mkdir(exist_ok=True)
            rule = {"target": str(folder), "path": "{name}", "conflict": conflict, "ready": "rename"}
            station.root.rule(f"to-{other}", **rule)
            path = station.inbox if name == "det" else tmp_path / name
            station.root.inbox(name, path=str(path), rules=f"to-{other}", stable_seconds=0.0)
        station.drop(RUN)
        intake = station.intake()
        for _ in range(12):
            intake.once()
        assert len(station.history()) == 3
        assert station.tree() == {RUN: "data"}
        assert "has filed it before, and another one has brought it back" in intake.status["inbox det"].get_value()
        station.drop("another")
        intake.once()
        intake.close()
        assert len(station.history()) > 3, "what is new is filed"

    def test_a_chain_is_no_loop(self) -> None:
        a, b = Inbox("a", Path("/x/a")), Inbox("b", Path("/x/b"), subfolders=True)
        assert loops([a, b], {"a": [Path("/x/b/in")], "b": [Path("/y")]}, certain=True) == []
        assert loops([a, b], {"a": [Path("/x/b/in")], "b": [Path("/x/a")]}, certain=True) == [("a", "b")]
        assert loops([a, b], {"a": [Path("/x")], "b": [Path("/x")]}, certain=True) == []
        assert loops([a, b], {"a": [Path("/x")], "b": [Path("/x")]}, certain=False) == [("a", "b")]
