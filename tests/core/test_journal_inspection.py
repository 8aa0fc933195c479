"""Journals of a machine as a person sees them: `NexusCore.delivery.inspection`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from NexusCore.delivery import inspection
from NexusCore.delivery.frames import FrameReader, encode
from NexusCore.delivery.inspection import JournalOrigin, LocalJournal, journals, look, refusals, waiting
from tests.clocks import START
from tests.journals import folder_of, leave, log_payload, refuse, status_payload
from tests.processes import adopt, app_on, eventually, line_of, messages, run, start, tell

NOBODY = "mysql://u:p@127.0.0.1:1/nothing"
LIVING = """
from NexusCore import API
API.get_log("living").info("one")
print("ready", flush=True); input()
API.get_log("living").info("two")
print(API.shutdown(60))
"""


def state_of(folder: Path) -> dict[str, tuple[bytes, float]]:
    """Return all that is in a folder, with the times of change."""
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def only(home: Path) -> LocalJournal:
    (found,) = journals(home)
    return found


class TestWhoseItIs:
    """A journal is told by what it holds, for which database, and whether its process is alive."""

    def test_one_of_a_process_that_is_gone(self, tmp_path: Path) -> None:
        app = app_on(NOBODY, tmp_path)
        name = leave(folder_of(app, "status"), [status_payload("n", "1")], "pc-5.lab.example.org-4711-60a1b2c3d4e5f-2")
        found = only(tmp_path)
        assert (found.name, found.role, found.held) == (name, "status", False)
        assert found.place == app.settings.status.fingerprint
        assert found.origin == JournalOrigin("pc-5.lab.example.org", 4711, 0x60A1B2C3D4E5F)
        app.shutdown(0.1)

    def test_one_of_this_process(self, tmp_path: Path) -> None:
        """Its lock would not tell: a process can always take its own."""
        app = app_on(NOBODY, tmp_path)
        app.get_log("mine").info("one")
        assert only(tmp_path).held
        app.shutdown(0.1)
        assert not only(tmp_path).held

    def test_one_of_another_process(self, database_url: str, tmp_path: Path) -> None:
        process = start(LIVING, main=database_url, home=tmp_path)
        line_of(process)
        found = only(tmp_path)
        assert (found.held, found.origin and found.origin.pid) == (True, process.pid)
        assert str(inspection.program(process.pid)).startswith("python")
        tell(process)
        process.communicate(timeout=60)
        assert inspection.program(process.pid) is None

    def test_a_program_is_called_by_its_module(self, tmp_path: Path) -> None:
        (tmp_path / "asleep.py").write_text("print('ready', flush=True); input()")
        process = start(
            "import os, sys; os.execv(sys.executable, [sys.executable, '-m', 'asleep'])",
            main=NOBODY,
            home=tmp_path,
            PYTHONPATH=str(tmp_path),
        )
        line_of(process)
        assert inspection.program(process.pid) == "asleep"
        tell(process)
        process.communicate(timeout=60)

    def test_records_without_a_lock_whose_process_lives_count_as_in_use(self, tmp_path: Path) -> None:
        app = app_on(NOBODY, tmp_path)
        app.get_log("mine").info("one")
        journal = only(tmp_path)
        journal.beside("lock").unlink()
        assert only(tmp_path).held
        app.shutdown(0.1)

    def test_there_are_none(self, tmp_path: Path) -> None:
        assert journals(tmp_path) == []


class TestLookingDisturbsNobody:
    """Looking changes nothing, and the journal's process goes on as before."""

    def test_the_files_stay_as_they_are(self, tmp_path: Path) -> None:
        app = app_on(NOBODY, tmp_path)
        folder = folder_of(app, "log")
        leave(folder, [log_payload("a"), log_payload("b")])
        with (folder / "dead-1-1-00000001.nxj").open("ab") as segment:
            segment.write(b"damage")
        (folder / "dead-1-1.refused").write_bytes(encode(3, log_payload("c")) + b"damage")
        before = state_of(tmp_path)
        for journal in journals(tmp_path):
            look(journal)
            list(waiting(journal))
            refusals(journal)
        assert state_of(tmp_path) == before
        app.shutdown(0.1)

    def test_a_living_process_keeps_its_lock(self, sqlite_url: str, tmp_path: Path) -> None:
        process = start(LIVING, main=sqlite_url, home=tmp_path)
        line_of(process)
        for _ in range(3):
            assert only(tmp_path).held
        tell(process)
        out, _ = process.communicate(timeout=60)
        assert out.decode().strip() == "Report(delivered=2, left=0, dropped=0)"
        assert messages(sqlite_url, "living") == ["one", "two"]

    def test_what_was_looked_at_is_still_adopted(self, sqlite_url: str, tmp_path: Path) -> None:
        app = app_on(sqlite_url, tmp_path)
        leave(folder_of(app, "log"), [log_payload("a")])
        app.shutdown(0.1)
        look(only(tmp_path))
        adopt(sqlite_url, tmp_path)
        assert messages(sqlite_url, "dead") == ["a"]


class TestCounting:
    """What waits, from when to when, what is damaged and what was refused."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "journal/log-0123456789ab"

    def test_waiting_records_are_counted_with_their_times(self, folder: Path, tmp_path: Path) -> None:
        leave(folder, [status_payload("n", str(number), START + number) for number in range(5)])
        found = look(only(tmp_path))
        assert (found.records, found.counted, found.oldest, found.newest) == (5, True, START, START + 4)
        assert (found.damaged, found.refused, found.kept_damage, found.fault) == (0, 0, 0, None)
        assert found.size == sum(path.stat().st_size for path in folder.glob("*.nxj"))

    def test_what_is_delivered_does_not_wait(self, folder: Path, tmp_path: Path) -> None:
        leave(folder, [status_payload("n", str(number), START + number) for number in range(5)])
        found = look(only(tmp_path), delivered=3)
        assert (found.records, found.oldest, found.newest) == (2, START + 3, START + 4)
        assert [frame.sequence for frame in waiting(only(tmp_path), delivered=3)] == [4, 5]

    def test_damaged_bytes_are_counted_beside_the_records(self, folder: Path, tmp_path: Path) -> None:
        leave(folder, [log_payload(text) for text in "abc"])
        segment = folder / "dead-1-1-00000001.nxj"
        segment.write_bytes(b"12345" + segment.read_bytes() + b"678")
        (folder / "dead-1-1.damaged").write_bytes(b"older")
        found = look(only(tmp_path))
        assert (found.records, found.damaged, found.kept_damage) == (3, 8, 5)

    def test_a_record_that_is_still_being_written_is_no_damage(self, folder: Path, tmp_path: Path) -> None:
        leave(folder, [log_payload("a")])
        segment = folder / "dead-1-1-00000001.nxj"
        half = encode(2, log_payload("b"))[:-5]
        segment.write_bytes(segment.read_bytes() + half)
        alive = LocalJournal(folder, "dead-1-1", held=True)
        assert (look(alive).records, look(alive).damaged) == (1, 0)
        assert look(only(tmp_path)).damaged == len(half)

    def test_records_that_cannot_be_read_have_no_time(self, folder: Path, tmp_path: Path) -> None:
        leave(folder, [b"\xc1", b"", b"\x93\xa1x\x02\x03"])
        found = look(only(tmp_path))
        assert (found.records, found.oldest, found.newest) == (3, None, None)

    def test_a_large_one_is_not_read_to_its_end(self, folder: Path, tmp_path: Path) -> None:
        leave(folder, [log_payload("x" * 1000) for _ in range(50)])
        found = look(only(tmp_path), most=10_000)
        assert found.counted is False
        assert 5 < found.records < 20

    def test_a_segment_that_is_delivered_meanwhile(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its process deletes it between two reads: counting goes on with the next."""
        leave(folder, [log_payload("a"), log_payload("b")])
        (folder / "dead-1-1-00000002.nxj").write_bytes(encode(3, log_payload("c")))
        real = FrameReader.read

        def deleted(self: FrameReader, size: int, *, complete: bool) -> list[object]:
            monkeypatch.setattr(FrameReader, "read", real)
            (folder / "dead-1-1-00000001.nxj").unlink()
            raise FileNotFoundError

        monkeypatch.setattr(FrameReader, "read", deleted)
        assert look(only(tmp_path)).records == 1

    def test_one_that_cannot_be_read(self, folder: Path, tmp_path: Path) -> None:
        leave(folder, [log_payload("a")])
        (folder / "dead-1-1-00000002.nxj").mkdir()
        found = look(only(tmp_path))
        assert (found.records, found.fault) == (1, "Is a directory")


class TestRefused:
    """What the database refused is kept so that it can be told apart, whatever bytes it holds."""

    def test_records_with_line_ends(self, database_url: str, tmp_path: Path) -> None:
        refuse(database_url, "log_record", "NEW.level = 40")
        app = app_on(database_url, tmp_path)
        log = app.get_log("refused")
        texts = ["\n", "two\nlines", "\x0a" * 10, "x" * 10_000]
        for text in texts:
            log.error("%s", text)
            log.info("%s", text)
        eventually(lambda: len(messages(database_url, "refused")) == len(texts))
        app.shutdown(30)
        found = refusals(only(tmp_path))
        assert [msgspec.msgpack.decode(one.payload)[9] for one in found] == texts
        assert [one.sequence for one in found] == [1, 3, 5, 7]
        assert look(only(tmp_path)).refused == len(texts)

    def test_one_that_was_refused_twice_counts_once(self, tmp_path: Path) -> None:
        """The database went away between the refusal and the step over the record, so it came again."""
        folder = tmp_path / "journal/log-0123456789ab"
        folder.mkdir(parents=True)
        once, twice = encode(5, log_payload("five")), encode(7, log_payload("seven"))
        (folder / "dead-1-1.refused").write_bytes(once + twice + b"cut off" + twice)
        assert [one.sequence for one in refusals(only(tmp_path))] == [5, 7]

    def test_they_stay_when_their_process_has_ended_well(self, sqlite_url: str, tmp_path: Path) -> None:
        refuse(sqlite_url, "log_record", "NEW.level = 40")
        run('from NexusCore import API; API.get_log("x").error("no"); API.shutdown(60)', main=sqlite_url, home=tmp_path)
        found = only(tmp_path)
        assert (found.held, look(found).refused, look(found).records) == (False, 1, 0)
