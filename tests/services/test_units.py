"""The systemd units are what systemd understands, and keep a service to what it needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

LIMIT = 60.0
"""Seconds that one program may take."""
MODULES = {
    "builder": "Services.Builder",
    "gateway": "Services.Gateway",
    "harvester": "Services.Harvester",
    "intake": "Services.Intake",
    "uploader": "Services.Uploader",
}

needs_systemd_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: this system has no systemd"
)


@pytest.fixture(params=sorted(MODULES))
def unit(request: pytest.FixtureRequest, project_copy: Path, tmp_path: Path) -> Path:
    """Install the unit of one service into a folder of the test's own."""
    return install(project_copy, tmp_path / "root", request.param)


def install(project_copy: Path, root: Path, name: str) -> Path:
    subprocess.run(
        [project_copy / "install.sh", "service", name],
        env={**os.environ, "DESTDIR": str(root)},
        check=True,
        capture_output=True,
        timeout=LIMIT,
    )
    return root / f"etc/systemd/system/nexuscore-{name}.service"


def read(unit: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys are case-sensitive
    # systemd reads all lines of this key; here one key is one line.
    text = unit.read_text().replace("EnvironmentFile=-/etc/default/nexuscore-", "X-OwnEnvironmentFile=")
    parser.read_string(text)
    return parser


def verify(unit: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=LIMIT, check=False
    )


class TestUnits:
    """001-01: systemd runs each service, restarts it when it fails, and ends it in an orderly way."""

    @needs_systemd_analyze
    def test_systemd_has_nothing_to_say_about_it(self, unit: Path) -> None:
        done = verify(unit)
        # An unknown key is only a warning to it, so its words count as much as its exit code.
        about_us = [line for line in (done.stdout + done.stderr).splitlines() if "nexuscore" in line]
        assert (done.returncode, about_us) == (0, [])

    @needs_systemd_analyze
    @pytest.mark.parametrize(
        ("right", "wrong"),
        [("ProtectClock=", "ProtectKlock="), ("RestartSec=5s", "RestartSec=soon"), ("ExecStart=/", "ExecStart=/no/")],
    )
    def test_a_fault_would_be_seen(self, project_copy: Path, tmp_path: Path, right: str, wrong: str) -> None:
        unit = install(project_copy, tmp_path / "root", "builder")
        assert right in unit.read_text()
        unit.write_text(unit.read_text().replace(right, wrong))
        done = verify(unit)
        assert "nexuscore" in done.stdout + done.stderr

    def test_it_runs_the_right_module_as_the_right_user(self, unit: Path, project_copy: Path) -> None:
        service = read(unit)["Service"]
        name = unit.stem.removeprefix("nexuscore-")
        assert service["ExecStart"] == f"{project_copy}/.venv/bin/python -m {MODULES[name]}"
        assert service["WorkingDirectory"] == str(project_copy)
        assert service["User"] == "nexuscore"
        assert service["X-OwnEnvironmentFile"] == name
        assert not re.search(r"@[A-Z]+@", unit.read_text())

    def test_it_waits_for_network_and_database(self, unit: Path) -> None:
        after = read(unit)["Unit"]["After"].split()
        assert {"network-online.target", "mariadb.service", "mysql.service"} <= set(after)

    def test_it_may_do_little(self, unit: Path) -> None:
        service = read(unit)["Service"]
        assert service["NoNewPrivileges"] == "yes"
        assert service["ProtectSystem"] == "strict"
        assert service["CapabilityBoundingSet"] == ""
        assert service["StateDirectory"] == "nexuscore"
        assert set(service["RestrictAddressFamilies"].split()) == {"AF_UNIX", "AF_INET", "AF_INET6"}
        # Readers of instrument files compile code as they run, which this would forbid.
        assert "MemoryDenyWriteExecute" not in service

    @needs_systemd_analyze
    def test_systemd_judges_it_well_protected(self, unit: Path) -> None:
        done = subprocess.run(
            # Exposure is counted in tenths here: 2.5 of 10, where systemd calls everything below 5.0 good.
            ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=25", unit],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 0, done.stdout


class TestInstallation:
    """Installing start scripts needs only to be told where, and refuses what it cannot do."""

    def test_script_and_unit_lie_where_the_system_looks(self, unit: Path, tmp_path: Path) -> None:
        name = unit.stem
        files = {path.relative_to(tmp_path / "root") for path in (tmp_path / "root").rglob("*") if path.is_file()}
        assert files == {Path("etc/init.d", name), Path("etc/systemd/system", f"{name}.service")}
        assert (tmp_path / "root/etc/init.d" / name).stat().st_mode & 0o777 == 0o755
        assert unit.stat().st_mode & 0o777 == 0o644

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ([], "needs the name of at least one service"),
            (["--start"], "needs the name of at least one service"),
            (["buidler"], "unknown service 'buidler'"),
        ],
    )
    def test_a_wrong_name_is_refused(
        self, project_copy: Path, tmp_path: Path, arguments: list[str], reason: str
    ) -> None:
        done = subprocess.run(
            [project_copy / "install.sh", "service", *arguments],
            env={**os.environ, "DESTDIR": str(tmp_path / "root")},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 2
        assert reason in done.stderr
        assert not (tmp_path / "root").exists()

    def test_a_folder_that_start_scripts_cannot_hold_is_refused(self, project_copy: Path, tmp_path: Path) -> None:
        moved = project_copy.rename(tmp_path / "our project")
        done = subprocess.run(
            [moved / "install.sh", "service", "builder"],
            env={**os.environ, "DESTDIR": str(tmp_path / "root")},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 1
        assert "has a space" in done.stderr
