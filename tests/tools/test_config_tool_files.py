"""ConfigTool: the configuration in and out of files, and checked against them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import ConfigStore, Edit
from NexusCore.config.values import Limits
from NexusCore.storage import Database
from tests.processes import execute
from tests.tools.configured import state, tool, undo
from tests.tools.conftest import configure
from tests.tools.programs import bash

CONTROL = (
    Edit("System.SystemControl.default_user", value="root", comment="Who starts the jobs."),
    Edit("System.SystemControl.sample_rate", value=10.0, limits=Limits(minimum=0.1)),
    Edit("System.SystemControl.password", value="hunter2", limits=Limits(secret=True)),
    Edit("System.Other", value=1),
)

# CryoCore's own file has this shape; what it says of types and comments is ours.
XML = """<?xml version="1.0" ?>
<configuration xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="configuration.xsd">
    <Version>1</Version>
    <default_version>default</default_version>
    <System>
        <!-- a remark -->
        <SystemInformation>
            <sample_rate>10</sample_rate>
            <monitor_sensors> True </monitor_sensors>
        </SystemInformation>
        <process><p99_WebServer><command>python3 &lt;Web&gt;.py</command></p99_WebServer></process>
        <empty/>
    </System>
    <Camera>
        <gain type="integer" comment="Electrons per count.">3</gain>
        <serial type="string">0123</serial>
        <parameter><name>exposure</name><type>float</type><value>0.5</value><comment>Seconds.</comment></parameter>
        <parameter name="2nd mode" value="slow"/>
        <note type="string"></note>
    </Camera>
</configuration>
"""


@pytest.fixture
def control(database: Database) -> Database:
    configure(database, *CONTROL)
    return database


@pytest.fixture
def desk(embedded: Database) -> Database:
    """Lend the same, for what does not depend on the kind of database."""
    configure(embedded, *CONTROL)
    return embedded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "f.json"


class TestJSON:
    """003-33, 003-34: what `serialize` writes, `deserialize` takes over below any folder."""

    def test_there_and_back(self, control: Database, file: Path) -> None:
        done = tool("serialize", "System.SystemControl")
        assert (done.code, done.err, "hunter2" in done.out) == (0, "", False)
        assert list(json.loads(done.out)) == ["SystemControl"]
        file.write_text(done.out)
        before = state(control)
        done = tool("deserialize", "SomeRoot", str(file), "-m", "moved")
        assert done.code == 0
        assert "SomeRoot.SystemControl.default_user = root  (string, new)" in done.lines
        found = state(control)
        assert found["SomeRoot.SystemControl.default_user"][:3] == before["System.SystemControl.default_user"][:3], (
            "value, type and comment"
        )
        assert found["SomeRoot.SystemControl.sample_rate"] == before["System.SystemControl.sample_rate"]
        assert undo(done).code == 0
        assert state(control) == before

    def test_through_a_pipe_and_of_everything(self, control: Database) -> None:
        before = state(control)
        done = bash("ConfigTool serialize | ConfigTool deserialize . - --dry-run")
        assert (done.code, done.out) == (0, "")
        done = bash("ConfigTool serialize System | ConfigTool deserialize All.of.it -")
        assert (done.code, "All.of.it.System.Other = 1  (integer, new)" in done.lines) == (0, True)
        assert {path for path in state(control) if not path.startswith("All")} == set(before)

    def test_nothing_is_replaced_without_overwrite(self, control: Database, file: Path) -> None:
        """Like copying (003-25): all or nothing."""
        file.write_text(json.dumps({"SystemControl": {"default_user": "jane", "sample_rate": 10.0, "added": 1}}))
        before = state(control)
        done = tool("deserialize", "System", str(file))
        assert (done.code, done.out) == (4, "")
        assert "'System.SystemControl.default_user' exists already and is different; use --overwrite" in done.err
        assert state(control) == before
        done = tool("deserialize", "System", str(file), "--overwrite", "--dry-run")
        assert done.lines == [
            "System.SystemControl.default_user = jane  (string, was root)",
            "System.SystemControl.added = 1  (integer, new)",
        ]
        assert state(control) == before
        assert tool("deserialize", "System", str(file), "--overwrite").code == 0
        assert state(control)["System.SystemControl.default_user"][:3] == ("jane", "string", "Who starts the jobs.")
        assert tool("deserialize", "System", str(file)).err.splitlines() == [
            "System.SystemControl.default_user is already jane: nothing to change.",
            "System.SystemControl.sample_rate is already 10.0: nothing to change.",
            "System.SystemControl.added is already 1: nothing to change.",
        ]

    def test_what_breaks_types_or_limits_changes_nothing(self, desk: Database, file: Path) -> None:
        before = state(desk)
        for content, reason in (
            ({"Other": True, "new": 1}, "it is an integer"),
            ({"SystemControl": {"sample_rate": -1}, "new": 1}, "it must be at least 0.1"),
            ({"Other": {"below": 1}}, "there can be nothing below it"),
            ({"SystemControl": 5}, "it is a folder"),
        ):
            file.write_text(json.dumps(content))
            done = tool("deserialize", "System", str(file), "--overwrite")
            assert (done.code, reason in done.err) == (4, True), done
        assert state(desk) == before

    def test_files_that_cannot_be_used(self, desk: Database, tmp_path: Path, file: Path) -> None:
        for content, code, reason in (
            (b"{", 4, "this is not JSON"),
            (b"[1]", 4, "must be an object"),
            (b"\xff", 1, "it is not UTF-8 text"),
            (b'{"a":' * 100_000, 4, "nested too deeply"),
            (b"{}", 4, "contains no parameters"),
        ):
            file.write_bytes(content)
            done = tool("deserialize", "X", str(file))
            assert (done.code, done.out, reason in done.err) == (code, "", True), done
            assert done.err.count("\n") == 1
        done = tool("deserialize", "X", str(tmp_path / "none.json"))
        assert (done.code, done.err) == (
            1, f"ConfigTool: {tmp_path}/none.json cannot be used: no such file or directory.\n",
        )  # fmt: skip

    def test_serializing_what_is_not_there(self, desk: Database) -> None:
        done = tool("serialize", "System.SystemControll")
        assert (done.code, done.out) == (1, "")
        assert "Did you mean 'System.SystemControl'?" in done.err


class TestXML:
    """Configurations of CryoCore are taken over, from its XML."""

    def test_paths_types_and_comments_are_taken_over(self, database: Database, tmp_path: Path) -> None:
        file = tmp_path / "defaultConfiguration.xml"
        file.write_text(XML, "utf-8")
        before = state(database)
        done = tool("import", str(file), "-m", "from CryoCore")
        assert done.code == 0
        added = {path: one[:3] for path, one in state(database).items() if path not in before}
        assert added == {
            "Version": ("1", "integer", None),
            "System.SystemInformation.sample_rate": ("10", "integer", None),
            "System.SystemInformation.monitor_sensors": ("True", "boolean", None),
            "System.process.p99_WebServer.command": ("python3 <Web>.py", "string", None),
            "Camera.gain": ("3", "integer", "Electrons per count."),
            "Camera.serial": ("0123", "string", None),
            "Camera.exposure": ("0.5", "double", "Seconds."),
            "Camera.2nd mode": ("slow", "string", None),
            "Camera.note": ("", "string", None),
        }
        assert undo(done).code == 0
        assert state(database) == before

    def test_what_is_there_keeps_its_type(self, desk: Database, tmp_path: Path) -> None:
        file = tmp_path / "c.xml"
        file.write_text("<configuration><System><SystemControl><sample_rate>5</sample_rate></SystemControl></System>"
                        "</configuration>")  # fmt: skip
        assert "use --overwrite to replace" in tool("import", str(file)).err
        done = tool("import", str(file), "--overwrite")
        assert done.lines[0] == "System.SystemControl.sample_rate = 5.0  (double, was 10.0)"

    @pytest.mark.parametrize(
        ("content", "code", "reason"),
        [
            ('<!DOCTYPE c [<!ENTITY a "x">]><configuration><A>&a;</A></configuration>', 1, "document type definition"),
            ('<!DOCTYPE c SYSTEM "file:///etc/passwd"><configuration/>', 1, "document type definition"),
            ("<configuration><A>&nbsp;</A></configuration>", 1, "it is not valid XML (undefined entity"),
            ("<configuration><A>", 1, "it is not valid XML"),
            ("<settings><A>1</A></settings>", 4, "the XML has no element <configuration>"),
            ("<configuration><A>1<B>2</B></A></configuration>", 4, "'A' has both a value and something below it"),
            ("<configuration><A type='colour'>1</A></configuration>", 4, "'A' has the unknown type 'colour'"),
            ("<configuration><A type='int'>x</A></configuration>", 4, "it is an integer"),
            ("<configuration>" + "<A>" * 5000 + "1" + "</A>" * 5000 + "</configuration>", 4, "is too long"),
            ("<configuration/>", 4, "contains no parameters"),
        ],
    )
    def test_what_is_refused(self, desk: Database, tmp_path: Path, content: str, code: int, reason: str) -> None:
        file = tmp_path / "c.xml"
        file.write_text(content)
        before = state(desk)
        done = tool("import", str(file))
        assert (done.code, done.out, reason in done.err) == (code, "", True), done
        assert state(desk) == before


class TestValidate:
    """Every parameter is checked against its type and limits; a file against what is there."""

    def test_all_is_well(self, control: Database) -> None:
        done = tool("validate")
        assert done.code == 0
        assert (done.out, done.err) == ("", "No problems in 5 parameters of version 'default'.\n")
        assert tool("--json", "validate").objects == [{"version": "default", "checked": 5, "problems": 0}]

    def test_what_was_written_into_the_tables_by_hand(self, control: Database, database_url: str) -> None:
        configure(control, Edit("A", value=1), Edit("B.c", value=True), Edit("D", value="d"))
        for path, column, value in (
            ("System.SystemControl.sample_rate", "value", "0.01"),
            ("System.Other", "value", "many"),
            ("B.c", "value", "yes"),
            ("D", "path", "A.d"),
            ("System.SystemControl.default_user", "limits", "{"),
            ("System.SystemControl.password", "limits", '{"secret": true, "pattern": "x"}'),
            ("default_version", "value", "gone"),
        ):
            sql = f"UPDATE config_parameter SET {column} = :value WHERE path = :path"
            execute(database_url, sql, value=value, path=path)
        done = tool("validate", "-v", "default")
        assert done.code == 1
        assert sorted(done.lines) == [
            "A.d: it is below 'A', which is a parameter",
            "B.c: yes is not of the type boolean",
            "System.Other: many is not of the type integer",
            "System.SystemControl.default_user: its limits cannot be read",
            "System.SystemControl.password: *****: it must match the pattern x",
            "System.SystemControl.sample_rate: 0.01: it must be at least 0.1",
            "default_version: version 'gone' does not exist",
        ]
        assert done.err == "7 problems in 8 parameters of version 'default'.\n"
        *problems, end = tool("validate", "-v", "default", "--json").objects
        assert {one["path"] for one in problems} == {line.partition(":")[0] for line in done.lines}
        assert end == {"version": "default", "checked": 8, "problems": 7}

    def test_parameters_without_a_value(self, control: Database, database_url: str, file: Path) -> None:
        """A text may have none; a number, or true or false, must have one. A secret may only be out of sight."""
        configure(
            control, Edit("A", value=1), Edit("B", value=True), Edit("C", value=1.5), Edit("D", value="d"),
            Edit("S", value="5", datatype="integer", limits=Limits(secret=True)),
        )  # fmt: skip
        for path in "ABD":
            execute(database_url, "UPDATE config_parameter SET value = NULL WHERE path = :path", path=path)
        done = tool("validate")
        assert done.code == 1
        assert sorted(done.lines) == [
            "A: it has no value, but its type integer needs one",
            "B: it has no value, but its type boolean needs one",
        ]
        content = {
            "A": {"datatype": "integer", "value": None}, "B": True, "C": None, "D": None,
            "S": {"datatype": "integer", "secret": True},
        }  # fmt: skip
        file.write_text(json.dumps(content))
        done = tool("validate", str(file))
        assert done.code == 1
        assert done.lines == [
            "A: it has no value, but its type integer needs one",
            "C: it has no value, but its type double needs one",
        ]

    def test_each_mistake_in_a_file_is_listed(self, desk: Database, file: Path) -> None:
        file.write_text(tool("serialize", "System").out)
        assert tool("validate", str(file)).code == 0
        content = {
            "SystemControl": {
                "sample_rate": -1,
                "default_usr": "x",
                "password": {"datatype": "integer", "value": 1},
            },
            "Other": {"x": 1},
            "New": {"p": 1},
        }
        file.write_text(json.dumps(content))
        done = tool("validate", str(file), "--root", "System")
        assert done.code == 1
        assert done.lines == [
            "System.SystemControl.sample_rate: -1: it must be at least 0.1",
            "System.SystemControl.default_usr: it would be new. Did you mean 'System.SystemControl.default_user'?",
            "System.SystemControl.password: its type is integer in the file, but string in the configuration",
            "System.Other.x: it would be below 'System.Other', which is a parameter",
        ]
        assert state(desk)["System.SystemControl.sample_rate"][0] == "10.0"

    def test_a_file_of_another_place(self, desk: Database, file: Path) -> None:
        """Its own limits hold too."""
        own = {"datatype": "integer", "value": 5, "maximum": 3}
        file.write_text(json.dumps({"p": own}))
        assert tool("validate", str(file), "--root", "New").lines == ["New.p: 5: it must be at most 3"]


def test_the_store_is_left_as_it_was_by_a_dry_run(control: Database, file: Path) -> None:
    """--dry-run of a file makes the very checks of the change itself, and the revision stays."""
    revision = ConfigStore(control, SYSTEM_CLOCK).revision()
    file.write_text(json.dumps({"p": 1}))
    done = tool("deserialize", "New", str(file), "--dry-run", "--json")
    assert done.objects == [
        {
            "path": "New.p", "version": "default", "old": None, "new": 1, "old_datatype": None,
            "datatype": "integer", "revision": None, "dry_run": True, "undo": None,
        }
    ]  # fmt: skip
    assert ConfigStore(control, SYSTEM_CLOCK).revision() == revision
