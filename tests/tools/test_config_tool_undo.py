"""ConfigTool: the way back from a change touches that change and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import REMOVE, ConfigStore, Edit
from NexusCore.storage import Database
from tests.tools.configured import state, tool, undo
from tests.tools.conftest import configure
from tests.tools.programs import Done
from Tools.common.undoing import LONGEST

CAMERA = (
    *(Edit(f"Camera.p{number}", value=number) for number in range(9)),
    Edit("Camera.cooling.target", value=-20.5, comment="°C"),
    Edit("Stage.x", value=1),
)
MANY = 200
"""Parameters that are too many to be named in one command."""


@pytest.fixture
def camera(database: Database) -> Database:
    configure(database, *CAMERA)
    return database


@pytest.fixture
def desk(embedded: Database) -> Database:
    """Lend the same, for what does not depend on the kind of database."""
    configure(embedded, *CAMERA)
    return embedded


def many(file: Path, value: object) -> Path:
    file.write_text(json.dumps({"Many": {f"a_long_name_{number:03}": value for number in range(MANY)}}))
    return file


class TestWhatOthersDidStays:
    """Between a change and its undoing somebody else has worked on; that stays."""

    @pytest.mark.parametrize(
        "words",
        [
            tuple(f"Camera.p{number}=100" for number in range(9)),
            tuple(f"Camera.new{number}=100" for number in range(9)),
            ("remove", "Camera"),
            ("add", "Camera.pumps", "--type", "folder"),
            ("rollback", "2", "Camera"),
        ],
    )
    def test_in_the_same_folder(self, camera: Database, words: Sequence[str]) -> None:
        before = state(camera)
        done = tool(*words)
        assert (done.code, state(camera) == before) == (0, False), done
        configure(camera, Edit("Camera.theirs", value=1), Edit("Stage.x", value=2), Edit("Camera.pumps.p", value=3))
        assert undo(done).code == 0
        assert {path: one for path, one in state(camera).items() if path in before and path != "Stage.x"} == {
            path: one for path, one in before.items() if path != "Stage.x"
        }
        found = {path: one[0] for path, one in state(camera).items() if path not in before or path == "Stage.x"}
        assert found == {"Camera.theirs": "1", "Stage.x": "2", "Camera.pumps.p": "3"}

    def test_of_a_file_with_many(self, camera: Database, tmp_path: Path) -> None:
        """The command stays short: it names the revisions."""
        before = state(camera)
        first = ConfigStore(camera, SYSTEM_CLOCK).revision() + 1
        done = tool("deserialize", ".", str(many(tmp_path / "f.json", 1)))
        assert done.lines[-1].endswith(f"Undo with: ConfigTool rollback --only {first}..{first + MANY - 1}")
        configure(camera, Edit("Many.theirs", value=1), Edit("Stage.x", value=2))
        assert undo(done).code == 0
        found = state(camera)
        assert (found.pop("Many.theirs")[0], found.pop("Stage.x")[0], before.pop("Stage.x")[0]) == ("1", "2", "1")
        assert found == before

    def test_in_another_version(self, camera: Database) -> None:
        tool("copy", "default", "night")
        tool("-v", "night", "Camera.p1=50")
        done = tool("copy", "default", "night", "--overwrite")
        store = ConfigStore(camera, SYSTEM_CLOCK)
        assert tool("-v", "night", "Camera.theirs=1").code == 0
        assert undo(done).code == 0
        found = {one.path: one.value for one in store.load(store.version_id("night"))}
        assert (found["Camera.p1"], found["Camera.theirs"]) == ("50", "1")

    def test_the_command_names_what_it_touches(self, desk: Database) -> None:
        """As long as that can be read."""
        done = tool("Camera.p1=5", "Camera.p2=5", "Camera.p3=5", "Camera.p4=5", "Stage.x=5")
        assert done.lines[-1].endswith("rollback 12 Camera.p1 Camera.p2 Camera.p3 Camera.p4 Stage.x")
        done = tool(*(f"Camera.a_long_name_{number:03}=1" for number in range(MANY)))
        assert len(done.lines[-1]) < LONGEST


class TestByRevision:
    """rollback --only FIRST..LAST undoes what these revisions changed."""

    def test_what_was_changed_again_since_stays(self, camera: Database) -> None:
        done = tool("Camera.p1=50", "Camera.p2=50", "Camera.p3=50", "Camera.p4=50")
        assert done.code == 0
        configure(camera, Edit("Camera.p2", value=7), Edit("Camera.p3", REMOVE), Edit("Camera.p4", value=4))
        done = tool("rollback", "--only", "13..16")
        assert (done.code, done.lines[0]) == (1, "Camera.p1 = 1  (integer, was 50)")
        assert done.err.splitlines() == [
            "ConfigTool: Camera.p2 was changed again at revision 17 and stays as it is.",
            "ConfigTool: Camera.p3 was changed again at revision 18 and stays as it is.",
        ]
        found = state(camera)
        assert [found[f"Camera.p{number}"][0] for number in (1, 2, 4)] == ["1", "7", "4"]
        assert "Camera.p3" not in found
        assert undo(done).code == 0
        assert state(camera)["Camera.p1"][0] == "50"

    def test_a_second_time_there_is_nothing_to_do(self, desk: Database) -> None:
        before = state(desk)
        tool("Camera.p1=50")
        assert tool("rollback", "--only", "13").code == 0
        done = tool("rollback", "--only", "13")
        assert (done.code, done.out) == (0, "")
        assert done.err == "Nothing to change: the changes of revision 13 are undone already.\n"
        assert state(desk) == before

    def test_as_a_dry_run(self, desk: Database) -> None:
        tool("Camera.p1=50")
        done = tool("rollback", "--only", "13..13", "--dry-run")
        assert done.lines == ["Camera.p1 = 1  (integer, was 50)"]
        assert state(desk)["Camera.p1"][0] == "50"

    @pytest.mark.parametrize(
        ("words", "code", "sentence"),
        [
            (("--only", "99"), 4, "revision 99 does not exist yet; the newest is 12"),
            (("--only", "9..2"), 2, "invalid revision range '9..2'; use for example 6..14"),
            (("--only", "x"), 2, "'x' is not a whole number"),
            (("3", "--only", "4"), 2, "--only cannot be combined with REVISION and PATH."),
            ((), 2, "REVISION is missing."),
            (("--only", "2..3", "-v", "night"), 4, "revisions 2 to 3 changed nothing in version 'night'; use -v"),
        ],
    )
    def test_each_mistake_changes_nothing(self, desk: Database, words: Sequence[str], code: int, sentence: str) -> None:
        ConfigStore(desk, SYSTEM_CLOCK).add_version("night")
        before = state(desk)
        done = tool("rollback", *words)
        assert (done.code, done.out, sentence in done.err) == (code, "", True), done
        assert state(desk) == before


class TestTheVersion:
    """The command means the version that was changed, whichever is used where none is named by then."""

    def test_the_parameter_that_names_it(self, desk: Database) -> None:
        """003-18: after this change, what names no version goes into another."""
        ConfigStore(desk, SYSTEM_CLOCK).add_version("night")
        before = state(desk)
        done = tool("default_version=night")
        assert done.lines[-1] == "Revision 13. Undo with: ConfigTool -v default rollback 12 default_version"
        later = tool("Camera.p1=3")
        assert "Undo with: ConfigTool -v night rollback 13 Camera.p1" in later.out
        assert undo(done).code == undo(later).code == 0
        assert state(desk) == before
        assert tool("-v", "night", "list").out == ""


class TestForPrograms:
    """--json: values as they are by their types, and the command that undoes it all, word by word."""

    def test_a_change_names_its_undo_command(self, desk: Database) -> None:
        before = state(desk)
        found = tool("Camera.p1=5", "Camera.cooling.target=-1", "Camera.new=true", "--json").objects
        assert [(one["old"], one["new"]) for one in found] == [(1, 5), (-20.5, -1.0), (None, True)]
        (command,) = {tuple(one["undo"]) for one in found}
        assert command == ("ConfigTool", "rollback", "12", "Camera.cooling.target", "Camera.new", "Camera.p1")
        assert tool(*command[1:]).code == 0
        assert state(desk) == before
        assert [one["undo"] for one in tool("Camera.p1=5", "--json", "--dry-run").objects] == [None]

    def test_a_new_version_names_its_undo_command(self, desk: Database) -> None:
        (added,) = tool("add-version", "night", "--json").objects
        assert added["undo"] == ["ConfigTool", "delete", "version", "night"]
        assert tool(*added["undo"][1:]).code == 0
        *changes, copied = tool("copy", "default", "night", "--json").objects
        assert (copied["undo"], len(changes)) == (added["undo"], 12)
        assert {one["new"] for one in changes if one["path"] == "Camera.cooling.target"} == {-20.5}

    def test_history_has_typed_values(self, desk: Database) -> None:
        tool("set", "Camera.p1", "five")
        tool("remove", "Camera.p1")
        found = tool("history", "Camera.p1", "--json").objects
        assert [(one["old"], one["new"], one["old_datatype"], one["datatype"]) for one in found] == [
            ("five", None, "string", None),
            (1, "five", "integer", "string"),
            (None, 1, None, "integer"),
        ]
        assert tool("history", "Camera.p1", "-n", "0", "--json") == Done(0, "", ""), "though it is not there now"
