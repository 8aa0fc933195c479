"""What Doctor's checks are built of: patience, a limit for all, and what no test machine has by itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import mysql.connector
import pytest

from NexusCore import resources
from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.errors import (
    DatabaseDenied,
    DatabaseNotSecure,
    DatabaseUnreachable,
    DatabaseUnusable,
    NexusError,
    NoSuchDatabase,
)
from NexusCore.resources import Room, filesystem_of
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database
from tests.mariadb import MariaDB
from tests.processes import eventually, rows
from Tools.common.quantities import bytes_text, counted
from Tools.Doctor import exit_code
from Tools.doctor.checks import databases, disks, instruments, machine
from Tools.doctor.checks.context import Case, CheckSkipped
from Tools.doctor.checks.examination import examine
from Tools.doctor.checks.outcome import Check, CheckResult, Grade, note, ok, problem
from Tools.doctor.checks.timeouts import all_within


class Ahead:
    """A clock that is ahead of the machine's."""

    def __init__(self, seconds: float) -> None:
        self._ahead = int(seconds * SECOND)

    def now(self) -> int:
        return SYSTEM_CLOCK.now() + self._ahead

    def monotonic(self) -> float:
        return SYSTEM_CLOCK.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return SYSTEM_CLOCK.wait(event, seconds)


def case_on(url: str, home: Path, limit: float = 30.0, ahead: float = 0.0) -> Case:
    return Case({"NEXUSCORE_DATABASE": url, "NEXUSCORE_HOME": str(home)}, Ahead(ahead), limit)


class TestSentences:
    """What others say of themselves is part of a sentence of ours."""

    @pytest.mark.parametrize(
        "kind", [DatabaseDenied, DatabaseNotSecure, DatabaseUnreachable, DatabaseUnusable, NoSuchDatabase]
    )
    def test_a_reason_with_a_full_stop(self, kind: type[NexusError]) -> None:
        url = DatabaseURL.parse("mysql://u@h/n")
        outcome = databases._connection_failure(url, kind(where=url, reason="The door is shut."))
        assert outcome.sentence.endswith("The door is shut.")
        assert ".." not in outcome.sentence


class TestExamination:
    """One check that fails or hangs costs only itself."""

    @pytest.fixture
    def hanging(self) -> Iterator[Check]:
        """Lend a check that finds one thing and then never ends."""
        event = threading.Event()

        def look(case: Case) -> Iterator[CheckResult]:
            yield ok("This much is known.")
            event.wait()
            yield ok("This was too late.")

        yield Check("Hanging", look)
        event.set()

    def test_what_hangs_is_reported_after_its_results(self, sqlite_url: str, tmp_path: Path, hanging: Check) -> None:
        after = Check("After", lambda case: [ok("It is looked at all the same.")])
        with case_on(sqlite_url, tmp_path, limit=0.2) as case:
            found = list(examine(case, [hanging, after]))
        assert [(group, one.grade) for group, one in found] == [
            ("Hanging", Grade.OK), ("Hanging", Grade.PROBLEM), ("After", Grade.OK),
        ]  # fmt: skip
        assert found[1][1].sentence == "This check did not finish within 0.2 s."

    def test_a_fault_of_a_check(self, sqlite_url: str, tmp_path: Path) -> None:
        def look(case: Case) -> Iterator[CheckResult]:
            yield ok("This much is known.")
            raise ZeroDivisionError("by zero")

        with case_on(sqlite_url, tmp_path) as case:
            found = list(examine(case, [Check("Faulty", look), Check("After", lambda case: [ok("Here.")])]))
        assert [one.sentence for _, one in found] == [
            "This much is known.", "The check failed (ZeroDivisionError: by zero).", "Here.",
        ]  # fmt: skip

    def test_a_disk_whose_calls_time_out_is_no_check_that_hangs(self, sqlite_url: str, tmp_path: Path) -> None:
        def look(case: Case) -> Iterator[CheckResult]:
            raise TimeoutError("Connection timed out")

        with case_on(sqlite_url, tmp_path) as case:
            ((_, found),) = examine(case, [Check("Away", look)])
        assert found.sentence == "The check failed (TimeoutError: Connection timed out)."

    def test_without_settings_only_what_needs_none_is_looked_at(self, tmp_path: Path) -> None:
        first = Check("First", lambda case: [ok("Here.")], at_once=True)
        second = Check("Second", lambda case: [ok("There.")])
        with case_on("nonsense", tmp_path) as case:
            assert [group for group, _ in examine(case, [first, second])] == ["First"]

    def test_a_reason_is_reported_once_per_group(self, sqlite_url: str, tmp_path: Path) -> None:
        def away(case: Case) -> Iterator[CheckResult]:
            raise CheckSkipped(reason="nobody is there")

        with case_on(sqlite_url, tmp_path) as case:
            found = list(examine(case, [Check("A", away), Check("A", away), Check("B", away)]))
        assert [group for group, _ in found] == ["A", "B"]

    @pytest.mark.parametrize(
        ("found", "code"),
        [
            ([ok("x"), note("x")], 0),
            ([ok("x"), problem("x")], 1),
            ([problem("x"), CheckResult(Grade.PROBLEM, "x", unreachable=True)], 3),
        ],
    )
    def test_grades_decide_the_exit_code(self, found: list[CheckResult], code: int) -> None:
        assert exit_code(found) == code


class TestPatience:
    """Nothing is waited for longer than it is worth."""

    def test_those_that_hang_are_waited_for_together(self) -> None:
        event = threading.Event()
        works = dict.fromkeys(range(5), event.wait) | {5: lambda: True}
        assert set(all_within(0.1, works)) == {5}
        event.set()

    def test_a_share_that_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
        """A folder on it costs its own sentence; the others are judged."""
        event, empty = threading.Event(), tmp_path / "empty"
        empty.mkdir()
        real = instruments._folder

        def hang(pid: str, path: Path) -> CheckResult:
            if pid == "Titan":
                event.wait()
            return real(pid, path)

        monkeypatch.setattr(instruments, "_folder", hang)
        with case_on(sqlite_url, tmp_path, limit=0.2) as case:
            found = list(instruments._folders(case, {"Titan": Path("/mnt/titan"), "JEOL": empty}))
        event.set()
        assert [one.sentence.partition(" (")[0] for one in found] == [
            "Titan: /mnt/titan does not answer.", f"JEOL: {empty} is empty",
        ]  # fmt: skip

    def test_a_database_that_answers_the_door_and_then_falls_silent(
        self, mariadb: MariaDB, mariadb_url: str, tmp_path: Path
    ) -> None:
        name = mariadb_url.rpartition("/")[2]
        with mariadb.connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"USE {name}")
            cursor.execute("LOCK TABLES alembic_version WRITE")
            with case_on(mariadb_url, tmp_path, limit=0.3) as case:
                found = list(databases.databases(case))
                with pytest.raises(CheckSkipped, match="does not answer"):
                    case.database(case.settings.main)
                cursor.execute("UNLOCK TABLES")
                eventually(lambda: case._contacts[case.settings.main].done())
        assert [(one.grade, one.unreachable) for one in found] == [(Grade.PROBLEM, True)]
        assert found[0].sentence.endswith("does not answer: no answer within 0.3 s.")


class TestServer:
    """What a server or its driver may be like that is not here."""

    @pytest.mark.parametrize(("ahead", "says"), [(5.0, "5.0 s behind"), (-7200.0, "7,200.0 s ahead of")])
    def test_a_clock_that_is_wrong(self, mariadb_url: str, tmp_path: Path, ahead: float, says: str) -> None:
        with case_on(mariadb_url, tmp_path, ahead=ahead) as case:
            (found,) = [one for one in databases.databases(case) if "clock" in one.sentence]
        assert (found.grade, says in found.sentence) == (Grade.PROBLEM, True)
        assert "timedatectl" in (found.remedy or "")

    def test_an_account_that_may_only_read(self, mariadb: MariaDB, mariadb_url: str, tmp_path: Path) -> None:
        """What programs log waits for ever then; that it can be read is not the question."""
        name = mariadb_url.rpartition("/")[2]
        with case_on(mariadb_url, tmp_path) as case:
            assert "It accepts changes from this account." in [one.sentence for one in databases.databases(case)]
        mariadb.execute("CREATE USER 'reader'@'%' IDENTIFIED BY 'reader'")
        mariadb.execute(f"GRANT SELECT ON {name}.* TO 'reader'@'%'")
        try:
            with case_on(mariadb.url(name, user="reader", password="reader"), tmp_path) as case:
                (found,) = [one for one in databases.databases(case) if one.grade is Grade.PROBLEM]
        finally:
            mariadb.execute("DROP USER 'reader'@'%'")
        assert "INSERT command denied" in found.sentence
        assert "Install/grants.sql" in (found.remedy or "")
        assert rows(mariadb_url, "SELECT * FROM delivery_cursor") == []

    def test_the_slow_driver(self, mariadb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mysql.connector, "HAVE_CEXT", False)
        with case_on(mariadb_url, tmp_path) as case:
            (found,) = databases.driver(case)
        assert found.grade is Grade.NOTE
        assert "about 18,000 rows per second instead of 110,000" in found.sentence
        assert "pip install 'mysql-connector-python" in (found.remedy or "")

    def test_no_driver_is_needed_for_a_file(self, sqlite_url: str, tmp_path: Path) -> None:
        with case_on(sqlite_url, tmp_path) as case:
            assert list(databases.driver(case)) == []

    def test_a_file_that_the_group_of_its_folder_may_not_use(self, embedded: Database, tmp_path: Path) -> None:
        tmp_path.chmod(0o2770)
        Path(embedded.url.name).chmod(0o600)
        with case_on(os.environ["NEXUSCORE_DATABASE"], tmp_path) as case:
            found = [one for one in databases.databases(case) if one.grade is Grade.PROBLEM]
        assert ["which shares its folder" in one.sentence for one in found] == [True]
        assert f"sudo chmod 660 {tmp_path}/nexus.db*" in (found[0].remedy or "")

    def test_a_file_on_a_network_file_system(
        self, embedded: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mounts = tmp_path / "mountinfo"
        mounts.write_text(f"36 35 98:0 / {tmp_path} rw - nfs4 server:/home rw\n")
        monkeypatch.setattr(resources, "MOUNTS", mounts)
        with case_on(os.environ["NEXUSCORE_DATABASE"], tmp_path) as case:
            found = [one.sentence for one in databases.databases(case) if one.grade is Grade.PROBLEM]
        assert found == [f"{tmp_path}/nexus.db lies on a network file system (nfs4), where SQLite's locks do not work."]


class TestDisks:
    """Room where programs of this machine write."""

    @pytest.mark.parametrize(
        ("room", "grade", "says"),
        [
            (Room(50 * 2**30, 100 * 2**30, 9), Grade.OK, "has 50.0 GiB of 100 GiB free"),
            (Room(4 * 2**30, 100 * 2**30, 9), Grade.NOTE, "is nearly full: 4.0 GiB of 100 GiB are free"),
            (Room(5 * 2**20, 100 * 2**30, 9), Grade.PROBLEM, "Little space is left: only 5.0 MiB of 100 GiB are free"),
            (Room(5 * 2**10, 100 * 2**30, 9), Grade.PROBLEM, "is full: only 5.0 KiB of 100 GiB are free"),
            (Room(600 * 2**20, 600 * 2**20, 9), Grade.NOTE, "is small: 600 MiB of 600 MiB are free"),
            (Room(20 * 2**20, 20 * 2**20, 9), Grade.NOTE, "is small: 20.0 MiB of 20.0 MiB are free"),
            (Room(1 * 2**20, 20 * 2**20, 9), Grade.PROBLEM, "Little space is left: only 1.0 MiB of 20.0 MiB are free"),
            (Room(50 * 2**30, 100 * 2**30, 0), Grade.PROBLEM, "is full: no more files can be created"),
        ],
    )
    def test_little_room_is_reported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: Room, grade: Grade, says: str
    ) -> None:
        monkeypatch.setattr(disks, "room_of", lambda path: room)
        found = disks._check("records", tmp_path / "not/there/yet")
        assert (found.grade, says in found.sentence) == (grade, True)

    def test_the_innermost_mount_counts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        mounts = tmp_path / "mountinfo"
        mounts.write_text(
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
            "23 22 0:5 / /data rw shared:1 - nfs4 server:/data rw\n"
            "24 23 0:6 / /data/the\\040titan rw - cifs //pc/titan rw\n"
        )
        monkeypatch.setattr(resources, "MOUNTS", mounts)
        found = [filesystem_of(Path(path)) for path in ("/data/the titan/x", "/data/other", "/database")]
        assert [one and one.source for one in found] == ["//pc/titan", "server:/data", "/dev/sda1"]


class TestReaders:
    """Whether the kernel confines the processes that read instrument files."""

    @pytest.mark.parametrize(
        ("version", "grade", "says"),
        [
            (7, Grade.OK, "and no network"),
            (1, Grade.OK, "Landlock 1 confines"),
            (0, Grade.NOTE, "The kernel has no Landlock"),
        ],
    )
    def test_landlock_version_decides_the_grade(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, grade: Grade, says: str
    ) -> None:
        monkeypatch.setattr(machine, "landlock_version", lambda: version)
        (found,) = machine.readers(Case({}))
        assert (found.grade, says in found.sentence) == (grade, True)


class TestQuantities:
    """Numbers as people read them."""

    @pytest.mark.parametrize(
        ("count", "text"),
        [(0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (2**40 * 300, "300 TiB")],
    )
    def test_bytes_have_fitting_units(self, count: int, text: str) -> None:
        assert bytes_text(count) == text

    def test_nouns_agree_with_the_count(self) -> None:
        assert (counted(1, "record"), counted(1200, "record")) == ("1 record", "1,200 records")
        assert counted(2, "record waits", "records wait") == "2 records wait"


class TestRoles:
    """A database that serves several purposes is looked at once."""

    def test_by_what_it_is_used_for(self, sqlite_url: str, mariadb_url: str, tmp_path: Path) -> None:
        case = Case({"NEXUSCORE_DATABASE": sqlite_url, "NEXUSCORE_DATABASE_LOG": mariadb_url})
        assert case.roles(DatabaseURL.parse(sqlite_url)) == ["configuration", "status", "sessions"]
        assert case.roles(DatabaseURL.parse(mariadb_url)) == ["log"]
