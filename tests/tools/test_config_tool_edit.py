"""ConfigTool edit: a folder in the editor that the user has chosen."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from NexusCore.config.store import Edit
from NexusCore.config.values import Limits
from NexusCore.declare import declare_all
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database
from tests.tools.configured import state, tool, undo
from tests.tools.conftest import configure


@pytest.fixture
def camera(embedded: Database) -> Database:
    declare_all(DatabaseURL.parse(str(embedded.url)))
    configure(
        embedded,
        Edit("Camera.gain", value=3, comment="Electrons per count.", limits=Limits(minimum=1, maximum=9)),
        Edit("Camera.note", value=" two\nlines"),
        Edit("Camera.password", value="hunter2", limits=Limits(secret=True)),
        Edit("Instruments.Titan.filestore_path", value="./Titan"),
    )
    return embedded


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Have a program replace texts in what it is given, and keep what it saw."""

    def use(*pairs: tuple[str, str], code: int = 0) -> Path:
        seen = tmp_path / "seen.txt"
        script = tmp_path / "editor.py"
        script.write_text(
            "import pathlib, sys\n"
            "file = pathlib.Path(sys.argv[1])\n"
            "text = file.read_text('utf-8')\n"
            f"pathlib.Path({str(seen)!r}).write_text(text, 'utf-8')\n"
            f"for old, new in {pairs!r}:\n"
            "    assert old in text, old\n"
            "    text = text.replace(old, new)\n"
            "file.write_text(text, 'utf-8')\n"
            f"sys.exit({code})\n",
            "utf-8",
        )
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
        return seen

    return use


class TestEdit:
    """What is saved is one change; what cannot be understood changes nothing and is not lost."""

    def test_values_are_changed_together(self, camera: Database, editor) -> None:
        seen = editor(("gain = 3", "gain = 7"), ('" two\\nlines"', "one"))
        done = tool("edit", "Camera")
        assert done.code == 0, done
        text = seen.read_text("utf-8")
        assert "# (integer; 1 to 9) Electrons per count.\ngain = 3\n" in text
        assert "hunter2" not in text
        assert "# password is not shown here" in text
        now = state(camera)
        assert (now["Camera.gain"][0], now["Camera.note"][0]) == ("7", "one")
        assert undo(done).code == 0
        assert state(camera)["Camera.note"][0] == " two\nlines"

    def test_what_is_not_set_is_offered(self, camera: Database, editor) -> None:
        seen = editor(("#timezone = \n", "timezone = Europe/Oslo\n"))
        assert tool("edit", "Instruments.Titan").code == 0
        assert "# (string; caldav, ical, nemo, sharepoint) Kind of its calendar" in seen.read_text("utf-8")
        assert state(camera)["Instruments.Titan.timezone"][0] == "Europe/Oslo"
        assert "Instruments.Titan.name" not in state(camera)

    def test_nothing_was_changed(self, camera: Database, editor) -> None:
        editor()
        before = state(camera)
        done = tool("edit", "Camera")
        assert (done.code, "the text is the same" in done.err) == (0, True)
        assert state(camera) == before

    @pytest.mark.parametrize(
        ("pairs", "sentence", "code"),
        [
            ((("gain = 3", "gain = 70"),), "it must be at most 9", 4),
            ((("gain = 3", "gain: 4"),), "Line 7 is 'gain: 4', which is not of the form name = value", 2),
        ],
    )
    def test_a_mistake_changes_nothing_and_the_text_is_kept(
        self, camera: Database, editor, pairs, sentence: str, code: int
    ) -> None:
        editor(*pairs, ('" two\\nlines"', "one"))
        before = state(camera)
        done = tool("edit", "Camera")
        assert (done.code, sentence in done.err) == (code, True), done
        assert state(camera) == before
        kept = Path(re.search(r"Your text is kept in (\S+)\. To go on", done.err)[1])  # type: ignore[index]
        assert "note = one" in kept.read_text("utf-8")
        assert kept.stat().st_mode & 0o077 == 0
        kept.unlink()

    def test_an_editor_that_fails(self, camera: Database, editor, monkeypatch: pytest.MonkeyPatch) -> None:
        editor(("gain = 3", "gain = 7"), code=3)
        before = state(camera)
        done = tool("edit", "Camera")
        assert (done.code, "ended with code 3; nothing was changed" in done.err) == (1, True)
        kept = Path(re.search(r"kept in (\S+)\. ", done.err)[1])  # type: ignore[index]
        assert "gain = 7" in kept.read_text("utf-8")
        monkeypatch.setenv("EDITOR", "/nowhere/editor")
        done = tool("edit", "Camera")
        assert (done.code, "cannot be run" in done.err) == (1, True)
        assert state(camera) == before

    def test_a_folder_that_is_not_there(self, camera: Database, editor) -> None:
        editor()
        assert tool("edit", "Camrea").code == 1

    def test_somebody_else_changed_it_meanwhile(
        self, camera: Database, editor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        editor(("gain = 3", "gain = 7"))
        own = os.environ["EDITOR"]
        other = tmp_path / "meanwhile.sh"
        other.write_text(
            f'#!/bin/sh\n{own} "$1"\n{sys.executable} -m Tools.ConfigTool Camera.gain=5 Camera.note=new\n', "utf-8"
        )
        monkeypatch.setenv("EDITOR", f"sh {other}")
        refused = tool("edit", "Camera")
        assert refused.code == 4, refused
        assert re.search(r"'Camera.gain' was changed meanwhile to 5 by \S+ .*; nothing was changed", refused.err)
        assert re.search(r"Line \d+ of the text was refused\.", refused.err)
        assert state(camera)["Camera.gain"][0] == "5"
        words = re.search(r"To go on with it: ConfigTool (.+)", refused.err)
        monkeypatch.setenv("EDITOR", "true")
        done = tool(*shlex.split(words[1]))  # type: ignore[index]
        assert (done.code, "was 5" in done.out) == (0, True), done
        now = state(camera)
        assert (now["Camera.gain"][0], now["Camera.note"][0]) == ("7", "new")

    def test_an_editor_that_removes_or_empties_the_file(
        self, camera: Database, editor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = state(camera)
        monkeypatch.setenv("EDITOR", "rm")
        done = tool("edit", "Camera")
        assert (done.code, done.err) == (1, "ConfigTool: The editor removed the file; nothing was changed.\n")
        monkeypatch.setenv("EDITOR", "truncate -s 0")
        done = tool("edit", "Camera")
        assert (done.code, "a line that you delete changes nothing" in done.err) == (0, True), done
        assert state(camera) == before

    def test_a_name_that_nothing_reads(self, camera: Database, editor) -> None:
        editor(("# These are", "rubbish {{{ = 1\n# These are"))
        done = tool("edit", "Services.Uploader")
        assert (done.code, ".." in done.err) == (4, False), done
        assert "ConfigTool add 'Services.Uploader.rubbish {{{' VALUE" in done.err
        assert re.search(r"Line \d+ of the text was refused\.", done.err)
