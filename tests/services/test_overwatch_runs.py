"""Overwatch's functions for the files of runs that are there: `Services.Intake.overwatch`."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from NexusCore.errors import NexusError
from NexusCore.files import InTheWay
from Services.Intake import overwatch
from Services.Intake.overwatch import NoRunFiles
from Services.Intake.run_info import ModeRefused, RunInfoNotAMapping, RunInfoUnreadable, RunInfoWithoutMode
from Services.Intake.run_times import TimeNotInName
from tests.services.overwatch_folders import SECONDS, TIME, received

FIRST_DAY, LAST_DAY = datetime(1970, 1, 2), datetime(2037, 12, 31)  # noqa: DTZ001  local times


class TestCreateFileDictionary:
    """004-01..05: the files of a subsystem in a run by their times, and the minutes that they span."""

    def test_two_files(self, tmp_path: Path) -> None:
        """004-01, 004-02, 004-05: 242 seconds are 5 minutes; paths begin with the run."""
        received(tmp_path, f"Run123/EMC/EMChists.{TIME}.root", "Run123/EMC/EMChists.2015_11_24_18_09_12.root")
        assert overwatch.createFileDictionary(str(tmp_path), "Run123", "EMC") == [
            {
                SECONDS: f"Run123/EMC/EMChists.{TIME}.root",
                SECONDS + 242: "Run123/EMC/EMChists.2015_11_24_18_09_12.root",
            },
            5,
        ]

    def test_one_file_is_a_minute(self, tmp_path: Path) -> None:
        """004-05."""
        received(tmp_path, f"Run1/EMC/EMChists.{TIME}.root")
        assert overwatch.createFileDictionary(str(tmp_path), "Run1", "EMC")[1] == 1

    def test_what_is_left_out(self, tmp_path: Path) -> None:
        """004-03."""
        hidden = (f".EMChists.{TIME}.root", "hists.combined.1.1448388552.root", "timeSlice.1.2.abc.root", "notes.txt")
        received(tmp_path / "Run1/EMC", f"EMChists.{TIME}.root", *hidden)
        assert overwatch.createFileDictionary(str(tmp_path), "Run1", "EMC") == [
            {SECONDS: f"Run1/EMC/EMChists.{TIME}.root"}, 1,
        ]  # fmt: skip

    def test_a_dot_in_the_folder_before_the_run(self, tmp_path: Path) -> None:
        """004-04: only the path from the run on is looked at."""
        received(tmp_path / "a.b", f"Run1/EMC/EMChists.{TIME}.root")
        assert SECONDS in overwatch.createFileDictionary(str(tmp_path / "a.b"), "Run1", "EMC")[0]

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        """004-05: an IndexError, as programs expect, with a sentence."""
        (tmp_path / "Run1/EMC").mkdir(parents=True)
        with pytest.raises(IndexError, match=r"Run1/EMC has no files of a run: names with \.root") as raised:
            overwatch.createFileDictionary(str(tmp_path), "Run1", "EMC")
        assert isinstance(raised.value, NoRunFiles)

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="Run1/EMC"):
            overwatch.createFileDictionary(str(tmp_path), "Run1", "EMC")

    def test_a_name_without_a_time(self, tmp_path: Path) -> None:
        """004-04."""
        received(tmp_path, "Run1/EMC/EMChists.yesterday.root")
        with pytest.raises(TimeNotInName, match="'yesterday' does not match format"):
            overwatch.createFileDictionary(str(tmp_path), "Run1", "EMC")

    def test_two_files_of_one_second(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """004-01: a time has one file, the last by name; that the other one is left out is said."""
        received(tmp_path, f"Run1/EMC/EMCother.{TIME}.root", f"Run1/EMC/EMChists.{TIME}.root")
        found, _ = overwatch.createFileDictionary(str(tmp_path), "Run1", "EMC")
        assert found == {SECONDS: f"Run1/EMC/EMCother.{TIME}.root"}
        assert f"Run1/EMC/EMChists.{TIME}.root is left out" in caplog.text


class TestTimesInNames:
    """004-04: each form of a name has its time at a place of its own; local times are those of Zurich."""

    @pytest.mark.parametrize(
        ("name", "seconds"),
        [
            ("hists.combined.1.1448388552.root", 1448388552),
            ("timeSlice.1448388310.1448388552.4bb7fb6d258fe195f50f6360b9ceabb653ba6cc4.root", 242),
            (f"EMChistos_300005_C_{TIME}.root", SECONDS),
            (f"EMChists.{TIME}.root", SECONDS),
            (f"Run123/EMC/EMChists.{TIME}.root", SECONDS),
            ("EMChists.2018_10_22_9_53_55.root", 1540194835),
        ],
    )
    def test_each_form(self, name: str, seconds: int) -> None:
        assert overwatch.extractTimeStampFromFilename(name) == seconds

    @pytest.mark.parametrize(
        ("local", "seconds"),
        [
            ("2015_10_25_01_30_00", 1445729400),
            ("2015_10_25_02_30_00", 1445736600),  # comes twice: the second
            ("2015_10_25_03_30_00", 1445740200),
            ("2015_03_29_02_30_00", 1427592600),  # does not come at all: 03:30
        ],
    )
    def test_when_the_clock_is_changed(self, local: str, seconds: int) -> None:
        assert overwatch.extractTimeStampFromFilename(f"EMChists.{local}.root") == seconds

    @given(st.datetimes(min_value=FIRST_DAY, max_value=LAST_DAY))
    def test_each_time_comes_back(self, moment: datetime) -> None:
        """As local time, to the second, unless the clock shows it twice or never."""
        name = f"EMChists.{moment:%Y_%m_%d_%H_%M_%S}.root"
        zone = ZoneInfo("Europe/Zurich")
        offsets = {moment.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
        back = datetime.fromtimestamp(overwatch.extractTimeStampFromFilename(name), zone)
        if len(offsets) == 1:
            assert back.replace(tzinfo=None, fold=0) == moment.replace(microsecond=0, fold=0)

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            (f"a.b/EMChists.{TIME}.root", "'b/EMChists' does not match format YYYY_MM_DD_HH_mm_ss"),
            ("EMChists..root", "'' does not match format YYYY_MM_DD_HH_mm_ss"),
            ("EMChists", "'' does not match format"),
            ("EMChists.2015_13_24_18_05_10.root", "'2015_13_24_18_05_10' is not a time, month must be in 1..12"),
            ("EMChists.2015_11_24_18_05_60.root", "is not a time"),
            (f"EMChists.{TIME}\n.root", "does not match format"),
            ("hists.combined.root", "part 4 between the dots must be a whole number"),
            ("timeSlice.now.then.root", "must be a whole number"),
            ("EMChists.\x1b[31m.root", r"\x1b[31m' does not match format"),
        ],
    )
    def test_a_name_without_one(self, name: str, reason: str) -> None:
        """A ValueError, as programs expect, with a sentence."""
        with pytest.raises(ValueError) as raised:
            overwatch.extractTimeStampFromFilename(name)
        assert isinstance(raised.value, NexusError)
        assert reason in str(raised.value)


class TestFindCurrentRunDirs:
    """004-06, 004-07: folders with "Run" in the name."""

    @pytest.fixture
    def runs(self, tmp_path: Path) -> Path:
        for name in ("Run123456", "Run9", "Run10", "notRun1", "ReplayData/Run1", "other"):
            (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in/Run.txt").touch()
        return tmp_path / "in"

    def test_names_in_the_order_of_texts(self, runs: Path) -> None:
        """004-07: no files, and not what is deeper."""
        assert overwatch.findCurrentRunDirs(str(runs)) == ["Run10", "Run123456", "Run9", "notRun1"]

    def test_of_the_working_directory(self, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """004-06."""
        monkeypatch.chdir(runs)
        assert overwatch.findCurrentRunDirs() == overwatch.findCurrentRunDirs(str(runs))
        monkeypatch.chdir(runs.parent)
        assert overwatch.findCurrentRunDirs("in") == overwatch.findCurrentRunDirs(str(runs))

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=str(tmp_path / "x")):
            overwatch.findCurrentRunDirs(str(tmp_path / "x"))


class TestRunInfo:
    """004-08..13: the mode of a run, in a small YAML file."""

    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        """004-08, 004-13: the folder is made; the file is a map on one line."""
        run = tmp_path / "a/Run1"
        assert overwatch.writeRunInfoToFile(str(run), "B") is None  # type: ignore[func-returns-value]
        assert (run / "runInfo.yaml").read_text() == "{hltMode: B}\n"
        assert [path.name for path in run.iterdir()] == ["runInfo.yaml"]
        assert overwatch.retrieveHLTModeFromStoredRunInfo(str(run)) == "B"

    def test_an_existing_file_stays(self, tmp_path: Path) -> None:
        """004-10, 004-11: unless it is to be replaced."""
        for mode, force, stored in (("B", False, "B"), ("C", False, "B"), ("C", True, "C")):
            overwatch.writeRunInfoToFile(str(tmp_path), mode, force)
            assert overwatch.retrieveHLTModeFromStoredRunInfo(str(tmp_path)) == stored

    @pytest.mark.parametrize("mode", [None, ""])
    def test_no_mode_is_unknown(self, tmp_path: Path, mode: str | None) -> None:
        """004-12."""
        overwatch.writeRunInfoToFile(str(tmp_path), mode)
        assert (tmp_path / "runInfo.yaml").read_text() == "{hltMode: U}\n"

    def test_no_file_is_unknown(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """004-09."""
        with caplog.at_level(logging.DEBUG, "Services.Intake"):
            assert overwatch.retrieveHLTModeFromStoredRunInfo(str(tmp_path)) == "U"
        assert [(record.levelname, record.message) for record in caplog.records] == [
            ("DEBUG", f"Run info file doesn't exist for run directory {tmp_path}")
        ]

    def test_a_file_that_cannot_be_read_is_unknown_with_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """004-09."""
        (tmp_path / "runInfo.yaml").mkdir()
        assert overwatch.retrieveHLTModeFromStoredRunInfo(str(tmp_path)) == "U"
        assert "runInfo.yaml cannot be read (Is a directory): its HLT mode is unknown" in caplog.text

    @pytest.mark.parametrize(
        ("mode", "text"),
        [
            ("N", "N"),
            ("Y", "Y"),
            ("on", "on"),
            ("NO", "NO"),
            ("DQM", "DQM"),
            ("true", "'true'"),
            ("12", "'12'"),
            ("é", "é"),
        ],
    )
    def test_modes_are_texts(self, tmp_path: Path, mode: str, text: str) -> None:
        """004-13: as YAML 1.2 has them, which knows no other booleans than true and false."""
        overwatch.writeRunInfoToFile(str(tmp_path), mode)
        assert (tmp_path / "runInfo.yaml").read_text() == f"{{hltMode: {text}}}\n"
        assert overwatch.retrieveHLTModeFromStoredRunInfo(str(tmp_path)) == mode

    @given(mode=st.text(min_size=1, max_size=64).filter(str.isprintable))
    def test_every_mode_comes_back(self, tmp_path_factory: pytest.TempPathFactory, mode: str) -> None:
        """004-08, 004-13."""
        folder = tmp_path_factory.mktemp("run")
        overwatch.writeRunInfoToFile(str(folder), mode)
        assert overwatch.retrieveHLTModeFromStoredRunInfo(str(folder)) == mode

    @pytest.mark.parametrize("mode", ["\x1b[2J", "B\n", "\x85", "B" * 65])
    def test_what_is_no_mode_is_not_stored(self, tmp_path: Path, mode: str) -> None:
        """004-13: it would be shown to people as it is."""
        with pytest.raises(ModeRefused, match="use up to 64 letters on one line"):
            overwatch.writeRunInfoToFile(str(tmp_path), mode)
        assert not (tmp_path / "runInfo.yaml").exists()

    @pytest.mark.parametrize("kind", ["pipe", "link", "endless", "large", "sparse"])
    def test_what_is_no_small_file_is_not_read(self, tmp_path: Path, kind: str) -> None:
        """004-08: nothing is waited for, followed, or read to its end."""
        path = tmp_path / "runInfo.yaml"
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "link":
            (tmp_path / "other").write_text("{hltMode: B}")
            path.symlink_to("other")
        elif kind == "endless":
            path.symlink_to("/dev/zero")
        else:
            path.write_text("{hltMode: B}" + " " * 100_000)
            if kind == "sparse":
                os.truncate(path, 3 << 30)
        with pytest.raises(RunInfoUnreadable, match=r"runInfo\.yaml cannot be read: it (is|has) "):
            overwatch.retrieveHLTModeFromStoredRunInfo(str(tmp_path))

    @pytest.mark.parametrize(
        "value",
        ["[1]", "{a: 1}", '"\\e[2J"', '"a\\nb"', "B" * 65, "2020-01-01", "!!binary QQ==", "&a [*a]"],
    )
    def test_what_is_no_mode(self, tmp_path: Path, value: str) -> None:
        """004-08."""
        (tmp_path / "runInfo.yaml").write_text(f"hltMode: {value}\n")
        with pytest.raises(RunInfoUnreadable, match="its hltMode is no"):
            overwatch.retrieveHLTModeFromStoredRunInfo(str(tmp_path))

    def test_many_aliases(self, tmp_path: Path) -> None:
        """004-08: a few bytes that would be gigabytes."""
        lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
        (tmp_path / "runInfo.yaml").write_text("\n".join([*lines, "hltMode: *a29"]))
        with pytest.raises(RunInfoUnreadable, match="its hltMode is no text, but of the type list"):
            overwatch.retrieveHLTModeFromStoredRunInfo(str(tmp_path))

    @pytest.mark.parametrize(
        ("content", "kinds", "sentence"),
        [
            (b"", (RunInfoNotAMapping, TypeError), "is not a mapping such as {hltMode: B}, but empty"),
            (b"[B]", (RunInfoNotAMapping, TypeError), "but of the type list"),
            (b"{mode: B}", (RunInfoWithoutMode, KeyError), "runInfo.yaml has no hltMode. Correct it, or write it"),
            (b"{hltMode: [", (RunInfoUnreadable,), "it is not YAML (while parsing"),
            (b"\xff\xfe\xfd", (RunInfoUnreadable,), "it is not YAML"),
            (b"!!python/object/apply:os.getcwd []", (RunInfoUnreadable,), "it is not YAML (could not determine"),
            (b"[" * 3000, (RunInfoUnreadable,), "it is not YAML"),
        ],
    )
    def test_a_file_without_a_mode(
        self, tmp_path: Path, content: bytes, kinds: tuple[type[Exception], ...], sentence: str
    ) -> None:
        """004-08, 004-09: it is never taken for an unknown mode, and nothing in it is run."""
        (tmp_path / "runInfo.yaml").write_bytes(content)
        with pytest.raises(RunInfoUnreadable) as raised:
            overwatch.retrieveHLTModeFromStoredRunInfo(str(tmp_path))
        assert all(isinstance(raised.value, kind) for kind in kinds)
        assert str(raised.value).startswith(str(tmp_path / "runInfo.yaml"))
        assert sentence in str(raised.value)

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        """004-11: what it leads to is another's."""
        (tmp_path / "other").write_text("precious")
        (tmp_path / "Run1").mkdir()
        (tmp_path / "Run1/runInfo.yaml").symlink_to(tmp_path / "other")
        with pytest.raises(InTheWay, match=r"runInfo\.yaml is in the way: it is a symbolic link"):
            overwatch.writeRunInfoToFile(str(tmp_path / "Run1"), "B", forceWrite=True)
        assert (tmp_path / "other").read_text() == "precious"


def test_what_the_module_is_for() -> None:
    """004-46, 004-47: what its docstring says, in the Python of today."""
    assert "organizing file structure, merging histograms, and transferring data" in (overwatch.__doc__ or "")
