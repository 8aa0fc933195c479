"""The signals that a service minds: SIGTERM, SIGINT, SIGHUP, and a person in a hurry."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes import LIMIT, PROJECT, app_on, environment_of, eventually, messages, samples

SERVICES = ("Builder", "Gateway", "Harvester", "Intake", "Uploader")


def run_service(name: str, url: str, home: Path, *before: str) -> subprocess.Popen[bytes]:
    """Start a service, and wait until it minds signals."""
    process = subprocess.Popen(
        [*before, sys.executable, "-m", f"Services.{name}"], cwd=PROJECT, env=environment_of(url, home),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    eventually(lambda: ("state", "idle") in samples(url, name) or process.poll() is not None)
    return process


def end_of(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Wait for the end; return the exit code, and what was said."""
    _, err = process.communicate(timeout=LIMIT)
    return process.returncode, err.decode()


class TestHangUp:
    """SIGHUP, which a closing terminal sends: an orderly end, unless there is a log file to open again."""

    @pytest.mark.parametrize("name", SERVICES)
    def test_it_ends_in_order(self, sqlite_url: str, tmp_path: Path, name: str) -> None:
        process = run_service(name, sqlite_url, tmp_path / "home")
        process.send_signal(signal.SIGHUP)
        code, err = end_of(process)
        assert (code, "Traceback" in err) == (0, False), err
        assert dict(samples(sqlite_url, name))["state"] == "stopped"
        assert messages(sqlite_url, name)[-1] == f"{name} ends"

    def test_one_that_writes_a_log_file_opens_it_again(self, sqlite_url: str, tmp_path: Path) -> None:
        app = app_on(sqlite_url, tmp_path / "desk")
        config = app.get_config()
        config["Log.file"] = str(tmp_path / "n.log")
        process = run_service("Harvester", sqlite_url, tmp_path / "home")
        before = (tmp_path / "n.log").stat().st_ino
        (tmp_path / "n.log").rename(tmp_path / "n.log.1")
        process.send_signal(signal.SIGHUP)
        config["Services.Harvester.interval"] = 3600.0
        eventually(lambda: (tmp_path / "n.log").exists() and "interval is now" in (tmp_path / "n.log").read_text())
        assert process.poll() is None
        assert (tmp_path / "n.log").stat().st_ino != before
        process.send_signal(signal.SIGTERM)
        assert end_of(process)[0] == 0
        app.shutdown(LIMIT)

    def test_nohup_makes_it_ignore_sighup(self, sqlite_url: str, tmp_path: Path) -> None:
        process = run_service("Harvester", sqlite_url, tmp_path / "home", "nohup")
        ignored = next(
            line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "SigIgn" in line
        )
        assert int(ignored.split()[1], 16) & 1 << signal.SIGHUP - 1
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert end_of(process)[0] == 0


class TestNoReader:
    """What reads the output of a service may go away, or its terminal: the service ends in order, by a signal alone."""

    @pytest.mark.parametrize("name", SERVICES)
    def test_a_closed_pipe(self, sqlite_url: str, tmp_path: Path, name: str) -> None:
        process = run_service(name, sqlite_url, tmp_path / "home")
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()
        app = app_on(sqlite_url, tmp_path / "desk")
        app.get_config()[f"Services.{name}.interval"] = 3600.0  # what it says of that finds no reader
        eventually(lambda: any("interval is now" in message for message in messages(sqlite_url, name)))
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 0
        assert dict(samples(sqlite_url, name))["state"] == "stopped"
        app.shutdown(LIMIT)

    @pytest.mark.parametrize("name", SERVICES)
    def test_a_closed_terminal(self, sqlite_url: str, tmp_path: Path, name: str) -> None:
        keyboard, terminal = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", f"Services.{name}"], cwd=PROJECT, env=environment_of(sqlite_url, tmp_path / "home"),
            stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(terminal)
        eventually(lambda: ("state", "idle") in samples(sqlite_url, name))
        os.close(keyboard)
        assert process.wait(LIMIT) == 0
        assert dict(samples(sqlite_url, name))["state"] == "stopped"
        assert messages(sqlite_url, name)[-1] == f"{name} ends"


HANGING = """
import sys, threading
from NexusCore.service import Pass, Service, main
class Hanging(Service):
    '''Makes one pass that does not end.'''
    name = "Hanging"
    def once(self):
        print("passing", flush=True)
        self.app.stop_event.wait(600)
        print("told to end", flush=True)
        for _ in range(6000):  # of a signal just before one long wait, Python would hear at its end
            threading.Event().wait(0.1)
        return Pass()
sys.exit(main(Hanging, sys.argv[1:]))
"""


class TestInAHurry:
    """A second Ctrl-C ends the pass that is under way, without a traceback."""

    @pytest.mark.parametrize("options", [[], ["--once"]])
    def test_ctrl_c_twice(self, sqlite_url: str, tmp_path: Path, options: list[str]) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", HANGING, *options], cwd=PROJECT, env=environment_of(sqlite_url, tmp_path / "home"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"passing\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"told to end\n"
        process.send_signal(signal.SIGINT)
        code, err = end_of(process)
        assert (code, "Traceback" in err) == (130, False), err
        assert dict(samples(sqlite_url, "Hanging"))["state"] == "stopped"


TIDYING = """
import sys, threading
from NexusCore.service import Pass, Service, main
def wait(real):
    def tidy(*arguments):
        print("tidying", flush=True)
        for _ in range(300 if sys.argv[2] == "hangs" else 3):
            threading.Event().wait(0.1)
        print("tidied", flush=True)
        return real(*arguments)
    return tidy
class Tidying(Service):
    '''Takes its time to end.'''
    name = "Tidying"
    def once(self):
        if sys.argv[1] == "close":
            self.close = wait(self.close)
        else:
            self.app.shutdown = wait(self.app.shutdown)
        print("passing", flush=True)
        return Pass()
sys.exit(main(Tidying, []))
"""


class TestWhileItTidiesUp:
    """Ctrl-C that comes when the pass has ended already disturbs nothing, or ends the process: no traceback."""

    def program(self, url: str, home: Path, where: str, how: str) -> subprocess.Popen[bytes]:
        """Start a service, and have it told to end; return it when it has begun to tidy up."""
        process = subprocess.Popen(
            [sys.executable, "-c", TIDYING, where, how], cwd=PROJECT, env=environment_of(url, home),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"passing\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"tidying\n"
        return process

    @pytest.mark.parametrize("where", ["close", "shutdown"])
    def test_the_second_one(self, sqlite_url: str, tmp_path: Path, where: str) -> None:
        process = self.program(sqlite_url, tmp_path / "home", where, "ends")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
        assert (process.returncode, out, "Traceback" in err.decode()) == (130, b"tidied\n", False), err
        assert dict(samples(sqlite_url, "Tidying"))["state"] == "stopped"

    @pytest.mark.parametrize("where", ["close", "shutdown"])
    def test_the_third_one(self, sqlite_url: str, tmp_path: Path, where: str) -> None:
        process = self.program(sqlite_url, tmp_path / "home", where, "hangs")
        while process.poll() is None:  # two that come at once are one
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        out, err = process.communicate(timeout=LIMIT)
        assert (process.returncode, out, "Traceback" in err.decode()) == (130, b"", False), err
