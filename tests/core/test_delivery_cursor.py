"""The cursor of a journal is believed only where it can be; and it tells what was refused from what was delivered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from NexusCore.delivery import Journal, refused
from NexusCore.delivery import lock as lock_module
from NexusCore.delivery.adoption import abandoned
from NexusCore.delivery.frames import Frame
from NexusCore.delivery.lane import Lane
from NexusCore.errors import DatabaseUnreachable
from NexusCore.log.store import LogSink
from NexusCore.storage import Transaction, open_database
from tests.clocks import SetClock
from tests.journals import folder_of, leave, log_payload, refuse
from tests.processes import LIMIT, app_on, eventually, execute, journals, messages, rows, run

CURSOR = "INSERT INTO delivery_cursor (journal, delivered, ts) VALUES (:name, :at, 0)"
NOBODY = "mysql://u:p@127.0.0.1:1/nothing"


def set_cursor(url: str, name: str, at: int) -> None:
    execute(url, CURSOR, name=name, at=at)


def restore(url: str, journal: str, count: int) -> None:
    """Leave the first records of a journal in the database, and its cursor behind them, as in an older copy."""

    def take_back(transaction: Transaction) -> None:
        ids = [row[0] for row in transaction.all("SELECT id FROM log_record WHERE logger = 'here' ORDER BY id")]
        transaction.run("DELETE FROM log_record WHERE id >= :id", id=ids[count])
        if count:
            transaction.run(
                "UPDATE delivery_cursor SET delivered = :count WHERE journal = :name", count=count, name=journal
            )
        else:
            transaction.run("DELETE FROM delivery_cursor WHERE journal = :name", name=journal)

    open_database(url).write(take_back)


def next_process(url: str, home: Path) -> None:
    run('from NexusCore import API; API.get_log("next").info("hi"); API.shutdown(60)', main=url, home=home)


def lane_of(url: str, folder: Path) -> Lane:
    return Lane(Journal(folder, SetClock()), open_database(url), LogSink(), SetClock(), None)


class TestACursorThatIsAhead:
    """One ahead of all that the journal has ever handed over is logged, and everything is delivered."""

    def test_of_a_dead_process(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path)
        name = leave(folder_of(app, "log"), [log_payload(text) for text in "abc"])
        set_cursor(database_url, name, 1000)
        next_process(database_url, tmp_path)
        assert messages(database_url, "dead") == ["a", "b", "c"]
        (said,) = [one for one in messages(database_url, "NexusCore.delivery") if "it is ignored" in one]
        assert f"The cursor of journal {name}" in said
        assert "is at 1000" in said
        assert journals(tmp_path) == []
        assert rows(database_url, "SELECT * FROM delivery_cursor") == []

    def test_of_this_process(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path)
        log = app.get_log("here")
        log.info("one")
        eventually(lambda: messages(database_url, "here"))
        execute(database_url, "UPDATE delivery_cursor SET delivered = 1000")
        log.info("two")
        log.info("three")
        report = app.shutdown(LIMIT)
        assert (report.left, report.dropped) == (0, 0)
        assert messages(database_url, "here") == ["one", "two", "three"]
        assert sum("it is ignored" in one for one in messages(database_url, "NexusCore.delivery")) == 1
        assert app._shipper._lanes[0].disbelieved == 1

    def test_one_that_is_before_the_first_record(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path)
        app.get_log("here")
        set_cursor(database_url, app._shipper._lanes[0].journal.name, 7)
        app.get_log("here").info("one")
        assert app.shutdown(LIMIT).left == 0
        assert messages(database_url, "here") == ["one"]


class TestADatabaseThatWasRestored:
    """Rows and cursor are those of an older copy: what the journal still has is delivered again, each once."""

    def test_while_a_program_logs(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path)
        log = app.get_log("here")
        texts = [f"number {number}" for number in range(20)]
        for text in texts[:15]:
            log.info(text)
        eventually(lambda: len(messages(database_url, "here")) == 15)
        restore(database_url, app._shipper._lanes[0].journal.name, 5)
        for text in texts[15:]:
            log.info(text)
        report = app.shutdown(LIMIT)
        assert (report.left, report.dropped) == (0, 0)
        assert messages(database_url, "here") == texts
        assert sum("has gone back" in one for one in messages(database_url, "NexusCore.delivery")) == 1

    def test_to_before_the_journal_was_begun(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path)
        log = app.get_log("here")
        log.info("one")
        eventually(lambda: messages(database_url, "here"))
        restore(database_url, app._shipper._lanes[0].journal.name, 0)
        log.info("two")
        assert app.shutdown(LIMIT).left == 0
        assert messages(database_url, "here") == ["one", "two"]


class TestACursorThatCanBe:
    """What was handed over and is not on disk any more was not dreamt up: it is not delivered twice."""

    def test_the_last_segments_are_gone(self, database_url: str, tmp_path: Path) -> None:
        """The process was killed while it removed what was delivered: the oldest first, the lock last."""
        app = app_on(database_url, tmp_path)
        folder = folder_of(app, "log")
        name = leave(folder, [])
        (folder / f"{name}-00000001.nxj").unlink()
        set_cursor(database_url, name, 1000)
        next_process(database_url, tmp_path)
        assert messages(database_url, "NexusCore.delivery") == []
        assert journals(tmp_path) == []

    @pytest.mark.parametrize("boot", ["this one", "an earlier one"])
    def test_what_was_only_in_memory(
        self, database_url: str, tmp_path: Path, boot: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Records that the disk had no room for were delivered from memory, behind those on it.

        And after a power cut the last records may be missing on disk, and the number in the lock as well.
        """
        app = app_on(database_url, tmp_path)
        folder = folder_of(app, "log")
        name = leave(folder, [log_payload(text) for text in "abc"])
        fd = os.open(folder / f"{name}.lock", os.O_RDWR)
        if boot == "an earlier one":
            monkeypatch.setattr(lock_module, "boot", lambda: "0000")
            lock_module.write_mark(fd, 1)
            monkeypatch.undo()
        else:
            lock_module.write_mark(fd, 5)
        os.close(fd)
        set_cursor(database_url, name, 5)
        next_process(database_url, tmp_path)
        assert messages(database_url, "dead") == []
        assert messages(database_url, "NexusCore.delivery") == []

    def test_a_process_notes_what_it_hands_over(self, database_url: str, tmp_path: Path) -> None:
        lane = lane_of(database_url, tmp_path)
        for text in "abc":
            lane.journal.append(log_payload(text))
        lane.deliver(lane.journal, lane.journal.read(1 << 20))
        segment = next(tmp_path.glob("*.nxj"))
        segment.write_bytes(segment.read_bytes()[:-1])  # the last record is damaged, after it was delivered
        name = lane.journal.name
        os.close(lane.journal._lock_fd)  # its process is gone
        lane.journal._lock_fd = -1
        program = """
import sys
from pathlib import Path
from NexusCore.delivery.adoption import abandoned
(left,) = abandoned(Path(sys.argv[1]))
print(left.name, left.resume(3), left.delivered, left.resume(4), left.delivered)
"""
        printed = run(program, tmp_path, main=database_url, home=tmp_path / "home")
        assert printed.split() == [name, "True", "3", "False", "3"]


class TestRefusedAndTakenAfterAll:
    """What was set aside as refused is not refused before the cursor has stepped over it."""

    def away_once(self, lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the database go away between the refusal and the step over the record."""
        real = lane._move_cursor
        calls: list[int] = []

        def move(*arguments: object) -> None:
            calls.append(1)
            if refused.side_file(lane.journal.folder, lane.journal.name).exists() and len(calls) < 10:
                calls.extend([1] * 10)
                raise DatabaseUnreachable(where="", reason="")
            real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(lane, "_move_cursor", move)

    def test_in_this_process(self, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        refuse(database_url, "log_record", "NEW.message = 'b'")
        lane = lane_of(database_url, tmp_path)
        self.away_once(lane, monkeypatch)
        for text in "abc":
            lane.journal.append(log_payload(text))
        with pytest.raises(DatabaseUnreachable):
            lane.deliver(lane.journal, lane.journal.read(1 << 20))
        assert [frame.sequence for frame in refused.read(tmp_path, lane.journal.name)[0]] == [2]
        execute(database_url, "DROP TRIGGER poison")
        lane.part()
        lane.deliver(lane.journal, lane.journal.read(1 << 20))
        assert messages(database_url, "dead") == ["a", "b", "c"]
        assert refused.read(tmp_path, lane.journal.name) == ([], b"")
        assert lane.journal.refused == 0
        lane.finish(cursor=True)

    def test_in_the_next_process(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path)
        folder = folder_of(app, "log")
        name = leave(folder, [log_payload(text) for text in "abcd"])
        set_cursor(database_url, name, 2)
        refused.keep(folder, name, Frame(2, log_payload("b")))  # refused, and stepped over
        refused.keep(folder, name, Frame(3, log_payload("c")))  # refused, but then the process was killed
        next_process(database_url, tmp_path)
        assert messages(database_url, "dead") == ["c", "d"]
        assert [frame.payload for frame in refused.read(folder, name)[0]] == [log_payload("b")]

    def test_the_answer_to_the_step_was_lost(
        self, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It took effect: the record stays in the side file, counts as refused, and does not count as lost."""
        refuse(database_url, "log_record", "NEW.message = 'b'")
        lane = lane_of(database_url, tmp_path)
        for text in "abc":
            lane.journal.append(log_payload(text))
        real = lane.database.write

        def write(work: object) -> None:
            real(work)  # type: ignore[arg-type]
            if lane.journal.doubtful:
                raise DatabaseUnreachable(where="", reason="the answer was lost")

        monkeypatch.setattr(lane.database, "write", write)
        with pytest.raises(DatabaseUnreachable):
            lane.deliver(lane.journal, lane.journal.read(1 << 20))
        monkeypatch.undo()
        lane.part()
        lane.deliver(lane.journal, lane.journal.read(1 << 20))
        lane.journal.settle(3)
        assert messages(database_url, "dead") == ["a", "c"]
        assert [frame.sequence for frame in refused.read(tmp_path, lane.journal.name)[0]] == [2]
        assert (lane.journal.refused, lane.journal.lost, lane.journal.left) == (1, 0, 0)
        lane.finish(cursor=True)


def test_a_lock_of_the_release_before_has_no_mark(tmp_path: Path) -> None:
    leave(tmp_path, [log_payload("a")])
    (left,) = abandoned(tmp_path)
    assert not left.resume(2)
    assert left.resume(1)
    left.close(delivered=False)
