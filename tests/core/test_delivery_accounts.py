"""What cannot be stored holds up no neighbour, and every record is accounted for: `NexusCore.delivery`, continued."""

from __future__ import annotations

from pathlib import Path

import pytest

from NexusCore.delivery import Journal, Shipper
from NexusCore.errors import StatusException
from NexusCore.log.store import LogSink
from NexusCore.storage import open_database
from tests.clocks import SetClock
from tests.journals import folder_of, leave, log_payload, refuse, small_segments, status_payload
from tests.processes import adopt, app_on, eventually, execute, messages, rows, run, samples

NOBODY = "mysql://u:p@127.0.0.1:1/nothing"


class TestPoison:
    """A record that the table refuses goes to a side file and holds up no neighbour."""

    def test_neighbours_of_a_refused_record_arrive(self, database_url: str, tmp_path: Path) -> None:
        refuse(database_url, "log_record", "NEW.message = '57'")
        app = app_on(database_url, tmp_path / "home")
        log = app.get_log("mixed")
        for number in range(100):
            log.info("%d", number)
        eventually(lambda: len(messages(database_url, "mixed")) == 99)
        report = app.shutdown(30)
        assert messages(database_url, "mixed") == [str(n) for n in range(100) if n != 57]
        assert report.dropped == 1
        (side,) = (tmp_path / "home/journal").rglob("*.refused")
        assert side.read_bytes().count(b"57") == 1
        (warning,) = messages(database_url, "NexusCore.delivery")
        assert str(side) in warning

    def test_a_table_that_refuses_everything_is_not_flooded_by_complaints(
        self, database_url: str, tmp_path: Path
    ) -> None:
        """The complaint is a log record too: it must not breed the next one."""
        refuse(database_url, "log_record", "NEW.level > 0")
        app = app_on(database_url, tmp_path / "home")
        app.get_log("refused").info("one")
        eventually(lambda: list((tmp_path / "home/journal").rglob("*.refused")))
        report = app.shutdown(10)
        assert report.left == 0
        assert report.dropped == 2  # the record, and the complaint

    def test_a_refused_record_of_a_dead_process_is_not_counted_as_ours(self, database_url: str, tmp_path: Path) -> None:
        refuse(database_url, "log_record", "NEW.message = 'b'")
        app = app_on(database_url, tmp_path / "home")
        leave(folder_of(app, "log"), [log_payload(text) for text in "abc"])
        app.get_log("living").info("here")
        eventually(lambda: messages(database_url, "dead") == ["a", "c"])
        eventually(lambda: messages(database_url, "NexusCore.delivery"))
        report = app.shutdown(30)
        assert (report.delivered, report.left, report.dropped) == (2, 0, 0)

    @pytest.mark.parametrize("timestamp", [1.7e12 * 1e6, 9.5e12, float("inf"), float("nan")])
    def test_a_time_in_another_unit_is_refused_at_once(self, tmp_path: Path, timestamp: float) -> None:
        """A program may give nanoseconds where seconds belong (003-41)."""
        app = app_on(NOBODY, tmp_path / "home")
        element = app.get_status("odd").new("x", 1)
        with pytest.raises(StatusException, match="not a number of seconds"):
            element.set_value(2, timestamp=timestamp)
        assert element.get_value() == 1
        app.shutdown(0.1)

    def test_what_no_column_holds(self, database_url: str, tmp_path: Path) -> None:
        """A journal of another release may hold what the driver cannot even send."""
        app = app_on(database_url, tmp_path / "home")
        payloads = [status_payload("n", "1"), status_payload("n", "2", ts=2**63), status_payload("n", "3")]
        leave(folder_of(app, "status"), payloads)
        app.get_status("living")["state"] = "here"
        eventually(lambda: samples(database_url, "dead") == [("n", "1"), ("n", "3")])
        assert app.shutdown(30).left == 0

    def test_a_payload_that_is_no_record(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path / "home")
        for role in ("log", "status"):
            good = log_payload("good") if role == "log" else status_payload("n", "good")
            leave(folder_of(app, role), [b"\xc1", good, b"\x93\x01\x02\x03", b"", good])
        app.get_log("living").info("here")
        app.get_status("living")["state"] = "here"
        eventually(lambda: messages(database_url, "dead") == ["good", "good"])
        eventually(lambda: samples(database_url, "dead") == [("n", "good")] * 2)
        assert app.shutdown(30).left == 0

    def test_names_that_a_database_cannot_tell_apart_are_refused_at_once(
        self, server_database_url: str, tmp_path: Path
    ) -> None:
        """MariaDB takes "n" and "n " for one name; half a character cannot be stored at all."""
        app = app_on(server_database_url, tmp_path / "home")
        status = app.get_status("names")
        status["n"] = 1
        for name in ("n ", " n", "\udc80", "", "n" * 129):
            with pytest.raises(StatusException, match=r"is not a valid name|contains U\+DC80"):
                status[name] = 2
        status["n"] = 3
        report = app.shutdown(30)
        assert (report.delivered, report.left, report.dropped) == (2, 0, 0)
        assert samples(server_database_url, "names") == [("n", "1"), ("n", "3")]

    def test_a_server_without_room_is_no_fault_of_the_record(self, server_database_url: str, tmp_path: Path) -> None:
        """A full disk is waited for: the records would be taken a little later."""
        execute(
            server_database_url,
            "CREATE TRIGGER full BEFORE INSERT ON log_record FOR EACH ROW "
            "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'",
        )
        app = app_on(server_database_url, tmp_path / "home")
        log = app.get_log("patient")
        for number in range(10):
            log.info("%d", number)
        assert app.shutdown(0.5).dropped == 0
        execute(server_database_url, "DROP TRIGGER full")
        adopt(server_database_url, tmp_path / "home")
        assert messages(server_database_url, "patient") == [str(n) for n in range(10)]


class TestForks:
    """A forked child has a journal of its own; what it logs arrives, and so does what its parent logs."""

    PROGRAM = """
import os, sys
from NexusCore import API
log, status = API.get_log("family"), API.get_status("family")
log.info("parent before"); status["n"] = 0
children = []
for number in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        log.info("child %d", number)
        status["n"] = number + 1
        if sys.argv[2] == "abrupt":
            os._exit(0)
        sys.exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
log.info("parent after"); status["n"] = -1
print(API.shutdown(60))
"""

    @pytest.mark.parametrize("how", ["orderly", "abrupt"])
    def test_records_of_parent_and_children_arrive(self, database_url: str, tmp_path: Path, how: str) -> None:
        printed = run(self.PROGRAM, 5, how, main=database_url, home=tmp_path / "home")
        assert printed.strip().splitlines()[-1] == "Report(delivered=4, left=0, dropped=0)"
        adopt(database_url, tmp_path / "home")
        expected = ["parent before", "parent after", *(f"child {n}" for n in range(5))]
        assert sorted(messages(database_url, "family")) == sorted(expected)
        assert sorted(value for _, value in samples(database_url, "family")) == ["-1", "0", "1", "2", "3", "4", "5"]
        assert rows(database_url, "SELECT COUNT(DISTINCT pid) FROM log_record WHERE logger = 'family'") == [(6,)]

    def test_journals_of_one_moment_stay_separate(self, database_url: str, tmp_path: Path) -> None:
        """Log and status may be opened within one tick of the clock, as after a fork: each has its own cursor."""
        app = app_on(database_url, tmp_path / "home", SetClock())
        log, status = app.get_log("twins"), app.get_status("twins")
        for number in range(20):
            log.info("%d", number)
            expected = [str(n) for n in range(number + 1)]
            eventually(lambda wanted=expected: messages(database_url, "twins") == wanted)  # type: ignore[misc]
            if number % 5 == 0:
                status["n"] = number
        report = app.shutdown(30)
        assert (report.delivered, report.left, report.dropped) == (24, 0, 0)
        assert len(samples(database_url, "twins")) == 4


class TestTheReport:
    """`shutdown` says what became of the records (003-05)."""

    def test_counts_what_stays_in_the_journal(self, tmp_path: Path) -> None:
        app = app_on(NOBODY, tmp_path / "home")
        log = app.get_log("stays")
        for _ in range(10):
            log.info("kept")
        report = app.shutdown(0.1)
        assert report.delivered == 0
        assert report.left >= 10
        assert report.dropped == 0

    def test_counts_what_was_damaged_on_disk(
        self, database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A record that the disk lost is lost: it must not count as delivered."""
        journal = Journal(tmp_path / "journal", SetClock())
        for text in "abcde":
            journal.append(log_payload(text))
        (segment,) = (tmp_path / "journal").glob("*.nxj")
        written = len(segment.read_bytes().rstrip(b"\0"))
        with segment.open("r+b") as file:  # in its place: the process has it mapped
            file.seek(written // 2)
            byte = file.read(1)[0]
            file.seek(written // 2)
            file.write(bytes([byte ^ 0xFF]))
        shipper = Shipper(SetClock(), journal_size=1 << 30)
        shipper.add(journal, open_database(database_url), LogSink())
        shipper.wake()
        report = shipper.stop(30)
        assert (report.delivered, report.left, report.dropped) == (4, 0, 1)
        assert messages(database_url, "dead") == ["a", "b", "d", "e"]
        (side,) = (tmp_path / "journal").glob("*.damaged")
        assert b"c" in side.read_bytes()
        (said,) = [text for text in caplog.messages if "lost" in text]
        assert said.startswith("1 records for ")
        assert said.endswith("were lost: they could not be read back from the journal.")

    def test_shutting_down_twice_is_the_same_as_once(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path / "home")
        app.get_log("twice").info("once")
        assert app.shutdown(30) == app.shutdown(30)
        assert messages(database_url, "twice") == ["once"]

    def test_what_is_logged_after_it_is_kept_for_the_next_process(self, database_url: str, tmp_path: Path) -> None:
        program = """
from NexusCore import API
log, status = API.get_log("late"), API.get_status("late")
log.info("in time"); status["n"] = 1
print(API.shutdown(60))
log.info("late"); status["n"] = 2
API.get_log("late").info("later")
"""
        printed = run(program, main=database_url, home=tmp_path / "home")
        assert printed.strip() == "Report(delivered=2, left=0, dropped=0)"
        adopt(database_url, tmp_path / "home")
        assert sorted(messages(database_url, "late")) == ["in time", "late", "later"]
        assert samples(database_url, "late") == [("n", "1"), ("n", "2")]


class TestTheJournalKeepsWithinItsSize:
    """While the database is away the oldest DEBUG and INFO go first, and what went is counted."""

    def test_what_matters_is_kept(self, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        small_segments(monkeypatch, 2000)
        journal = Journal(tmp_path, SetClock())
        sink = LogSink()
        payloads = [log_payload(f"{n} {'x' * 100}") for n in range(100)]
        payloads[3] = payloads[3].replace(b"\x14", b"\x1e", 1)  # 20, INFO, becomes 30, WARNING
        for payload in payloads:
            journal.append(payload)
        dropped = journal.thin(5000, sink.expendable)
        assert sum(path.stat().st_size for path in tmp_path.glob("*.nxj")) <= 5000 + 2 * 2000
        shipper = Shipper(SetClock(), journal_size=1 << 30)
        shipper.add(journal, open_database(database_url), sink)
        shipper.wake()
        report = shipper.stop(30)
        assert (report.delivered, report.left, report.dropped) == (100 - dropped, 0, dropped)
        kept = [int(message.split()[0]) for message in messages(database_url, "dead")]
        assert kept[0] == 3
        assert kept[1:] == list(range(100 - len(kept) + 1, 100))

    def test_what_is_in_the_database_already_is_not_counted_as_lost(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small_segments(monkeypatch, 2000)
        journal = Journal(tmp_path, SetClock())
        for number in range(100):
            journal.append(log_payload(f"{number} {'x' * 100}"))
        journal.read(500)
        journal.acknowledge(3)
        assert journal.thin(1, LogSink().expendable) == 100 - 3 - _in_newest(tmp_path)


def _in_newest(folder: Path) -> int:
    """Return how many records the segment holds that is being written."""
    return max(folder.glob("*.nxj")).read_bytes().count(b"NXJ")
