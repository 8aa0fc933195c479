"""Overwatch's functions that move received files into the folders of their runs: `Services.Intake.overwatch`."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Services.Intake import overwatch, run_moves
from Services.Intake.run_moves import RunFilesRefused, RunMoveFailed
from tests.processes import LIMIT, PROJECT
from tests.services.overwatch_folders import TIME, contents, received, tree

LATER = "2015_11_24_18_09_12"
FIRST, SECOND = f"EMChistos_300005_B_{TIME}.root", f"EMChistos_300005_B_{LATER}.root"
Failing = Callable[..., None]


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


class TestEnumerateFiles:
    """004-22: names with the subsystem's and ".root" in them."""

    def test_by_name_alone(self, inbox: Path) -> None:
        wanted = ("EMChistos_1_B_x.root", "EMChists_1_B_x.root.tmp", "xEMCx.rootfoo")
        received(inbox, *wanted, ".EMChists_1_B_x.root", "emchists_1_B_x.root", "EMChists_1_B_x.ROOT", "TPChists.root")
        (inbox / "EMCdir.root").mkdir()
        assert overwatch.enumerateFiles(str(inbox), "EMC") == ["EMCdir.root", *wanted]
        assert overwatch.enumerateFiles(str(inbox), "HLT") == []

    def test_of_the_working_directory(self, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        received(inbox, FIRST)
        monkeypatch.chdir(inbox)
        assert overwatch.enumerateFiles("", "EMC") == [FIRST]

    def test_no_folder(self, inbox: Path) -> None:
        with pytest.raises(FileNotFoundError, match=str(inbox / "nope")):
            overwatch.enumerateFiles(str(inbox / "nope"), "EMC")


class TestMoveFiles:
    """004-23..35: from the names of the receiver to those of a run's files."""

    def test_the_example(self, inbox: Path) -> None:
        """004-23..25, 004-27, 004-31."""
        received(inbox, FIRST, SECOND)
        assert overwatch.moveFiles(str(inbox), {"EMC": [FIRST, SECOND]}) == {
            "Run300005": {"EMC": [f"EMChists.{TIME}.root", f"EMChists.{LATER}.root"], "hltMode": "B"}
        }
        assert contents(inbox) == {
            f"Run300005/EMC/EMChists.{TIME}.root": FIRST,
            f"Run300005/EMC/EMChists.{LATER}.root": SECOND,
        }

    def test_subsystems_share_their_run(self, inbox: Path) -> None:
        """004-35."""
        tpc = f"TPChists_300005_B_{TIME}.root"
        received(inbox, FIRST, tpc)
        assert overwatch.moveFiles(str(inbox), {"EMC": [FIRST], "TPC": [tpc]}) == {
            "Run300005": {"EMC": [f"EMChists.{TIME}.root"], "TPC": [f"TPChists.{TIME}.root"], "hltMode": "B"}
        }

    def test_replayed_data_are_kept_apart(self, inbox: Path) -> None:
        """004-28, 004-29: the key is that of the run, the mode in upper case."""
        name = f"HLThists_300006_e_{TIME}.root"
        received(inbox, name)
        assert overwatch.moveFiles(str(inbox), {"HLT": [name]}) == {
            "Run300006": {"HLT": [f"HLThists.{TIME}.root"], "hltMode": "E"}
        }
        assert tree(inbox) == [f"ReplayData/Run300006/HLT/HLThists.{TIME}.root"]

    @pytest.mark.parametrize(
        ("name", "run", "mode", "new"),
        [
            ("EMChists_1_b.root", "Run1", "B", "EMChists..root"),
            ("EMChists_1_DQM_1970_01_02.root", "Run1", "DQM", "EMChists.1970_01_02.root"),
            (f"any prefix EMC_1_B_{TIME}.root", "Run1", "B", f"EMChists.{TIME}.root"),
            (f"EMChists_1_B_{TIME}.root.part", "Run1", "B", f"EMChists.{TIME}.part.root"),
            ("EMC.roothists_1_B.root_x.root", "Run1", "B", "EMChists.x.root"),
            ("EMChists_.._B_x.root", "Run..", "B", "EMChists.x.root"),
            ("EMChists__B_é\n.root", "Run", "B", "EMChists.é\n.root"),
        ],
    )
    def test_what_is_read_from_a_name(self, inbox: Path, name: str, run: str, mode: str, new: str) -> None:
        """004-23, 004-26..28, 004-31."""
        received(inbox, name)
        assert overwatch.moveRootFiles(str(inbox), ["EMC"]) == {run: {"EMC": [new], "hltMode": mode}}
        assert contents(inbox) == {f"{run}/EMC/{new}": name}

    def test_a_short_name_stays(self, inbox: Path) -> None:
        """004-26, 004-30: and no folder is made for it."""
        received(inbox, "EMC.root", "EMChists_1.root")
        assert overwatch.moveRootFiles(str(inbox), ["EMC"]) == {}
        assert tree(inbox) == ["EMC.root", "EMChists_1.root"]

    def test_existing_folders_are_used(self, inbox: Path) -> None:
        """004-30."""
        received(inbox, FIRST, "Run300005/EMC/EMChists.earlier.root")
        overwatch.moveRootFiles(str(inbox), ["EMC"])
        assert tree(inbox) == [f"Run300005/EMC/EMChists.{TIME}.root", "Run300005/EMC/EMChists.earlier.root"]

    def test_the_mode_of_a_run_is_the_first(self, inbox: Path) -> None:
        """004-33: the files go by their own."""
        received(inbox, f"EMChists_1_B_{LATER}.root", f"EMChists_1_E_{TIME}.root")
        assert overwatch.moveRootFiles(str(inbox), ["EMC"]) == {
            "Run1": {"EMC": [f"EMChists.{LATER}.root", f"EMChists.{TIME}.root"], "hltMode": "B"}
        }
        assert tree(inbox) == [f"ReplayData/Run1/EMC/EMChists.{TIME}.root", f"Run1/EMC/EMChists.{LATER}.root"]

    def test_what_is_logged(self, inbox: Path, caplog: pytest.LogCaptureFixture) -> None:
        """004-34."""
        received(inbox, FIRST)
        with caplog.at_level(logging.INFO, "Services.Intake"):
            overwatch.moveFiles(str(inbox), {"HLT": [], "EMC": [FIRST]})
        assert [record.message for record in caplog.records] == [
            "No files to move in HLT",
            f"Moving {inbox / FIRST} to {inbox}/Run300005/EMC/EMChists.{TIME}.root",
        ]

    def test_by_shutil(self, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """004-32: by `shutil.move`, called as such."""
        moved: list[tuple[Any, Any]] = []
        move = shutil.move
        monkeypatch.setattr(shutil, "move", lambda old, new, **more: moved.append((old, new)) or move(old, new, **more))
        received(inbox, FIRST)
        overwatch.moveRootFiles(str(inbox), ["EMC"])
        assert moved == [(inbox / FIRST, inbox / f"Run300005/EMC/EMChists.{TIME}.root")]
        assert "from shutil import" not in Path(run_moves.__file__).read_text()

    def test_in_the_working_directory(self, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """004-36: an empty prefix, also of a folder with nothing to move."""
        monkeypatch.chdir(inbox)
        assert overwatch.moveRootFiles("", ["EMC", "HLT"]) == {}
        assert tree(inbox) == ["./"]
        received(inbox, FIRST)
        assert list(overwatch.moveRootFiles("", ["EMC", "HLT"])) == ["Run300005"]
        assert tree(inbox) == [f"Run300005/EMC/EMChists.{TIME}.root"]


class TestWhatIsNoFileStays:
    """A folder, link or pipe with a receiver's name is no data; the files beside it are moved."""

    def test_it_stays_with_a_warning(self, inbox: Path, caplog: pytest.LogCaptureFixture) -> None:
        received(inbox, "elsewhere", FIRST)
        folder, link, pipe = (f"EMC{kind}_1_B_x.root" for kind in ("folder", "link", "pipe"))
        (inbox / folder).mkdir()
        (inbox / link).symlink_to(inbox / "elsewhere")
        os.mkfifo(inbox / pipe)
        assert overwatch.moveRootFiles(str(inbox), ["EMC"]) == {
            "Run300005": {"EMC": [f"EMChists.{TIME}.root"], "hltMode": "B"}
        }
        assert sorted(path.name for path in inbox.iterdir()) == [folder, link, pipe, "Run300005", "elsewhere"]
        kinds = ("a folder", "a symbolic link", "a pipe, a socket or a device")
        for name, kind in zip((folder, link, pipe), kinds, strict=True):
            assert f"{inbox / name} stays: it is not a file, but {kind}" in caplog.text


class TestNothingIsOverwritten:
    """004-24, 004-31: what would cost a file is refused before the first one is moved, and named."""

    def refused(self, inbox: Path, *subsystems: str) -> str:
        """Return the sentence of the refusal, after which everything is as before."""
        before = contents(inbox)
        with pytest.raises(RunFilesRefused) as raised:
            overwatch.moveRootFiles(str(inbox), subsystems)
        assert contents(inbox) == before
        sentence = str(raised.value).replace(f"{inbox}/", "")
        assert sentence.startswith("No file was moved: ")
        return sentence.removeprefix("No file was moved: ")

    def test_an_existing_target(self, inbox: Path) -> None:
        received(inbox, FIRST, SECOND, f"Run300005/EMC/EMChists.{LATER}.root")
        assert self.refused(inbox, "EMC") == (
            f"'{SECOND}' would replace 'Run300005/EMC/EMChists.{LATER}.root', which exists (47 bytes)."
        )

    def test_two_sources_with_one_target(self, inbox: Path) -> None:
        received(inbox, FIRST, f"EMChists_300005_B_{TIME}.root")
        assert self.refused(inbox, "EMC") == (
            f"'{FIRST}' and 'EMChists_300005_B_{TIME}.root' would both become 'Run300005/EMC/EMChists.{TIME}.root'."
        )

    def test_a_name_of_two_subsystems(self, inbox: Path) -> None:
        """Overwatch moves it for the first one, and fails at the second with files moved."""
        received(inbox, FIRST, f"EMCHLThists_1_B_{TIME}.root")
        sentence = self.refused(inbox, "EMC", "HLT")
        assert sentence == f"'EMCHLThists_1_B_{TIME}.root' belongs to two subsystems, EMC and HLT."

    def test_all_reasons_are_named(self, inbox: Path) -> None:
        names = [f"EMChists_{run}_B_x.root" for run in range(8)]
        received(inbox, *names, *(f"Run{run}/EMC/EMChists.x.root" for run in range(8)))
        sentence = self.refused(inbox, "EMC")
        assert sentence.count("would replace") == 5
        assert sentence.endswith("; and 3 more.")

    @pytest.mark.parametrize("place", ["Run300005", "Run300005/EMC"])
    def test_something_else_has_the_name_of_a_folder(self, inbox: Path, place: str) -> None:
        received(inbox, FIRST, place)
        assert self.refused(inbox, "EMC") == f"'{place}' is not a folder, but a file."

    def test_a_link_leads_nowhere_else(self, inbox: Path, tmp_path: Path) -> None:
        """Whoever may write into the folder could have files put anywhere."""
        (tmp_path / "elsewhere").mkdir()
        received(inbox, FIRST)
        (inbox / "Run300005").symlink_to(tmp_path / "elsewhere")
        assert self.refused(inbox, "EMC") == "'Run300005' is not a folder, but a symbolic link."
        assert tree(tmp_path / "elsewhere") == ["./"]

    def test_a_new_name_that_is_too_long(self, inbox: Path) -> None:
        name = f"EMC_1_B_{'x' * 242}.root"
        assert len(name) == 255
        received(inbox, name)
        assert self.refused(inbox, "EMC").endswith("(the name is too long).")

    @pytest.mark.parametrize(
        ("lists", "reason"),
        [
            ({"EMC": [FIRST, "EMChists_1_B_gone.root"]}, "cannot be found (No such file or directory)."),
            ({"EMC": [FIRST, FIRST]}, f"'{FIRST}' is named twice."),
            ({"EMC": ["../other_1_B_x.root"]}, "'../other_1_B_x.root' is not the name of a file."),
            ({"EMC": [".."]}, "'..' is not the name of a file."),
            ({"../EMC": [FIRST]}, "'../EMC' cannot be the name of a subsystem."),
            ({"..": [FIRST]}, "'..' cannot be the name of a subsystem."),
            ({"hltMode": [FIRST]}, "'hltMode' cannot be the name of a subsystem."),
        ],
    )
    def test_lists_that_cannot_be_right(self, inbox: Path, lists: dict[str, list[str]], reason: str) -> None:
        received(inbox, FIRST)
        received(inbox.parent, "other_1_B_x.root")
        with pytest.raises(RunFilesRefused) as raised:
            overwatch.moveFiles(str(inbox), lists)
        assert str(raised.value).endswith(reason)
        assert tree(inbox) == [FIRST]
        assert (inbox.parent / "other_1_B_x.root").exists()

    def test_a_file_that_appears_at_that_moment(self, inbox: Path) -> None:
        """After the checks, another program puts a file where one is to be moved: it stays, and so does ours."""
        received(inbox, FIRST, SECOND)
        plan = run_moves.plan(inbox, {"EMC": [FIRST, SECOND]})
        received(inbox, f"Run300005/EMC/EMChists.{LATER}.root")
        before = contents(inbox)
        with pytest.raises(RunMoveFailed, match=r"\(File exists\)\. The files moved before were moved back\."):
            run_moves.carry_out(plan)
        assert contents(inbox) == before


class TestAllOrNothing:
    """004-33: a move that fails leaves none half done, since the mode is in the old names alone."""

    @pytest.fixture
    def fail_at(self, monkeypatch: pytest.MonkeyPatch) -> Failing:
        """Return a function that has the n-th call of `shutil.move`, and later ones if so, raise an error."""
        move, calls = shutil.move, 0

        def fail(number: int, error: BaseException, *, later: bool = False, after: bool = False) -> None:
            def moving(old: Any, new: Any, **more: Any) -> Any:
                nonlocal calls
                calls += 1
                fails = calls == number or (later and calls > number)
                if after or not fails:
                    move(old, new, **more)
                if fails:
                    raise error

            monkeypatch.setattr(shutil, "move", moving)

        return fail

    @pytest.mark.parametrize("number", [1, 2, 3])
    @pytest.mark.parametrize("after", [False, True])
    def test_the_moves_before_are_undone(self, inbox: Path, fail_at: Failing, number: int, after: bool) -> None:
        """Also the failing one, if it was made nevertheless; folders that were made are removed."""
        received(inbox, FIRST, SECOND, f"HLThists_1_E_{TIME}.root")
        before = contents(inbox)
        fail_at(number, OSError(errno.ENOSPC, "No space left on device"), after=after)
        others = "No other file was moved." if number == 1 else "The files moved before were moved back."
        with pytest.raises(RunMoveFailed) as raised:
            overwatch.moveRootFiles(str(inbox), ["EMC", "HLT"])
        assert str(raised.value).endswith(f"(No space left on device). {others}")
        assert contents(inbox) == before
        assert tree(inbox) == sorted(before), "no folder stays"

    def test_what_cannot_be_undone_is_named(self, inbox: Path, fail_at: Failing) -> None:
        received(inbox, FIRST, SECOND)
        fail_at(2, OSError(errno.EIO, "Input/output error"), later=True)
        with pytest.raises(RunMoveFailed) as raised:
            overwatch.moveRootFiles(str(inbox), ["EMC"])
        new = f"Run300005/EMC/EMChists.{TIME}.root"
        sentence = str(raised.value).replace(f"{inbox}/", "")
        assert sentence.endswith(f"(Input/output error). These stay moved: '{FIRST}' is '{new}'.")
        assert contents(inbox) == {new: FIRST, SECOND: SECOND}

    def test_ctrl_c(self, inbox: Path, fail_at: Failing) -> None:
        received(inbox, FIRST, SECOND)
        fail_at(2, KeyboardInterrupt(), after=True)
        with pytest.raises(KeyboardInterrupt):
            overwatch.moveRootFiles(str(inbox), ["EMC"])
        assert contents(inbox) == {FIRST: FIRST, SECOND: SECOND}

    def test_a_file_that_vanishes(self, inbox: Path) -> None:
        """Somebody else took it: nothing stands in its place, and the others are where they were."""
        received(inbox, FIRST, SECOND)
        plan = run_moves.plan(inbox, {"EMC": [FIRST, SECOND]})
        (inbox / SECOND).unlink()
        with pytest.raises(RunMoveFailed, match="No such file or directory"):
            run_moves.carry_out(plan)
        assert tree(inbox) == [FIRST]

    def test_killed(self, inbox: Path) -> None:
        """After kill -9 each file exists whole, once; what was not yet moved is moved by the next call."""
        names = [f"EMChists_{run}_B_{TIME}.root" for run in range(400)]
        received(inbox, *names)
        program = f"""
from Services.Intake import overwatch, run_moves
move, count = run_moves.move_without_replacing, 0
def moving(old, new):
    global count
    move(old, new)
    count += 1
    if count == 150:
        print(flush=True)
run_moves.move_without_replacing = moving
overwatch.moveRootFiles({str(inbox)!r}, ["EMC"])
"""
        process = subprocess.Popen([sys.executable, "-c", program], cwd=PROJECT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=LIMIT)
        claimed = [name for name, content in contents(inbox).items() if not content]
        assert len(claimed) <= 1, "at most the one that was being moved has its name claimed"
        for name in claimed:
            (inbox / name).unlink()
        assert sorted(contents(inbox).values()) == sorted(names)
        overwatch.moveRootFiles(str(inbox), ["EMC"])
        assert contents(inbox) == {f"Run{run}/EMC/EMChists.{TIME}.root": name for run, name in enumerate(names)}


class TestAnotherFileSystem:
    """A run's folder may be on another disk: what was copied is compared before the original is removed."""

    @pytest.fixture
    def across(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have files renamed nowhere, as between two file systems."""

        def refuse(*arguments: object, **more: object) -> None:
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(os, "rename", refuse)

    def test_it_is_copied(self, inbox: Path, across: None) -> None:
        received(inbox, FIRST)
        os.utime(inbox / FIRST, (1, 10**9))
        (inbox / FIRST).chmod(0o640)
        overwatch.moveRootFiles(str(inbox), ["EMC"])
        new = f"Run300005/EMC/EMChists.{TIME}.root"
        assert contents(inbox) == {new: FIRST}
        status = (inbox / new).stat()
        assert (status.st_mtime, status.st_mode & 0o777) == (10**9, 0o640)

    def test_a_copy_that_differs(self, inbox: Path, across: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "copy2", lambda source, target: Path(target).write_text("flipped"))
        received(inbox, FIRST)
        with pytest.raises(RunMoveFailed, match="the copy differs from the file"):
            overwatch.moveRootFiles(str(inbox), ["EMC"])
        assert contents(inbox) == {FIRST: FIRST}

    def test_a_full_disk(self, inbox: Path, across: None, monkeypatch: pytest.MonkeyPatch) -> None:
        def copy(source: str, target: str) -> None:
            Path(target).write_text("ha")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(shutil, "copy2", copy)
        received(inbox, FIRST)
        with pytest.raises(RunMoveFailed, match="No space left on device"):
            overwatch.moveRootFiles(str(inbox), ["EMC"])
        assert contents(inbox) == {FIRST: FIRST}


PARTS = st.sampled_from(["EMC", "HLT", "TPC", "hists", "histos", "_", "_", "1", "B", "E", "b", ".root", ".", "x", " "])
NAMES = st.lists(st.lists(PARTS, min_size=4, max_size=9).map("".join), max_size=12, unique=True)


@given(names=NAMES)
def test_whatever_the_names_no_file_is_lost(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    """004-36: either all that can be moved is where the result says, or everything is as before."""
    inbox = tmp_path_factory.mktemp("in")
    names = [name for name in names if name not in (".", "..")]
    received(inbox, *names)
    try:
        runs = overwatch.moveRootFiles(str(inbox), ["EMC", "HLT"])
    except RunFilesRefused:
        assert contents(inbox) == {name: name for name in names}
        return
    found = contents(inbox)
    assert sorted(found.values()) == sorted(names)
    moved = {name for name in found if "/" in name}
    claimed = 0
    for run, files in runs.items():
        for subsystem in files.keys() - {"hltMode"}:
            for new in files[subsystem]:
                claimed += 1
                places = {f"{run}/{subsystem}/{new}", f"ReplayData/{run}/{subsystem}/{new}"} & moved
                assert places, (run, subsystem, new)
                assert all(subsystem in found[place] for place in places)
    assert claimed == len(moved)
