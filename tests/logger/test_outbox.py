"""The outbox: what the user did is on this computer's disk first, and leaves it in order, once."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from Logger.facility import EventKind, EventReceipt, Station
from Logger.outbox import Outbox, OutboxError
from Logger.uptime import Uptime
from tests.conftest import PROJECT
from tests.logger.facility import LIMIT

START, END, PAUSE, RESUME, NOTE = (EventKind(name) for name in ("START", "END", "PAUSE", "RESUME", "NOTE"))
HOUR = 3_600_000_000


class Clocks(Uptime):
    """Clocks that the test sets."""

    def __init__(self) -> None:
        self.boot, self.time, self.up = "first", 1_800_000_000_000_000, 500_000_000

    def now(self) -> int:
        return self.time

    def uptime(self) -> int:
        return self.up

    def forward(self, microseconds: int) -> None:
        self.time += microseconds
        self.up += microseconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def outbox(tmp_path: Path, clocks: Clocks) -> Outbox:
    return Outbox(tmp_path / "logger" / "pc.outbox", clocks)


def begin(outbox: Outbox, session: str = "s1") -> None:
    outbox.add(START, session, "Titan", "ann")


class TestEvents:
    """They wait in the order in which they happened, until the facility has them."""

    def test_they_leave_in_order(self, outbox: Outbox) -> None:
        begin(outbox)
        outbox.add(NOTE, "s1", "Titan", "ann", 'ünïcödé; "it\'s" <b>')
        outbox.add(END, "s1", "Titan", "ann")
        begin(outbox, "s2")
        assert [(event.kind, event.session) for event in outbox.waiting()] == [
            (START, "s1"), (NOTE, "s1"), (END, "s1"), (START, "s2"),
        ]  # fmt: skip
        assert outbox.waiting()[1].text == 'ünïcödé; "it\'s" <b>'
        for expected in (3, 2, 1, 0):
            outbox.settle(outbox.waiting()[0], EventReceipt())
            assert len(outbox.waiting()) == expected

    def test_each_request_has_an_id_that_never_changes(self, outbox: Outbox, clocks: Clocks) -> None:
        for _ in range(20):
            outbox.add(NOTE, "s1", "Titan", "ann", "the same")
        requests = [event.request for event in outbox.waiting()]
        assert len(set(requests)) == 20
        assert [event.request for event in Outbox(outbox.path, clocks).waiting()] == requests

    def test_one_start_and_one_end_for_each_session(self, outbox: Outbox) -> None:
        for _ in range(3):
            begin(outbox)
            outbox.add(END, "s1", "Titan", "ann")
        assert [event.kind for event in outbox.waiting()] == [START, END]

    def test_old_ones_go_and_waiting_ones_stay(self, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("Logger.outbox.OFTEN_ENOUGH", 10)
        begin(outbox, "never delivered")
        kept = outbox.waiting()[0]
        for number in range(30):
            begin(outbox, f"s{number}")
            outbox.settle(outbox.waiting()[1], EventReceipt(token=f"t{number}"))
            outbox.add(END, f"s{number}", "Titan", "ann")
            outbox.settle(outbox.waiting()[1], EventReceipt(ended=True))
        assert outbox.waiting() == [kept]
        assert (outbox.token("s0"), outbox.token("s29")) == ("", "t29")
        with sqlite3.connect(outbox.path) as database:
            assert database.execute("SELECT COUNT(*) FROM event").fetchone()[0] <= 12


class TestClocks:
    """How long ago something happened does not depend on whether the clock was set since."""

    def test_the_age_grows_with_time(self, outbox: Outbox, clocks: Clocks) -> None:
        begin(outbox)
        clocks.forward(HOUR)
        assert outbox.waiting()[0].age == HOUR

    @pytest.mark.parametrize("set_by", [-24 * HOUR, 24 * HOUR])
    def test_a_clock_that_was_set(self, outbox: Outbox, clocks: Clocks, set_by: int) -> None:
        begin(outbox)
        clocks.forward(HOUR)
        clocks.time += set_by
        assert outbox.waiting()[0].age == HOUR

    def test_after_a_restart_the_clock_has_to_do(self, outbox: Outbox, clocks: Clocks) -> None:
        begin(outbox)
        clocks.boot, clocks.up = "second", 7
        clocks.time += HOUR
        assert outbox.waiting()[0].age == HOUR
        clocks.time -= 2 * HOUR
        assert outbox.waiting()[0].age == 0, "nothing happens in the future"

    def test_an_end_at_an_earlier_time(self, outbox: Outbox, clocks: Clocks) -> None:
        begin(outbox)
        clocks.forward(HOUR)
        outbox.add(END, "s1", "Titan", "ann", at=clocks.time - HOUR // 2)
        assert outbox.waiting()[1].age == HOUR // 2

    def test_no_event_is_of_the_future(self, outbox: Outbox, clocks: Clocks) -> None:
        outbox.add(START, "s1", "Titan", "ann", at=clocks.time + HOUR)
        assert (outbox.waiting()[0].at, outbox.waiting()[0].age) == (clocks.time, 0)


class TestTheOpenSession:
    """000-17..19: what was begun here and has not ended is found again, whatever happened to the logger."""

    def test_none_at_first_and_none_after_its_end(self, outbox: Outbox) -> None:
        assert outbox.open_session() is None
        begin(outbox)
        outbox.add(END, "s1", "Titan", "ann")
        assert outbox.open_session() is None

    def test_who_began_it_and_when_something_last_happened(self, outbox: Outbox, clocks: Clocks) -> None:
        begin(outbox)
        start = clocks.time
        clocks.forward(HOUR)
        outbox.add(NOTE, "s1", "Titan", "ann", "a note")
        found = outbox.open_session()
        assert found is not None
        assert (found.identifier, found.pid, found.user, found.start, found.last, found.paused) == (
            "s1", "Titan", "ann", start, start + HOUR, False,
        )  # fmt: skip

    def test_whether_it_is_paused(self, outbox: Outbox) -> None:
        begin(outbox)
        for kind, paused in ((PAUSE, True), (NOTE, True), (RESUME, False), (PAUSE, True)):
            outbox.add(kind, "s1", "Titan", "ann")
            found = outbox.open_session()
            assert found is not None
            assert found.paused is paused

    def test_one_that_ended_at_the_facility_is_not_open(self, outbox: Outbox) -> None:
        begin(outbox)
        outbox.settle(outbox.waiting()[0], EventReceipt(ended=True))
        outbox.ended_there("s1")
        assert outbox.open_session() is None

    def test_a_start_that_was_taken_back(self, outbox: Outbox) -> None:
        begin(outbox)
        outbox.withdraw(outbox.waiting()[0])
        assert (outbox.waiting(), outbox.open_session()) == ([], None)


class TestTheFile:
    """It survives crashes, belongs to all users of the computer, and is never thrown away."""

    def test_each_event_that_was_stored_survives_a_kill(self, tmp_path: Path) -> None:
        program = """
import sys
from pathlib import Path
from Logger.facility import EventKind
from Logger.outbox import Outbox
from Logger.uptime import Uptime
outbox = Outbox(Path(sys.argv[1]), Uptime())
number = 0
while True:
    outbox.add(EventKind.NOTE, "s1", "Titan", "ann", str(number))
    print(number, flush=True)
    number += 1
"""
        path = tmp_path / "pc.outbox"
        for _ in range(5):
            process = subprocess.Popen(
                [sys.executable, "-c", program, path], cwd=PROJECT, stdout=subprocess.PIPE, text=True
            )
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(5)]
            process.send_signal(signal.SIGKILL)
            said += process.stdout.read().splitlines()
            process.communicate(timeout=LIMIT)
            stored = [int(event.text) for event in Outbox(path, Uptime()).waiting()]
            last = max(int(line) for line in said if line.strip())
            begun = len(stored) - 1 - stored[::-1].index(0)
            assert stored[begun:][: last + 1] == list(range(last + 1))

    def test_two_processes_at_once(self, tmp_path: Path, clocks: Clocks) -> None:
        program = """
import sys
from pathlib import Path
from Logger.facility import EventKind
from Logger.outbox import Outbox
from Logger.uptime import Uptime
for number in range(40):
    Outbox(Path(sys.argv[1]), Uptime()).add(EventKind.NOTE, sys.argv[2], "Titan", "ann", str(number))
"""
        path = tmp_path / "pc.outbox"
        both = [subprocess.Popen([sys.executable, "-c", program, path, name], cwd=PROJECT) for name in ("a", "b")]
        assert [process.wait(LIMIT) for process in both] == [0, 0]
        waiting = Outbox(path, clocks).waiting()
        for name in ("a", "b"):
            assert [event.text for event in waiting if event.session == name] == [str(n) for n in range(40)]

    @pytest.mark.parametrize("where", [0, 4096, 8192])
    def test_a_damaged_file_is_put_aside(self, outbox: Outbox, where: int) -> None:
        begin(outbox)
        content = bytearray(outbox.path.read_bytes())
        content[where : where + 100] = b"\xaa" * 50 + b"not a database".ljust(50)
        outbox.path.write_bytes(content)
        assert outbox.waiting() == []
        begin(outbox, "s2")
        assert [event.session for event in outbox.waiting()] == ["s2"]
        (aside,) = outbox.path.parent.glob("pc.outbox.damaged-*")
        assert aside.read_bytes() == content

    def test_one_of_a_newer_logger_is_left_alone(self, outbox: Outbox) -> None:
        begin(outbox)
        with sqlite3.connect(outbox.path) as database:
            database.execute("PRAGMA user_version = 99")
        before = outbox.path.read_bytes()
        with pytest.raises(OutboxError, match="of a newer logger, with format 99"):
            outbox.waiting()
        assert outbox.path.read_bytes() == before

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path, clocks: Clocks) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(OutboxError, match=r"pc\.outbox, cannot be used \(.*Tell the facility's staff\."):
            begin(Outbox(tmp_path / "file" / "pc.outbox", clocks))

    @pytest.mark.skipif(os.name == "nt", reason="Windows gives these rights by the folder")
    def test_every_user_of_the_computer_can_write_it(self, outbox: Outbox) -> None:
        """Whoever logs on next delivers what the last one could not."""
        begin(outbox)
        assert stat.S_IMODE(outbox.path.stat().st_mode) == 0o666
        assert stat.S_IMODE(outbox.path.parent.stat().st_mode) == 0o777

    def test_nothing_is_open_between_two_calls(self, outbox: Outbox) -> None:
        begin(outbox)
        outbox.open_session()
        links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        assert not [link for link in links if link.is_relative_to(outbox.path.parent)]


class TestTheStation:
    """The instrument is remembered, so that a session starts although the facility is away."""

    def test_it_is_the_one_that_was_kept(self, outbox: Outbox) -> None:
        assert outbox.station() is None
        station = Station("Titan", "FEI Titan", 1.5, "a@b.org", ask_user=True)
        outbox.keep_station(station)
        assert outbox.station() == station

    def test_one_of_another_version_is_asked_for_again(self, outbox: Outbox) -> None:
        outbox.keep_station(Station("Titan", "FEI Titan"))
        with sqlite3.connect(outbox.path) as database:
            database.execute("""UPDATE kept SET value = '{"strange": 1}'""")
        assert outbox.station() is None
