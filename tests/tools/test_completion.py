"""Tab in bash: what the databases hold is offered; silence when they are away."""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Iterator

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.parameter import Limits
from NexusCore.config.store import Edit
from NexusCore.facility.sessions import Client, Sessions
from NexusCore.storage import Database
from tests.tools.conftest import configure, log, report
from tests.tools.programs import PROGRAMS, Terminal, bash

# As bash does it when Tab is pressed: it calls the function that was registered and offers what that leaves behind.
PRESS_TAB = """
eval "$(register-python-argcomplete {tool})"
COMP_LINE={line} COMP_POINT=${{#COMP_LINE}} COMP_TYPE=9
_python_argcomplete {tool}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def offered(line: str, **variables: str) -> list[str]:
    """Return what bash offers when Tab is pressed behind a line."""
    done = bash(PRESS_TAB.format(tool=line.split()[0], line=shlex.quote(line)), **variables)
    assert (done.code, done.err) == (0, "")
    return [word.rstrip() for word in done.lines if word]


@pytest.fixture
def facility(database: Database) -> Database:
    """Lend a database with something of everything."""
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
def silent_server() -> Iterator[int]:
    """Lend the port of a server that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class TestOffers:
    """003-29: commands, parameters, channels, loggers and sessions are offered."""

    def test_names_in_the_databases(self, facility: Database) -> None:
        """003-29, 003-52, 003-58."""
        session = Sessions(facility, SYSTEM_CLOCK).start("JEOL-JEM-TEM", Client(user="jane", host="pc"))
        for line, expected in (
            ("ConfigTool Inst", ["Instruments.FEI-Titan-TEM.", "Instruments.JEOL-JEM-TEM."]),
            ("ConfigTool get Instruments.F", ["Instruments.FEI-Titan-TEM.filestore_path"]),
            ("ConfigTool Camera.mode=", ["fast", "slow"]),
            ("ConfigTool Camera.enabled=F", ["False"]),
            ("ConfigTool Camera.serial=", ["0123"]),
            ("ConfigTool Camera.password=", []),
            ("ConfigTool -v ", ["default"]),
            ("TailLog --logger ", ["Builder", "Harvester"]),
            ("TailLog --module i", ["ical"]),
            ("TailLog --session ", [session.identifier]),
            ("TailStatus Cam", ["Camera:shutter", "Camera:state"]),
            ("TailStatus Camera:sh", ["shutter"]),
            ("SessionTool start ", ["FEI-Titan-TEM", "JEOL-JEM-TEM"]),
            ("SessionTool end ", sorted(["JEOL-JEM-TEM", session.identifier])),
            ("SessionTool show ", [session.identifier]),
        ):
            assert (line, sorted(offered(line))) == (line, expected)

    def test_words_of_the_tools_themselves(self, embedded: Database) -> None:
        for line, expected in (
            ("ConfigTool re", ["remove"]),
            ("ConfigTool --", ["--help", "--json", "--reason", "--version"]),
            ("ConfigTool set a.b 5 --type ", ["boolean", "double", "folder", "integer", "string"]),
            ("SessionTool s", ["show", "start"]),
            ("SessionTool list --state BUI", ["BUILDING", "BUILT"]),
            ("TailLog -p e", ["error"]),
        ):
            assert (line, sorted(offered(line))) == (line, expected)

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


class TestSilence:
    """When a database is away nothing is offered, nothing is written, and the shell does not hang."""

    def test_a_server_that_is_down(self) -> None:
        for line in ("ConfigTool Inst", "TailLog --logger B", "TailStatus Cam", "SessionTool show "):
            assert offered(line, NEXUSCORE_DATABASE="mysql://nobody@127.0.0.1:1/nexus") == []

    def test_a_server_that_never_answers(self, silent_server: int) -> None:
        assert offered("ConfigTool Inst", NEXUSCORE_DATABASE=f"mysql://nobody@127.0.0.1:{silent_server}/nexus") == []

    def test_settings_that_cannot_be_used(self) -> None:
        assert offered("ConfigTool Inst", NEXUSCORE_DATABASE="nonsense") == []
        assert "list" in offered("ConfigTool li", NEXUSCORE_DATABASE="nonsense")
