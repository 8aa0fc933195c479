"""The package that others install: every module is in it, and every file that a module reads."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def pins() -> dict[str, str]:
    """Return the versions that install.sh installs, by name."""
    lines = (PROJECT / "Install/constraints.txt").read_text().splitlines()
    parted = (line.partition("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, _, version in parted}


@pytest.fixture
def requirements(monkeypatch: pytest.MonkeyPatch) -> list[Requirement]:
    """Return all that setup.py asks for, with every extra."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr("setuptools.setup", lambda **keywords: asked.update(keywords))
    runpy.run_path(str(PROJECT / "setup.py"))
    extras = [text for texts in asked["extras_require"].values() for text in texts]
    return [Requirement(text) for text in sorted({*asked["install_requires"], *extras})]


class TestTestedSet:
    """An installation next year gets the versions that were tested, and each is one that setup.py admits."""

    def test_each_line_is_one_version(self) -> None:
        """And says nothing of where it is from."""
        for line in (PROJECT / "Install/constraints.txt").read_text().splitlines():
            assert line.startswith("# ") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+]+", line), line

    def test_what_is_asked_for(self, requirements: list[Requirement]) -> None:
        tested = pins()
        for one in requirements:
            assert one.specifier.contains(tested[canonicalize_name(one.name)]), one

    def test_what_that_asks_for_in_turn(self, requirements: list[Requirement]) -> None:
        tested = pins()
        assert {name for one in requirements for name in needed_by(one, set())} - tested.keys() == set()


def needed_by(requirement: Requirement, seen: set[str]) -> Iterator[str]:
    """Yield the names of all that a requirement brings, as far as it is installed here."""
    name = canonicalize_name(requirement.name)
    if f"{name}{sorted(requirement.extras)}" in seen:
        return
    seen.add(f"{name}{sorted(requirement.extras)}")
    yield name
    try:
        texts = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for one in map(Requirement, texts):
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)):
            yield from needed_by(one, seen)
