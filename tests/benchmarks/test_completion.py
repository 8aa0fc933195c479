"""How long somebody waits who presses Tab: through a real bash, on a configuration of 5,000 parameters."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import ConfigStore, Edit, Origin
from NexusCore.config.values import Limits
from NexusCore.storage import open_database
from tests.benchmarks.conftest import Figures

PROJECT = Path(__file__).resolve().parents[2]
PARAMETERS = 5_000
PRESSED = 15
"""How often Tab is pressed on a line; the first time fills the cache and does not count."""

# As bash does it when Tab is pressed, with the time in microseconds before and after.
SCRIPT = """
eval "$(register-python-argcomplete ConfigTool)"
for ((n = 0; n < $PRESSED; n++)); do
    COMP_POINT=${#COMP_LINE} COMP_TYPE=9
    begin=${EPOCHREALTIME/[.,]/}
    _python_argcomplete ConfigTool
    echo $((${EPOCHREALTIME/[.,]/} - begin)) ${#COMPREPLY[@]}
done
"""


@pytest.fixture
def full(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put thousands of parameters into a database that the tools find; return its kind."""
    monkeypatch.setenv("NEXUSCORE_DATABASE", database_url)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    database = open_database(database_url)
    store = ConfigStore(database, SYSTEM_CLOCK)
    edits = [
        Edit(
            f"Tree.folder{number % 50}.parameter{number}",
            value=number,
            comment="What it is for, in a sentence of the usual length, and its unit.",
            limits=Limits(choices=(number, 1, 2, 3)) if number % 10 == 0 else None,
        )
        for number in range(PARAMETERS)
    ]
    store.apply(store.version_id("default"), "default", edits, Origin("jane", "desk", "test"))
    database.close()
    return database_url.partition("://")[0]


@pytest.mark.parametrize(
    ("what", "line", "candidates"),
    [
        ("a folder", "ConfigTool get Tree.folder1", 11),
        ("a parameter", "ConfigTool get Tree.folder7.", 100),
        ("a value", "ConfigTool Tree.folder10.parameter10=", 4),
        ("a command", "ConfigTool rem", 1),
    ],
)
def test_tab(full: str, what: str, line: str, candidates: int, figures: Figures) -> None:
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", SCRIPT],
        env={**os.environ, "COMP_LINE": line, "PRESSED": str(PRESSED)},
        cwd=PROJECT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    spans = []
    for answer in done.stdout.splitlines():
        microseconds, count = map(int, answer.split())
        assert count == candidates, answer
        spans.append(microseconds / 1000)
    figures.at_most(
        f"Tab for {what}, {PARAMETERS} parameters, median ({full})", statistics.median(spans[1:]), 150, "ms"
    )
    if what == "a parameter":
        figures.at_most(f"Tab for {what} that nobody asked for yet ({full})", spans[0], 400, "ms")
