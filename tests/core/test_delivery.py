"""What was accepted reaches the database once: promises of `NexusCore.delivery`, on both databases."""

from __future__ import annotations

import random
import signal
import socket
from pathlib import Path

import pytest

from NexusCore.delivery import journal as journal_module
from NexusCore.delivery.adoption import abandoned
from NexusCore.storage.migrate import migrate
from tests.journals import folder_of, leave, log_payload
from tests.processes import (
    LIMIT,
    adopt,
    app_on,
    assert_accepted_is_stored,
    ended,
    eventually,
    execute,
    journals,
    killed_after,
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
NOBODY = "mysql://u:p@127.0.0.1:1/nothing"


class TestAProcessMayEndRightAfterItsCalls:
    """5,000 log records and 5,000 changes of status arrive once and in order, however the process ends (003-05)."""

    @pytest.mark.parametrize("how", ["shutdown", "return", "killed"])
    def test_all_records_arrive_in_order(self, database_url: str, tmp_path: Path, how: str) -> None:
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
        lines = (chance.choice([1, 10, 500, 2000]) for _ in range(50))
        reported = dict(killed_after(count, database_url, tmp_path / "home") for count in lines)
        adopt(database_url, tmp_path / "home")
        assert_accepted_is_stored(database_url, reported)


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
        dead = leave(folder_of(app, "log"), [log_payload(text) for text in "abc"])
        execute(database_url, "INSERT INTO delivery_cursor (journal, delivered, ts) VALUES (:name, 2, 0)", name=dead)
        app.shutdown(30)
        adopt(database_url, tmp_path / "home")
        assert messages(database_url, "dead") == ["c"]

    def test_a_lock_that_is_being_made_is_not_taken_for_abandoned(
        self, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process may look at the folder between the creation of the lock's file and the locking."""
        app = app_on(sqlite_url, tmp_path / "home")
        real = journal_module.lock_file
        looked: list[bool] = []

        def lock_after_a_look(fd: int) -> bool:
            if not looked:
                looked.append(True)
                run(
                    """
import sys
from pathlib import Path
from NexusCore.delivery.adoption import abandoned
for left in abandoned(Path(sys.argv[1])):
    left.close(delivered=True)  # it held nothing yet
""",
                    folder_of(app, "log"),
                    main=sqlite_url,
                    home=tmp_path / "elsewhere",
                )
            return real(fd)

        monkeypatch.setattr(journal_module, "lock_file", lock_after_a_look)
        app.get_log("young").info("one")
        assert looked
        assert journals(tmp_path / "home"), "without a lock nobody finds the journal after kill -9"
        app.get_log("young").info("two")
        report = app.shutdown(30)
        assert (report.delivered, report.left, report.dropped) == (2, 0, 0)
        assert messages(sqlite_url, "young") == ["one", "two"]

    def test_two_applications_of_one_process_do_not_both_adopt(self, tmp_path: Path) -> None:
        """A process can always take its own locks, so it must know by itself what it holds."""
        folder = tmp_path / "journal"
        leave(folder, [log_payload("a")])
        first = next(abandoned(folder))
        assert list(abandoned(folder)) == []
        first.close(delivered=False)
        (again,) = abandoned(folder)
        again.close(delivered=True)
        assert list(folder.iterdir()) == []

    def test_one_that_cannot_be_read_does_not_keep_the_next_from_it(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path / "home")
        folder = folder_of(app, "log")
        leave(folder, [log_payload("a")], "a-dead")
        (folder / "a-dead-00000002.nxj").mkdir()
        leave(folder, [log_payload("b")], "b-dead")
        log = app.get_log("living")
        log.info("one")
        eventually(lambda: "b" in messages(database_url, "dead"), "the second journal is adopted")
        log.info("two")
        assert app.shutdown(30).left == 0
        assert messages(database_url, "living") == ["one", "two"]


class TestTwoDatabases:
    """Status and logs may go to different databases, and one of them may be away (003-02)."""

    def test_each_gets_its_own(self, sqlite_url: str, server_database_url: str, tmp_path: Path) -> None:
        app = app_on(sqlite_url, tmp_path / "home", log=server_database_url)
        app.get_log("here").info("log")
        app.get_status("here")["state"] = "status"
        assert app.shutdown(30).left == 0
        assert messages(server_database_url, "here") == ["log"]
        assert messages(sqlite_url, "here") == []
        assert samples(sqlite_url, "here") == [("state", "status")]
        assert samples(server_database_url, "here") == []

    def test_one_that_is_away_holds_up_no_other(self, database_url: str, tmp_path: Path) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # taken, but nobody listens
            app = app_on(
                database_url, tmp_path / "home", log=f"mysql://u:p@127.0.0.1:{nobody.getsockname()[1]}/nothing"
            )
            log, status = app.get_log("here"), app.get_status("here")
            for number in range(100):
                log.info("%d", number)
                status["n"] = number
            eventually(lambda: len(samples(database_url, "here")) == 100)
            assert app.shutdown(1).left >= 100
        assert journals(tmp_path / "home"), "the records wait in their journal"


class TestTablesRestoredFromACopy:
    """What a running process learned of the tables before does not put its values under other names, or lose them."""

    def test_values_arrive_under_their_names(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path / "home")
        status = app.get_status("before")
        status["a"] = 1
        eventually(lambda: samples(database_url, "before"))
        for table in ("delivery_cursor", "status_latest", "status_sample", "status_item", "status_channel"):
            execute(database_url, f"DELETE FROM {table}")
        # The number that the item had belongs to another one now.
        execute(database_url, "INSERT INTO status_channel (name) VALUES ('other')")
        item = "SELECT 1, id, 'stranger' FROM status_channel WHERE name = 'other'"
        execute(database_url, f"INSERT INTO status_item (id, channel_id, name) {item}")
        status["a"] = 2
        report = app.shutdown(30)
        assert (report.left, report.dropped) == (0, 0)
        # The cursor went, too: what the journal still has is delivered again.
        assert samples(database_url, "before") == [("a", "1"), ("a", "2")]
        assert samples(database_url, "other") == []


class TestNoFolderForTheJournal:
    """Where no folder can be written to, memory serves, and one warning says so."""

    def test_records_arrive_and_one_warning_is_given(self, database_url: str, tmp_path: Path) -> None:
        no_folder = tmp_path / "file"
        no_folder.write_text("no folder")
        process = start(BURST, 500, "shutdown", main=database_url, home=no_folder)
        out, err = process.communicate(timeout=60)
        assert out.decode().strip() == "Report(delivered=1000, left=0, dropped=0)"
        assert err.decode().count("cannot be written") == 1, "one for the log's journal and that of the status"
        assert messages(database_url, "burst") == [str(n) for n in range(500)]

    def test_the_queue_is_bounded_and_what_it_loses_is_counted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(journal_module, "MEMORY_RECORDS", 100)
        no_folder = tmp_path / "file"
        no_folder.write_text("no folder")
        app = app_on(NOBODY, no_folder)
        log = app.get_log("bounded")
        for number in range(250):
            log.info("%d", number)
        report = app.shutdown(0.1)
        assert (report.delivered, report.left) == (0, 0)
        assert report.dropped >= 250  # the complaint about the database is a record too
        said = capsys.readouterr().err
        assert said.count("cannot be written") == 1
        assert said.count("100 records of this program are lost") == 1

    def test_what_was_lost_is_said_when_the_database_is_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal_module, "MEMORY_RECORDS", 100)
        no_folder = tmp_path / "file"
        no_folder.write_text("no folder")
        url = f"sqlite:///{tmp_path}/later.db"
        app = app_on(url, no_folder)
        log = app.get_log("bounded")
        for number in range(250):
            log.info("%d", number)
        migrate(url)
        eventually(lambda: any("is back" in one for one in messages(url, "NexusCore.delivery")), "it is back")
        report = app.shutdown(LIMIT)
        (said,) = [one for one in messages(url, "NexusCore.delivery") if "were lost" in one]
        assert said.startswith(f"{report.dropped} records for ")
        assert said.endswith("were lost: they could not be written to the journal.")

    def test_the_journal_stays_where_the_process_began(self, database_url: str, tmp_path: Path) -> None:
        """A relative NEXUSCORE_HOME in a settings file is beside that file, also after the process went elsewhere."""
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
        settings = tmp_path / "nexuscore.toml"
        settings.write_text('NEXUSCORE_HOME = "home"')
        variables = {"NEXUSCORE_HOME": "", "NEXUSCORE_SETTINGS": str(settings)}
        printed = run(program, tmp_path / "elsewhere", main=database_url, home=tmp_path, **variables)
        assert (tmp_path / "home/journal").is_dir()
        assert printed.strip() == "Report(delivered=4, left=0, dropped=0)"
