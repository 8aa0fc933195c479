"""ConfigTool: the configuration from a shell."""

from __future__ import annotations

import getpass
import re
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import ConfigStore, Edit
from NexusCore.config.values import Limits
from NexusCore.storage import Database
from tests.tools.configured import history, state, tool, undo
from tests.tools.conftest import configure
from tests.tools.programs import Done
from Tools import ConfigTool

PARAMETERS = (
    Edit("Camera.gain", value=3, comment="Electrons per count.", limits=Limits(minimum=1, maximum=9)),
    Edit("Camera.cooling.target", value=-20.5, comment="°C"),
    Edit("Camera.cooling.enabled", value=True),
    Edit("Camera.serial", value="0123"),
    Edit("Camera.mode", value="fast", limits=Limits(choices=("fast", "slow"))),
    Edit("Stage.note", value="two\nlines\x1b[31m"),
    Edit("Stage.empty", value=""),
    Edit("Stage.password", value="hunter2", limits=Limits(secret=True)),
)


@pytest.fixture
def camera(database: Database) -> Database:
    """Lend a database with a few parameters of every kind."""
    configure(database, *PARAMETERS)
    return database


@pytest.fixture
def desk(embedded: Database) -> Database:
    """Lend the same, for what does not depend on the kind of database."""
    configure(embedded, *PARAMETERS)
    return embedded


class TestReading:
    """What is in the configuration is shown plainly, and an exit code tells what was not found."""

    def test_get_prints_the_value_alone(self, camera: Database) -> None:
        """003-28: for use in scripts."""
        assert tool("get", "Camera.gain") == Done(0, "3\n", "")
        assert tool("get", "Camera.serial") == Done(0, "0123\n", "")
        assert tool("get", "Stage.note").out == "two\nlines\\x1b[31m\n"

    def test_a_missing_parameter_has_a_hint(self, desk: Database) -> None:
        done = tool("get", "Camera.gian")
        assert (done.code, done.out) == (1, "")
        assert "Parameter 'Camera.gian' does not exist" in done.err
        assert "Did you mean 'Camera.gain'?" in done.err

    def test_a_folder_has_no_value(self, desk: Database) -> None:
        done = tool("get", "Camera")
        assert done.code == 1
        assert "ConfigTool list Camera" in done.err

    def test_a_folder_is_listed_in_aligned_lines(self, desk: Database) -> None:
        """003-23: path = value  (type)  # comment, for everything below."""
        assert tool("list", "Camera").lines == [
            "Camera.cooling.enabled = True   (boolean)",
            "Camera.cooling.target  = -20.5  (double)   # °C",
            "Camera.gain            = 3      (integer)  # Electrons per count.",
            "Camera.mode            = fast   (string)",
            "Camera.serial          = 0123   (string)",
        ]

    def test_a_value_stays_on_its_line_and_commands_no_terminal(self, desk: Database) -> None:
        lines = tool("list", "Stage").lines
        assert lines[0].split() == ["Stage.empty", "=", "''", "(string)"]
        assert r"two\nlines\x1b[31m" in lines[1]

    def test_without_a_folder_all_is_listed(self, desk: Database) -> None:
        assert len(tool("list").lines) == 9

    def test_an_unknown_folder_has_a_hint(self, desk: Database) -> None:
        done = tool("list", "Camera.coling")
        assert done.code == 1
        assert "Did you mean 'Camera.cooling'?" in done.err

    def test_search_looks_into_paths_values_and_comments(self, desk: Database) -> None:
        for text, path in (("COOLING.en", "enabled"), ("fas", "mode"), ("per COUNT", "gain")):
            (line,) = tool("search", text).lines
            assert path in line
        assert tool("search", "nowhere").code == 1

    def test_json_is_one_object_per_line(self, desk: Database) -> None:
        first, second, *_ = tool("list", "Camera.cooling", "--json").objects
        assert (first["path"], first["value"], first["datatype"]) == ("Camera.cooling.enabled", True, "boolean")
        assert (second["value"], second["comment"], second["version"]) == (-20.5, "°C", "default")
        assert second["last_modified"].endswith("+00:00")
        assert tool("--json", "get", "Camera.gain").objects[0]["value"] == 3


class TestAWordThatIsNoCommand:
    """003-30: it lists the parameter of that name, or else every parameter containing it."""

    def test_a_parameters_name_shows_it(self, desk: Database) -> None:
        assert tool("Camera.gain").lines == ["Camera.gain = 3  (integer)  # Electrons per count."]

    def test_a_folder_is_listed(self, desk: Database) -> None:
        assert tool("Camera.cooling") == tool("Camera.cooling.") == tool("list", "Camera.cooling")

    def test_a_part_of_a_path_in_any_case(self, desk: Database) -> None:
        assert [line.split()[0] for line in tool("COOL").lines] == ["Camera.cooling.enabled", "Camera.cooling.target"]

    def test_nothing_of_that_name(self, desk: Database) -> None:
        done = tool("hist")
        assert (done.code, done.out) == (1, "")
        assert "'hist' is neither a command nor part of a parameter's path." in done.err
        assert "Did you mean 'list'?" in tool("lits").err

    def test_with_more_words_it_was_meant_as_a_command(self, desk: Database) -> None:
        done = tool("gte", "Camera.gain")
        assert done.code == 2
        assert "Did you mean 'get'?" in done.err
        assert "Camera.gain=VALUE" in tool("Camera.gain", "=", "4").err


class TestAssignment:
    """003-31: PATH=VALUE sets, and the type is checked."""

    def test_old_new_revision_and_undo_are_shown(self, camera: Database) -> None:
        done = tool("Camera.gain=5")
        assert done == Done(
            0,
            "Camera.gain = 5  (integer, was 3)\nRevision 10. Undo with: ConfigTool rollback 9 Camera.gain\n",
            "",
        )
        assert tool("get", "Camera.gain").out == "5\n"

    def test_the_type_is_kept_to(self, desk: Database) -> None:
        done = tool("Camera.gain=True")
        assert (done.code, done.out) == (4, "")
        assert done.err == "ConfigTool: 'Camera.gain' cannot be set to 'True': it is an integer.\n"
        assert tool("Camera.serial=5").code == 0
        assert state(desk)["Camera.serial"][:2] == ("5", "string")
        assert tool("Camera.cooling.enabled=off").code == 0
        assert state(desk)["Camera.cooling.enabled"][:2] == ("False", "boolean")

    def test_limits_are_kept_to(self, desk: Database) -> None:
        for word, reason in (("Camera.gain=10", "it must be at most 9"), ("Camera.mode=x", "one of fast, slow")):
            done = tool(word)
            assert (done.code, reason in done.err) == (4, True), done

    def test_a_new_parameter_takes_the_type_its_value_looks_like(self, desk: Database) -> None:
        words = {"i": "-5", "z": "0123", "d": "-1e-6", "b": "true", "s": "./Titan2", "e": "a=b", "n": ""}
        assert tool(*(f"New.{name}={text}" for name, text in words.items())).code == 0
        found = {path: entry[:2] for path, entry in state(desk).items() if path.startswith("New")}
        assert found == {
            "New.i": ("-5", "integer"),
            "New.z": ("0123", "string"),
            "New.d": ("-1e-06", "double"),
            "New.b": ("True", "boolean"),
            "New.s": ("./Titan2", "string"),
            "New.e": ("a=b", "string"),
            "New.n": ("", "string"),
        }

    def test_a_name_like_another_is_pointed_out(self, desk: Database) -> None:
        done = tool("Camera.gian=5")
        assert done.code == 0
        assert done.err == "Camera.gian is a new parameter. Did you mean 'Camera.gain'?\n"
        assert "Did you mean 'Camera.cooling'?" in tool("set", "Camera.coling", "x").err
        assert "Did you mean 'Stage'?" in tool("Stag=1").err

    @pytest.mark.parametrize(
        "words",
        [
            ("Instruments.JEOL-JEM-TEM.filestore_path=./JEOL",),
            ("Instruments.FEI-Titan-TEM2.filestore_path=./Titan2",),
            ("Instruments.FEI-Titan-TEM.computer_ip=10.0.0.7",),
            ("add", "Camera.gian", "5"),
            ("Camera.maximum=9",),
            ("Camera2.gain=3",),
            ("Stage.p2=1",),
        ],
    )
    def test_what_is_meant_to_be_new_is_no_mistake(self, desk: Database, words: tuple[str, ...]) -> None:
        """A hint that is wrong most of the time is not read when it is right."""
        configure(
            desk,
            Edit("Instruments.FEI-Titan-TEM.filestore_path", value="./Titan"),
            Edit("Instruments.FEI-Titan-TEM.computer_name", value="TITAN"),
            Edit("Stage.p1", value=1),
            Edit("Camera.minimum", value=1),
        )
        done = tool(*words)
        assert (done.code, done.err) == (0, ""), done

    def test_a_value_with_blanks_needs_quotes(self, desk: Database) -> None:
        """Without them it is several words; not one of them becomes a parameter, and nothing is cut off."""
        before = state(desk)
        for words, stray, whole in (
            (("Camera.gain=4", "foo"), "foo", "'Camera.gain=4 foo'"),
            (("Site.title=My", "Lab", "Basel"), "Lab", "'Site.title=My Lab Basel'"),
            (("Camera.gain=4", "Site.title=My", "Lab", "-m", "why", "Camera.mode=slow"), "Lab", "'Site.title=My Lab'"),
            (("Site.title=", "=Lab"), "=Lab", "'Site.title= =Lab'"),
        ):
            done = tool(*words)
            assert (done.code, done.out, state(desk) == before) == (2, "", True), done
            sentence = f"'{stray}' is not of the form PATH=VALUE; quote values with blanks: ConfigTool {whole}"
            assert done.err == f"ConfigTool: {sentence}. See ConfigTool --help.\n"
        assert tool("Site.title=My Lab Basel").code == 0
        assert state(desk)["Site.title"][0] == "My Lab Basel"

    def test_a_value_that_begins_with_a_dash(self, desk: Database) -> None:
        for words in (("set", "A.s", "--", "-foo"), ("-v", "default", "set", "A.s", "--", "-foo"), ("A.s=-foo",)):
            assert tool(*words).code == 0
            assert state(desk)["A.s"][0] == "-foo"

    def test_several_are_set_together_or_not_at_all(self, camera: Database) -> None:
        before = state(camera)
        assert tool("Camera.serial=7", "Camera.gain=99").code == 4
        assert state(camera) == before
        done = tool("Camera.serial=7", "Camera.gain=4")
        assert "Revisions 10 to 11." in done.out
        assert undo(done).code == 0
        assert state(camera) == before

    def test_an_option_may_stand_anywhere(self, desk: Database) -> None:
        """The reason is thought of last, or first, or in between."""
        for words in (
            ("-m", "A=B", "Camera.gain=4", "Camera.mode=slow"),
            ("Camera.gain=5", "-m", "A=B", "Camera.mode=fast"),
        ):
            assert tool(*words).code == 0
        assert tool("get", "Camera.gain", "-v", "default").out == "5\n"
        assert tool("history", "Camera.mode").out.count("A=B") == 2

    def test_what_is_so_already_is_no_change(self, desk: Database) -> None:
        done = tool("Camera.gain=3")
        assert (done.code, done.out) == (0, "")
        assert done.err == "Camera.gain is already 3: nothing to change.\n"

    def test_no_parameter_where_a_folder_is_nor_below_another_parameter(self, desk: Database) -> None:
        for word in ("Camera=5", "Camera.gain.x=5"):
            done = tool(word)
            assert done.code == 4, done
        assert "there can be nothing below it" in done.err

    def test_json_tells_the_change(self, desk: Database) -> None:
        (found,) = tool("Camera.gain=5", "--json").objects
        assert (found["path"], found["old"], found["new"], found["revision"]) == ("Camera.gain", 3, 5, 10)

    def test_what_is_no_path_is_refused(self, desk: Database) -> None:
        done = tool("a..b=5")
        assert done.code == 4
        assert "'a..b' is not a valid path of a parameter" in done.err


class TestSet:
    """003-32: `set` overwrites the type."""

    def test_the_value_decides_on_the_type(self, desk: Database) -> None:
        done = tool("set", "Camera.serial", "-1e-6")
        assert done.lines[0] == "Camera.serial = -1e-06  (double, was 0123 (string))"
        assert state(desk)["Camera.serial"][:2] == ("-1e-06", "double")

    def test_the_type_can_be_said(self, desk: Database) -> None:
        assert tool("set", "Camera.gain", "5", "--type", "string").code == 0
        assert state(desk)["Camera.gain"][:2] == ("5", "string")
        done = tool("set", "Camera.gain", "x", "--type", "integer")
        assert (done.code, "it is an integer" in done.err) == (4, True)

    def test_the_comment_can_be_said(self, desk: Database) -> None:
        done = tool("set", "Camera.gain", "3", "--comment", "e/count")
        assert done.lines[0] == "Camera.gain = 3  (integer, new comment)"
        assert state(desk)["Camera.gain"][2] == "e/count"


class TestAddAndRemove:
    """`add` adds only what isn't there; `remove` takes a folder with all that is in it."""

    def test_add_creates_parameters_and_folders(self, camera: Database) -> None:
        assert tool("add", "Camera.name", "Orca", "--comment", "On its back.").lines[0] == (
            "Camera.name = Orca  (string, new)"
        )
        assert tool("add", "Vacuum", "--type", "folder").code == 0
        assert state(camera)["Vacuum"][1] == "folder"

    def test_add_refuses_what_exists(self, desk: Database) -> None:
        for path in ("Camera.gain", "Camera"):
            done = tool("add", path, "4")
            assert (done.code, f"'{path}' already exists" in done.err) == (4, True), done

    def test_a_folder_is_removed_whole_and_comes_back_whole(self, camera: Database) -> None:
        before = state(camera)
        done = tool("remove", "Camera")
        assert done.code == 0
        assert "Camera.gain removed  (was 3)" in done.lines
        assert not [path for path in state(camera) if path.startswith("Camera")]
        assert undo(done).code == 0
        assert state(camera) == before

    def test_removing_what_is_not_there(self, desk: Database) -> None:
        done = tool("remove", "Camera.gian")
        assert done.code == 1
        assert "Did you mean 'Camera.gain'?" in done.err


class TestTheWayBack:
    """Every change prints the command that undoes it, and the command does."""

    def test_it_restores_value_type_comment_and_limits(self, camera: Database) -> None:
        before = state(camera)
        for words in (
            ("Camera.gain=5",),
            ("set", "Camera.gain", "text"),
            ("set", "Stage.note", "one line", "--comment", "new"),
            ("add", "New.parameter", "5"),
            ("-v", "default", "remove", "Camera.cooling"),
        ):
            done = tool(*words)
            assert done.code == 0, done
            assert state(camera) != before
            assert undo(done).code == 0
            assert state(camera) == before

    def test_it_leaves_other_parameters_alone(self, desk: Database) -> None:
        done = tool("Camera.gain=5")
        tool("Camera.serial=77")
        undo(done)
        assert tool("get", "Camera.serial").out == "77\n"

    def test_a_revision_that_is_not_there_yet_is_refused(self, desk: Database) -> None:
        done = tool("rollback", "99", "Camera")
        assert (done.code, "the newest is 9" in done.err) == (4, True)


class TestHistory:
    """Every change is kept with who made it, where, with what and why."""

    def test_a_change_is_recorded(self, camera: Database) -> None:
        tool("Camera.gain=5", "-m", "too dark")
        newest = history(camera, "Camera.gain")[0]
        assert (newest.who, newest.host) == (getpass.getuser(), socket.gethostname())
        assert (newest.tool, newest.why, newest.old_value, newest.new_value) == ("ConfigTool", "too dark", "3", "5")

    def test_it_is_shown_newest_first(self, camera: Database) -> None:
        tool("Camera.gain=5", "-m", "too dark")
        tool("remove", "Camera.gain")
        header, *lines = tool("history", "Camera.gain").lines
        assert header.split() == ["revision", "when", "who", "with", "value", "why"]
        assert re.match(r"11 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \S+@\S+ +ConfigTool +removed", lines[0])
        assert re.match(r"10 .* ConfigTool +5 +too dark$", lines[1])
        assert re.match(r"2 .* jane@desk +test +3 +to begin with$", lines[2])
        assert len(tool("history", "Camera.gain", "-n", "1", "--json").objects) == 1

    def test_an_unknown_name_exits_with_1(self, desk: Database) -> None:
        assert tool("history", "Camera.gian").code == 1


class TestVersions:
    """003-19: several configurations can be managed."""

    def test_a_version_is_chosen_by_name(self, camera: Database) -> None:
        ConfigStore(camera, SYSTEM_CLOCK).add_version("night")
        assert tool("-v", "night", "Camera.gain=8").code == 0
        assert (tool("get", "Camera.gain").out, tool("get", "Camera.gain", "-v", "night").out) == ("3\n", "8\n")
        assert tool("versions").lines == ["default", "night"]

    def test_without_a_name_it_is_the_default_one(self, desk: Database) -> None:
        """003-18: the one that the parameter default_version names."""
        ConfigStore(desk, SYSTEM_CLOCK).add_version("night")
        tool("-v", "night", "Camera.gain=8")
        tool("default_version=night")
        assert tool("get", "Camera.gain").out == "8\n"

    def test_the_default_one_must_be_there(self, desk: Database) -> None:
        """003-18: programs would make one of a mistyped name, and the facility would be without its configuration."""
        done = tool("default_version=nihgt")
        assert (done.code, done.out) == (4, "")
        assert "default_version must name an existing version, not 'nihgt' (versions: default)" in done.err
        assert done.err.endswith("to add it: ConfigTool add-version nihgt.\n")
        assert tool("get", "default_version").out == "default\n"

    def test_an_unknown_version(self, desk: Database) -> None:
        done = tool("-v", "nihgt", "list")
        assert done.code == 1
        assert done.err == "ConfigTool: Version 'nihgt' of the configuration does not exist. Versions: default.\n"

    def test_a_mistyped_name_makes_no_version(self, desk: Database, tmp_path: Path) -> None:
        """003-20: what is not there is made where somebody says so; the sentence says what to type."""
        file = tmp_path / "f.json"
        file.write_text('{"Camera": {"gain": 5}}')
        for words in (("deserialize", ".", str(file)), ("Camera.gain=5",)):
            done = tool("-v", "nihgt", *words)
            assert (done.code, done.out) == (1, "")
            assert done.err.endswith("Versions: default. To add it: ConfigTool add-version nihgt\n")
        assert tool("versions").lines == ["default"]
        assert tool("add-version", "nihgt").code == tool("-v", "nihgt", "deserialize", ".", str(file)).code == 0
        assert tool("-v", "nihgt", "get", "Camera.gain").out == "5\n"


class TestSecrets:
    """A secret's value is shown nowhere."""

    def test_it_is_masked(self, embedded: Database) -> None:
        configure(embedded, Edit("Stage.password", value="hunter2", limits=Limits(secret=True)))
        for words in (
            ("get", "Stage.password"),
            ("list",),
            ("list", "--json"),
            ("search", "password"),
            ("Stage.password=hunter3",),
            ("Stage.password=hunter4", "--json"),
            ("history", "Stage.password"),
            ("history", "Stage.password", "--json"),
            ("remove", "Stage.password"),
        ):
            done = tool(*words)
            assert (done.code, "*****" in done.out, "hunter" in done.out + done.err) == (0, True, False), done

    def test_it_cannot_be_searched_for(self, embedded: Database) -> None:
        configure(embedded, Edit("Stage.password", value="hunter2", limits=Limits(secret=True)))
        assert tool("search", "hunter").code == 1


class TestOnlyWhatIsNeededIsRead:
    """One parameter of thousands is as quick as one of a few: no more than it and its surroundings is read."""

    @pytest.mark.parametrize(
        "words",
        [
            ("Camera.gain",),
            ("Camera.cooling",),
            ("get", "Camera.gain"),
            ("list", "Camera"),
            ("tree", "Camera"),
            ("Camera.gain=4",),
            ("set", "Camera.gian", "4"),
            ("add", "Camera.vendor", "Orca"),
            ("remove", "Camera.cooling"),
        ],
    )
    def test_no_more_is_read(self, camera: Database, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
        def refuse(*_: object) -> NoReturn:
            raise AssertionError("the whole version is read")

        monkeypatch.setattr(ConfigStore, "load", refuse)
        assert ConfigTool.main(words) == 0

    def test_a_name_that_another_one_begins_with(self, camera: Database) -> None:
        """Whatever the order of the letters in a database."""
        names = ("A.b", "A.b.c", "A.b-c", "A.b c.d", "A.b/c", "A.bc", "A.B.c", "A.ß.c", "A.b.ü", "A.b.-", "Ab")
        configure(camera, *(Edit(name, value=1) for name in names if name != "A.b"))
        found = [line.split(" = ")[0].strip() for line in tool("list", "A.b").lines]
        assert found == ["A.b.-", "A.b.c", "A.b.ü"]
        assert [one["path"] for one in tool("list", "A", "--json").objects] == [
            "A.B.c", "A.b.-", "A.b.c", "A.b.ü", "A.b c.d", "A.b-c", "A.b/c", "A.bc", "A.ß.c",
        ]  # fmt: skip
