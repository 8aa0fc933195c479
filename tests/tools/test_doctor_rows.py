"""`Doctor --rows` names each value that cannot be read, and puts it right on demand without losing what was there."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import ConfigStore, Edit
from NexusCore.config.values import Limits
from NexusCore.facility.session import EventType, State
from NexusCore.facility.sessions import Sessions
from NexusCore.facility.tokens import AccessTokens
from NexusCore.facility.web_users import WebUsers
from NexusCore.storage import Database
from tests.tools.configured import history
from tests.tools.conftest import configure
from tests.tools.facility import JANE, built, furnished
from tests.tools.odd_rows import OddFacility
from tests.tools.programs import in_process


def change(database: Database, sql: str, **values: object) -> None:
    with database.transaction() as transaction:
        transaction.run(sql, **values)


class TestLooking:
    """Doctor says which row, which value, and what to do; without --repair nothing is changed."""

    def test_a_row_that_is_odd(self, database: Database) -> None:
        session = built(Sessions(furnished(database), SYSTEM_CLOCK), database, State.BUILT)
        change(database, "UPDATE session SET state = 'BULIT', start_ts = 1000000000000000000")
        for words in (("Doctor",), ("Doctor", "--rows")):
            done = in_process(*words)
            assert done.code == 1
            assert "state is 'BULIT', which is not a state of a session" in done.out
            assert "start_ts is 1000000000000000000, which is not a time on the calendar" in done.out
        assert "would be changed: state becomes 'ERROR'" in done.out
        assert in_process("Doctor", "--rows") == done
        assert Sessions(database, SYSTEM_CLOCK).get(session.identifier).state is State.UNKNOWN

    def test_all_is_well(self, database: Database) -> None:
        built(Sessions(furnished(database), SYSTEM_CLOCK), database, State.BUILT)
        assert in_process("Doctor", "--rows").out == "All rows of all tables can be read.\n"
        assert re.search(r"The newest rows of \d\d tables can be read\.", in_process("Doctor").out)

    def test_an_unreadable_secret_is_not_shown(self, embedded: Database) -> None:
        """Its mask is of no type, and is well; what stands in its place where its value should be is not shown."""
        configure(embedded, Edit("Mail.pin", value=4711, limits=Limits(secret=True)))
        assert in_process("Doctor", "--rows").out == "All rows of all tables can be read.\n"
        change(embedded, "UPDATE config_secret SET value = :value", value=b"hunter2\xff")
        found = [in_process("Doctor"), in_process("Doctor", "--rows"), in_process("Doctor", "--rows", "--repair")]
        assert "value cannot be read; it is a secret" in found[0].out
        assert not [done for done in found if "hunter2" in done.out + done.err]
        with embedded.reading() as reading:
            assert not reading.one("SELECT 1 FROM log_record WHERE message LIKE '%hunter2%'")
            assert reading.one("SELECT value FROM config_secret") == ("hunter2\\xff",)

    @pytest.mark.parametrize(("table", "column"), [("web_user", "password_hash"), ("web_setting", "value")])
    def test_nor_is_what_the_web_pages_keep(self, embedded: Database, table: str, column: str) -> None:
        WebUsers(embedded, SYSTEM_CLOCK).update({"ada": "hash"}, "key")
        change(embedded, f"UPDATE {table} SET {column} = :value", value=b"hunter2\xff")
        found = [in_process("Doctor"), in_process("Doctor", "--rows"), in_process("Doctor", "--rows", "--repair")]
        assert f"{column} cannot be read; it is a secret" in found[0].out
        assert not [done for done in found if "hunter2" in done.out + done.err]
        with embedded.reading() as reading:
            assert not reading.one("SELECT 1 FROM log_record WHERE message LIKE '%hunter2%'")

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (("--repair",), "--repair needs --journals or --rows."),
            (("--rows", "--bundle"), "--rows cannot be combined with --bundle."),
            (("--rows", "--repair", "--json"), "--repair cannot be combined with --json."),
        ],
    )
    def test_what_does_not_go_together(self, words: tuple[str, ...], sentence: str) -> None:
        done = in_process("Doctor", *words)
        assert (done.code, sentence in done.err) == (2, True), done


class TestRepairing:
    """What cannot be read becomes a documented state; what was there is kept in a note and in the log."""

    def test_a_secret_keeps_its_value(self, embedded: Database) -> None:
        """Its row holds no more than a mask."""
        configure(embedded, Edit("Mail.pin", value=4711, limits=Limits(secret=True)))
        change(embedded, "UPDATE config_parameter SET datatype = 'pin' WHERE path = 'Mail.pin'")
        done = in_process("Doctor", "--rows", "--repair")
        assert (done.code, "4711" in done.out) == (0, False), done
        found = ConfigStore(embedded, SYSTEM_CLOCK).find(1, "Mail.pin")
        assert found is not None
        assert (found.value, found.datatype, Limits.from_json(found.limits).secret) == ("4711", "string", True)

    def test_an_unreadable_state_becomes_error(self, database: Database) -> None:
        sessions = Sessions(furnished(database), SYSTEM_CLOCK)
        session = sessions.start("FEI-Titan-TEM", JANE)
        change(database, "UPDATE session SET state = 'BULIT'")
        assert sessions.open_on("FEI-Titan-TEM") is not None
        done = in_process("Doctor", "--rows", "--repair")
        assert (done.code, "1 of 1 row corrected" in done.out) == (0, True), done
        found = sessions.get(session.identifier)
        assert (found.state, found.start_ts, found.odd) == (State.ERROR, session.start_ts, ())
        assert found.last_error == "This could not be read: state is 'BULIT', which is not a state of a session."
        assert sessions.events(found)[-1].type is EventType.NOTE
        assert "'BULIT'" in (sessions.events(found)[-1].detail or "")
        assert "'BULIT'" in in_process("TailLog", "--logger", "Doctor").out
        sessions.start("FEI-Titan-TEM", JANE)  # the instrument is free again
        assert sessions.requeue(session.identifier, JANE).state is State.TO_BE_BUILT

    def test_an_unreadable_event_becomes_a_note(self, database: Database) -> None:
        sessions = Sessions(furnished(database), SYSTEM_CLOCK)
        session = sessions.start("FEI-Titan-TEM", JANE)
        sessions.note(session.identifier, JANE, "gold")
        change(database, "UPDATE session_event SET event_type = 'NOET' WHERE event_type = 'NOTE'")
        assert sessions.events(session)[-1].type is EventType.UNKNOWN
        assert in_process("Doctor", "--rows", "--repair").code == 0
        event = sessions.events(session)[-1]
        assert (event.type, event.odd) == (EventType.NOTE, ())
        assert event.detail == "(event_type is 'NOET', which is not a type of event) gold"

    def test_unreadable_parameters_become_strings(self, database: Database) -> None:
        """Programs that run see the change, and the history has what was there."""
        configure(database, Edit("A.number", value=5), Edit("A.kind", value=5), Edit("A.limits", value="geheim"))
        change(database, "UPDATE config_parameter SET value = 'many' WHERE path = 'A.number'")
        change(database, "UPDATE config_parameter SET datatype = 'colour' WHERE path = 'A.kind'")
        change(database, "UPDATE config_parameter SET limits = '{' WHERE path = 'A.limits'")
        listed = in_process("ConfigTool", "list", "A").out
        assert "A.number = many   (integer, unreadable)" in listed
        assert "geheim" not in listed  # nobody knows whether it is a secret
        done = in_process("Doctor", "--rows", "--repair")
        assert (done.code, "geheim" in done.out + done.err) == (0, False), done
        assert in_process("ConfigTool", "list", "A").lines == [
            "A.kind   = 5      (string)",
            "A.limits = *****  (string)",
            "A.number = many   (string)",
        ]
        assert [entry.tool for entry in history(database, "A.number")] == ["Doctor", "test"]
        assert in_process("ConfigTool", "validate").code == 0

    @pytest.mark.parametrize("kind", ["sqlite", "mariadb", "mysql"])
    def test_every_table_is_readable_afterwards(
        self, kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Afterwards no column of any table has a value that cannot be read, and no row is gone."""
        from NexusCore.storage import open_database
        from NexusCore.storage.schema import METADATA

        url = request.getfixturevalue(f"{kind}_url")
        monkeypatch.setenv("NEXUSCORE_DATABASE", url)
        database = open_database(url)
        OddFacility(database, tmp_path)

        def sizes() -> dict[str, int]:
            with database.reading() as reading:
                rows = {name: reading.one(f"SELECT COUNT(*) FROM {name}") for name in METADATA.tables}
            return {name: row[0] for name, row in rows.items() if row is not None}

        before = sizes()
        done = in_process("Doctor", "--rows", "--repair")
        assert done.code == 0, [line for line in done.lines if "could not" in line][:6]
        after = sizes()
        assert {name for name in before if after[name] < before[name]} == set()
        done = in_process("Doctor", "--rows")
        assert (done.code, done.lines[-1:]) == (0, ["All rows of all tables can be read."]), done.out[-2000:] + done.err
        database.close()


class TestTokens:
    """What an unreadable token was for is not known: a repair does not make it valid."""

    def test_a_repaired_token_is_revoked(self, database: Database) -> None:
        tokens = AccessTokens(database, SYSTEM_CLOCK)
        _, secret = tokens.make("TITAN-PC", ["FEI-Titan-TEM"], "jane", until_ts=SYSTEM_CLOCK.now() + 10**12)
        change(database, "UPDATE token SET instruments = 'all', kind = 'ADMIN'")
        assert tokens.of(secret) is None
        assert in_process("Doctor", "--rows", "--repair").code == 0
        assert tokens.of(secret) is None
        (token,) = tokens.all(revoked=True)
        assert (token.odd, token.instruments, token.revoked_ts is not None) == ((), (), True)
        assert tokens.make("TITAN-PC", ["FEI-Titan-TEM"], "jane")[0].name == "TITAN-PC"


class TestRowsWithoutTheirParent:
    """A row that belongs to none is told in the same words by a plain run and by --rows; it is no problem."""

    def test_told_once_and_the_same(self, embedded: Database) -> None:
        with closing(sqlite3.connect(embedded.url.name)) as raw:  # which checks no references
            raw.execute("INSERT INTO status_item (id, channel_id, name) VALUES (9, 77, 'x')")
            raw.commit()
        sentence = "status_item: 1 row belongs to a row of status_channel that does not exist; programs pass over it."
        plain, whole = in_process("Doctor", "--json"), in_process("Doctor", "--rows")
        assert [one["grade"] for one in plain.objects if one["sentence"] == sentence] == ["note"]
        assert whole.lines == [sentence, "All rows of all tables can be read."]
