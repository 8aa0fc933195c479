"""How quick Intake is with many small files: planned by a dry run, filed on one file system, and put back."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.benchmarks.conftest import Figures
from tests.benchmarks.measuring import kind
from tests.processes import PROJECT
from tests.services.filing import PROGRAM, Station, station_on

pytestmark = pytest.mark.timeout(1300)
COUNT = 100_000
UNDONE = 10_000


def drop(station: Station, count: int) -> None:
    for number in range(count):
        name = f"EMChistos_{number % 500}_B_t{number}.root"
        (station.inbox / name).write_bytes(b"%d" % number)


def run(station: Station, *arguments: str) -> tuple[float, str]:
    begin = time.perf_counter()
    done = subprocess.run(
        [*PROGRAM, *arguments], cwd=PROJECT, env=station.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - begin, done.stdout


def test_many_files(database_url: str, tmp_path: Path, figures: Figures) -> None:
    with station_on(database_url, tmp_path) as station:
        station.run()
        drop(station, COUNT)
        span, text = run(station, "--dry-run")
        assert f"{COUNT:,} files would be filed into 500 folders" in text
        figures.at_most(f"{COUNT:,} files planned by --dry-run ({kind(database_url)})", span, 10, "s")
        span, _ = run(station, "--once")
        assert len(list(station.inbox.rglob("EMChists.*"))) == COUNT
        figures.at_most(f"{COUNT:,} files filed ({kind(database_url)})", span, 60, "s")


def test_undoing(database_url: str, tmp_path: Path, figures: Figures) -> None:
    with station_on(database_url, tmp_path) as station:
        station.run()
        drop(station, UNDONE)
        before = station.tree()
        run(station, "--once")
        span, text = run(station, "undo", "--since", "1h")
        assert text == f"{UNDONE:,} files were put back; 0 files stay filed.\n"
        assert station.tree() == before
        figures.at_most(f"{UNDONE:,} files put back ({kind(database_url)})", span, 60, "s")
