"""Threads of a new process may open their first connections at the same moment: the driver's library is ready then."""

from __future__ import annotations

import subprocess
import sys

from tests.processes import LIMIT, PROJECT

READY = """
import ctypes, _mysql_connector
from NexusCore.storage import driver
ready = ctypes.c_bool.in_dll(ctypes.CDLL(_mysql_connector.__file__), "my_init_done")
print(ready.value)
driver.errors()
print(ready.value)
"""
WAITING = """
import threading, _mysql_connector
from NexusCore.storage import driver
begun, go_on, events = threading.Event(), threading.Event(), []
class Slow:
    def connect(self, **options):
        if not begun.is_set():
            begun.set()
            go_on.wait()
            events.append("ready")
_mysql_connector.MySQL = Slow
def load():
    driver._connector()
    events.append("loaded")
threads = [threading.Thread(target=load) for _ in range(4)]
threads[0].start()
begun.wait()
for thread in threads[1:]:
    thread.start()
threads[1].join(0.2)
go_on.set()
for thread in threads:
    thread.join()
print(events)
"""


def printed(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


class TestFirstConnections:
    """A thread that connects while another one's first connection initializes the library would crash the process."""

    def test_the_library_is_initialized_before_any_connection(self) -> None:
        assert printed(READY) == ["False", "True"]

    def test_other_threads_wait_for_it(self) -> None:
        assert printed(WAITING) == ["['ready', 'loaded', 'loaded', 'loaded', 'loaded']"]
