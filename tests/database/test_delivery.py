"""What was accepted reaches the database once: promises of `NexusCore.delivery`, on both databases."""

from __future__ import annotations

import os
import random
import signal
import socket
from pathlib import Path

import pytest

from NexusCore.delivery import Journal, Shipper
from NexusCore.delivery import journal as journal_module
from NexusCore.log.store import LogSink
from NexusCore.storage import open_database
from tests.processes import (
    adopt,
    app_on,
    ended,
    eventually,
    execute,
    journals,
    line_of,
    messages,
    rows,
    run,
    samples,
    start,
    tell,
)

BURST = """
import os, sys
from NexusCore import API
count, how = int(sys.argv[1]), sys.argv[2]
log, status = API.get_log("burst"), API.get_status("burst")
for number in range(count):
    log.info("%d", number)
    status["n"] = number
if how == "shutdown":
    print(API.shutdown(60))
elif how == "killed":
    os.kill(os.getpid(), 9)
"""

UNTIL_KILLED = """
import os
from NexusCore import API
log, status = API.get_log("doomed"), API.get_status("doomed")
number = 0
while True:
    log.info("%d", number)
    status["n"] = number
    number += 1
    os.write(1, b"%d\\n" % number)
"""


class FrozenClock:
    """A clock that stands still, as one of a coarse machine seems to between two calls."""

    def __init__(self) -> None:
        self._event_wait = 0.01

    def now(self) -> int:
        return 1_700_000_000_000_000

    def monotonic(self) -> float:
        return 0.0

    def wait(self, event: object, seconds: float) -> bool:
        return event.wait(min(seconds, self._event_wait))  # type: ignore[attr-defined, no-any-return]


def refuse(url: str, table: str, condition: str) -> None:
    """Make a table refuse the rows that fulfil a condition on ``NEW``."""
    if url.startswith("sqlite"):
        action = f"WHEN {condition} BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
    else:
        action = f"FOR EACH ROW IF {condition} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='refused'; END IF"
    execute(url, f"CREATE TRIGGER poison BEFORE INSERT ON {table} {action}")


class TestAProcessMayEndRightAfterItsCalls:
    """5,000 log records and 5,000 changes of status arrive once and in order, however the process ends (003-05)."""

    @pytest.mark.parametrize("how", ["shutdown", "return", "killed"])
    def test_all_arrive(self, database_url: str, tmp_path: Path, how: str) -> None:
        process = start(BURST, 5000, how, main=database_url, home=tmp_path / "home")
        if how == "killed":
            process.communicate(timeout=60)
            assert process.returncode == -signal.SIGKILL
        else:
            printed = ended(process)
            if how == "shutdown":
                assert printed.strip() == "Report(delivered=10000, left=0, dropped=0)"
        adopt(database_url, tmp_path / "home")
        assert messages(database_url, "burst") == [str(n) for n in range(5000)]
        assert samples(database_url, "burst") == [("n", str(n)) for n in range(5000)]

    def test_nothing_stays_behind(self, database_url: str, tmp_path: Path) -> None:
        """After a clean end there are no journal files, and no cursors in the database."""
        run(BURST, 10, "shutdown", main=database_url, home=tmp_path / "home")
        assert [path for path in (tmp_path / "home/journal").rglob("*") if path.is_file()] == []
        assert rows(database_url, "SELECT * FROM delivery_cursor") == []


class TestKill9:
    """What a process was told is accepted is stored, once, although it was killed the next moment."""

    def test_at_random_moments(self, database_url: str, tmp_path: Path) -> None:
        chance = random.Random(3)
        expected: list[int] = []
        for _ in range(4):
            process = start(UNTIL_KILLED, main=database_url, home=tmp_path / "home")
            for _ in range(chance.choice([1, 10, 500, 2000])):
                line_of(process)
            process.kill()
            rest, _ = process.communicate(timeout=60)
            told = rest.split(b"\n")[-2:-1]
            expected.append(int(told[0]) if told else 0)
        adopt(database_url, tmp_path / "home")
        by_process = rows(
            database_url,
            "SELECT pid, COUNT(*), COUNT(DISTINCT message) FROM log_record WHERE logger = 'doomed' GROUP BY pid "
            "ORDER BY MIN(id)",
        )
        stored = sorted(count for _, count, _ in by_process)
        assert all(count == distinct for _, count, distinct in by_process), "a record was stored twice"
        # A call may have been accepted that the process had no time to tell of.
        assert all(0 <= have - told <= 1 for have, told in zip(stored, sorted(expected), strict=True))


class TestAdoption:
    """A journal whose process is gone is delivered by another, from where it stopped, and by one only."""

    def test_a_journal_in_use_is_left_alone(self, database_url: str, tmp_path: Path) -> None:
        program = """
from NexusCore import API
API.get_log("alive").info("mine")
print("ready", flush=True); input()
API.get_log("alive").info("still mine")
print(API.shutdown(60))
"""
        process = start(program, main=database_url, home=tmp_path / "home")
        line_of(process)
        (own,) = journals(tmp_path / "home")
        app = app_on(database_url, tmp_path / "home")
        app.get_log("other").info("here")
        eventually(lambda: messages(database_url, "other"))
        app.shutdown(30)
        assert own.exists()
        tell(process)
        assert ended(process).strip() == "Report(delivered=2, left=0, dropped=0)"
        assert messages(database_url, "alive") == ["mine", "still mine"]

    def test_delivery_goes_on_behind_the_cursor(self, database_url: str, tmp_path: Path) -> None:
        """A process that died between commit and acknowledgement left records that are in the database already."""
        app = app_on(database_url, tmp_path / "home")
        folder = _folder_of(app, "log")
        dead = _abandoned(folder, [b"a", b"b", b"c"], app)
        execute(
            database_url, "INSERT INTO delivery_cursor (journal, delivered, ts) VALUES (:name, 2, 0)", name=dead
        )
        app.shutdown(30)
        adopt(database_url, tmp_path / "home")
        assert messages(database_url, "dead") == ["c"]

    def test_a_lock_that_is_being_made_is_not_taken_for_abandoned(
        self, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process may look at the folder between the creation of the lock's file and the locking."""
        app = app_on(database_url, tmp_path / "home")
        real, looked = journal_module.lock_file, []

        def lock_after_a_look(fd: int) -> bool:
            if not looked:
                looked.append(True)
                run(
                    """
import sys
from pathlib import Path
from NexusCore.delivery.journal import abandoned
for left in abandoned(Path(sys.argv[1])):
    left.close(delivered=True)  # it held nothing
""",
                    _folder_of(app, "log"),
                    main=database_url,
                    home=tmp_path / "elsewhere",
                )
            return real(fd)

        monkeypatch.setattr(journal_module, "lock_file", lock_after_a_look)
        log = app.get_log("young")
        for number in range(10):
            log.info("%d", number)
        report = app.shutdown(30)
        assert looked
        assert (report.delivered, report.left, report.dropped) == (10, 0, 0)
        assert messages(database_url, "young") == [str(n) for n in range(10)]

    def test_two_applications_of_one_process_do_not_both_adopt(self, database_url: str, tmp_path: Path) -> None:
        """A process can always take its own locks, so it must know by itself what it holds."""
        app = app_on(database_url, tmp_path / "home")
        folder = _folder_of(app, "log")
        _abandoned(folder, [b"a"], app)
        first = next(journal_module.abandoned(folder))
        assert list(journal_module.abandoned(folder)) == []
        first.close(delivered=False)
        again = list(journal_module.abandoned(folder))
        assert [one.name for one in again] == [first.name]
        again[0].close(delivered=False)
        app.shutdown(30)

    def test_one_that_cannot_be_delivered_does_not_keep_the_next_from_it(
        self, database_url: str, tmp_path: Path
    ) -> None:
        app = app_on(database_url, tmp_path / "home")
        folder = _folder_of(app, "log")
        _abandoned(folder, [b"a", b"b"], app, "a-dead")
        (folder / "a-dead-00000002.nxj").mkdir()  # cannot be read at all
        _abandoned(folder, [b"c"], app, "b-dead")
        log = app.get_log("living")
        log.info("one")
        eventually(lambda: "c" in messages(database_url, "dead"), "the second journal is adopted")
        log.info("two")
        report = app.shutdown(30)
        assert report.left == 0
        assert messages(database_url, "living") == ["one", "two"]


class TestTwoDatabases:
    """Status and logs may go to different databases, and one of them may be away (003-02)."""

    def test_each_gets_its_own(self, sqlite_url: str, mariadb_url: str, tmp_path: Path) -> None:
        app = app_on(sqlite_url, tmp_path / "home", log=mariadb_url)
        app.get_log("here").info("log")
        app.get_status("here")["state"] = "status"
        assert app.shutdown(30).left == 0
        assert messages(mariadb_url, "here") == ["log"]
        assert messages(sqlite_url, "here") == []
        assert samples(sqlite_url, "here") == [("state", "status")]
        assert samples(mariadb_url, "here") == []

    def test_one_that_is_away_holds_up_no_other(self, database_url: str, tmp_path: Path) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            away = f"mysql://u:p@127.0.0.1:{nobody.getsockname()[1]}/nothing"
            app = app_on(database_url, tmp_path / "home", log=away)
            log, status = app.get_log("here"), app.get_status("here")
            for number in range(100):
                log.info("%d", number)
                status["n"] = number
            eventually(lambda: len(samples(database_url, "here")) == 100)
            report = app.shutdown(1)
        assert report.left >= 100
        adopt(database_url, tmp_path / "home", log=away) if False else None
        assert journals(tmp_path / "home"), "the records wait in their journal"


class TestNoFolderForTheJournal:
    """Where no folder can be written to, memory serves, and one warning says so."""

    def test_records_arrive_and_one_warning_is_given(self, database_url: str, tmp_path: Path) -> None:
        no_folder = tmp_path / "file"
        no_folder.write_text("no folder")
        process = start(BURST, 500, "shutdown", main=database_url, home=no_folder)
        out, err = process.communicate(timeout=60)
        assert out.decode().strip() == "Report(delivered=1000, left=0, dropped=0)"
        warnings = [line for line in err.decode().splitlines() if "cannot be written" in line]
        assert warnings, err
        assert len(warnings) == len(err.decode().splitlines()) == len({line.split(" in ")[1] for line in warnings})
        assert messages(database_url, "burst") == [str(n) for n in range(500)]

    def test_the_queue_is_bounded_and_what_it_loses_is_counted(
        self, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(journal_module, "MEMORY_RECORDS", 100)
        no_folder = tmp_path / "file"
        no_folder.write_text("no folder")
        app = app_on("mysql://u:p@127.0.0.1:1/nothing", no_folder)
        log = app.get_log("bounded")
        for number in range(250):
            log.info("%d", number)
        report = app.shutdown(0.1)
        assert report.delivered == 0
        assert report.dropped >= 150
        assert report.left >= 100
        assert capsys.readouterr().err.count("cannot be written") == 1

    def test_the_journal_goes_where_the_process_began(
        self, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A relative NEXUSCORE_HOME means the folder the process was started in, also after it went elsewhere."""
        program = """
import os, sys
from NexusCore import API
log = API.get_log("walker")
log.info("before")
os.chdir(sys.argv[1])
for number in range(3):
    log.info("after")
print(API.shutdown(60))
"""
        (tmp_path / "elsewhere").mkdir()
        relative = os.path.relpath(tmp_path / "home", Path(__file__).parents[2])
        printed = run(program, tmp_path / "elsewhere", main=database_url, home=Path(relative))
        assert printed.strip() == "Report(delivered=4, left=0, dropped=0)"


class TestPoison:
    """A record that the table refuses goes to a side file and holds up no neighbour."""

    def test_neighbours_arrive(self, database_url: str, tmp_path: Path) -> None:
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

    def test_a_table_that_refuses_everything_is_not_flooded_by_complaints_about_it(
        self, database_url: str, tmp_path: Path
    ) -> None:
        """The complaint is a log record too: it must not breed the next one."""
        refuse(database_url, "log_record", "NEW.level > 0")
        app = app_on(database_url, tmp_path / "home")
        app.get_log("refused").info("one")
        eventually(lambda: list((tmp_path / "home/journal").rglob("*.refused")))
        report = app.shutdown(2)
        assert report.left == 0
        assert report.dropped == 2  # the record, and the complaint

    def test_a_refused_record_of_a_dead_process_is_not_counted_as_ours(self, database_url: str, tmp_path: Path) -> None:
        refuse(database_url, "log_record", "NEW.message = 'b'")
        app = app_on(database_url, tmp_path / "home")
        _abandoned(_folder_of(app, "log"), [b"a", b"b", b"c"], app)
        app.get_log("living").info("here")
        eventually(lambda: messages(database_url, "dead") == ["a", "c"])
        eventually(lambda: messages(database_url, "NexusCore.delivery"))
        report = app.shutdown(30)
        assert (report.delivered, report.left, report.dropped) == (2, 0, 0)

    @pytest.mark.parametrize("timestamp", [9.5e12, 1.7e13])
    def test_a_time_that_no_column_holds(self, database_url: str, tmp_path: Path, timestamp: float) -> None:
        """A program may give nanoseconds where seconds belong; that must not stop its status for good."""
        app = app_on(database_url, tmp_path / "home")
        status = app.get_status("odd")
        status["before"] = 1
        status.new("odd").set_value("x", timestamp=timestamp)
        status["after"] = 2
        report = app.shutdown(30)
        assert samples(database_url, "odd") == [("before", "1"), ("after", "2")]
        assert (report.left, report.dropped) == (0, 1)

    def test_a_payload_that_is_no_record(self, database_url: str, tmp_path: Path) -> None:
        """A journal of another release may hold what this one cannot read."""
        app = app_on(database_url, tmp_path / "home")
        folder = _folder_of(app, "log")
        _abandoned(folder, [b"a"], app, "a-dead", raw=[b"\xc1", b"\x93\x01\x02\x03", b""])
        app.get_log("living").info("here")
        eventually(lambda: messages(database_url, "dead") == ["a"])
        eventually(lambda: not (folder / "a-dead.lock").exists())
        assert app.shutdown(30).left == 0

    def test_names_that_the_database_cannot_tell_apart(self, database_url: str, tmp_path: Path) -> None:
        """MariaDB takes "n" and "n " for one name."""
        app = app_on(database_url, tmp_path / "home")
        status = app.get_status("names")
        status["n"] = 1
        try:
            status["n "] = 2
        except ValueError:
            raise
        except Exception as error:
            assert "name" in str(error)
        status["n"] = 3
        report = app.shutdown(30)
        assert (report.left, report.dropped) == (0, 0)
        assert samples(database_url, "names")[-1] == ("n", "3")

    def test_a_server_without_room_is_no_fault_of_the_record(self, mariadb_url: str, tmp_path: Path) -> None:
        """A full disk is waited for: the records would be taken a little later."""
        execute(
            mariadb_url,
            "CREATE TRIGGER full BEFORE INSERT ON log_record FOR EACH ROW "
            "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'",
        )
        app = app_on(mariadb_url, tmp_path / "home")
        log = app.get_log("patient")
        for number in range(10):
            log.info("%d", number)
        assert app.shutdown(0.5).dropped == 0
        execute(mariadb_url, "DROP TRIGGER full")
        adopt(mariadb_url, tmp_path / "home")
        assert messages(mariadb_url, "patient") == [str(n) for n in range(10)]


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
    def test_all_arrive(self, database_url: str, tmp_path: Path, how: str) -> None:
        printed = run(self.PROGRAM, 5, how, main=database_url, home=tmp_path / "home")
        assert printed.strip().splitlines()[-1] == "Report(delivered=4, left=0, dropped=0)"
        adopt(database_url, tmp_path / "home")
        expected = ["parent before", "parent after", *(f"child {n}" for n in range(5))]
        assert sorted(messages(database_url, "family")) == sorted(expected)
        assert sorted(value for _, value in samples(database_url, "family")) == ["-1", "0", "1", "2", "3", "4", "5"]
        assert rows(database_url, "SELECT COUNT(DISTINCT pid) FROM log_record WHERE logger = 'family'") == [(6,)]

    def test_journals_of_one_moment_are_told_apart(self, database_url: str, tmp_path: Path) -> None:
        """Log and status may be opened within one tick of the clock, as after a fork: each has its own cursor."""
        app = app_on(database_url, tmp_path / "home", FrozenClock())
        log, status = app.get_log("twins"), app.get_status("twins")
        for number in range(50):
            log.info("%d", number)
            eventually(lambda number=number: len(messages(database_url, "twins")) == number + 1)
            if number % 10 == 0:
                status["n"] = number
        report = app.shutdown(30)
        assert (report.delivered, report.left, report.dropped) == (55, 0, 0)
        assert len(samples(database_url, "twins")) == 5
        assert len(messages(database_url, "twins")) == 50


class TestTheReport:
    """`shutdown` says what became of the records (003-05)."""

    def test_counts_what_stays_in_the_journal(self, tmp_path: Path) -> None:
        app = app_on("mysql://u:p@127.0.0.1:1/nothing", tmp_path / "home")
        log = app.get_log("stays")
        for _ in range(10):
            log.info("kept")
        report = app.shutdown(0.1)
        assert report.delivered == 0
        assert report.left >= 10
        assert report.dropped == 0

    def test_counts_what_was_damaged_on_disk(self, database_url: str, tmp_path: Path) -> None:
        """A record that the disk lost is lost: it must not count as delivered."""
        journal = Journal(tmp_path / "journal", FrozenClock())
        for text in "abcde":
            journal.append(_payload(text))
        (segment,) = (tmp_path / "journal").glob("*.nxj")
        data = bytearray(segment.read_bytes())
        data[len(data) // 2] ^= 0xFF
        segment.write_bytes(data)
        shipper = Shipper(FrozenClock(), journal_size=1 << 30)
        shipper.add(journal, open_database(database_url), LogSink())
        shipper.wake()
        report = shipper.stop(30)
        assert (report.delivered, report.left, report.dropped) == (4, 0, 1)
        assert messages(database_url, "dead") == ["a", "b", "d", "e"]

    def test_shutting_down_twice_is_the_same_as_once(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path / "home")
        app.get_log("twice").info("once")
        assert app.shutdown(30) == app.shutdown(30)
        assert messages(database_url, "twice") == ["once"]

    def test_what_is_logged_after_it_is_kept_for_the_next_process(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path / "home")
        log, status = app.get_log("late"), app.get_status("late")
        log.info("in time")
        status["n"] = 1
        app.shutdown(30)
        log.info("late")
        status["n"] = 2
        app.get_log("late").info("later")
        run("from NexusCore import API; API.get_log('x').info('x')", main=database_url, home=tmp_path / "home")
        # The process must end before another may take its journals: here its locks are given back instead.
        for lane in app._shipper._lanes:
            lane.journal.close()
        adopt(database_url, tmp_path / "home")
        assert sorted(messages(database_url, "late")) == ["in time", "late", "later"]
        assert samples(database_url, "late") == [("n", "1"), ("n", "2")]


def _payload(text: str) -> bytes:
    import msgspec

    return msgspec.msgpack.encode((1, 20, "dead", "m", 1, "f", "h", 1, "t", text, None, None))


def _folder_of(app: object, role: str) -> Path:
    """Return the folder of the journals that this application writes and adopts."""
    import hashlib

    settings = app.settings  # type: ignore[attr-defined]
    url = getattr(settings, role)
    return Path(settings.home / "journal" / f"{role}-{hashlib.sha256(url.place.encode()).hexdigest()[:12]}")


def _abandoned(
    folder: Path, texts: list[bytes], app: object, name: str = "dead-1-1", raw: list[bytes] | None = None
) -> str:
    """Leave a journal behind as a process does that was killed; return its name."""
    from NexusCore.delivery.frames import encode

    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.lock").touch()
    payloads = [*(raw or []), *(_payload(text.decode()) for text in texts)]
    frames = b"".join(encode(number, payload) for number, payload in enumerate(payloads, 1))
    (folder / f"{name}-00000001.nxj").write_bytes(frames)
    return name
