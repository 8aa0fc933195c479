"""A person in a hurry: Ctrl-C, once or twice, `kill`, and a terminal that is closed while a tool runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.storage import Database
from tests.tools.conftest import configure, log, report
from tests.tools.emulated import Emulated
from tests.tools.programs import LIMIT, PROJECT, Terminal, command
from tests.tools.test_completion import silent_server

__all__ = ["silent_server"]

FOLLOWERS = (
    ("TailLog", "-f"),
    ("TailStatus", "-f"),
    ("TailStatus", "--watch"),
    ("TailStatus", "--watch", "--all"),
    ("ConfigTool", "watch", "--after", "0"),
)
SHOWN = "something|1 value of other programs"
"""What they show: the overview counts what belongs to no service."""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture
def filled(embedded: Database) -> Database:
    """Lend a database in which every tool finds something."""
    configure(embedded, Edit("Some.parameter", value="something"))
    log(embedded, "something")
    report(embedded, (SYSTEM_CLOCK.now(), "Camera", "state", "something", None))
    return embedded


@pytest.fixture
def silent(silent_server: int) -> Iterator[str]:
    """Lend a server that takes connections and says nothing: the driver waits for it in C."""
    yield f"mysql://nobody@127.0.0.1:{silent_server}/nexus"


def begun(words: tuple[str, ...], **variables: str) -> Emulated:
    return Emulated(command(*words), columns=100, **variables)


class TestFollowers:
    """They end in order: the exit code names the signal, nothing is said, and the terminal is as it was."""

    @pytest.mark.parametrize("number", CODES)
    @pytest.mark.parametrize("words", FOLLOWERS, ids=" ".join)
    def test_by_a_signal(self, filled: Database, words: tuple[str, ...], number: signal.Signals) -> None:
        with begun(words) as screen:
            screen.until(SHOWN)
            screen.signal(number)
            assert screen.end() == CODES[number]
            assert screen.is_restored
            assert "Traceback" not in screen.text
            # What a table took of the terminal, its screen and its cursor, is given back.
            assert screen.written.count(b"\x1b[?1049h") == screen.written.count(b"\x1b[?1049l")
            assert screen.written.count(b"\x1b[?25l") == screen.written.count(b"\x1b[?25h")

    @pytest.mark.parametrize("words", FOLLOWERS, ids=" ".join)
    def test_by_closing_the_terminal(self, filled: Database, words: tuple[str, ...]) -> None:
        with begun(words) as screen:
            screen.until(SHOWN)
            screen.hang_up()
            assert screen.process.wait(LIMIT) in (129, 0), "told by the signal, or by a reader that left"

    def test_nohup_makes_it_ignore_sighup(self, filled: Database) -> None:
        words = ["nohup", *command("TailLog", "-f")]
        with subprocess.Popen(words, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as tool:
            assert tool.stdout is not None
            assert "something" in tool.stdout.readline()
            tool.send_signal(signal.SIGHUP)
            log(filled, "goes on")
            assert "goes on" in tool.stdout.readline()
            tool.send_signal(signal.SIGTERM)
            assert tool.wait(LIMIT) == 143


class TestWaiting:
    """A driver that waits in C for a server hears no signal; the tool ends all the same."""

    @pytest.mark.parametrize("number", CODES)
    @pytest.mark.parametrize("words", [("ConfigTool", "list"), ("SessionTool", "list"), ("TailLog",)], ids=" ".join)
    def test_for_a_server(self, silent: str, words: tuple[str, ...], number: signal.Signals) -> None:
        script = (
            "import sys; from Tools.common import interruption\n"
            f"from Tools.{words[0]} import main\n"
            "import mysql.connector; connect = mysql.connector.connect\n"
            "def told(*a, **k):\n    print('connecting', flush=True); return connect(*a, **k)\n"
            "mysql.connector.connect = told\n"
            f"sys.exit(main({list(words[1:])!r}))"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script], cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env={**os.environ, "NEXUSCORE_DATABASE": silent},
        ) as tool:  # fmt: skip
            assert tool.stdout is not None
            assert tool.stdout.readline() == "connecting\n"
            # At its beginning, the driver's C extension crashes the process if an exception is raised in what it calls.
            tool.send_signal(number)
            out, err = tool.communicate(timeout=LIMIT)
        assert (tool.returncode, out, err) == (CODES[number], "", "")


TIDIES = """
import os, sys, threading
from Tools import TailLog; from Tools.common import terminal
def run(arguments, screen):
    try:
        print("working", flush=True)
        threading.Event().wait(600)
    finally:
        print("tidying", flush=True)
        sys.stdin.readline()
        print("tidied", flush=True)
sys.exit(terminal.run_tool("TailLog", TailLog.parser, run, []))
"""


class TestTwice:
    """A second Ctrl-C does not disturb the tidying up, and brings no traceback."""

    def test_ctrl_c_while_it_tidies_up(self) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", TIDIES], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        ) as tool:  # fmt: skip
            assert tool.stdin is not None
            assert tool.stdout is not None
            assert tool.stdout.readline() == "working\n"
            tool.send_signal(signal.SIGINT)
            assert tool.stdout.readline() == "tidying\n"
            tool.send_signal(signal.SIGINT)
            tool.stdin.write("\n")
            tool.stdin.flush()
            out, err = tool.communicate(timeout=LIMIT)
        assert (tool.returncode, err) == (130, "")
        assert out in ("tidied\n", ""), "it has half a second for that"

    def test_on_a_terminal(self, filled: Database) -> None:
        with Terminal(command("TailLog", "-f")) as terminal:
            terminal.until("something")
            terminal.type("\x03\x03")
            assert terminal.end() == 130
        assert "Traceback" not in terminal.text


class TestOneShot:
    """Doctor looks at many things at once; it ends at once all the same."""

    @pytest.mark.parametrize("number", CODES)
    def test_doctor_ends_at_each_signal(self, silent: str, number: signal.Signals) -> None:
        with subprocess.Popen(
            command("Doctor"), cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**os.environ, "NEXUSCORE_DATABASE": silent},
        ) as tool:  # fmt: skip
            assert tool.stdout is not None
            assert tool.stdout.readline() == "This machine\n"
            tool.send_signal(number)
            _, err = tool.communicate(timeout=LIMIT)
        assert (tool.returncode, err) == (CODES[number], "")
