"""Children forked while other threads are in the middle of a call: none of them hangs, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import adopt, messages, run, samples

pytestmark = pytest.mark.faults

PROGRAM = """
import os, signal, sys, threading
from NexusCore import API
from NexusCore.status import OnChangeStatusReporter

class Quiet(OnChangeStatusReporter):
    def report(self, element):
        pass

cfg, log, status = API.get_config("Family"), API.get_log("family"), API.get_status("family")
status.add_reporter(Quiet("quiet"))
status["n"] = 0
status["n"].add_callback(lambda element: None)
cfg.add_callback("x", lambda parameter: None)
stop, counts = threading.Event(), [0, 0]

def busy(own):
    while not stop.is_set():
        status["n"] = f"{own} {counts[own]}"
        status[f"e{counts[own] % 1000}"] = own
        log.info("busy %d %d", own, counts[own])
        counts[own] += 1

threads = [threading.Thread(target=busy, args=(own,)) for own in range(2)]
for thread in threads:
    thread.start()
try:
    for number in range(int(sys.argv[1])):
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # ends a child that hangs
            status["n"] = f"child {number}"
            status[f"of child {number}"] = number
            log.info("child %d", number)
            called = threading.Event()
            status["n"].add_callback(lambda element: called.set())
            status["n"] = f"child {number} again"
            if number % 4 == 0:
                assert called.wait(10)
                assert cfg["x"] == number - 4, (cfg["x"], number)
                cfg["x"] = number
            os._exit(0)
        ended, how = os.waitpid(child, 0)
        assert how == 0, f"child {number} ended with {how}"
        while number % 4 == 0 and cfg["x"] != number:
            stop.wait(0.01)
finally:
    stop.set()
for thread in threads:
    thread.join(10)
report = API.shutdown(60)
print(*counts, report.left, report.dropped)
"""


class TestForkedWhileThreadsAreBusy:
    """A lock that another thread holds at that moment is never given back in the child."""

    def test_forty_children_neither_hang_nor_lose_records(self, database_url: str, tmp_path: Path) -> None:
        count = 41
        program = f"from NexusCore import API; API.get_config('Family')['x'] = -4; API.shutdown()\n{PROGRAM}"
        program = program.replace("import os, signal", "API.reset()\nimport os, signal", 1)
        first, second, left, dropped = map(int, run(program, count, main=database_url, home=tmp_path / "home").split())
        assert (left, dropped) == (0, 0)
        adopt(database_url, tmp_path / "home")
        found = messages(database_url, "family")
        for own, done in enumerate((first, second)):
            assert [one for one in found if one.startswith(f"busy {own} ")] == [f"busy {own} {n}" for n in range(done)]
        assert sorted(one for one in found if one.startswith("child")) == sorted(f"child {n}" for n in range(count))
        values = [value for name, value in samples(database_url, "family") if name == "n"]
        assert sum(value.endswith("again") for value in values) == count
        for own, done in enumerate((first, second)):
            assert [one for one in values if one.startswith(f"{own} ")] == [f"{own} {n}" for n in range(done)]
