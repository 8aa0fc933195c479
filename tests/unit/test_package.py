"""The package that others install: every module is in it, and every file that a module reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
ROOMS = ("NexusCore", "Services", "Tools", "Logger")
NOT_READ = {"ruff.toml"}
"""Names of files that only who works on the project needs."""


def files(root: Path) -> set[Path]:
    found = {path.relative_to(root) for room in ROOMS for path in (root / room).rglob("*") if path.is_file()}
    hidden = ("__pycache__", ".")
    return {path for path in found if not any(p.startswith(hidden) for p in path.parts) and path.name not in NOT_READ}


def test_all_that_is_needed_is_in_it(tmp_path: Path) -> None:
    """003-14: without the migrations there are no tables, without the schema no record."""
    built = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path)],
        cwd=PROJECT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert files(tmp_path) == files(PROJECT)
