"""TailStatus without arguments: what each service and instrument does, and what needs somebody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from NexusCore import identity
from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.status.process import ServiceProcess, running
from NexusCore.status.store import StatusSample
from NexusCore.storage import Database
from tests.tools.conftest import configure, report
from tests.tools.emulated import Emulated
from tests.tools.overview_stage import HOUR, MINUTE, beat, troubled
from tests.tools.programs import Follower, command, in_process
from Tools.tailstatus.courses import spark

SERVER = ServiceProcess(4711, "server", 0, "/srv/nx")


class TestOverview:
    """The picture for somebody who is woken up: what needs them first, then each service and instrument."""

    def test_what_needs_somebody_comes_first(self, database: Database) -> None:
        troubled(database)
        done = in_process("TailStatus")
        assert (done.code, done.err) == (0, "")
        title, *lines = done.lines
        assert title.endswith("  6 things need somebody")
        assert [line.removeprefix("  ! ") for line in lines if line.startswith("  ! ")] == [
            "2 Builders run on one home (/var/lib/nexuscore on server): processes 4711 and 5022. End all but one.",
            "The Uploader reported last 40 min ago: records are not sent to their destinations.",
            "The store archive: the bucket em-archive does not answer.",
            "The calendar of JEOL-JEM-TEM: nemo.example.org does not answer.",
            "FEI-Titan-TEM: 1 file cannot be sent: SessionTool transfer FEI-Titan-TEM --state failed",
            "JEOL-JEM-TEM: the record of 1 session could not be built: SessionTool list --state ERROR --instrument "
            "JEOL-JEM-TEM",
        ]

    def test_each_service_and_instrument_has_a_line(self, embedded: Database) -> None:
        troubled(embedded)
        rows = {tuple(line.split()[:4]): line for line in in_process("TailStatus").lines if line[:1].isalpha()}
        assert ("Builder", "idle", "server", "4711") in rows and ("Builder", "idle", "server", "5022") in rows
        assert "2 d 2 h" in rows["Gateway", "idle", "server", "811"]
        uploader = rows["Uploader", "STALE", "uploading", "server"]
        assert "40 min" in uploader and uploader.endswith("41 min ago: Out of memory")
        titan = next(line for line in rows.values() if line.startswith("FEI-Titan-TEM"))
        assert "jane, open for 2 h" in titan and "1 failed, 12 on their way (9 min)" in titan and "BUILT" in titan
        jeol = next(line for line in rows.values() if line.startswith("JEOL-JEM-TEM"))
        assert jeol.endswith("ago: The folder ./JEOL-JEM-TEM cannot be read")

    def test_all_is_well(self, embedded: Database) -> None:
        now = SYSTEM_CLOCK.now()
        for name in ("Builder", "Harvester", "Uploader"):
            beat(embedded, name, "idle", ServiceProcess(4711, "server", now - HOUR, "/srv/nx"))
        assert in_process("TailStatus").lines[0].endswith("  nothing needs somebody")

    def test_what_is_not_in_use_is_no_alarm(self, embedded: Database) -> None:
        """An Uploader that has not run since a destination was removed still shows its last report on it."""
        configure(embedded, Edit("Services.Uploader.destinations", value="directory"))
        now = SYSTEM_CLOCK.now()
        beat(embedded, "Uploader", "idle", ServiceProcess(4711, "server", now - HOUR, "/srv/nx"))
        report(embedded, (now, "Uploader", "destination cdcs", "it does not answer", None))
        assert "cdcs" not in in_process("TailStatus").out

    def test_a_service_that_was_killed(self, embedded: Database) -> None:
        """Its last state is not shown as its present one, if this machine knows that its process is gone."""
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        now = SYSTEM_CLOCK.now()
        beat(embedded, "Builder", "idle", ServiceProcess(gone.pid, identity.host(), now - HOUR, "/srv/nx"))
        beat(embedded, "Harvester", "idle", ServiceProcess(os.getpid(), identity.host(), now - HOUR, "/srv/nx"))
        beat(embedded, "Uploader", "idle", ServiceProcess(gone.pid, "elsewhere", now - HOUR, "/srv/nx"))
        lines = in_process("TailStatus").lines
        assert lines[0].endswith("  1 thing needs somebody")
        assert lines[1] == (f"  ! The Builder was killed or crashed (process {gone.pid}): no records are built.")
        states = {line.split()[0]: line.split()[1:3] for line in lines if line.startswith(("Bui", "Har", "Upl"))}
        assert states["Builder"] == ["GONE", "idle"]
        assert states["Harvester"][0] == states["Uploader"][0] == "idle"

    def test_one_that_was_killed_and_runs_again(self, embedded: Database) -> None:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        now = SYSTEM_CLOCK.now()
        before, after = (
            ServiceProcess(pid, identity.host(), now - ago * SECOND, f"/srv/{pid}")
            for pid, ago in ((gone.pid, 3600), (os.getpid(), 5))
        )
        beat(embedded, "Builder", "idle", before, after)
        lines = in_process("TailStatus").lines
        assert lines[0].endswith("  nothing needs somebody; not running: Harvester, Uploader")
        assert str(gone.pid) not in "".join(lines[1:])

    def test_all_are_stopped(self, embedded: Database) -> None:
        now = SYSTEM_CLOCK.now()
        report(embedded, (now, "Builder", "state", "stopped", None), (now, "Uploader", "state", "stopped", None))
        lines = in_process("TailStatus").lines
        assert lines[0].endswith("  1 thing needs somebody")
        assert lines[1] == "  ! No service is running: Doctor says how to start them."
        beat(embedded, "Builder", "idle", ServiceProcess(os.getpid(), identity.host(), now - HOUR, "/srv/nx"))
        assert in_process("TailStatus").lines[0].endswith("  nothing needs somebody; not running: Harvester, Uploader")

    def test_a_folder_that_the_builder_cannot_read(self, embedded: Database) -> None:
        configure(embedded, Edit("Instruments.Titan.filestore_path", value="./Titan"))
        configure(embedded, Edit("Instruments.Jeol.filestore_path", value="./Jeol"))
        now = SYSTEM_CLOCK.now()
        beat(embedded, "Builder", "idle", ServiceProcess(os.getpid(), identity.host(), now - HOUR, "/srv/nx"))
        report(
            embedded,
            (now, "Builder", "file store Titan", "/srv/Titan cannot be read (No such file or directory)", None),
            (now, "Builder", "file store Jeol", "ok", None),
            (now, "Builder", "file store Removed", "/srv/old does not answer", None),
        )
        lines = in_process("TailStatus").lines
        assert [line for line in lines if line.startswith("  ! ")] == [
            "  ! The file store of Titan: /srv/Titan cannot be read (No such file or directory)."
        ]
        assert [line.split()[:3] for line in lines if line.startswith("file store")] == [["file", "store", "Titan"]]

    def test_it_is_drawn_again_when_something_changes(self, embedded: Database) -> None:
        beat(embedded, "Builder", "idle", ServiceProcess(4711, "server", SYSTEM_CLOCK.now() - HOUR, "/srv/nx"))
        with Emulated(command("TailStatus", "--watch"), 20, 60) as terminal:
            terminal.until("^Builder +idle +server +4711")
            assert max(map(len, terminal.lines)) <= 60
            beat(embedded, "Builder", "failed: the disk is full", ago=0)
            terminal.until("! The last pass of the Builder failed: the disk is full")
            assert "red" in terminal.colours
            terminal.type("\x03")
            assert terminal.end() == 130 and terminal.is_restored


class TestProcesses:
    """Two processes that report on one channel are told apart; one that was replaced is not taken for a second."""

    @staticmethod
    def _shown(*shown: tuple[int, ServiceProcess]) -> list[int]:
        samples = [
            StatusSample("Builder", "process", str(process), ts * SECOND, (ts + 30) * SECOND) for ts, process in shown
        ]
        return [process.pid for process in running(samples, 100 * SECOND)]

    def test_what_is_shown_is_read_again(self) -> None:
        for home in ("/srv/nx", "/home/a b, c (ended)x", ""):
            process = ServiceProcess(1, "desk", 1_470_138_136 * SECOND, home)
            assert ServiceProcess.parse(str(process)) == process
        assert ServiceProcess.parse("idle") is ServiceProcess.parse("1 on x since now, home y") is None

    def test_two_at_the_same_time(self) -> None:
        one, two = (ServiceProcess(pid, "server", pid * SECOND, "/srv/nx") for pid in (60, 70))
        assert self._shown((80, one), (85, two), (90, one), (95, two)) == [60, 70]

    def test_one_that_was_killed_and_started_again(self) -> None:
        one, two = (ServiceProcess(pid, "server", pid * SECOND, "/srv/nx") for pid in (60, 92))
        assert self._shown((80, one), (90, one), (93, two)) == [92]
        elsewhere = ServiceProcess(60, "other", 60 * SECOND, "/srv/nx")
        assert self._shown((80, elsewhere), (90, elsewhere), (93, two)) == [60, 92]

    def test_one_that_ended_or_fell_silent(self) -> None:
        ended = ServiceProcess(60, "server", 60 * SECOND, "/srv/nx", ended=True)
        one = ServiceProcess(60, "server", 60 * SECOND, "/srv/nx")
        assert self._shown((80, one), (90, ended)) == self._shown((60, one)) == []


class TestChangesOnly:
    """-f and -S show changes; what a service renews to show that it lives, only with --all."""

    def test_renewals_are_left_out(self, embedded: Database) -> None:
        now = SYSTEM_CLOCK.now()
        expiry = now + MINUTE
        for number, value in enumerate(("idle", "idle", "idle", "building", "building", "idle")):
            report(embedded, (now - MINUTE + number * SECOND, "Builder", "state", value, expiry))
        for words, expected in (
            ((), ["idle", "building", "idle"]),
            (("--all",), ["idle", "idle", "idle", "building", "building", "idle"]),
        ):
            found = [line.rpartition(" ")[2] for line in in_process("TailStatus", "-S", "-5m", *words).lines]
            assert (words, found) == (words, expected)

    def test_following_tells_when_a_silent_one_is_back(self, embedded: Database) -> None:
        now = SYSTEM_CLOCK.now()
        report(embedded, (now - MINUTE, "Builder", "state", "idle", now - 30 * SECOND))
        with Follower("TailStatus", "-f", "Builder") as follower:
            follower.until("state = idle")
            for value in ("idle", "idle", "building"):
                report(embedded, (SYSTEM_CLOCK.now(), "Builder", "state", value, SYSTEM_CLOCK.now() + MINUTE))
            follower.until("state = building")
            follower.interrupt()
        assert [line.rpartition(" ")[2] for line in follower.lines] == ["idle", "idle", "building"]


class TestCourses:
    """--spark and --plot show how numbers have changed."""

    def test_a_value_stays_until_the_next(self) -> None:
        points = [(0, 0.0), (12 * SECOND, 7.0), (13 * SECOND, 3.0)]
        assert spark(points, 0, 24 * SECOND) == "▁" * 12 + "█" + "▄" * 11
        assert spark([(12 * SECOND, 5.0)], 0, 24 * SECOND) == " " * 12 + "▁" * 12

    def test_beside_each_value(self, database: Database) -> None:
        now = SYSTEM_CLOCK.now()
        report(database, *((now - number * MINUTE, "Camera", "t", str(-number), None) for number in range(50, 0, -1)))
        report(database, (now, "Camera", "state", "on", None))
        header, state, numbers = in_process("TailStatus", "Camera", "--spark").lines
        assert header.split()[:3] == ["channel", "name", "value"] and "-50..-1" in numbers and "▁" not in state
        curve = numbers.partition("-1 ")[2].split()[0]
        assert curve[0] == "▁" and curve[-1] == "█" and list(curve) == sorted(curve)

    def test_into_a_picture(self, embedded: Database, tmp_path: Path) -> None:
        now = SYSTEM_CLOCK.now()
        report(embedded, (now - MINUTE, "Camera", "$t$", "1", None), (now, "Camera", "$t$", "2", None))
        path = tmp_path / "t.png"
        assert in_process("TailStatus", "--plot", str(path)).out.startswith(f"{path}: 1 curve since ")
        assert path.read_bytes()[:4] == b"\x89PNG"

    @pytest.mark.parametrize(
        ("words", "code", "sentence"),
        [
            (("--plot", "/nowhere/t.png"), 1, "cannot be written: No such file or directory."),
            (("--plot", "t.nothing"), 1, "cannot be written: Format 'nothing' is not supported"),
            (("--plot", "t.png", "Camera:state"), 1, "No numbers since"),
            (("--plot", "t.png", "-f"), 2, "--plot cannot be combined with --follow."),
            (("--spark", "--csv"), 2, "--spark cannot be combined with --csv."),
        ],
    )
    def test_each_mistake_is_explained(
        self, embedded: Database, words: tuple[str, ...], code: int, sentence: str
    ) -> None:
        report(embedded, (SYSTEM_CLOCK.now(), "Camera", "t", "1", None), (1, "Camera", "state", "on", None))
        done = in_process("TailStatus", *words)
        assert (done.code, sentence in done.err) == (code, True), done.err
