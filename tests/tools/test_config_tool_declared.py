"""ConfigTool and what programs declare: wrong values and names are refused, found, described, and put right."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from NexusCore.config.catalogue import catalogue
from NexusCore.config.store import Edit
from NexusCore.declare import declare_all
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database
from tests.tools.configured import history, state, tool, undo
from tests.tools.conftest import configure
from tests.tools.programs import Terminal, command
from tests.tools.wrong_settings import WRONG_SETTINGS, B
from Tools import ConfigTool
from Tools.common.declared import may_be_declared
from Tools.doctor.checks.configuration import declarations
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import Grade


@pytest.fixture
def declared(embedded: Database) -> Database:
    """Lend a database as set-up leaves it, with an instrument."""
    declare_all(DatabaseURL.parse(str(embedded.url)))
    configure(
        embedded, Edit("Instruments.Titan.filestore_path", value="./Titan"),
        Edit("Instruments.Titan.computer_name", value="titan-pc"),
    )  # fmt: skip
    return embedded


def write_by_hand(database: Database, values: Mapping[str, object]) -> None:
    """Store values as a program of yesterday did, without their declarations."""
    configure(database, *(Edit(path, value=value, check=False) for path, value in values.items()))  # type: ignore[arg-type]


def test_the_first_names_of_what_programs_declare() -> None:
    assert all(may_be_declared(item.path) for item in catalogue() if item.path != "default_version")
    assert not may_be_declared("Camera.gain")


class TestWrongSettings:
    """Fifty mistakes of different kinds: each is refused when it is set, and found where it is stored already."""

    def test_there_are_fifty(self) -> None:
        assert len(WRONG_SETTINGS) >= 50

    def test_validate_finds_each(self, declared: Database) -> None:
        rounds: list[dict[str, tuple[object, str]]] = []
        for path, value, said in WRONG_SETTINGS:  # a parameter has one value at a time
            free = next((settings for settings in rounds if path not in settings), None)
            if free is None:
                rounds.append(free := {})
            free[path] = (value, said)
        for settings in rounds:
            write_by_hand(declared, {path: value for path, (value, _) in settings.items()})
            done = tool("validate", "--json")
            found = {one["path"]: one["problem"] for one in done.objects if "problem" in one}
            assert (done.code, found.keys()) == (1, settings.keys())
            for path, (_, said) in settings.items():
                assert said.lower() in found[path].lower(), (path, found[path])
            configure(declared, *(Edit(path, "remove") for path in settings))
        assert tool("validate").code == 0

    def test_setting_refuses_each(self, declared: Database, capsys: pytest.CaptureFixture[str]) -> None:
        before = state(declared)
        for path, value, said in WRONG_SETTINGS:
            if " is declared" in said:
                continue  # the text of a number is that number
            code = ConfigTool.main([f"{path}={value}"])
            error = capsys.readouterr().err
            assert code == 4, (path, value, error)
            if "did you mean" in said:
                assert said.lower() in error.lower(), (path, value, error)
        assert state(declared) == before

    def test_doctor_finds_them(self, declared: Database, tmp_path: Path) -> None:
        case = Case({"NEXUSCORE_DATABASE": str(declared.url), "NEXUSCORE_HOME": str(tmp_path)})
        assert [outcome.grade for outcome in declarations(case)] == [Grade.OK]
        write_by_hand(declared, {"Services.Biulder.interval": 3, f"{B}.workers": "lots"})
        case = Case({"NEXUSCORE_DATABASE": str(declared.url), "NEXUSCORE_HOME": str(tmp_path)})
        found = list(declarations(case))
        assert [outcome.grade for outcome in found] == [Grade.PROBLEM, Grade.PROBLEM]
        assert "'lots': it is an integer" in found[1].sentence
        assert "Did you mean 'Services.Builder'?" in found[0].sentence
        for outcome in found:
            assert tool(*outcome.remedy.split()[1:]).code == 0, outcome.remedy


class TestSetting:
    """A new parameter gets what its program declares; its type stays."""

    def test_an_instrument_s_field_gets_type_limits_and_comment(self, declared: Database) -> None:
        assert tool("Instruments.Titan.timezone=Europe/Oslo").code == 0
        assert tool("Instruments.Titan.property_tag=0042").code == 0
        now = state(declared)
        assert now["Instruments.Titan.timezone"][3] == '{"form": "zone"}'
        assert str(now["Instruments.Titan.timezone"][2]).startswith("Time zone")
        assert now["Instruments.Titan.property_tag"][:2] == ("0042", "string")

    def test_set_keeps_the_declared_type(self, declared: Database) -> None:
        assert tool("set", f"{B}.lease", "60").code == 0
        assert state(declared)[f"{B}.lease"][:2] == ("60.0", "double")
        done = tool("set", f"{B}.workers", "lots", "--type", "string")
        assert (done.code, "it is an integer" in done.err) == (4, True)

    def test_add_is_the_way_to_a_name_that_nothing_reads(self, declared: Database) -> None:
        refused = tool(f"{B}.wrokers=3")
        assert "To add it all the same: ConfigTool add Services.Builder.wrokers" in refused.err
        assert tool("add", f"{B}.wrokers", "3").code == 0

    def test_a_service_of_somebody_else_s(self, declared: Database) -> None:
        assert tool("Services.OurOwn.interval=3").code == 0
        assert tool("validate").code == 0


class TestRemoving:
    """What a program needs is not lost: it gets its default, in the same transaction."""

    def test_remove_is_a_reset(self, declared: Database) -> None:
        before = state(declared)
        tool(f"{B}.workers=5")
        done = tool("remove", f"{B}.workers")
        assert (done.code, f"{B}.workers = 2" in done.out) == (0, True)
        assert state(declared) == before
        assert undo(done).code == 0
        assert state(declared)[f"{B}.workers"][0] == "5"

    def test_what_is_not_needed_is_removed(self, declared: Database) -> None:
        assert tool("remove", "Instruments.Titan").code == 0
        assert not [path for path in state(declared) if path.startswith("Instruments.")]

    def test_a_rollback_to_the_beginning_keeps_all_with_defaults(self, declared: Database) -> None:
        tool(f"{B}.workers=5")
        refused = tool("rollback", "1")
        assert refused.code == 0 or "--yes" in refused.err
        assert tool("rollback", "0", "--yes").code == 0
        now = state(declared)
        for item in catalogue().stored:
            assert item.path in now, item.path
        assert now[f"{B}.workers"][0] == "2"
        assert "Instruments.Titan.filestore_path" not in now

    def test_many_changes_are_shown_and_asked_about(self, declared: Database) -> None:
        names = [f"p{number}" for number in range(30)]
        configure(declared, *(Edit(f"Bulk.{name}", value=1) for name in names))
        before = state(declared)
        done = tool("remove", "Bulk")
        assert done.code == 4
        assert "Bulk.p7 removed  (was 1)" in done.out
        assert "This changes 0 parameters and removes 30. Nothing was changed; --yes" in done.err
        assert state(declared) == before
        assert tool("remove", "Bulk", "--yes").code == 0
        assert not [path for path in state(declared) if path.startswith("Bulk.")]

    def test_the_question_on_a_terminal(self, declared: Database) -> None:
        configure(declared, *(Edit(f"Bulk.p{number}", value=1) for number in range(21)))
        for answer, left in (("", 21), ("y", 0)):
            with Terminal(command("ConfigTool", "remove", "Bulk")) as terminal:
                terminal.until(r"removes 21\. Go on\? \[y/N\] ")
                terminal.type(f"{answer}\n")
                assert terminal.end() == (0 if answer else 4)
            assert sum(path.startswith("Bulk.") for path in state(declared)) == left


class TestDescribing:
    """What a parameter is for, what it may be, and who changed it."""

    def test_a_parameter(self, declared: Database) -> None:
        tool(f"{B}.workers=5", "-m", "a bigger machine")
        done = tool("describe", f"{B}.workers")
        for text in (
            "value    5",
            "default  2",
            "type     integer",
            "1 to 64",
            "Processes that read",
            "a bigger machine",
        ):
            assert text in done.out, done.out

    def test_what_is_not_set_yet(self, declared: Database) -> None:
        done = tool("describe", "Instruments.Titan.harvester")
        assert (done.code, "value    not set" in done.out) == (0, True)
        assert "caldav, ical, nemo, sharepoint" in done.out
        fields = json.loads(tool("describe", "Instruments.Titan.timezone", "--json").out)
        assert (fields["is_set"], fields["form"], fields["declared"]) == (False, "zone", True)

    def test_a_secret_is_not_shown(self, declared: Database) -> None:
        configure(declared, Edit("Services.Uploader.cdcs.token", value="hunter2"))
        done = tool("describe", "Services.Uploader.cdcs.token")
        assert "hunter2" not in done.out
        assert "*****" in done.out

    def test_nothing(self, declared: Database) -> None:
        done = tool("describe", f"{B}.wrokers")
        assert (done.code, "Services.Builder.workers" in done.err) == (1, True)

    def test_tree_shows_what_an_instrument_can_have(self, declared: Database) -> None:
        done = tool("tree", "Instruments.Titan")
        assert "filestore_path = ./Titan" in done.out
        assert "timezone  (not set)  # Time zone of its PC" in done.out
        assert "timezone" not in tool("tree", "Instruments.Titan", "--set-only").out
        new = tool("tree", "Instruments.JEOL-2100")
        assert (new.code, "harvester  (not set)" in new.out) == (0, True)
        assert tool("tree", "Instruments.Titn").code == 1, "a mistyped one"


class TestResetCloneMove:
    """A default, a copy, another name: each in one transaction, with the way back."""

    def test_reset(self, declared: Database) -> None:
        before = state(declared)
        tool(f"{B}.workers=5", f"{B}.strategy=exclusive", "Services.Builder.lease=60")
        assert tool("reset", f"{B}.workers").code == 0
        assert state(declared)[f"{B}.workers"] == before[f"{B}.workers"]
        done = tool("reset", B, "--yes")
        assert done.code == 0
        assert state(declared) == before
        assert tool("reset", "Instruments.Titan.computer_name").code == 0
        assert "Instruments.Titan.computer_name" not in state(declared)
        assert tool("reset", "Camera.gain").code == 1

    def test_clone(self, declared: Database) -> None:
        done = tool("clone", "Instruments.Titan", "Instruments.Titan-2")
        assert done.code == 0
        assert "Instruments.Titan-2.computer_name is the same" in done.err
        now = state(declared)
        assert now["Instruments.Titan-2.filestore_path"][:2] == now["Instruments.Titan.filestore_path"][:2]
        tool("Instruments.Titan.filestore_path=./other")
        refused = tool("clone", "Instruments.Titan", "Instruments.Titan-2")
        assert (refused.code, "--overwrite" in refused.err) == (4, True)
        assert tool("clone", "Instruments.Titan", "Instruments.Titan.inside").code == 4

    def test_move(self, declared: Database) -> None:
        done = tool("move", "Instruments.Titan", "Instruments.FEI-Titan")
        assert done.code == 0
        paths = [path for path in state(declared) if path.startswith("Instruments.")]
        assert sorted(paths) == ["Instruments.FEI-Titan.computer_name", "Instruments.FEI-Titan.filestore_path"]
        revisions = {entry.ts for path in paths for entry in history(declared, path)}
        assert len(revisions) == 1, "in one transaction"
        assert undo(done).code == 0
        assert "Instruments.Titan.computer_name" in state(declared)

    def test_serialize_and_deserialize_are_inverse(self, declared: Database, tmp_path: Path) -> None:
        for place in ("Instruments.Titan", f"{B}.workers"):
            before = state(declared)
            file = tmp_path / "it.json"
            file.write_text(tool("serialize", place).out, "utf-8")
            changed = f"{B}.workers" if place.startswith(B) else "Instruments.Titan.filestore_path"
            tool(f"{changed}=9")
            assert state(declared)[changed] != before[changed]
            assert tool("deserialize", place, str(file), "--overwrite").code == 0
            after = state(declared)
            assert {path: one[:2] for path, one in after.items()} == {path: one[:2] for path, one in before.items()}


class TestHistory:
    """Who changed what, when and why: of a parameter, a folder or everything."""

    def test_of_a_folder_and_everything(self, declared: Database) -> None:
        tool(f"{B}.workers=5", "-m", "first")
        tool("Services.Uploader.time_limit=30", "-m", "second")
        folder = [json.loads(line) for line in tool("history", B, "--json", "-n", "1").out.splitlines()]
        assert [(one["path"], one["new"], one["why"]) for one in folder] == [(f"{B}.workers", 5, "first")]
        everything = tool("history", "-n", "2")
        assert [line.split()[3] for line in everything.out.splitlines()[1:]] == [
            "Services.Uploader.time_limit",
            f"{B}.workers",
        ]

    def test_filters(self, declared: Database) -> None:
        tool(f"{B}.workers=5")
        assert tool("history", "--tool", "test", "--json", "-n", "9").out.count('"path"') == 2
        assert tool("history", "--who", "nobody").code == 1
        assert tool("history", "--since", "-1h", "--tool", "ConfigTool", "--json").out.count('"path"') == 1
        assert tool("history", "--until", "2020-01-01").code == 1

    def test_a_name_with_the_folder_s_beginning_is_another(self, declared: Database) -> None:
        configure(declared, Edit("A.b-c", value=1), Edit("A.b.c", value=2), Edit("A.bc", value=3))
        out = tool("history", "A.b", "--json").out
        assert [json.loads(line)["path"] for line in out.splitlines()] == ["A.b.c"]
