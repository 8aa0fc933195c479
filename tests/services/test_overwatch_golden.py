"""What Overwatch itself answers, noted from a run of it: `Services.Intake.overwatch` answers the same (004-01..45).

Where it loses files, ours refuses. The notes stand beside the project, for its developers; the other tests of these
functions need none.
"""

from __future__ import annotations

import ast
import logging
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from NexusCore import API
from NexusCore.errors import BadDatabaseURL
from Services.Intake import overwatch
from Services.Intake.logger_outputs import close_all
from Services.Intake.run_moves import RunFilesRefused
from tests.processes import PROJECT
from tests.services.overwatch_folders import TIME, contents, received, tree

NOTES = PROJECT.parent / "shared/overwatch-golden.txt"
LATER = "2015_11_24_18_09_12"
ERROR = re.compile(r"(\w+Error|NoResolverForScheme): (.*)")
Section = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def notes() -> dict[str, list[str]]:
    """Return the lines of each section."""
    if not NOTES.exists():
        pytest.skip(f"{NOTES} does not exist: the answers of Overwatch itself are not at hand")
    sections: dict[str, list[str]] = {}
    for line in NOTES.read_text("utf-8").splitlines():
        if line.startswith("--- "):
            sections[line.removeprefix("--- ")] = []
        else:
            list(sections.values())[-1].append(line)
    return sections


@pytest.fixture
def section(notes: dict[str, list[str]]) -> Section:
    """Return a function for the lines of the section whose title begins so."""

    def find(title: str) -> list[str]:
        (found,) = (lines for name, lines in notes.items() if name.startswith(title))
        return found

    return find


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def values(line: str) -> list[Any]:
    """Return the Python values in a line, one behind the other."""
    found = []
    while line:
        for end in range(len(line), 0, -1):
            try:
                found.append(ast.literal_eval(line[:end].strip()))
            except (SyntaxError, ValueError):
                continue
            line = line[end:].strip()
            break
        else:
            raise AssertionError(f"no value in {line!r}")
    return found


def answer(work: Callable[[], Any], folder: Path) -> str:
    """Return what a call returns, or its error, as the notes have it."""
    try:
        return repr(work())
    except Exception as error:  # noqa: BLE001  whatever it is, it is compared
        kind = next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
        return f"{kind.__name__}: {error}".replace(str(folder), "<tmp>")


class TestEnumerateFiles:
    """004-22."""

    def test_names(self, section: Section, inbox: Path) -> None:
        names, error = section("enumerateFiles")
        received(inbox, *ast.literal_eval(names)[1:], ".EMChists_1_B_x.root", "emchists_1_B_x.root")
        (inbox / "EMCdir.root").mkdir()
        assert repr(overwatch.enumerateFiles(str(inbox), "EMC")) == names
        nothing = repr(overwatch.enumerateFiles(str(inbox), "HLT"))
        missing = answer(lambda: overwatch.enumerateFiles(str(inbox / "nope"), "EMC"), inbox)
        assert f"{nothing} {missing}" == error


class TestMoves:
    """004-23..36: the same results and the same folders."""

    @pytest.mark.parametrize(
        ("title", "names", "subsystems"),
        [
            ("short names", ("EMC.root", "EMChists_1.root", "EMChists_1_B.root", "EMChists_1_B_2015.root"), ["EMC"]),
            ("mode conflict", (f"EMChists_1_B_{TIME[:-1]}1.root", f"EMChists_1_E_{TIME}.root"), ["EMC"]),
            (".root in middle", ("EMC hists_.._B_x.root", f"EMChists_1_B_{TIME}.root.part"), ["EMC"]),
            ("dirPrefix ''", (f"EMChists_1_B_{TIME}.root",), ["EMC"]),
            ("DQM mode", ("EMChists_123456_DQM_1970_01_02_16_07_24.root",), ["EMC"]),
        ],
    )
    def test_what_goes_where(
        self,
        section: Section,
        inbox: Path,
        monkeypatch: pytest.MonkeyPatch,
        title: str,
        names: tuple[str, ...],
        subsystems: list[str],
    ) -> None:
        monkeypatch.chdir(inbox)
        received(inbox, *names)
        prefix = "" if title == "dirPrefix ''" else str(inbox)
        expected = values(" ".join(section(title)))
        assert [overwatch.moveRootFiles(prefix, subsystems), tree(inbox)] == expected

    def test_several_runs(self, section: Section, inbox: Path) -> None:
        first, second = section("moveRootFiles basic")
        received(
            inbox,
            *(f"EMChistos_300005_B_{time}.root" for time in (TIME, LATER)),
            f"TPChistos_300005_B_{TIME}.root",
            f"EMChistos_300007_e_{TIME}.root",
            f"HLThists_300006_E_{TIME}.root",
        )
        assert repr(overwatch.moveRootFiles(str(inbox), ["EMC", "TPC", "HLT"])) == first
        assert repr(tree(inbox)) == second

    def test_no_files(self, section: Section, inbox: Path) -> None:
        found = overwatch.moveRootFiles(str(inbox), ["EMC", "HLT"])
        assert section("no files") == [f"{found!r} {tree(inbox)!r}"]


class TestWhatItLoses:
    """004-24, 004-31, 004-33: it overwrites, or stops half-way with files moved; ours moves nothing, and says why."""

    @pytest.mark.parametrize(
        ("title", "names", "subsystems"),
        [
            ("overwrite existing", (f"EMChistos_1_B_{TIME}.root", f"Run1/EMC/EMChists.{TIME}.root"), ["EMC"]),
            ("two sources", (f"EMChistos_1_B_{TIME}.root", f"EMChists_1_B_{TIME}.root"), ["EMC"]),
            ("overlap", (f"EMCHLThists_1_B_{TIME}.root",), ["EMC", "HLT"]),
        ],
    )
    def test_it_is_refused(
        self, section: Section, inbox: Path, title: str, names: tuple[str, ...], subsystems: list[str]
    ) -> None:
        assert section(title), "Overwatch does something"
        received(inbox, *names)
        with pytest.raises(RunFilesRefused, match="No file was moved: "):
            overwatch.moveRootFiles(str(inbox), subsystems)
        assert contents(inbox) == {name: name for name in names}


class TestRuns:
    """004-01..13."""

    def test_run_folders(self, section: Section, inbox: Path) -> None:
        for name in ("Run123456", "Run9", "Run10", "notRun1", "ReplayData"):
            (inbox / name).mkdir()
        (inbox / "Run.txt").touch()
        assert [
            repr(overwatch.findCurrentRunDirs(str(inbox))),
            answer(lambda: overwatch.findCurrentRunDirs(str(inbox / "x")), inbox),
        ] == section("findCurrentRunDirs")

    def test_file_dictionaries(self, section: Section, inbox: Path) -> None:
        lines = section("createFileDictionary")
        for line in lines:
            for name in re.findall(r"'(Run\d+/EMC/[^']+)'", line):
                received(inbox, name)
        (inbox / "Run125/EMC").mkdir(parents=True)
        received(inbox, "Run127/EMC/EMChists..root", f"Run128/EMC/EMChists.{TIME}.root")
        for run, line in zip(range(123, 132), lines, strict=True):

            def work(run: int = run) -> Any:
                return overwatch.createFileDictionary(str(inbox), f"Run{run}", "EMC")

            if expected := ERROR.fullmatch(line):
                kind = answer(work, inbox).partition(":")[0]
                assert kind == expected[1]
            else:
                assert work() == ast.literal_eval(line[line.index("[") :]), line

    def test_times(self, section: Section, inbox: Path) -> None:
        for line in section("timestamps"):
            name, _, expected = line.partition(" ")
            found = answer(lambda name=name: overwatch.extractTimeStampFromFilename(name), inbox)  # type: ignore[misc]
            if error := ERROR.fullmatch(expected):
                assert found.startswith(f"{error[1]}: ")
                assert error[2].removeprefix("String ") in found
            else:
                assert found == expected

    def test_run_info(self, section: Section, inbox: Path) -> None:
        read, write = overwatch.retrieveHLTModeFromStoredRunInfo, overwatch.writeRunInfoToFile
        path, folder = inbox / "runInfo.yaml", str(inbox)

        def text(mode: str | None) -> str:
            write(folder, mode, forceWrite=True)
            return repr(path.read_text())

        def kind_with(content: str) -> str:
            path.write_text(content)
            return answer(lambda: read(folder), inbox).partition(":")[0]

        found = [read(folder)]
        found.append(f"{write(folder, 'B')} {path.read_text()!r} {read(folder)}")  # type: ignore[func-returns-value]
        write(folder, "C")
        found.append(read(folder))
        write(folder, "C", forceWrite=True)
        found += [read(folder), text(None), text(""), kind_with("{mode: B}"), kind_with(""), text("E")]
        found += [f"{mode} {text(mode)} {read(folder)!r}" for mode in ("N", "Y", "on")]
        expected = [error[1] if (error := ERROR.fullmatch(line)) else line for line in section("runInfo")]
        assert found == expected


class TestPrograms:
    """004-14..21, 004-37, 004-43, 004-44."""

    @pytest.fixture
    def here(self, inbox: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
        monkeypatch.chdir(inbox)
        API.reset()
        yield sqlite_url
        close_all()
        API.reset()

    def test_arrays(self, section: Section, inbox: Path) -> None:
        change = overwatch.removeOldestValueAndInsert
        empty = answer(lambda: change(np.array([]), 1), inbox)
        assert [
            f"{change(np.array([1, 2, 3]), 4)} {empty} {change(np.array([1, 2, 3]), 4.5)}",
            f"{change(np.array([[1, 2], [3, 4]]), [5, 6]).tolist()}",
        ] == section("removeOldest")

    def test_the_log(self, section: Section, here: str, inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """It says the same in the same form; but a second call doubles neither handlers nor lines."""

        def shape(line: str) -> str:
            return re.sub(r"^[\d :,-]+|\[in .*", "", line)

        lines = section("setupLogging")
        logger = logging.getLogger("overwatch.golden")
        overwatch.setupLogging(logger, logging.INFO, debug=False)
        assert [shape(line) for line in capsys.readouterr().out.splitlines()] == [shape(lines[0])]
        assert f"{[type(one).__name__ for one in logger.handlers]} {tree(inbox)}" == lines[1]
        overwatch.setupLogging(logger, logging.INFO, debug=False)
        logger.warning("hello")
        printed = [shape(line) for line in capsys.readouterr().out.splitlines()]
        assert printed == [shape(lines[3]), shape(lines[5])]
        assert lines[2:4] == [lines[2]] * 2, "Overwatch's lines are doubled"
        assert lines[4] == str(["StreamHandler"] * 2)
        assert len(logger.handlers) == 1

    def test_the_database(self, section: Section, here: str) -> None:
        """A root that is a mapping, empty at first; what is no URL of a database is refused."""
        lines = section("getDB")
        root, connection = overwatch.getDB(here)
        assert str(dict(root)) == lines[2]
        connection.close()
        for line in lines[3:]:
            uri = re.findall(r"uri: (.*)'", line)
            with pytest.raises(BadDatabaseURL):
                overwatch.getDB(*uri)

    def test_signals(self, section: Section) -> None:
        lines = section("handleSignals")
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            handler, other = overwatch.handleSignals(), overwatch.handleSignals()
            assert f"{handler.exit is other.exit} {handler.exit.is_set()}" == lines[0]
            signal.raise_signal(signal.SIGTERM)
            assert (
                f"{handler.exit.is_set()} {other.exit.is_set()} {overwatch.handleSignals().exit.is_set()}" == lines[1]
            )
        finally:
            overwatch.handleSignals.exit.clear()
            for number, former in before.items():
                signal.signal(number, former)
