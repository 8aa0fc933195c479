"""The services by name, as pip installs them: ``Builder``, ``Harvester``, ...; with completion."""

from __future__ import annotations

import runpy
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.facility.sessions import Client, Sessions
from NexusCore.storage import open_database
from tests.processes import LIMIT, PROJECT, environment_of

SCRIPT = """#!{python}
import sys
from {module} import {function}
if __name__ == "__main__":
    sys.exit({function}())
"""
"""What pip makes of an entry point."""
NAMES = ("Builder", "Gateway", "Harvester", "Intake", "Uploader")


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the programs of setup.py, with module and function of each."""
    setup: dict[str, Any] = {}
    monkeypatch.setattr("setuptools.setup", lambda **keywords: setup.update(keywords))
    runpy.run_path(str(PROJECT / "setup.py"))
    return dict(entry.split("=") for entry in setup["entry_points"]["console_scripts"])


def program(folder: Path, name: str, entries: dict[str, str]) -> Path:
    """Write the program of an entry point."""
    module, _, function = entries[name].partition(":")
    path = folder / name
    path.write_text(SCRIPT.format(python=sys.executable, module=module, function=function))
    path.chmod(0o755)
    return path


def run(path: Path, url: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = environment_of(url, path.parent / "home", PYTHONPATH=str(PROJECT), **variables)
    return subprocess.run(
        [path, *words], cwd=path.parent, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=LIMIT, check=False,
    )  # fmt: skip


def offered(path: Path, url: str, line: str) -> list[str]:
    """Return what bash is offered when Tab is pressed behind a line."""
    answer = path.parent / "answer"
    done = run(
        path, url, _ARGCOMPLETE="1", _ARGCOMPLETE_IFS="\n", _ARGCOMPLETE_STDOUT_FILENAME=str(answer), COMP_LINE=line,
        COMP_POINT=str(len(line)), COMP_TYPE="9",
    )  # fmt: skip
    assert done.stdout == "", done.stderr
    return [word.strip() for word in answer.read_text().split("\n") if word]


def test_each_service_and_each_tool_is_one(entries: dict[str, str]) -> None:
    """003-29: what a person types has one name, and is there after an installation."""
    assert set(NAMES) < set(entries)
    assert {path.stem for path in (PROJECT / "Tools").glob("[A-Z]*.py")} | set(NAMES) == set(entries)
    for entry in entries.values():
        module, _, function = entry.partition(":")
        assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize("name", NAMES)
def test_help_is_about_the_program(entries: dict[str, str], tmp_path: Path, sqlite_url: str, name: str) -> None:
    done = run(program(tmp_path, name, entries), sqlite_url, "--help")
    assert done.returncode == 0, done.stderr
    assert f"usage: {name} " in done.stdout
    assert "python -m" not in done.stdout.partition("usage:")[0]


def test_one_pass(entries: dict[str, str], tmp_path: Path, sqlite_url: str) -> None:
    done = run(program(tmp_path, "Builder", entries), sqlite_url, "--once")
    assert (done.returncode, "Builder ends" in done.stderr) == (0, True), done.stderr


class TestServiceCompletion:
    """003-29: options are completed, and sessions by what the database holds."""

    def test_options(self, entries: dict[str, str], tmp_path: Path, sqlite_url: str) -> None:
        assert offered(program(tmp_path, "Harvester", entries), sqlite_url, "Harvester --d") == ["--dry-run"]
        assert set(offered(program(tmp_path, "Gateway", entries), sqlite_url, "Gateway --")) == {"--help", "--once"}

    def test_commands(self, entries: dict[str, str], tmp_path: Path, sqlite_url: str) -> None:
        words = offered(program(tmp_path, "Intake", entries), sqlite_url, "Intake ")
        assert {"undo", "accept", "history"} <= set(words)

    def test_sessions(self, entries: dict[str, str], tmp_path: Path, sqlite_url: str) -> None:
        session = Sessions(open_database(sqlite_url), SYSTEM_CLOCK).start("Titan", Client(user="ada", host="pc"))
        builder = program(tmp_path, "Builder", entries)
        assert offered(builder, sqlite_url, "Builder --session ") == [session.identifier]
        assert offered(builder, sqlite_url, "Builder --session zz") == []

    def test_without_a_database(self, entries: dict[str, str], tmp_path: Path) -> None:
        builder = program(tmp_path, "Builder", entries)
        assert offered(builder, f"sqlite:///{tmp_path}/nowhere.db", "Builder --session ") == []
        assert not (tmp_path / "nowhere.db").exists()
