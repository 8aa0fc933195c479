"""What the benchmarks of the core share: an application, and the time of a call."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from NexusCore.API import App
from NexusCore.settings import load
from tests.processes import rows

PROJECT = Path(__file__).resolve().parents[2]
CALLS = 50_000


def app_of(url: str, home: Path) -> App:
    return App(load({"NEXUSCORE_DATABASE": url, "NEXUSCORE_HOME": str(home)}, files=()))


def spans(call: Callable[[int], object], count: int = CALLS) -> tuple[float, float, float]:
    """Return median, 99th percentile and mean of a call, in microseconds."""
    clock = time.perf_counter_ns
    found = []
    for number in range(count):
        begin = clock()
        call(number)
        found.append(clock() - begin)
    mean = sum(found) / count
    found.sort()
    return found[count // 2] / 1000, found[int(count * 0.99)] / 1000, mean / 1000


def timed(call: Callable[[int], object], count: int = CALLS) -> tuple[float, float]:
    """Return median and 99th percentile of a call, in microseconds."""
    median, p99, _ = spans(call, count)
    return median, p99


@functools.cache
def kind(url: str) -> str:
    """Return ``sqlite``, ``mariadb`` or ``mysql``: the URLs of both kinds of server begin alike, so it is asked."""
    if url.startswith("sqlite"):
        return "sqlite"
    ((version,),) = rows(url, "SELECT VERSION()")
    return "mariadb" if "mariadb" in str(version).lower() else "mysql"


def child(url: str, home: Path, program: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "NEXUSCORE_DATABASE": url, "NEXUSCORE_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
