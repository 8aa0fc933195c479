"""How quick the search for a session's files is, beside the plainest search that there is: find by time alone."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from Services.Builder.finding.files import TimeRange, find_files
from tests.benchmarks.conftest import Figures

FILES, FOLDERS, OF_THE_SESSION = 200_000, 100, 100
ROUNDS = 9
BEGIN = datetime(2026, 3, 4, tzinfo=UTC)
KINDS = ("dm3", "dm4", "tif", "emi", "ser", "txt", "emd", "bcf")


@pytest.fixture(scope="module")
def large_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make folders of 2,000 files each, a second apart: a session's are beside each other, as they are written."""
    root = tmp_path_factory.mktemp("store")
    for number in range(FILES):
        folder = root / f"user-{number * FOLDERS // FILES:02}"
        if number % (FILES // FOLDERS) == 0:
            folder.mkdir()
        path = folder / f"image_{number:06}.{KINDS[number % len(KINDS)]}"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        moment = BEGIN.timestamp() + number
        os.utime(path, (moment, moment))
    yield root
    shutil.rmtree(root)


def used() -> float:
    """Return the processor time of this process and of those that it has waited for, in seconds."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def cost(call: Callable[[], int]) -> tuple[float, float]:
    """Return the time and the processor time of a call, in seconds."""
    begin, before = time.perf_counter(), used()
    assert call() == OF_THE_SESSION
    return time.perf_counter() - begin, used() - before


class TestFinding:
    """001-27: 100 of 200,000 files are found in little more than the time that find needs to look at all."""

    def test_beside_plain_find(self, large_store: Path, figures: Figures) -> None:
        start = BEGIN + timedelta(seconds=100_200)
        window = TimeRange("session", start, start + timedelta(seconds=OF_THE_SESSION - 1))

        def ours() -> int:
            search = find_files(large_store, [window])
            assert search.fallback is None
            return sum(1 + len(file.companions) for file in search.files["session"])

        def plain() -> int:
            times = [f"@{window.start.timestamp() - 0.5}", f"@{window.end.timestamp() + 0.5}"]
            command = ["find", large_store, "-type", "f", "-newermt", times[0], "!", "-newermt", times[1]]
            return len(subprocess.run(command, capture_output=True, check=True).stdout.splitlines())

        ours(), plain()  # from now on both read what is in memory
        rounds = [(cost(ours), cost(plain)) for _ in range(ROUNDS)]
        for kind, name in enumerate(("time", "processor time")):
            ratio = statistics.median(one[kind] / other[kind] for one, other in rounds)
            figures.at_most(f"100 of 200,000 files, {name} beside plain find", ratio, 1.3, "x")
            figures.compare(f"100 of 200,000 files, {name}", statistics.median(one[kind] for one, _ in rounds), "s")
