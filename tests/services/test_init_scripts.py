"""The init scripts start, watch and end a service as the Linux Standard Base asks, with or without systemd."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import eventually

PROJECT = Path(__file__).resolve().parents[2]
LIMIT = 60.0
"""Seconds that one command of a script, or the end of a process, may take."""
SERVICES = ("builder", "gateway", "harvester", "intake", "uploader")

READY = """
with open(os.environ["NEXUSCORE_READY_FILE"], "w") as file:
    file.write(str(os.getpid()))
print("ready", os.getpid(), flush=True)
"""
WELL_BEHAVED = f"""
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
{READY}
while True:
    time.sleep(0.05)
"""
STUBBORN = f"""
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
{READY}
while True:
    time.sleep(0.05)
"""
ENDS_AT_ONCE = """
raise SystemExit("the settings are wrong")
"""

pytestmark = pytest.mark.skipif(
    shutil.which("start-stop-daemon", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None,
    reason="start-stop-daemon is missing: the init scripts are for systems of Debian's kind",
)


@dataclass(frozen=True)
class Script:
    """One service's init script, installed into a folder of the test's own."""

    name: str
    path: Path
    environment: dict[str, str]

    @property
    def pid_file(self) -> Path:
        return Path(self.environment["NEXUSCORE_RUN_DIR"]) / f"{self.name}.pid"

    @property
    def pid(self) -> int:
        """The supervisor's."""
        return int(self.pid_file.read_text())

    @property
    def output(self) -> Path:
        return Path(self.environment["NEXUSCORE_LOG_DIR"]) / f"{self.name}.out"

    @property
    def service(self) -> int:
        """Wait for the service to run, and for it to say that it is ready; return its process's number."""
        (number,) = eventually(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text).split()
        eventually(lambda: f"ready {number}\n" in self.output.read_text())
        return int(number)

    def __call__(self, command: str) -> subprocess.CompletedProcess[str]:
        # A file, not a pipe: the service would inherit a pipe, and reading it would wait for the service's end.
        with (self.path.parent / "said").open("w+") as said:
            done = subprocess.run(
                [str(self.path), *command.split()],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=LIMIT,
                check=False,
            )
            said.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, said.read())


def install(project: Path, name: str) -> Script:
    """Install one service's script from a copy of the project."""
    root = project.parent / "root"
    subprocess.run(
        [project / "install.sh", "service", name],
        env={**os.environ, "DESTDIR": str(root)},
        check=True,
        capture_output=True,
        timeout=LIMIT,
    )
    environment = {
        **os.environ,
        "NEXUSCORE_RUN_DIR": str(root / "run"),
        "NEXUSCORE_LOG_DIR": str(root / "log"),
        "NEXUSCORE_DEFAULTS": str(root / "etc/default/nexuscore"),
        "NEXUSCORE_USER": pwd.getpwuid(os.geteuid()).pw_name,
        "NEXUSCORE_STOP_SECONDS": "5",
        "NEXUSCORE_RESTART_SECONDS": "0.1",
        "NEXUSCORE_READY_SECONDS": "60",
        # The host may run systemd, to which the script would hand over where it stands in /etc/init.d.
        "SYSTEMCTL_SKIP_REDIRECT": "1",
    }
    return Script(name, root / f"etc/init.d/nexuscore-{name}", environment)


def gone(pid: int) -> bool:
    """Wait for a process to end; its parent is init, so it cannot be waited for."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def project(project_copy: Path, tmp_path: Path) -> Iterator[Path]:
    """Lend a copy of the project; what a test started from it is ended, by its number."""
    yield project_copy
    for pid_file in tmp_path.glob("root/run/*.pid"):
        with suppress(FileNotFoundError):
            command = Path(f"/proc/{pid_file.read_text().strip()}/cmdline").read_text()
            if str(tmp_path) in command:
                os.kill(int(pid_file.read_text()), signal.SIGKILL)


def stand_in(project: Path, text: str) -> Script:
    """Install a builder whose program is `text`."""
    folder = project / "Services/Builder"
    folder.mkdir(parents=True)
    (project / "Services/__init__.py").touch()
    (folder / "__init__.py").touch()
    (folder / "__main__.py").write_text(text)
    return install(project, "builder")


@pytest.fixture
def script(project: Path) -> Script:
    """Lend a script whose service ends when it is asked to."""
    return stand_in(project, WELL_BEHAVED)


class TestStart:
    """001-01: a service is started by the system, once, and a start that fails says why."""

    def test_start_reports_the_running_process(self, script: Script) -> None:
        started = script("start")
        assert (started.returncode, started.stdout) == (0, f"nexuscore-builder is running (process {script.pid}).\n")
        assert "Services.Builder" in Path(f"/proc/{script.pid}/cmdline").read_text()
        assert script("stop").returncode == 0

    def test_a_second_start_changes_nothing(self, script: Script) -> None:
        script("start")
        pid = script.pid
        again = script("start")
        assert (again.returncode, again.stdout) == (0, f"nexuscore-builder is already running (process {pid}).\n")
        assert script.pid == pid

    def test_says_the_last_words_of_a_service_that_ends_at_once(self, project: Path) -> None:
        script = stand_in(project, ENDS_AT_ONCE)
        started = script("start")
        assert started.returncode == 1
        assert "ended right after its start" in started.stdout
        assert "the settings are wrong" in started.stdout
        assert script("status").returncode == 3

    def test_waits_until_the_service_is_ready(self, project: Path) -> None:
        """One that fails late is not called running."""
        script = stand_in(project, "import time\ntime.sleep(4)\nraise SystemExit('the port is taken')")
        script.environment["NEXUSCORE_RESTART_SECONDS"] = "3600"
        started = script("start").stdout
        assert "is not running; it is restarted. Its last output:" in started
        assert "the port is taken" in started
        assert "is running" not in started

    def test_one_that_takes_longer_is_starting(self, project: Path) -> None:
        script = stand_in(project, "import time\ntime.sleep(3600)")
        script.environment["NEXUSCORE_READY_SECONDS"] = "1"
        for command in ("start", "status"):
            done = script(command)
            assert (done.returncode, done.stdout.split(". ")[0]) == (
                0,
                f"nexuscore-builder is starting (process {script.pid})",
            )

    def test_without_an_environment(self, script: Script, project: Path) -> None:
        (project / ".venv/bin").unlink()
        started = script("start")
        assert started.returncode == 5
        assert "Run ./install.sh in" in started.stdout

    def test_reads_the_defaults(self, project: Path) -> None:
        script = stand_in(project, "import os\nprint(os.environ['NEXUSCORE_GREETING'])\nraise SystemExit(1)")
        defaults = Path(script.environment["NEXUSCORE_DEFAULTS"])
        defaults.parent.mkdir(parents=True)
        defaults.write_text("NEXUSCORE_GREETING='good morning'\n")
        assert "good morning" in script("start").stdout


class TestStop:
    """A service is asked to end, then made to; what an earlier one left behind is cleared away."""

    def test_stop_ends_it_and_removes_the_file(self, script: Script) -> None:
        script("start")
        pid = script.pid
        stopped = script("stop")
        assert (stopped.returncode, stopped.stdout) == (0, "nexuscore-builder has stopped.\n")
        assert gone(pid)
        assert not script.pid_file.exists()

    def test_kills_a_service_that_does_not_end(self, project: Path) -> None:
        script = stand_in(project, STUBBORN)
        script.environment["NEXUSCORE_STOP_SECONDS"] = "1"
        script("start")
        pid = script.pid
        assert script("stop").returncode == 0
        assert gone(pid)

    def test_when_nothing_runs(self, script: Script) -> None:
        stopped = script("stop")
        assert (stopped.returncode, stopped.stdout) == (0, "nexuscore-builder is not running.\n")

    def test_restart_is_a_new_process(self, script: Script) -> None:
        script("start")
        first = script.pid
        assert script("restart").returncode == 0
        assert gone(first)
        assert script.pid != first
        assert script("status").returncode == 0

    def test_restart_starts_what_was_not_running(self, script: Script) -> None:
        assert script("restart").returncode == 0
        assert script("status").returncode == 0

    def test_force_reload_restarts(self, script: Script) -> None:
        script("start")
        first = script.pid
        assert script("force-reload").returncode == 0
        assert script.pid != first

    def test_try_restart_starts_nothing_new(self, script: Script) -> None:
        assert script("try-restart").returncode == 0
        assert script("status").returncode == 3


class TestStalePidFile:
    """A pid file of a process that is gone, or whose number another program got, misleads nobody."""

    @pytest.fixture
    def stale(self, script: Script) -> Script:
        script("start")
        pid = script.pid
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
        return script

    def test_status_mentions_the_pid_file(self, stale: Script) -> None:
        status = stale("status")
        assert status.returncode == 1
        assert "its pid file exists" in status.stdout

    def test_stop_removes_it(self, stale: Script) -> None:
        pid = stale.pid
        stopped = stale("stop")
        assert stopped.returncode == 0
        assert f"removed the stale pid file of process {pid}" in stopped.stdout
        assert not stale.pid_file.exists()

    def test_start_replaces_it(self, stale: Script) -> None:
        pid = stale.pid
        started = stale("start")
        assert started.returncode == 0
        assert f"removed the stale pid file of process {pid}" in started.stdout
        assert stale("status").returncode == 0

    @pytest.mark.parametrize("command", ["start", "stop", "status"])
    def test_another_programs_process_is_not_touched(self, script: Script, command: str) -> None:
        script.pid_file.parent.mkdir(parents=True)
        # The same Python, so that only the module's name tells them apart.
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
            script.pid_file.write_text(f"{other.pid}\n")
            done = script(command)
            assert other.poll() is None
            other.kill()
        assert done.returncode == (1 if command == "status" else 0)

    @pytest.mark.parametrize("content", ["", "nonsense\n", "../../etc\n"])
    def test_a_damaged_one(self, script: Script, content: str) -> None:
        script.pid_file.parent.mkdir(parents=True)
        script.pid_file.write_text(content)
        assert script("status").returncode == 1
        assert script("stop").returncode == 0
        assert script("status").returncode == 3


class TestSupervision:
    """A service that crashes is started again; one that is stopped stays so, and nothing of it is left."""

    def test_after_a_crash(self, script: Script) -> None:
        script("start")
        supervisor, first = script.pid, script.service
        os.kill(first, signal.SIGKILL)
        eventually(lambda: "SIGKILL); it is restarted" in script.output.read_text())
        second = script.service
        assert (second != first, script.pid) == (True, supervisor)
        assert script("status").stdout == f"nexuscore-builder is running (process {supervisor}).\n"
        script("stop")
        assert gone(second)

    def test_stopping_between_a_crash_and_the_next_start(self, script: Script) -> None:
        script.environment["NEXUSCORE_RESTART_SECONDS"] = "3600"
        script("start")
        os.kill(script.service, signal.SIGKILL)
        eventually(lambda: "restarted in 3600 s" in script.output.read_text())
        status = script("status")
        assert status.returncode == 1
        assert "nexuscore-builder is not running; it is restarted." in status.stdout
        assert "(SIGKILL); it is restarted in 3600 s." in status.stdout
        supervisor = script.pid
        assert script("stop").returncode == 0
        assert gone(supervisor)
        assert script.output.read_text().count("ready") == 1

    def test_a_database_that_is_away_is_waited_for(self, project: Path) -> None:
        """As when a machine starts before the one that has the database."""
        script = stand_in(project, "import os\nprint('ready', os.getpid())\nraise SystemExit(3)")
        assert script("start").returncode == 0
        eventually(lambda: script.output.read_text().count("(exit code 3); it is restarted") >= 2)
        assert script("stop").returncode == 0

    def test_one_that_ends_by_itself(self, script: Script) -> None:
        """As by `kill`: nobody has a service started again that was told to end."""
        script("start")
        supervisor = script.pid
        os.kill(script.service, signal.SIGTERM)
        assert gone(supervisor)
        assert script("status").returncode == 1

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_a_supervisor_that_is_killed_leaves_no_service_behind(self, script: Script, number: int) -> None:
        script("start")
        service = script.service
        os.kill(script.pid, number)
        assert gone(service)

    def test_a_stubborn_service_is_killed_by_it(self, project: Path) -> None:
        script = stand_in(project, STUBBORN)
        script.environment["NEXUSCORE_STOP_SECONDS"] = "1"
        script("start")
        service = script.service
        assert script("stop").returncode == 0
        assert gone(service)

    def test_no_other_user_reads_what_it_writes(self, script: Script) -> None:
        """The umask is that of the systemd unit."""
        script("start")
        for pid in (script.pid, script.service):
            assert "Umask:\t0027\n" in Path(f"/proc/{pid}/status").read_text()
        assert script.output.stat().st_mode & 0o777 == 0o640
        script("stop")

    def test_the_output_is_rotated(self, project: Path) -> None:
        """What is printed is kept, in files of limited size; one that somebody renamed is made again."""
        script = stand_in(
            project,
            "import os, sys, time\n"
            "for number in range(11):\n    print(number, 'x' * 999_990, flush=True)\n"
            f"{READY}"
            "while not os.path.exists('go'):\n    time.sleep(0.02)\n"
            "print('again', flush=True)\n"
            "time.sleep(3600)\n",
        )
        script("start")
        eventually(lambda: script.output.exists() and "ready" in script.output.read_text())
        files = sorted(script.output.parent.glob("*.out*"))
        assert [file.name for file in files] == ["builder.out", "builder.out.1", "builder.out.2"]
        assert max(file.stat().st_size for file in files) <= 5_000_000
        script.output.rename(script.output.with_name("renamed"))
        (project / "go").touch()
        eventually(lambda: script.output.exists() and script.output.read_text() == "again\n")
        script("stop")

    def test_a_folder_for_output_that_belongs_to_another(self, script: Script) -> None:
        """The supervisor rotates files in it as the services' user; root opens none of them."""
        folder = script.output.parent
        folder.mkdir(parents=True, exist_ok=True)
        script.environment["NEXUSCORE_USER"] = "nobody"
        started = script("start")
        assert started.returncode == 4
        assert f"{folder} belongs to {folder.owner()}. Run: chown -hR nobody: {folder}" in started.stdout


class TestStatusAndUsage:
    """The exit codes are the Linux Standard Base's."""

    def test_a_stopped_service_has_status_3(self, script: Script) -> None:
        assert script("status").returncode == 3

    def test_a_running_service_has_status_0(self, script: Script) -> None:
        script("start")
        assert script("status").returncode == 0

    @pytest.mark.parametrize("command", ["", "begin"])
    def test_an_unknown_command(self, script: Script, command: str) -> None:
        done = script(command)
        assert done.returncode == 2
        assert "Usage:" in done.stdout

    @pytest.mark.parametrize("name", SERVICES)
    def test_the_header_is_complete(self, project: Path, name: str) -> None:
        text = install(project, name).path.read_text()
        header = text.partition("### BEGIN INIT INFO\n")[2].partition("### END INIT INFO")[0]
        keys = dict(re.findall(r"^# ([\w-]+): +(.+)$", header, re.MULTILINE))
        assert keys["Provides"] == f"nexuscore-{name}"
        required = {"Required-Start", "Required-Stop", "Default-Start", "Default-Stop", "Short-Description"}
        assert required <= keys.keys()
        assert not re.search(r"@[A-Z]+@", text)


@pytest.mark.parametrize("name", SERVICES)
class TestRealServices:
    """001-01: each service of the project runs under its script and ends in an orderly way."""

    def test_start_status_stop(self, project: Path, name: str) -> None:
        for folder in ("NexusCore", "Services"):
            (project / folder).symlink_to(PROJECT / folder)
        script = install(project, name)
        # Long enough for a busy machine; the service itself is to need two seconds.
        started = script("start")
        assert started.returncode == 0, started.stdout
        pid = script.pid
        assert script("status").returncode == 0
        assert script("stop").returncode == 0
        assert gone(pid)
        assert script("status").returncode == 3
