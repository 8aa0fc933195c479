"""Tab in bash: what the databases hold is offered; silence when they are away."""

from __future__ import annotations

import argparse
import os
import shlex
import socket
import stat
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest
from argcomplete.shell_integration import shellcode

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.config.values import Limits
from NexusCore.facility.sessions import Client, Sessions
from NexusCore.storage import Database
from tests.tools.conftest import configure, log, report
from tests.tools.programs import PROGRAMS, Terminal, bash, run
from Tools.common import completion

# As bash does it when Tab is pressed: it calls the function that was registered and offers what that leaves behind.
PRESS_TAB = """
COMP_LINE={line} COMP_POINT=${{#COMP_LINE}} COMP_TYPE=9
_python_argcomplete {tool}
printf '%s\\n' "${{COMPREPLY[@]}}" {end}
"""
ENDS = ("e_times", "estore_path")
"""Of the names of an instrument's fields that begin with "fil": what it has, and what it can have."""
END = "-- that is all --"
REGISTERED = shellcode(["ConfigTool", "SessionTool", "TailLog", "TailStatus"])
"""What register-python-argcomplete writes."""


def offered_for(*lines: str, **variables: str) -> list[list[str]]:
    """Return what bash offers when Tab is pressed behind each of some lines."""
    tabs = [PRESS_TAB.format(tool=line.split()[0], line=shlex.quote(line), end=shlex.quote(END)) for line in lines]
    done = bash("\n".join([REGISTERED, *tabs]), **variables)
    assert (done.code, done.err) == (0, "")
    answers = done.out.split(f"{END}\n")[:-1]
    return [[word.rstrip() for word in answer.splitlines() if word] for answer in answers]


def offered(line: str, **variables: str) -> list[str]:
    (words,) = offered_for(line, **variables)
    return words


def filled(database: Database) -> Database:
    """Put something of everything into a database."""
    configure(
        database,
        Edit("Instruments.FEI-Titan-TEM.filestore_path", value="./Titan"),
        Edit("Instruments.JEOL-JEM-TEM.filestore_path", value="./JEM"),
        Edit("Camera.mode", value="fast", limits=Limits(choices=("fast", "slow"))),
        Edit("Camera.enabled", value=True),
        Edit("Camera.serial", value="0123"),
        Edit("Camera.password", value="hunter2", limits=Limits(secret=True)),
    )
    log(database, "x", logger="Builder", module="build")
    log(database, "x", logger="Harvester", module="ical")
    now = SYSTEM_CLOCK.now()
    report(database, (now, "Camera", "state", "idle", None), (now, "Camera", "shutter", "open", None))
    return database


@pytest.fixture
def facility(database: Database) -> Database:
    return filled(database)


@pytest.fixture
def desk(embedded: Database) -> Database:
    """Lend the same, for what does not depend on the kind of database."""
    return filled(embedded)


@pytest.fixture
def silent_server() -> Iterator[int]:
    """Lend the port of a server that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class TestOffers:
    """003-29: commands, parameters, channels, loggers and sessions are offered."""

    def test_names_in_the_databases(self, facility: Database) -> None:
        """003-29, 003-52, 003-58."""
        session = Sessions(facility, SYSTEM_CLOCK).start("JEOL-JEM-TEM", Client(user="jane", host="pc"))
        cases = (
            ("ConfigTool Inst", ["Instruments.FEI-Titan-TEM.", "Instruments.JEOL-JEM-TEM."]),
            ("ConfigTool get Instruments.FEI-Titan-TEM.fi", [f"Instruments.FEI-Titan-TEM.fil{end}" for end in ENDS]),
            ("ConfigTool Instruments.JEOL-JEM-TEM.tim", ["Instruments.JEOL-JEM-TEM.timezone"]),
            ("ConfigTool Instruments.JEOL-JEM-TEM.harvester=n", ["nemo"]),
            ("ConfigTool Camera.mode=", ["fast", "slow"]),
            ("ConfigTool Camera.enabled=F", ["False"]),
            ("ConfigTool Camera.serial=", ["0123"]),
            ("ConfigTool Camera.password=", []),
            ("ConfigTool Camera.enabled=True Camera.m", ["Camera.mode"]),
            ("ConfigTool -v default --dry-run Camera.mode=s", ["slow"]),
            ("ConfigTool tree Inst", ["Instruments.FEI-Titan-TEM.", "Instruments.JEOL-JEM-TEM."]),
            ("ConfigTool copy ", ["default"]),
            ("ConfigTool -v ", ["default"]),
            ("TailLog --logger ", ["Builder", "Harvester"]),
            ("TailLog --module i", ["ical"]),
            ("TailLog --session ", [session.identifier]),
            ("TailStatus Cam", ["Camera:shutter", "Camera:state"]),
            ("TailStatus Camera:sh", ["shutter"]),
            ("SessionTool start ", ["FEI-Titan-TEM", "JEOL-JEM-TEM"]),
            ("SessionTool end ", sorted(["JEOL-JEM-TEM", session.identifier])),
            ("SessionTool show ", [session.identifier]),
        )
        found = offered_for(*(line for line, _ in cases))
        assert [(line, sorted(words)) for (line, _), words in zip(cases, found, strict=True)] == list(cases)

    def test_words_of_the_tools_themselves(self, embedded: Database) -> None:
        cases = (
            ("ConfigTool re", ["remove", "reset"]),
            ("ConfigTool --", ["--dry-run", "--help", "--if-revision", "--json", "--reason", "--version", "--yes"]),
            ("ConfigTool --dry-run del", ["delete"]),
            ("ConfigTool delete ", ["version"]),
            ("ConfigTool copy --", ["--dry-run", "--help", "--json", "--overwrite", "--reason", "--version", "--yes"]),
            ("ConfigTool set a.b 5 --type ", ["boolean", "double", "folder", "integer", "string"]),
            ("SessionTool s", ["show", "start"]),
            ("SessionTool close --", ["--at", "--dry-run", "--help", "--json", "--now"]),
            ("SessionTool list --state BUI", ["BUILDING", "BUILT"]),
            ("TailLog -p e", ["error"]),
            ("ConfigTool Services.Uploader.destinations=c", ["cdcs"]),
            ("ConfigTool Services.Uploader.destinations=cdcs,d", ["cdcs,directory"]),
            ("ConfigTool Services.Uploader.destinations=cdcs,c", []),
        )
        found = offered_for(*(line for line, _ in cases))
        assert [(line, sorted(words)) for (line, _), words in zip(cases, found, strict=True)] == list(cases)

    def test_files_with_the_prefix_are_offered(self, embedded: Database, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        for name in ("f.json", ".hidden", "other.xml"):
            (tmp_path / name).touch()
        assert sorted(offered(f"ConfigTool import {tmp_path}/f")) == [f"{tmp_path}/f.json", f"{tmp_path}/folder/"]
        assert offered(f"ConfigTool import {tmp_path}/.h") == [f"{tmp_path}/.hidden"]
        assert offered(f"ConfigTool import {tmp_path}/nowhere/") == []

    def test_in_a_real_shell(self, facility: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """Tab, Tab, Enter: what was offered works."""
        monkeypatch.setenv("PATH", f"{PROGRAMS}:{os.environ['PATH']}")
        monkeypatch.setenv("PS1", "$ ")
        with Terminal(["/bin/bash", "--norc", "--noprofile", "-i"]) as shell:
            shell.type('eval "$(register-python-argcomplete ConfigTool)"; echo re""ady\n')
            shell.until("ready")
            shell.type("ConfigTool get Cam\tser\t")
            shell.until(r"era\.serial ")
            shell.type("\n")
            shell.until(r"\s0123\n")
            shell.type("exit\n")
            assert shell.end() == 0


def kept(home: Path) -> list[Path]:
    """Return the files that hold what was offered."""
    return sorted((home / "cache").glob("*"))


def age(home: Path, seconds: float) -> None:
    """Make what is kept older."""
    for file in kept(home):
        moment = file.stat().st_mtime - seconds
        os.utime(file, (moment, moment))


class TestRemembered:
    """What was offered a moment ago is offered again without the database; after that, what is there now."""

    @pytest.fixture
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("NEXUSCORE_HOME", str(tmp_path / "own"))
        return tmp_path / "own"

    def test_for_a_moment(self, facility: Database, home: Path) -> None:
        expected = ["Camera.enabled", "Camera.mode", "Camera.password", "Camera.serial"]
        assert offered("ConfigTool Camera.") == expected
        configure(facility, Edit("Camera.new", value=1))
        assert offered("ConfigTool Camera.") == expected
        age(home, 60)
        assert offered("ConfigTool Camera.") == sorted([*expected, "Camera.new"])

    def test_what_is_changed_here_is_offered_at_once(self, desk: Database, home: Path) -> None:
        assert offered("ConfigTool Camera.n") == []
        assert run("ConfigTool", "Camera.new=1").code == 0
        assert offered("ConfigTool Camera.n") == ["Camera.new"]
        assert offered("SessionTool show ") == []
        assert run("SessionTool", "start", "JEOL-JEM-TEM").code == 0
        assert len(offered("SessionTool show ")) == 1
        assert offered("ConfigTool -v ") == ["default"]
        assert run("ConfigTool", "copy", "default", "night").code == 0
        assert offered("ConfigTool -v ") == ["default", "night"]

    def test_for_its_owner_alone_and_without_secrets(self, desk: Database, home: Path) -> None:
        offered_for("ConfigTool Camera.password=", "TailLog --logger ", "TailStatus ", "SessionTool show ")
        files = kept(home)
        assert len(files) == 4
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert stat.S_IMODE((home / "cache").stat().st_mode) == 0o700
        assert "hunter2" not in "".join(file.read_text() for file in files)

    def test_databases_and_versions_have_their_own(self, desk: Database, home: Path, sqlite_url: str) -> None:
        assert offered("ConfigTool Camera.s") == ["Camera.serial"]
        assert offered("ConfigTool -v nowhere Camera.s") == []
        assert offered("ConfigTool Camera.s", NEXUSCORE_DATABASE=sqlite_url.replace("nexus.db", "other.db")) == []

    def test_what_cannot_be_used_is_passed_over(self, desk: Database, home: Path) -> None:
        for content in ("", "{", "[1]", '{"key": 1}', '{"key": "x", "found": [["Camera.x"]]}'):
            for file in kept(home):
                file.write_text(content)
            assert offered("ConfigTool Camera.s") == ["Camera.serial"]

    def test_a_folder_that_cannot_be_written_to(self, desk: Database, home: Path) -> None:
        home.mkdir()
        (home / "cache").write_text("no folder")
        assert offered("ConfigTool Camera.s") == ["Camera.serial"]


class TestSilence:
    """When a database is away nothing is offered, nothing is written, and the shell does not hang."""

    def test_a_server_that_is_down(self) -> None:
        lines = ("ConfigTool Inst", "TailLog --logger B", "TailStatus Cam", "SessionTool show ")
        assert offered_for(*lines, NEXUSCORE_DATABASE="mysql://nobody@127.0.0.1:1/nexus") == [[]] * len(lines)

    def test_a_server_that_never_answers(self, silent_server: int) -> None:
        assert offered("ConfigTool Inst", NEXUSCORE_DATABASE=f"mysql://nobody@127.0.0.1:{silent_server}/nexus") == []

    def test_only_the_first_waits_for_it(self) -> None:
        """A server that is silent is not asked again for each Tab."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(30)
            url = f"mysql://nobody@127.0.0.1:{server.getsockname()[1]}/nexus"
            for _ in range(3):
                assert offered("ConfigTool Inst", NEXUSCORE_DATABASE=url) == []
            server.accept()[0].close()
            server.setblocking(False)
            with pytest.raises(BlockingIOError):
                server.accept()

    def test_settings_that_cannot_be_used(self) -> None:
        assert offered("ConfigTool Inst", NEXUSCORE_DATABASE="nonsense") == []
        assert "list" in offered("ConfigTool li", NEXUSCORE_DATABASE="nonsense")


class TestPatience:
    """What is waited for is an answer, not the end of this machine's own work."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("NexusCore.completion.DATABASE_SECONDS", 0.3)

    def test_work_is_waited_for(self) -> None:
        def read(_arguments: Namespace, _prefix: str) -> list[str]:
            end = time.process_time() + 0.9
            while time.process_time() < end:
                pass
            return ["found"]

        assert list(completed(read)) == ["found"]

    def test_silence_is_not(self) -> None:
        answer = threading.Event()

        def read(_arguments: Namespace, _prefix: str) -> list[str]:
            return ["found"] if answer.wait(60) else ["nothing came"]

        assert list(completed(read)) == []
        answer.set()


def completed(read: completion.Read, prefix: str = "") -> dict[str, str]:
    """Return what a shell is given for an argument."""
    action = argparse.ArgumentParser().add_argument("path")
    completion.attach(action, read)
    found: dict[str, str] = action.completer(prefix, Namespace(version=None))  # type: ignore[attr-defined]
    return found


class TestWhatItIsFor:
    """Shells that show a text beside a candidate get the parameter's comment."""

    def test_in_zsh(self, embedded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        configure(embedded, Edit("Instruments.Titan.name", value="Titan"))
        found = completed(completion.parameters, "Instruments.Titan.time")
        assert list(found) == ["Instruments.Titan.timezone"]
        assert found["Instruments.Titan.timezone"].startswith("Time zone of its PC")
