"""A steady load of log records and changes of status, with a ledger of what was accepted and how long it took."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.processes import adopt, ended, line_of, messages, samples, start, tell

LONG = bool(os.environ.get("NEXUSCORE_TEST_LONG"))
"""Whether the long forms are asked for: minutes instead of seconds, and figures worth writing down."""

PROGRAM = """
import sys, threading, time
from NexusCore import API
pause, odd = float(sys.argv[1]), sys.argv[2:]
cfg, log, status = API.get_config("Load"), API.get_log("load"), API.get_status("load")
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
number, worst = 0, [0.0, 0.0, 0.0]
clock = time.perf_counter
while not stop.is_set():
    begin = clock()
    log.info("%d", number)
    logged = clock()
    status["n"] = number
    told = clock()
    cfg["x"]
    read = clock()
    for which, took in enumerate((logged - begin, told - logged, read - told)):
        worst[which] = max(worst[which], took)
    number += 1
    if number == 20:
        print("begun", flush=True)
    stop.wait(pause)
print(number, *worst)
API.shutdown(60)
"""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a process says of its calls."""

    count: int
    """Log records, and as many changes of status."""
    worst: tuple[float, float, float]
    """Longest wait of a log call, a change of status, and a look at the configuration, in seconds."""

    def __str__(self) -> str:
        log, status, config = (f"{1000 * one:.1f} ms" for one in self.worst)
        return f"{self.count} + {self.count} records; worst wait: log {log}, status {status}, configuration {config}"


class Load:
    """A process under steady load."""

    def __init__(self, url: str, home: Path, pause: float = 0.01) -> None:
        self.url = url
        self.home = home
        self._process: subprocess.Popen[bytes] = start(PROGRAM, pause, main=url, home=home)
        assert line_of(self._process) == "begun"

    def end(self) -> Ledger:
        """Have it stop and end; return its ledger."""
        tell(self._process)
        count, *worst = ended(self._process).split()
        log, status, config = map(float, worst)
        return Ledger(int(count), (log, status, config))


def assert_accepted_is_stored(load: Load, ledger: Ledger) -> None:
    """Assert that all that was accepted is in the database, once and in order."""
    adopt(load.url, load.home)
    expected = [str(number) for number in range(ledger.count)]
    assert messages(load.url, "load") == expected
    assert [value for _, value in samples(load.url, "load")] == expected
