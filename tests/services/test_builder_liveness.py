"""The Builders of one machine: who died over a session is known at once, who lives is left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from NexusCore.facility import State
from NexusCore.liveness import Presence
from tests.processes import PROJECT, execute
from tests.services.builder_facility import Stage

LIVING = """
import sys
from pathlib import Path
from NexusCore.liveness import Presence
here = Presence(Path(sys.argv[1]), sys.argv[2])
print("here", flush=True); sys.stdin.readline()
if sys.argv[3] == "leaves": here.close()
"""


@pytest.mark.parametrize(("how", "reported"), [("killed", ["pc:1:a"]), ("leaves", [])])
def test_a_builder_learns_who_died(tmp_path: Path, how: str, reported: list[str]) -> None:
    command = [sys.executable, "-c", LIVING, str(tmp_path), "pc:1:a", how]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "here\n"
        own = Presence(tmp_path, "pc:2:b")
        assert list(own.dead()) == []
        if how == "killed":
            other.kill()
        other.communicate("go\n", timeout=30)
    assert list(own.dead()) == reported
    assert list(own.dead()) == [], "once is enough"
    own.close()
    assert list(tmp_path.glob("*.alive")) == []


def test_without_a_folder_no_death_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    own = Presence(tmp_path / "file" / "builders", "pc:2:b")
    assert list(own.dead()) == []
    own.close()


def test_a_dead_ones_session_is_built_at_once(sqlite_url: str, tmp_path: Path) -> None:
    """Its lease would run for minutes yet; that of a Builder on another machine is kept."""
    stage = Stage(sqlite_url, tmp_path)
    try:
        here, elsewhere = stage.session("a.dm3"), stage.session("b.dm3")
        held = (
            "UPDATE session SET state = 'BUILDING', lease_until = 1 << 60, lease_owner = :owner WHERE identifier = :id"
        )
        execute(sqlite_url, held, owner="pc:1:a", id=here.identifier)
        execute(sqlite_url, held, owner="other:1:a", id=elsewhere.identifier)
        left = stage.app.settings.home / "builders" / "1-a.alive"
        left.write_text("pc:1:a")
        stage.builder.once()
        assert stage.sessions.get(here.identifier).state is State.BUILT
        assert stage.sessions.get(elsewhere.identifier).state is State.BUILDING
        assert not left.exists()
    finally:
        stage.close()
