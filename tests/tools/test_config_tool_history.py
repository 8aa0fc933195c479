"""ConfigTool: versions, differences, changes tried out, changes under a condition, and the tree."""

from __future__ import annotations

import re

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.parameter import Limits
from NexusCore.config.store import ConfigStore, Edit, Origin
from NexusCore.storage import Database
from tests.tools.configured import tool, undo
from tests.tools.conftest import configure
from tests.tools.programs import on_terminal, run

CAMERA = (
    Edit("Camera.gain", value=3, comment="Electrons per count.", limits=Limits(minimum=1, maximum=9)),
    Edit("Camera.cooling.target", value=-20.5, comment="°C"),
    Edit("Camera.cooling.enabled", value=True),
    Edit("Camera.password", value="hunter2", limits=Limits(secret=True)),
)


@pytest.fixture
def camera(database: Database) -> Database:
    configure(database, *CAMERA)
    return database


@pytest.fixture
def desk(embedded: Database) -> Database:
    """Lend the same, for what does not depend on the kind of database."""
    configure(embedded, *CAMERA)
    return embedded


def everything(database: Database) -> dict[str, dict[str, tuple[str | None, str]]]:
    """Return all versions with all that is in them."""
    store = ConfigStore(database, SYSTEM_CLOCK)
    return {
        name: {one.path: (one.value, one.datatype) for one in store.load(store.version_id(name))}
        for name in store.versions()
    }


class TestVersions:
    """003-19, 003-25: versions are added, copied and deleted, and each step says the way back."""

    def test_copying(self, camera: Database) -> None:
        done = tool("copy", "default", "night", "-m", "for the night shift")
        assert done.lines == [
            "Version 'night' now has all parameters of 'default': 5 new, 0 replaced.",
            "Revisions 6 to 10. Undo with: ConfigTool delete version night",
        ]
        found = everything(camera)
        assert found["night"] == found["default"]
        (entry,) = tool("-v", "night", "history", "Camera.gain", "--json").objects
        assert (entry["version"], entry["why"]) == ("night", "for the night shift")
        assert undo(done).code == 0
        assert list(everything(camera)) == ["default"]

    def test_copying_refuses_to_overwrite(self, camera: Database) -> None:
        """003-25: nothing is copied then."""
        tool("copy", "default", "night")
        tool("-v", "night", "Camera.gain=5", "Camera.new=1")
        before = everything(camera)
        done = tool("copy", "default", "night")
        assert (done.code, done.out) == (4, "")
        assert "version 'night' already has 5 of the parameters of 'default'" in done.err
        assert everything(camera) == before
        done = tool("copy", "default", "night", "--overwrite")
        assert done.lines[:2] == [
            "Camera.gain = 3  (integer, was 5)",
            "Version 'night' now has all parameters of 'default': 0 new, 1 replaced.",
        ]
        assert everything(camera)["night"]["Camera.new"] == ("1", "integer")
        assert undo(done).code == 0
        assert everything(camera) == before

    def test_a_deleted_version_comes_back(self, camera: Database) -> None:
        tool("copy", "default", "night")
        before = everything(camera)
        done = tool("delete", "version", "night")
        assert done.lines[0] == "Version 'night' deleted, with 5 parameters."
        assert done.lines[1].endswith("Undo with: ConfigTool copy night@10 night")
        assert list(everything(camera)) == ["default"]
        assert undo(done).code == 0
        assert everything(camera) == before
        assert tool("-v", "night", "get", "Camera.password").out == "*****\n"

    def test_a_version_as_it_was(self, desk: Database) -> None:
        tool("Camera.gain=7")
        assert tool("copy", "default@5", "before").code == 0
        assert tool("-v", "before", "get", "Camera.gain").out == "3\n"
        done = tool("copy", "defualt@5", "x")
        assert (done.code, "There is no version 'defualt@5'" in done.err) == (1, True)

    def test_an_empty_one(self, desk: Database) -> None:
        done = tool("add-version", "night")
        assert done.lines == ["Version 'night' added, empty.", "Undo with: ConfigTool delete version night"]
        assert tool("add-version", "night").code == 4
        assert tool("-v", "night", "list").out == ""
        done = undo(done)
        assert done.lines == [
            "Version 'night' deleted, with 0 parameters.", "Undo with: ConfigTool add-version night",
        ]  # fmt: skip
        assert list(everything(desk)) == ["default"]

    def test_what_must_stay(self, desk: Database) -> None:
        """003-18."""
        tool("copy", "default", "night")
        tool("default_version=night")
        for name, reason in (("default", "cannot be deleted"), ("night", "is in use")):
            done = tool("delete", "version", name)
            assert (done.code, reason in done.err) == (4, True), done
        done = tool("delete", "version", "nihgt")
        assert (done.code, "Versions: default, night." in done.err) == (1, True)
        done = tool("delete", "v2")
        assert (done.code, "Write: ConfigTool delete version v2." in done.err) == (2, True)


class TestDryRun:
    """--dry-run makes every check and shows every change, and nothing is changed."""

    @pytest.mark.parametrize(
        ("words", "shown"),
        [
            (("Camera.gain=5",), "Camera.gain = 5  (integer, was 3)"),
            (("set", "Camera.gain", "x"), "Camera.gain = x  (string, was 3 (integer))"),
            (("add", "Camera.vendor", "Orca"), "Camera.vendor = Orca  (string, new)"),
            (("remove", "Camera.cooling"), "Camera.cooling.target removed  (was -20.5)"),
            (("rollback", "2", "Camera"), "Camera.cooling.target removed  (was -20.5)"),
            (("rollback", "2"), "Camera.password removed  (was *****)"),
            (("copy", "default", "night"), "Camera.gain = 3  (integer, new)"),
            (("add-version", "night"), "Version 'night' added, empty."),
            (("delete", "version", "day"), "Camera.gain removed  (was 3)"),
            (
                ("copy", "day", "default", "--overwrite"),
                "Version 'default' now has all parameters of 'day': 0 new, 0 replaced.",
            ),
        ],
    )  # fmt: skip
    def test_it(self, desk: Database, words: tuple[str, ...], shown: str) -> None:
        store = ConfigStore(desk, SYSTEM_CLOCK)
        store.copy("default", "day", False, Origin("jane", "desk", "test"))
        before, revision = everything(desk), store.revision()
        dry_run = tool(*words, "--dry-run")
        assert (dry_run.code, dry_run.err) == (0, "Dry run: nothing was changed.\n")
        assert shown in dry_run.lines
        assert "Undo" not in dry_run.out
        assert (everything(desk), store.revision()) == (before, revision)

    def test_on_each_database(self, camera: Database) -> None:
        before = everything(camera)
        dry_run = tool("--dry-run", "Camera.gain=5", "Camera.new=1")
        assert everything(camera) == before
        assert tool("Camera.gain=5", "Camera.new=1").lines[:2] == dry_run.lines
        assert tool("delete", "version", "day", "--dry-run").code == 1
        assert tool("copy", "default", "day", "--dry-run").code == 0
        assert list(everything(camera)) == ["default"]

    def test_what_would_be_refused_is_refused(self, desk: Database) -> None:
        for words, reason in (
            (("Camera.gain=99",), "at most 9"),
            (("Camera=1",), "it is a folder"),
            (("Camera.gain.x=1",), "nothing below it"),
            (("copy", "default", "default"), "already has"),
            (("delete", "version", "default"), "cannot be deleted"),
        ):
            done = tool("--dry-run", *words)
            assert (done.code, reason in done.err) == (4, True), done

    def test_only_where_something_changes(self, desk: Database) -> None:
        done = tool("list", "--dry-run")
        assert (done.code, "This command has no option" in done.err) == (2, True)


class TestUnderACondition:
    """--if-revision: a change is made only if nobody else has changed the parameter meanwhile."""

    def test_it(self, camera: Database) -> None:
        (entry,) = tool("history", "Camera.gain", "--json").objects
        seen = str(entry["revision"])
        assert tool("--if-revision", seen, "Camera.gain=4").code == 0
        for words in (("Camera.gain=5",), ("set", "Camera.gain", "5"), ("remove", "Camera.gain")):
            done = tool(*words, "--if-revision", seen)
            assert (done.code, f"its revision is 6, not {seen}" in done.err) == (4, True), done
        assert tool("get", "Camera.gain").out == "4\n"
        assert tool("Camera.new=1", "--if-revision", "0").code == 0
        assert tool("Camera.new=2", "--if-revision", "0").code == 4
        assert tool("remove", "Camera.gain", "--if-revision", "6").code == 0

    def test_it_is_about_one_parameter(self, desk: Database) -> None:
        done = tool("Camera.gain=4", "Camera.new=1", "--if-revision", "2")
        assert (done.code, "--if-revision works with 1 parameter" in done.err) == (4, True)
        assert tool("remove", "Camera", "--if-revision", "2").code == 4


class TestDiff:
    """What is different between revisions, between versions, and between then and now."""

    def test_between_revisions(self, camera: Database) -> None:
        tool("Camera.gain=5")
        tool("set", "Camera.cooling.target", "cold", "--comment", "")
        tool("remove", "Camera.cooling.enabled")
        tool("Camera.new=")
        assert tool("diff", "5").lines == [
            "- Camera.cooling.enabled = True  (boolean)",
            "~ Camera.cooling.target = -20.5 -> cold  (double -> string)",
            "~ Camera.gain = 3 -> 5",
            "+ Camera.new = ''  (string)",
        ]
        assert tool("diff", "6", "5").lines == ["~ Camera.gain = 5 -> 3"]
        assert tool("diff", "5", "--below", "Camera.cooling").lines == tool("diff", "5").lines[:2]
        same = tool("diff", "9", "9")
        assert (same.code, same.out, same.err) == (0, "", "No differences.\n")
        assert tool("diff", "5", "6", "--json").objects == [
            {"path": "Camera.gain", "old": 3, "new": 5, "old_datatype": "integer", "datatype": "integer"}
        ]

    def test_between_versions(self, desk: Database) -> None:
        tool("copy", "default", "night")
        tool("-v", "night", "Camera.gain=5", "Camera.password=hunter3")
        tool("set", "Camera.gain", "3", "--comment", "e/count")
        assert tool("diff", "default", "night").lines == [
            "~ Camera.gain = 3 -> 5",
            "~ Camera.password = ***** -> *****",
        ]
        assert tool("diff", "night").lines[0] == "~ Camera.gain = 5 -> 3"
        tool("-v", "night", "Camera.gain=3")
        assert tool("diff", "night", "--below", "Camera.gain").lines == ["~ Camera.gain = 3  (comment or limits)"]

    def test_what_there_is_not(self, desk: Database) -> None:
        done = tool("diff", "99")
        assert (done.code, "there is no revision 99; they go from 0 to 5" in done.err) == (4, True)
        assert tool("diff", "nihgt").code == 1


class TestTree:
    """A folder, drawn."""

    def test_it(self, desk: Database) -> None:
        assert tool("tree", "Camera").lines == [
            "Camera",
            "├── cooling",
            "│   ├── enabled = True",
            "│   └── target = -20.5  # °C",
            "├── gain = 3  # Electrons per count.",
            "└── password = *****",
        ]
        assert tool("tree", "--depth", "1").lines == [
            ".",
            "├── Camera  (4 parameters)",
            "└── default_version = default  # The version that is used where none is named.",
        ]
        assert tool("tree", "Camera.gain").lines == ["Camera.gain = 3  # Electrons per count."]
        assert tool("tree", "Camera", "--json") == tool("list", "Camera", "--json")

    def test_an_empty_folder(self, desk: Database) -> None:
        tool("add", "Vacuum.pumps", "--type", "folder")
        assert tool("tree", "Vacuum").lines == ["Vacuum", "└── pumps"]

    def test_for_an_output_without_its_letters(self, desk: Database) -> None:
        shown = run("ConfigTool", "tree", "Camera", PYTHONIOENCODING="ascii")
        assert shown.lines[1:3] == ["|-- cooling", "|   |-- enabled = True"]

    def test_it_fits_the_terminal(self, desk: Database) -> None:
        tool("set", "Camera.note", "x" * 100, "--comment", "y" * 100)
        tool("set", "Camera.gain", "3", "--comment", "z" * 100)
        for words in (("tree",), ("list", "Camera.gain"), ("list", "Camera")):
            shown = on_terminal("ConfigTool", *words, width=60, NO_COLOR="1")
            if words == ("list", "Camera.gain"):
                assert "z" * 100 in shown.out.replace("\n", ""), "alone, all of it is shown"
            else:
                assert max(map(len, shown.lines)) <= 60, shown.out
                assert re.search(r"# z+…$", shown.out, re.MULTILINE)
