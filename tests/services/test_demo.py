"""The demonstration: what a newcomer sees first, on a machine of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.processes import PROJECT, rows
from tests.tools.programs import run

SECONDS = 300


def demo(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "Install/demo.py"], cwd=PROJECT, env={**os.environ, "NEXUSCORE_HOME": str(home)},
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


class TestTheDemonstration:
    """001-02..05: the whole way of a record, as often as one likes, and never on a facility's own sessions."""

    def test_again_and_again_but_not_on_a_facility(self, tmp_path: Path) -> None:
        home = tmp_path / "home of a newcomer"
        url = f"sqlite:///{home}/nexus.db"
        first, second = demo(home), demo(home)
        assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
        assert "became one record, valid under the schema" in second.stdout
        assert rows(url, "SELECT state FROM session") == [("COMPLETED",)] * 2
        assert rows(url, "SELECT cancelled FROM reservation") == [(0,)] * 2, "the first one's stays"
        described = run("ConfigTool", "Facility.data_root", NEXUSCORE_HOME=str(home))
        assert described.code == 0, "the default configuration is there"
        run("ConfigTool", "Instruments.Titan.filestore_path=./Titan", NEXUSCORE_HOME=str(home))
        third = demo(home)
        assert third.returncode == 4
        assert "serves a facility already (Titan)" in third.stderr
        assert len(rows(url, "SELECT state FROM session")) == 2
