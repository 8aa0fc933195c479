"""The demonstration: what a newcomer sees first, on a machine of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import PROJECT, rows
from tests.tools.programs import run

SECONDS = 300
"""Seconds for one demonstration, on a busy machine; a test makes up to three."""


def demo(home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "Install/demo.py"], cwd=PROJECT, env={**os.environ, "NEXUSCORE_HOME": str(home), **variables},
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


@pytest.mark.timeout(3 * SECONDS)
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
        assert "already serves a facility (Titan)" in third.stderr
        assert len(rows(url, "SELECT state FROM session")) == 2

    def test_on_a_server(self, server_database_url: str, tmp_path: Path) -> None:
        """The same steps on MariaDB and on MySQL."""
        done = demo(tmp_path / "home", NEXUSCORE_DATABASE=server_database_url)
        assert (done.returncode, done.stderr) == (0, "")
        assert "40 files in 5 activities became one record, valid under the schema" in done.stdout
        assert rows(server_database_url, "SELECT state FROM session") == [("COMPLETED",)]
        assert rows(server_database_url, "SELECT level, message FROM log_record WHERE level >= 30") == []
