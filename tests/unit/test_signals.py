"""An event that a signal's handler sets, whatever the interrupted thread is doing."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from NexusCore import API
from NexusCore.signals import HandlerEvent
from tests.processes import LIMIT, PROJECT

# The timer strikes anywhere in a wait, and just before it: the standard library's event soon stays there.
STRUCK = """
import signal, sys
from NexusCore.signals import HandlerEvent
event = HandlerEvent(piece=0.001)
signal.signal(signal.SIGALRM, lambda *_: event.set())
for number in range(20_000):
    signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + number % 60))
    while not event.wait({limit}):
        pass
    event.set()
    event.clear()
print("done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timer that sends signals")
@pytest.mark.parametrize("limit", ["None", "0.00002", "60"])
def test_a_handler_sets_it_anywhere(limit: str) -> None:
    program = STRUCK.format(limit=limit)
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"done\n", b"")


def test_programs_wait_for_one() -> None:
    """A program's own handler may set the event that the API offers, too."""
    assert isinstance(API.api_stop_event, HandlerEvent)


def test_every_waiter_goes_on() -> None:
    event, woken = HandlerEvent(), []
    threads = [threading.Thread(target=lambda: woken.append(event.wait(LIMIT))) for _ in range(8)]
    for one in threads:
        one.start()
    event.set()
    for one in threads:
        one.join(LIMIT)
    assert woken == [True] * 8


def test_an_event_can_be_cleared_and_set_again() -> None:
    event = HandlerEvent()
    assert not event.wait(0)
    assert not event.wait(-1)
    event.set()
    event.set()
    assert event.wait()
    assert event.wait(0)
    event.clear()
    assert not event.is_set()
    assert not event.wait(0.001)
    event.set()
    assert event.is_set()
    assert event.wait(LIMIT)


AT_THE_BEGINNING = """
import os, signal
from NexusCore import signals
signals.quiet_interrupts()
os.kill(os.getpid(), signal.SIGINT)
print("not reached")
"""
AT_THE_END = """
import os, signal, sys
from NexusCore import signals
class Late:
    def __del__(self, kill=os.kill, own=os.getpid()):
        kill(own, 2)
sys.kept = Late()
signals.quiet_interrupts()
"""


@pytest.mark.parametrize(("program", "code"), [(AT_THE_BEGINNING, 130), (AT_THE_END, 0)])
def test_ctrl_c_prints_no_traceback(program: str, code: int) -> None:
    """Neither while a program is still being imported, nor when the interpreter is being taken down."""
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


@pytest.mark.parametrize("service", ["Builder", "Gateway", "Harvester", "Intake", "Uploader"])
def test_services_take_it_over_before_they_are_imported(service: str) -> None:
    text = (PROJECT / "Services" / service / "__main__.py").read_text()
    assert text.index("signals.quiet_interrupts()") < text.index("import service") < text.index("service.main(")
