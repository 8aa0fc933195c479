"""Doctor: what is not as it should be, in sentences, and what to do about it."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.config.values import Limits
from NexusCore.declare import declare_all
from NexusCore.delivery.frames import encode
from NexusCore.facility.records import Records
from NexusCore.facility.sessions import Client, Sessions, State
from NexusCore.facility.tokens import AccessTokens
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database
from NexusCore.storage.revision import SCHEMA_REVISION
from Services.Uploader.status_reporter import DESTINATION_UNUSED
from tests.journals import leave, log_payload
from tests.mariadb import MariaDB
from tests.processes import LIMIT, app_on, execute
from tests.tools.conftest import configure, report
from tests.tools.programs import Done, Follower, on_terminal, run

HOUR = 3600 * SECOND
WELL = "ok"
NOBODY = "mysql://u:p@127.0.0.1:1/nothing"


KINDS = {"sqlite": "SQLite 3.", "mariadb": "MariaDB 1", "mysql": "MySQL "}
"""What Doctor calls each kind of database, and how its version begins."""


def tool(*words: str, **variables: str) -> Done:
    return run("Doctor", *words, **variables)


def reported(group: str, code: int | None = None, **variables: str) -> list[tuple[str, str, str | None]]:
    """Return grade, sentence and remedy of all that Doctor says in a group."""
    done = tool("--json", **variables)
    assert code in (None, done.code)
    return [(one["grade"], one["sentence"], one["remedy"]) for one in done.objects if one["group"] == group]


def only(found: list[tuple[str, str, str | None]], part: str) -> tuple[str, str]:
    """Return grade and remedy of the one sentence that has a part."""
    ((grade, _, remedy),) = [one for one in found if part in one[1]]
    return grade, remedy or ""


def home() -> Path:
    return Path(os.environ["NEXUSCORE_HOME"])


@pytest.fixture
def well(database: Database, tmp_path: Path) -> Database:
    """Lend the database of a facility that is as it should be."""
    home().mkdir()
    (tmp_path / "titan").mkdir()
    (tmp_path / "titan/one.dm3").touch()
    declare_all(database.url)
    configure(database, Edit("Instruments.Titan.filestore_path", value=str(tmp_path / "titan")))
    now = SYSTEM_CLOCK.now()
    report(database, *((now, name, "state", "idle", now + HOUR) for name in ("Builder", "Harvester", "Uploader")))
    return database


class TestAllIsWell:
    """Nothing to do: exit code 0, and a sentence for each thing that was looked at."""

    def test_for_a_person(self, well: Database) -> None:
        done = tool()
        assert (done.code, done.err) == (0, ""), done.out
        headings = [line for line in done.lines if line and not line.startswith(" ")]
        assert headings[:-1] == [
            "This machine", "Settings", "Databases", "Journals", "Configuration", "Instruments", "Credentials",
            "Services", "Sessions", "Rows", "Disks",
        ]  # fmt: skip
        assert headings[-1].startswith("No problem, 0 notes; ")
        assert {line[2] for line in done.lines if line.startswith("  ") and line[2] != " "} == {"✓"}

    def test_for_a_program(self, well: Database) -> None:
        done = tool("--json")
        assert (done.code, [one for one in done.objects if one["grade"] != WELL]) == (0, [])
        assert all(set(one) == {"group", "grade", "sentence", "remedy"} for one in done.objects)

    def test_nothing_is_changed_or_made(self, embedded: Database) -> None:
        assert tool().code == 0
        assert not home().exists()

    def test_a_machine_where_nothing_was_ever_started(self) -> None:
        """There is no database yet: that is told, and none is made."""
        done = tool()
        assert (done.code, done.err) == (0, "")
        assert f"The embedded database {home() / 'nexus.db'} does not exist yet." in done.out
        assert "No database is set" in done.out
        assert not home().exists()


class TestAHomeThatIsNone:
    """Where NEXUSCORE_HOME cannot be a folder, that is told; nothing fails over it."""

    def test_a_file_as_home_is_a_problem(self, embedded: Database) -> None:
        home().touch()
        found = reported("Disks", code=1)
        assert (
            only(found, f"{home()} (NEXUSCORE_HOME: journals) cannot be a folder: {home()} is a file.")[0] == "problem"
        )
        assert not any("The check failed" in sentence for _, sentence, _ in reported("Configuration"))


class TestOnATerminal:
    """Colours, and sentences broken between words; a remedy stays on its line, to be copied."""

    def test_a_problem_has_colour_and_whole_remedy(self, embedded: Database) -> None:
        configure(embedded, Edit("Instruments.Titan.filestore_path", value="/no/such/folder/" + "x" * 60))
        done = on_terminal("Doctor", width=80)
        lines = done.out.splitlines()
        at = next(number for number, line in enumerate(lines) if "Titan: the folder" in line)
        assert lines[at].startswith("  \x1b[1;31m✗\x1b[0m Titan: the folder")
        assert lines[at + 1].startswith("    /no/such/folder/xxx")
        assert "      \x1b[36mIs the share mounted? Is the name right?\x1b[0m" in lines

    def test_no_color_turns_colours_off(self, embedded: Database) -> None:
        assert "\x1b" not in on_terminal("Doctor", NO_COLOR="1").out

    def test_one_that_knows_only_ascii(self, embedded: Database) -> None:
        done = tool(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
        assert done.code == 1
        assert "  X  Text and file names are read as ascii, not as UTF-8" in done.out
        assert done.lines[1].startswith("  ok NexusCore ")


class TestSettings:
    """Which settings are read, and what is wrong with them; without them nothing else can be asked."""

    def test_files_and_variables(self, embedded: Database, tmp_path: Path) -> None:
        (tmp_path / "etc").mkdir()
        file = tmp_path / "etc/nexuscore.toml"
        file.write_text(f'NEXUSCORE_HOME = "{home()}"\n')
        file.chmod(0o640)
        found = reported("Settings")
        assert only(found, f"The settings file {file} is used (owner {file.owner()}, mode 0640).")[0] == WELL
        assert (
            only(found, "NEXUSCORE_DATABASE, NEXUSCORE_HOME and NEXUSCORE_ETC are variables that override")[0] == WELL
        )

    def test_a_password_that_others_can_read(self, tmp_path: Path) -> None:
        (tmp_path / "etc").mkdir()
        file = tmp_path / "etc/nexuscore.toml"
        file.write_text('NEXUSCORE_DATABASE = "mysql://nx:hunter2@db/nexus"\n')
        file.chmod(0o644)
        done = tool()
        assert (done.code, "hunter2" in done.out, "Databases" in done.out) == (1, False, False)
        assert f"chmod 600 {file}" in done.out
        assert "Until this is fixed, nothing else can be checked." in done.out

    def test_a_slip_of_the_keyboard(self, embedded: Database) -> None:
        grade, remedy = only(
            reported("Settings", NEXUSCORE_DATABSE="x"), "NEXUSCORE_DATABSE is set, but nothing reads it"
        )
        assert (grade, remedy) == ("note", "Did you mean NEXUSCORE_DATABASE?")


class TestDatabases:
    """Each database: whether it answers, and is set up as programs need it."""

    def test_its_kind_and_tables(self, database: Database, request: pytest.FixtureRequest) -> None:
        found = reported("Databases")
        kind = KINDS[request.node.callspec.params["database_url"]]
        assert only(found, f"({kind}")[0] == only(found, f"have revision {SCHEMA_REVISION}, which")[0] == WELL
        assert found[0][1].endswith(": configuration, status, log and sessions.")

    def test_two_of_them(self, embedded: Database, mariadb_url: str) -> None:
        found = [
            one[1] for one in reported("Databases", NEXUSCORE_DATABASE_LOG=mariadb_url) if " answers in " in one[1]
        ]
        assert [one.rpartition(": ")[2] for one in found] == ["configuration, status and sessions.", "log."]

    @pytest.mark.parametrize(
        ("revision", "remedy"),
        [("0000", "Update them: python -m NexusCore.storage.migrate"), ("9999", "They are newer: update")],
    )
    def test_tables_of_another_revision(self, database: Database, revision: str, remedy: str) -> None:
        execute(os.environ["NEXUSCORE_DATABASE"], "UPDATE alembic_version SET version_num = :one", one=revision)
        done = tool()
        assert done.code == 1
        assert f"have revision {revision}; this program expects {SCHEMA_REVISION}.\n      {remedy}" in done.out
        assert f"are not of revision {SCHEMA_REVISION}" in done.out

    def test_tables_that_do_not_say_their_revision(self, database: Database) -> None:
        """As all other tools call them: unfinished, not missing."""
        execute(os.environ["NEXUSCORE_DATABASE"], "DELETE FROM alembic_version")
        done = tool()
        assert "are not complete: their creation was interrupted. Finish it with" in " ".join(done.out.split())
        assert (done.code, "has no NexusCore tables" in done.out) == (1, False)

    def test_missing_tables_name_their_remedy(self, mariadb: MariaDB) -> None:
        url = mariadb.create_database("bare")
        done = tool(NEXUSCORE_DATABASE=url)
        mariadb.drop_database("bare")
        assert done.code == 1
        assert "has no NexusCore tables." in done.out
        assert "Create them: python -m NexusCore.storage.migrate" in done.out

    def test_not_let_in(self, mariadb: MariaDB) -> None:
        done = tool(NEXUSCORE_DATABASE=mariadb.url("nexus", password="wrong"))
        assert (done.code, "refuses this user: Access denied" in done.out, "wrong" in done.out) == (
            1,
            True,
            False,
        )

    def test_no_such_file(self, tmp_path: Path) -> None:
        done = tool(NEXUSCORE_DATABASE=f"sqlite:///{tmp_path}/nowhere.db")
        assert (done.code, f"The database {tmp_path}/nowhere.db does not exist." in done.out) == (3, True)

    def test_a_server_that_is_not_set_up_well(self, mariadb: MariaDB, mariadb_url: str) -> None:
        execute(mariadb_url, "ALTER TABLE record CONVERT TO CHARACTER SET latin1")
        mariadb.execute("SET GLOBAL max_allowed_packet = 1048576")
        mariadb.execute("SET GLOBAL read_only = 1")
        try:
            found = reported("Databases", NEXUSCORE_DATABASE=mariadb_url)
        finally:
            mariadb.execute("SET GLOBAL read_only = 0")
            mariadb.execute("SET GLOBAL max_allowed_packet = 16777216")
        assert "ALTER TABLE record CONVERT" in only(found, "1 table of ")[1]
        assert only(found, "is 1.0 MiB: longer records are refused")[0] == "note"
        assert only(found, "is read-only now")[0] == "problem"

    def test_a_file_that_cannot_be_followed_by_others(self, embedded: Database) -> None:
        embedded.close()
        with closing(sqlite3.connect(embedded.url.name)) as raw:
            raw.execute("PRAGMA journal_mode = DELETE")
        assert only(reported("Databases"), "is in mode 'delete', not WAL")[0] == "note"


class TestADatabaseThatIsAway:
    """Exit code 3; all that does not need it is looked at, and what was last known serves where it can."""

    def test_one_that_is_silent(self, embedded: Database) -> None:
        """It accepts connections and never says anything: the first lines are there at once, the rest soon."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"mysql://u:p@127.0.0.1:{server.getsockname()[1]}/nexus"
            with Follower("Doctor", NEXUSCORE_DATABASE=url) as doctor:
                doctor.until("This machine")
                doctor.until("NEXUSCORE_DATABASE")
                assert not any("does not answer" in line for line in doctor.lines)
                doctor.until("1 problem, ")
        text = "\n".join(doctor.lines)
        assert f"✗ {url.replace(':p@', '@')} does not answer: " in text
        assert "Until it is, logs and status wait in journals; nothing is lost." in text
        assert "No running program has a journal" in text
        assert "NEXUSCORE_HOME: journals) has " in text
        # Each group that would need it says so once.
        assert text.count("! Not checked: mysql://") == 6

    def test_it_is_judged_by_what_was_last_seen(self, database: Database, tmp_path: Path) -> None:
        configure(database, Edit("Instruments.Titan.filestore_path", value=str(tmp_path / "gone")))
        app = app_on(os.environ["NEXUSCORE_DATABASE"], home())
        app.get_config()
        app.shutdown(LIMIT)  # it is kept before the end, as far as there is time
        (kept,) = home().glob("snapshot/config-*")  # named after the place, or the identity where that is known by now
        kept.rename(kept.with_name(f"config-{DatabaseURL.parse(NOBODY).fingerprint}"))
        done = tool("--json", NEXUSCORE_DATABASE=NOBODY)
        assert done.code == 3
        sentences = [one["sentence"] for one in done.objects]
        assert any("the checks below use the copy on this machine: 2 parameters" in one for one in sentences)
        assert any(f"Titan: the folder {tmp_path / 'gone'} does not exist" in one for one in sentences)
        assert any(one.startswith("Not checked: mysql://u@127.0.0.1:1/nothing") for one in sentences)


class TestJournals:
    """What waits on this machine, and what will never be delivered by itself."""

    def test_what_a_dead_program_left(self, embedded: Database) -> None:
        leave(self.folder(embedded), [log_payload(text) for text in "abc"])
        grade, remedy = only(reported("Journals"), "3 log records wait since 2023-11-14 22:13:20")
        assert (grade, "Doctor --journals --repair" in remedy) == ("note", True)

    def test_refused_and_damaged(self, embedded: Database) -> None:
        folder = self.folder(embedded)
        leave(folder, [log_payload("a")])
        (folder / "dead-1-1.refused").write_bytes(encode(7, log_payload("b")))
        with (folder / "dead-1-1-00000001.nxj").open("ab") as segment:
            segment.write(b"damage")
        found = reported("Journals", code=1)
        assert "Doctor --journals dead-1-1 --show" in only(found, "The database refused 1 log record")[1]
        assert "Doctor --journals dead-1-1 --repair" in only(found, "6 bytes of journal dead-1-1 are damaged")[1]

    def test_nearly_full_journals_are_a_problem(self, embedded: Database) -> None:
        leave(self.folder(embedded), [log_payload("x" * 900_000)])
        grade, remedy = only(reported("Journals", NEXUSCORE_JOURNAL_SIZE="1"), "of at most 1.0 MiB")
        assert (grade, "raise NEXUSCORE_JOURNAL_SIZE" in remedy) == ("problem", True)

    def test_for_another_database(self, embedded: Database) -> None:
        leave(home() / "journal/log-0123456789ab", [log_payload("a")])
        assert only(reported("Journals"), "for a database that the settings do not name")[0] == "note"

    def test_how_they_are_written(self, tmp_path: Path) -> None:
        said = only(reported("Journals"), "Journals are mapped into memory; a crash of a program loses nothing")
        assert said[0] == "ok"
        assert only(reported("Journals", NEXUSCORE_JOURNAL_SYNC="yes"), "synced to the disk before they are delivered")

    def test_more_than_five_are_summed_up(self, embedded: Database) -> None:
        for number in range(9):
            leave(self.folder(embedded), [log_payload("a")], f"dead-1-{number}")
        found = reported("Journals")
        assert len(found) == 5 + 1 + 1 + 1
        assert "4 more problems with journals" in found[5][1]

    @staticmethod
    def folder(database: Database) -> Path:
        return home() / f"journal/log-{DatabaseURL.parse(str(database.url)).fingerprint}"


class TestParameters:
    """Those of which programs need a value, and that have none, are named."""

    def test_without_a_value(self, embedded: Database) -> None:
        configure(
            embedded,
            Edit("Text", datatype="string"),
            Edit("Secret", value=5, limits=Limits(secret=True)),
            *(Edit(f"Number {count}", datatype="double") for count in range(7)),
        )
        found = reported("Configuration")
        sentence, remedy = only(found, "The parameter 'Number 0' has no value, but its type double needs one.")
        assert (sentence, remedy) == ("problem", "Set it: ConfigUI 'Number 0'")
        assert only(found, "2 more parameters without a value.") == ("problem", "ConfigTool validate")
        assert not [text for _, text, _ in found if "Text" in text or "Secret" in text]


class TestInstruments:
    """001-22, 001-24: where each instrument's files are, and whether its settings make sense."""

    def test_each_folder_is_graded(self, database: Database, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "full").mkdir()
        (tmp_path / "full/file").touch()
        configure(
            database,
            Edit("Instruments.A.filestore_path", value=str(tmp_path / "full")),
            Edit("Instruments.B.filestore_path", value=str(tmp_path / "empty")),
            Edit("Instruments.C.filestore_path", value=str(tmp_path / "gone")),
            Edit("Instruments.D.filestore_path", value=str(tmp_path / "full/file")),
            Edit("Instruments.E.name", value="no folder"),
        )
        found = reported("Instruments", code=1)
        assert only(found, f"A: {tmp_path / 'full'} can be read, ")[0] == WELL
        assert only(found, f"B: {tmp_path / 'empty'} is empty")[0] == "note"
        assert only(found, f"C: the folder {tmp_path / 'gone'} does not exist")[0] == "problem"
        assert only(found, f"D: {tmp_path / 'full/file'} is not a folder.")[0] == "problem"
        assert "ConfigUI Instruments.E.filestore_path" in only(found, "E has no filestore_path")[1]

    def test_names_zones_and_relative_folders(self, embedded: Database) -> None:
        configure(
            embedded,
            Edit("Instruments.A.computer_name", value="PC5"),
            Edit("Instruments.B.computer_name", value="pc5.example.org"),
            Edit("Instruments.A.timezone", value="Europe/Olso"),
            Edit("Instruments.A.filestore_path", value="./a"),
        )
        found = reported("Instruments")
        assert only(found, "PC5 is assigned to A and B: all its sessions go to A.")[0] == "problem"
        assert "timezone=Europe/Oslo" in only(found, "'Europe/Olso', which is not a time zone")[1]
        assert "ConfigTool Facility.data_root=/srv" in only(found, "The filestore_path of A is relative")[1]

    def test_no_instrument_is_a_note(self, embedded: Database) -> None:
        assert only(reported("Instruments"), "has no instrument yet")[0] == "note"


class TestServices:
    """Whether each service gives a sign of life, and what it says of others' servers."""

    def test_each_state_has_its_grade(self, database: Database) -> None:
        now = SYSTEM_CLOCK.now()
        report(
            database,
            (now - 90 * SECOND, "Builder", "state", "building x", now - 60 * SECOND),
            (now - 2 * HOUR, "Harvester", "state", "stopped", None),
            (now, "Harvester", "source Titan", "The calendar at x does not answer.", None),
            (now, "Harvester", "source JEOL", "ok", None),
            (now, "Harvester", "source removed", "Gone.", None),
            (now, "Uploader", "destination directory", DESTINATION_UNUSED, None),
            (now, "Uploader", "destination cdcs", "It does not answer.", None),
        )
        for pid in ("Titan", "JEOL"):
            configure(database, Edit(f"Instruments.{pid}.harvester", value="ical"))
        found = reported("Services", code=1)
        grade, remedy = only(found, "The Builder last reported its state 1 min 3")
        assert (grade, "TailLog --logger Builder" in remedy) == ("problem", True)
        assert only(found, "The Harvester was stopped 2 h ago: reservations are not updated.")[0] == "note"
        assert "python -m Services.Uploader" in only(found, "The Uploader has never run")[1]
        grade, remedy = only(found, "The calendar of Titan, when the Harvester last reported, ")
        assert (grade, "python -m Services.Harvester" in remedy) == ("note", True)
        assert len(found) == 4
        report(database, (now, "Harvester", "state", "idle", now + HOUR))
        found = reported("Services", code=1)
        assert only(found, "The calendar of Titan: The calendar at x does not answer (")[0] == "problem"
        report(database, (now, "Harvester", "source Titan", "has been at work on something for more than 30 s", None))
        assert only(reported("Services", code=1), "The calendar of Titan has been at work")[0] == "note"

    def test_the_gateway_is_missed_where_pcs_have_tokens(self, database: Database) -> None:
        AccessTokens(database, SYSTEM_CLOCK).make("TITAN-PC", ["Titan"], "jane")
        grade, remedy = only(
            reported("Services"), "The Gateway has never run: microscope PCs cannot report their sessions."
        )
        assert (grade, "python -m Services.Gateway" in remedy) == ("note", True)


class TestSessions:
    """What is stuck on its way to a record, why, and what to type."""

    @pytest.fixture
    def facility(self, database: Database) -> Iterator[Any]:
        sessions, client = Sessions(database, SYSTEM_CLOCK), Client("jane", "pc")

        def begun(name: str, hours_ago: float, hours: float | None = None) -> None:
            start = SYSTEM_CLOCK.now() - int(hours_ago * HOUR)
            sessions.start(name, client, identifier=name, ts=start)
            if hours is not None:
                sessions.end(name, client, ts=start + int(hours * HOUR))

        yield sessions, client, begun

    def test_each_stuck_session_is_explained(self, database: Database, facility: Any) -> None:
        sessions, client, begun = facility
        begun("forgotten", 50)
        begun("young", 1)
        begun("failed", 20, 1)
        failed = sessions.claim(client, "b", 300)
        sessions.finish(failed, "b", State.ERROR, "The schema says no", 600)
        begun("dropped", 19, 1)
        sessions.claim(client, "pc:7", -60)
        begun("waiting", 5, 1)
        found = reported("Sessions")
        assert only(found, "2 WAITING_FOR_END")[0] == WELL
        assert "SessionTool end forgotten" in only(found, "forgotten of jane at forgotten has been open for 2 d 2 h")[1]
        error = only(found, "Session failed at failed is in ERROR after 1 attempt: The schema says no.")
        assert error[0] == "note"
        assert error[1].startswith("The next attempt is in 9 min")
        assert error[1].endswith("SessionTool requeue failed")
        assert only(found, "Session waiting at waiting has been waiting for a Builder for 4 h")[0] == "problem"
        assert only(found, "The Builder of session dropped at dropped (pc:7) stopped responding")[0] == "note"
        assert len([one for one in found if one[0] == "problem"]) == 2
        execute(os.environ["NEXUSCORE_DATABASE"], "UPDATE session SET attempts = 3 WHERE identifier = 'failed'")
        assert only(reported("Sessions"), "Session failed at failed is in ERROR after 3 attempts")[0] == "problem"

    def test_a_failed_upload_is_a_problem(self, database: Database, facility: Any) -> None:
        sessions, client, begun = facility
        begun("s", 5, 1)
        session = sessions.claim(client, "b", 300)
        records = Records(database, SYSTEM_CLOCK)
        write = records.writer(
            session.id,
            path="/x.xml",
            title="x",
            sha256="0" * 64,
            config_revision=1,
            software="x",
            files=1,
            activities=1,
        )
        sessions.finish(session, "b", State.BUILT, also=write)
        record = records.of_session(session.id)
        assert record is not None
        records.failed(record, "cdcs", "It says 403", None)
        found = only(
            reported("Sessions"), "The record of session s was not sent to 'cdcs' after 1 attempt: It says 403."
        )
        assert found == ("problem", "It is not retried automatically. For details: TailLog --session s")
        configure(database, Edit("Services.Uploader.destinations", value="directory"))
        assert only(reported("Sessions"), "No upload has failed.")[0] == WELL

    def test_further_open_sessions_are_summed_up(self, embedded: Database) -> None:
        sessions, client = Sessions(embedded, SYSTEM_CLOCK), Client("jane", "pc")
        for number in range(8):
            sessions.start(f"i{number}", client, ts=SYSTEM_CLOCK.now() - 50 * HOUR)
        found = reported("Sessions")
        assert only(found, "3 more open sessions.") == (
            "problem",
            "To list them: SessionTool list --state WAITING_FOR_END",
        )
