"""The façade as programs use it (003-01..06): import forms, the program of the text, the clean end, starting anew."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from tests.processes import adopt, ended, line_of, messages, rows, run, samples, start

NUTSHELL = """
import NexusCore
from NexusCore import API
try:
    cfg = API.get_config("MyModule")
    log = API.get_log("MyModule")
    status = API.get_status("MyModule")
    log.info("My module version %s starting" % cfg["version"])
    status["state"] = "Initializing"
    status["processed"] = 0
    while not NexusCore.API.api_stop_event.isSet():
        status["state"] = "processing" # Only has an effect if changed
        status["processed"].inc()
        if status["processed"].get_value() > 3:
            break
    status["state"] = "idle"
finally:
    NexusCore.API.shutdown()
assert API.api_stop_event.is_set() and API.api_stop_event.isSet()
"""


class TestTheProgramOfTheText:
    """The program that the text shows in a nutshell runs, and leaves behind what it says (003-04..06)."""

    def test_the_program_leaves_its_log_and_status(self, database_url: str, tmp_path: Path) -> None:
        run("from NexusCore import API; API.get_config('MyModule').set_default('version', '1.2')",
            main=database_url, home=tmp_path)  # fmt: skip
        run(NUTSHELL, main=database_url, home=tmp_path)
        assert messages(database_url, "MyModule") == ["My module version 1.2 starting"]
        assert samples(database_url, "MyModule") == [
            ("state", "Initializing"), ("processed", "0"), ("state", "processing"), ("processed", "1"),
            ("processed", "2"), ("processed", "3"), ("processed", "4"), ("state", "idle"),
        ]  # fmt: skip

    def test_a_callback_sees_the_new_value(self, database_url: str, tmp_path: Path) -> None:
        """003-15..17, with the loop's missing `not`."""
        program = """
import threading
import NexusCore
cfg = NexusCore.get_config("Instruments.Camera")
cfg.set_default("enabled", True)
try:
    cfg.require(["shutter_speed"])
except NexusCore.config.NoSuchParameterException:
    cfg["shutter_speed"] = 1
called = threading.Event()
def onShutterSpeedChange(param):
    print(param.get_value())
    called.set()
    NexusCore.API.shutdown()
cfg.add_callback("shutter_speed", onShutterSpeedChange)
while not NexusCore.API.api_stop_event.isSet():
    if cfg["enabled"]:
        cfg["shutter_speed"] = 500
    NexusCore.API.api_stop_event.wait(20)
assert called.is_set()
"""
        assert run(program, main=database_url, home=tmp_path).split() == ["500"]


class TestImportForms:
    """All forms of the text work, and mean the same objects."""

    @pytest.mark.parametrize(
        "form",
        [
            "import NexusCore; NexusCore.get_config('A')['b'] = 1; NexusCore.shutdown()",
            "import NexusCore; NexusCore.API.get_config('A')['b'] = 1; NexusCore.API.shutdown()",
            "import NexusCore.API; NexusCore.API.get_config('A')['b'] = 1; NexusCore.API.shutdown()",
            "from NexusCore import API; API.get_config('A')['b'] = 1; API.shutdown()",
            "from NexusCore.API import get_config, shutdown; get_config('A')['b'] = 1; shutdown()",
            "from NexusCore import get_config; get_config()['A.b'] = 1",
            "from NexusCore import *; get_config('A')['b'] = 1; API.shutdown()",
        ],
    )
    def test_each_form_reaches_the_database(self, sqlite_url: str, tmp_path: Path, form: str) -> None:
        run(form, main=sqlite_url, home=tmp_path)
        assert rows(sqlite_url, "SELECT value FROM config_parameter WHERE path = 'A.b'") == [("1",)]

    def test_what_is_not_there(self, sqlite_url: str, tmp_path: Path) -> None:
        program = """
import NexusCore
try:
    NexusCore.get_everything
except AttributeError as error:
    print(error)
"""
        assert "get_everything" in run(program, main=sqlite_url, home=tmp_path)


class TestTheCleanEnd:
    """`shutdown` sets the event, delivers, says what it did, ends the threads; it may be left out (003-05, 003-06)."""

    def test_all_at_once(self, database_url: str, tmp_path: Path) -> None:
        program = """
import threading
from NexusCore import API
log, status, cfg = API.get_log("M"), API.get_status("M"), API.get_config()
cfg.add_callback("x", print)
log.info("one"); status["a"] = 1
assert not API.api_stop_event.isSet()
print(API.shutdown())
assert API.api_stop_event.isSet()
assert threading.active_count() == 1, threading.enumerate()
"""
        assert run(program, main=database_url, home=tmp_path) == "Report(delivered=2, left=0, dropped=0)\n"

    def test_without_any_use(self, sqlite_url: str, tmp_path: Path) -> None:
        printed = run("from NexusCore import API; print(API.shutdown())", main=sqlite_url, home=tmp_path / "none")
        assert printed == "Report(delivered=0, left=0, dropped=0)\n"
        assert not (tmp_path / "none").exists()

    @pytest.mark.parametrize("end", ["pass", "sys.exit(0)", "raise SystemExit", "threading.Event().wait(0.2)"])
    def test_nothing_is_lost_without_shutdown(self, database_url: str, tmp_path: Path, end: str) -> None:
        """The process ends, and nothing is lost."""
        program = f"""
import sys, threading
from NexusCore import API
API.get_config(); API.get_log("M").info("kept"); API.get_status("M")["a"] = 1
{end}
"""
        run(program, main=database_url, home=tmp_path)
        assert messages(database_url, "M") == ["kept"]
        assert samples(database_url, "M") == [("a", "1")]

    def test_with_the_database_away(self, tmp_path: Path) -> None:
        """The end is not held up, and nothing is lost."""
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            away = f"mysql://u:p@127.0.0.1:{nobody.getsockname()[1]}/nothing"
            program = """
from NexusCore import API
API.get_log("M").info("kept")
try:
    API.get_config()
except API._settings.BadDatabaseURL:
    raise
except Exception as error:
    print(type(error).__name__)
report = API.shutdown(0.5)
print(report.delivered, report.left >= 1, report.dropped)
"""
            printed = run(program, main=away, home=tmp_path)
        assert printed.split() == ["DatabaseUnreachable", "0", "True", "0"]

    def test_on_a_signal(self, database_url: str, tmp_path: Path) -> None:
        """A program that handles SIGTERM by `shutdown` ends by its loop."""
        program = """
import signal
from NexusCore import API
log = API.get_log("M")
log.info("begins")
signal.signal(signal.SIGTERM, lambda *_: API.shutdown(5))
print("ready", flush=True)
while not API.api_stop_event.isSet():
    API.api_stop_event.wait(20)
"""
        process = start(program, main=database_url, home=tmp_path)
        line_of(process)
        process.send_signal(signal.SIGTERM)
        ended(process)
        assert messages(database_url, "M") == ["begins"]

    def test_on_a_signal_in_the_middle_of_a_log_call(self, sqlite_url: str, tmp_path: Path) -> None:
        """Its handler may log, and end everything: nothing locks up, and nothing is lost."""
        program = """
import os, signal
from NexusCore import API
from NexusCore.delivery import journal
log, real = API.get_log("M"), journal.lock_file
def ended(number, frame):
    log.info("from the handler")
    API.shutdown(5)
def with_a_signal(fd):
    journal.lock_file = real
    os.kill(os.getpid(), signal.SIGTERM)
    return real(fd)
signal.signal(signal.SIGTERM, ended)
journal.lock_file = with_a_signal
log.info("interrupted")
"""
        run(program, main=sqlite_url, home=tmp_path)
        adopt(sqlite_url, tmp_path)
        assert sorted(messages(sqlite_url, "M")) == ["from the handler", "interrupted"]


class TestStartingAnew:
    """`reset` forgets everything, so that the next call reads the settings anew."""

    def test_records_go_to_the_new_database(self, sqlite_url: str, server_database_url: str, tmp_path: Path) -> None:
        program = """
import os, sys
from NexusCore import API
API.get_log("M").info("first")
API.reset()
assert not API.api_stop_event.isSet()
os.environ["NEXUSCORE_DATABASE"] = sys.argv[1]
API.get_log("M").info("second")
print(API.shutdown(30))
"""
        printed = run(program, server_database_url, main=sqlite_url, home=tmp_path)
        assert printed == "Report(delivered=1, left=0, dropped=0)\n"
        assert messages(sqlite_url, "M") == ["first"]
        assert messages(server_database_url, "M") == ["second"]

    def test_held_loggers_go_on(self, sqlite_url: str, tmp_path: Path) -> None:
        """What they are told is kept, for a later process to deliver."""
        program = """
from NexusCore import API
log = API.get_log("M")
API.reset()
log.info("old logger")
API.get_log("M").info("new logger")
API.shutdown(30)
"""
        run(program, main=sqlite_url, home=tmp_path)
        adopt(sqlite_url, tmp_path)
        assert sorted(messages(sqlite_url, "M")) == ["new logger", "old logger"]


class TestTheEmbeddedDatabase:
    """Without any settings the API works: its database is made at first use."""

    def test_first_use_creates_it(self, tmp_path: Path) -> None:
        program = "import os; del os.environ['NEXUSCORE_DATABASE']\n" + NUTSHELL
        run(program, main="sqlite:////nowhere", home=tmp_path / "home")
        assert messages(f"sqlite:///{tmp_path}/home/nexus.db", "MyModule") == ["My module version None starting"]
