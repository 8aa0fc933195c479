"""The metadata of one file on standard output as JSON, and its preview, without a database."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from tests.services.instrument_files import DATA, real
from tests.services.signal_files import image, several

PROJECT = Path(__file__).resolve().parents[2]
SECONDS = 300


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return the current folder of the command."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def started(here: Path, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "Services.Builder.extract", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(command, cwd=here, env=environment, text=True, timeout=SECONDS, **pipes)  # type: ignore[call-overload,no-any-return]


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


class TestStandardOutput:
    """It is JSON and nothing else; remarks go to standard error."""

    def test_json_preview_and_silence(self, tmp_path: Path, here: Path) -> None:
        path = image(tmp_path / "a.hspy")
        done = started(here, path, "--preview", tmp_path / "p.png", "--json", tmp_path / "p.json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["nx_meta"]["Data Shape"] == "8 × 8"
        assert json.loads((tmp_path / "p.json").read_text())["metadata"]["General"]["title"] == ""
        assert (tmp_path / "p.png").is_file()
        assert list(here.iterdir()) == []

    def test_a_file_that_is_not_there(self, here: Path) -> None:
        done = started(here, "nope.dm3")
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "File 'nope.dm3' does not exist.\n")

    def test_a_broken_file_is_an_answer(self, tmp_path: Path, here: Path) -> None:
        (tmp_path / "a.dm3").write_bytes(b"\0\0\0\3\0\0")
        done = started(here, tmp_path / "a.dm3")
        assert done.returncode == 0
        assert json.loads(done.stdout)["nx_meta"]["DatasetType"] == "Unknown"
        assert "the file ends too early" in done.stderr and "Traceback" not in done.stderr
        assert "Preview" not in done.stderr

    @pytest.mark.parametrize("make", [os.mkfifo, a_socket])
    def test_a_pipe_or_a_socket_is_no_file(
        self, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
    ) -> None:
        monkeypatch.chdir(tmp_path)  # the name of a socket may not be long
        make(Path("a.dm3"))
        done = started(here, tmp_path / "a.dm3")
        assert done.stderr == "The file is not read: a.dm3 is not a regular file.\n"

    def test_a_reader_that_has_seen_enough(self, tmp_path: Path, here: Path) -> None:
        (tmp_path / "notes.txt").write_text("grid 3\n")
        reading, writing = os.pipe()
        os.close(reading)
        done = started(here, tmp_path / "notes.txt", stdout=writing)
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, "Preview: notes.txt.png\n")

    @real
    def test_readers_that_log_stay_off_the_terminal(self, tmp_path: Path, here: Path) -> None:
        shutil.copy(DATA / "trivista/spec_1s_1acc_1frame_average.tvf", tmp_path / "a.tvf")
        done = started(here, tmp_path / "a.tvf", "--json", tmp_path / "a.json")
        assert (done.returncode, done.stderr) == (0, "Preview: a.tvf.png\n")
        assert json.loads(done.stdout)["nx_meta"]["DatasetType"] == "Spectrum"
        logged = json.loads((tmp_path / "a.json").read_text())["messages"]
        assert (find_spec("lumispy") is None) == ("lumispy" in " ".join(logged))


class TestThePreview:
    """It is drawn unasked, into the current folder, and never at the cost of anything that lies there."""

    def test_under_the_name_of_the_file(self, tmp_path: Path, here: Path) -> None:
        folder = tmp_path / "raw"
        folder.mkdir()
        path = several(folder / "map.hspy")
        for _ in range(2):  # the same again is no conflict
            done = started(here, path)
            assert done.returncode == 0
            names = ["map.hspy.png", "map.hspy.1.png", "map.hspy.2.png"]
            assert done.stderr.splitlines() == [f"Preview: {name}" for name in names]
            assert sorted(one.name for one in here.iterdir()) == sorted(names)
            for name in names:
                with Image.open(here / name) as picture:
                    assert max(picture.size) <= 500
        assert [one.name for one in folder.iterdir()] == ["map.hspy"], "nothing beside the raw data"

    def test_a_name_that_is_taken(self, tmp_path: Path, here: Path) -> None:
        (tmp_path / "a.txt").write_text("grid 3\n")
        (here / "a.txt.png").write_bytes(b"an image of the instrument's")
        done = started(here, tmp_path / "a.txt")
        assert (done.returncode, done.stderr) == (
            0, "a.txt.png exists and is not replaced; choose another place with --preview.\n"
        )  # fmt: skip
        assert (here / "a.txt.png").read_bytes() == b"an image of the instrument's"

    def test_nor_is_another_instrument_file(self, here: Path) -> None:
        Image.new("RGB", (40, 20), "red").save(here / "a.png")
        (here / "other.dm3").write_bytes(b"an instrument's")
        done = started(here, "a.png", "--json", "other.dm3")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith("since its name does not end in .png or .json. Give another name.\n")
        assert (here / "other.dm3").read_bytes() == b"an instrument's"

    @pytest.mark.parametrize("option", ["--preview", "--json"])
    def test_the_file_itself_is_no_target(self, here: Path, option: str) -> None:
        Image.new("RGB", (40, 20), "red").save(here / "a.png")
        before = (here / "a.png").read_bytes()
        done = started(here, "a.png", option, here / "../here/a.png")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith("a.png is the instrument file itself and must not be replaced.\n")
        assert (here / "a.png").read_bytes() == before

    def test_a_folder_where_nothing_can_be_written(self, tmp_path: Path, here: Path) -> None:
        path = tmp_path / f"{'long ' * 50}.txt"
        path.write_text("grid 3\n")
        done = started(here, path)
        assert done.returncode == 0
        (drawn,) = here.iterdir()
        assert done.stderr == f"Preview: {drawn.name}\n", "a name that is too long is cut"
