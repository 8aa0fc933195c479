"""The session logger as a program that needs no Python: built, started, and used with clicks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.gateway.gateways import RunningGateway
from tests.logger.gateways import Microscope
from tests.logger.screen import NEEDED, Desk, Screen, code_of

PRODUCT = "NexusLIMS Session Logger"


def built(folder: Path, **environment: str) -> Path:
    """Build it as docs/logger.md says; return the folder with what was made."""
    subprocess.run(
        [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR", "--distpath", folder / "dist",
         "--workpath", folder / "build", PROJECT / "Logger/NexusLogger.spec"],
        cwd=folder, check=True, capture_output=True, env={**os.environ, "NEXUSCORE_PRODUCT": PRODUCT, **environment},
        timeout=300,
    )  # fmt: skip
    return folder / "dist"


@pytest.fixture
def screen() -> Iterator[Screen]:
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(f"the window is clicked with {' and '.join(missing)}, which this machine does not have")
    with Screen(800, 600) as screen:
        yield screen


class TestThePackedProgram:
    """000-52, 53, 55, 57: a folder or one file, under the product's name; it leaves nothing behind."""

    def test_a_session_with_the_folder(
        self, embedded_gateway: RunningGateway, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = built(tmp_path) / PRODUCT / PRODUCT
        scope = Microscope(embedded_gateway, tmp_path, "PACKED")
        settings = tmp_path / "logger.ini"
        settings.write_text(f"[gateway]\nurl = {embedded_gateway.url}\ntoken = {scope.pc.secret}\n")
        monkeypatch.setenv("NEXUSCORE_LOGGER_SETTINGS", str(settings))
        monkeypatch.setenv("NEXUSCORE_LOGGER_HOME", str(tmp_path / "logger"))
        with Desk(screen, scope.name, tmp_path, [str(program)]) as desk:
            logger = desk.double_click()
            desk.click("RunningPage", "End session")
            assert code_of(logger) == 0
        assert scope.events() == ["START", "END"]
        assert not list(program.parent.rglob("NexusCore*")), "it has no way to a database"
        scope.close()

    def test_one_file(self, tmp_path: Path) -> None:
        dist = built(tmp_path, NEXUSCORE_ONE_FILE="1")
        assert [path.name for path in dist.iterdir()] == [PRODUCT]
        temporary = tmp_path / "tmp"
        temporary.mkdir()
        done = subprocess.run(
            [dist / PRODUCT, "--help"], env={**os.environ, "TMPDIR": str(temporary)}, capture_output=True, text=True,
            timeout=120, check=True,
        )  # fmt: skip
        assert "--host NAME" in done.stdout
        assert list(temporary.iterdir()) == [], "what it unpacked is gone"
