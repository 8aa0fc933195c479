"""SessionTool: sessions at the instruments from a shell."""

from __future__ import annotations

import getpass
import re
import socket
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.facility.records import Records
from NexusCore.facility.sessions import Client, EventType, Sessions, State
from NexusCore.storage import Database
from tests.tools.conftest import configure, log
from tests.tools.facility import BUILDER, built, furnished, tool
from tests.tools.programs import Done, on_terminal, run


@pytest.fixture
def facility(database: Database) -> Database:
    """Lend a database with two instruments."""
    return furnished(database)


@pytest.fixture
def sessions(facility: Database) -> Sessions:
    return Sessions(facility, SYSTEM_CLOCK)


class TestStartAndEnd:
    """A session can be started and ended from a shell, as at the instrument's PC."""

    def test_start_then_end(self, sessions: Sessions) -> None:
        """000-01: both are events with a time; the tool says what happened and what comes next."""
        done = tool("start", "FEI-Titan-TEM", "--user", "jane")
        session = sessions.open_on("FEI-Titan-TEM")
        assert done.code == 0
        assert session is not None
        assert done.lines == [
            f"Session {session.identifier} of jane started at FEI-Titan-TEM.",
            f"It is open. To end it: SessionTool end {session.identifier}",
        ]
        done = tool("end", "FEI-Titan-TEM")
        assert done.lines == [
            f"Session {session.identifier} at FEI-Titan-TEM ended.",
            "The Builder builds its record in its next pass.",
        ]
        ended = sessions.get(session.identifier)
        assert (ended.user, ended.state) == ("jane", State.TO_BE_BUILT)
        assert [(one.type, one.user, one.host) for one in sessions.events(ended)] == [
            (EventType.START, "jane", socket.gethostname()),
            (EventType.END, getpass.getuser(), socket.gethostname()),
        ]

    def test_ending_twice_is_ending_once(self, sessions: Sessions) -> None:
        tool("start", "FEI-Titan-TEM")
        identifier = sessions.newest()[0].identifier
        assert tool("end", identifier[:8]).code == 0
        done = tool("end", identifier)
        assert done.code == 0
        assert "has ended already" in done.out

    def test_an_instrument_has_one_open_session(self, sessions: Sessions) -> None:
        tool("start", "FEI-Titan-TEM", "--user", "jane")
        done = tool("start", "FEI-Titan-TEM")
        assert done.code == 4
        assert re.search(r"already has an open session, started .* by jane .*SessionTool end \S+$", done.err.strip())
        assert tool("start", "JEOL-JEM-TEM").code == 0

    def test_an_unknown_instrument(self, sessions: Sessions) -> None:
        done = tool("start", "FEI-Titan")
        assert (done.code, done.out) == (1, "")
        assert "Instrument 'FEI-Titan' does not exist" in done.err
        assert "Did you mean 'FEI-Titan-TEM'?" in done.err
        assert sessions.newest() == []

    def test_nothing_to_end(self, sessions: Sessions) -> None:
        done = tool("end", "FEI-Titan-TEM")
        assert (done.code, done.err) == (1, "SessionTool: FEI-Titan-TEM has no open session.\n")
        done = tool("end", "FEI-Titan")
        assert done.code == 1
        assert "Session 'FEI-Titan' does not exist. Did you mean 'FEI-Titan-TEM'?" in done.err


class TestLooking:
    """What is known of sessions is shown, in words and as JSON."""

    def test_lists_select_by_count_state_and_instrument(self, facility: Database, sessions: Sessions) -> None:
        first = built(sessions, facility, State.ERROR)
        tool("start", "JEOL-JEM-TEM")
        newest = sessions.newest()[0]
        header, *rows = tool("list").lines
        assert header.split() == ["session", "instrument", "user", "state", "start", "length"]
        assert [row.split()[0] for row in rows] == [newest.identifier, first.identifier]
        assert rows[0].endswith("open")
        assert [one["state"] for one in tool("list", "-n", "1", "--json").objects] == ["WAITING_FOR_END"]
        assert [row.split()[0] for row in tool("list", "--state", "error").lines[1:]] == [first.identifier]
        assert len(tool("list", "--instrument", "JEOL-JEM-TEM").lines) == 2

    def test_a_narrow_terminal_shows_as_much_of_an_identifier_as_is_needed(self, sessions: Sessions) -> None:
        """It is there to be copied, and commands take its beginning for the whole."""
        tool("start", "JEOL-JEM-TEM", "--user", "jane")
        (session,) = sessions.newest()
        shown = on_terminal("SessionTool", "list", width=80, NO_COLOR="1")
        assert max(map(len, shown.lines)) <= 80
        assert shown.lines[1].split()[0] == session.identifier[:8]
        assert session.identifier in on_terminal("SessionTool", "list", width=120).out
        assert session.identifier in tool("show", session.identifier[:8]).out

    def test_nothing_to_list(self, sessions: Sessions) -> None:
        assert tool("list", "-n", "0") == Done(0, "", ""), "nothing was asked for"
        assert tool("list") == Done(1, "", "SessionTool: No sessions yet.\n")
        assert tool("list", "--state", "ERROR").code == 1
        refused = tool("list", "--instrument", "JEOL-JEM").err
        assert refused == "SessionTool: There is no instrument 'JEOL-JEM'. Did you mean 'JEOL-JEM-TEM'?\n"

    def test_show_has_all_that_is_known(self, facility: Database, sessions: Sessions, tmp_path: Path) -> None:
        session = built(sessions, facility, State.BUILT, path=tmp_path / "titan.xml")
        log(facility, "Building the record", session=session.identifier)
        log(facility, "a.dm4 could not be read", session=session.identifier, level=30)
        log(facility, "something else")
        records = Records(facility, SYSTEM_CLOCK)
        record = records.of_session(session.id)
        assert record is not None
        records.uploaded(record, "directory", "titan", "file:///archive/titan.xml")
        records.failed(record, "cdcs", "503 Service Unavailable", 60)
        done = tool("show", session.identifier)
        assert done.code == 0
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", done.out)
        for line in (
            f"session    {session.identifier}",
            "user       jane",
            "state      BUILT",
            f"record     {tmp_path}/titan.xml",
            "           Gold on carbon",
            "           40 files in 13 activities",
            "           built TIME by NexusCore 1, configuration 7",
            "upload     cdcs: ERROR  503 Service Unavailable",
            "upload     directory: DONE  file:///archive/titan.xml",
            "  TIME  START              jane@pc",
            "  TIME  RECORD_GENERATION  Builder@server",
            "  activity 1   TIME   2 files",
            "    Titan/a.dm4  Image",
            "      Warning: no scale",
            "    Titan/b.dm4  Spectrum",
            "  activity 2   TIME   1 file",
            "    Titan/c.dm4  SpectrumImage",
            "  TIME  INFO Builder: Building the record",
            "  TIME  WARNING Builder: a.dm4 could not be read",
        ):
            assert line in text.splitlines(), (line, text)
        assert "something else" not in text
        assert done.err == "Its record is built; the Uploader sends it to its destinations.\n"
        (found,) = tool("show", session.identifier[:6], "--json").objects
        assert (found["record"]["activities"], found["uploads"][1]["state"]) == (13, "DONE")
        assert [one["type"] for one in found["events"]] == ["START", "END", "RECORD_GENERATION"]
        assert [one["level"] for one in found["log"]] == ["INFO", "WARNING"]
        assert [len(one["datasets"]) for one in found["activities"]] == [2, 1]
        assert found["activities"][0]["datasets"][0] == {
            "name": "a.dm4", "location": "Titan/a.dm4", "type": "Image", "format": "Gatan",
            "preview": "titan.files/a.png", "remarks": ["Warning: no scale"],
        }  # fmt: skip
        brief = tool("show", session.identifier, "-n", "1").lines
        assert "    ... and 2 more; use -n 3 to show all".strip() in [line.strip() for line in brief]
        assert len([line for line in brief if "Builder:" in line]) == 1

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (None, "no such file"),
            ("<Experiment>", "it is not valid XML"),
            ('<!DOCTYPE a [<!ENTITY x "y">]><Experiment>&x;</Experiment>', "document type definition"),
        ],
    )
    def test_a_record_that_cannot_be_read_here(
        self, embedded: Database, tmp_path: Path, content: str | None, reason: str
    ) -> None:
        """It may lie on another machine: the rest is shown, and a sentence says what is wrong with the file."""
        path = tmp_path / "titan.xml"
        session = built(Sessions(furnished(embedded), SYSTEM_CLOCK), embedded, State.BUILT, path=path)
        path.write_text(content) if content else path.unlink()
        done = tool("show", session.identifier)
        assert (done.code, reason in done.err) == (0, True), done
        assert f"record     {path}" in done.lines

    def test_an_unknown_session(self, facility: Database, sessions: Sessions) -> None:
        session = built(sessions, facility, State.ERROR)
        almost = f"{session.identifier[:-1]}x"
        for words in (("show", almost), ("requeue", almost), ("note", almost, "x")):
            done = tool(*words)
            assert (done.code, f"Did you mean '{session.identifier}'?" in done.err) == (1, True)


class TestRequeue:
    """A record can be had built anew, on demand."""

    @pytest.mark.parametrize("state", [State.ERROR, State.NO_FILES_FOUND])
    def test_a_session_goes_back_to_be_built(self, facility: Database, sessions: Sessions, state: State) -> None:
        session = built(sessions, facility, state, error="no such folder")
        done = tool("requeue", session.identifier)
        assert done.lines == [
            f"Session {session.identifier} is queued again; it was {state}.",
            "The Builder builds its record in its next pass.",
        ]
        again = sessions.get(session.identifier)
        assert (again.state, again.attempts, again.last_error) == (State.TO_BE_BUILT, 0, None)
        newest = sessions.events(again)[-1]
        assert (newest.type, newest.user, newest.detail) == (
            EventType.NOTE,
            getpass.getuser(),
            f"queued again, was {state}",
        )
        claimed = sessions.claim(BUILDER, "b2", 60)
        assert claimed is not None
        assert claimed.identifier == session.identifier

    def test_not_while_it_is_open_or_being_built(self, sessions: Sessions) -> None:
        jane = Client(user="jane", host="pc")
        session = sessions.start("FEI-Titan-TEM", jane)
        done = tool("requeue", session.identifier)
        assert (done.code, "it has not ended yet" in done.err) == (4, True)
        sessions.end(session.identifier, jane)
        sessions.claim(BUILDER, "b1", 60)
        done = tool("requeue", session.identifier)
        assert (done.code, "a Builder is at work on it" in done.err) == (4, True)
        assert sessions.get(session.identifier).state is State.BUILDING

    def test_a_builder_that_died_is_not_waited_for(self, sessions: Sessions) -> None:
        jane = Client(user="jane", host="pc")
        session = sessions.end(sessions.start("FEI-Titan-TEM", jane).identifier, jane)
        sessions.claim(BUILDER, "b1", -1)
        assert tool("requeue", session.identifier).code == 0
        assert sessions.get(session.identifier).state is State.TO_BE_BUILT


class TestNote:
    """A remark goes into the session's log."""

    def test_it_is_an_event(self, facility: Database, sessions: Sessions) -> None:
        session = built(sessions, facility, State.ERROR)
        assert tool("note", session.identifier, "the sample", "drifted").code == 0
        newest = sessions.events(session)[-1]
        assert (newest.type, newest.detail) == (EventType.NOTE, "the sample drifted")

    def test_at_an_instrument_the_open_session_is_meant(self, facility: Database, sessions: Sessions) -> None:
        """Who sits at the microscope knows its name, not the session's."""
        done = tool("note", "FEI-Titan-TEM", "too early")
        assert (done.code, "FEI-Titan-TEM" in done.err) == (1, True)
        session = sessions.start("FEI-Titan-TEM", Client(user="jane", host="pc"))
        assert tool("note", "FEI-Titan-TEM", "ice").code == 0
        assert sessions.events(session)[-1].detail == "ice"


class TestAnInstrumentInsteadOfASession:
    """Where only a session will do, an instrument's name is called what it is."""

    def test_an_instrument_is_not_called_a_missing_session(self, embedded: Database) -> None:
        configure(embedded, Edit("Instruments.Demo-TEM.filestore_path", value="./x"))
        for words in (("requeue", "Demo-TEM"), ("show", "Demo-TEM"), ("trace", "Demo-TEM")):
            done = run("SessionTool", *words)
            assert (done.code, "'Demo-TEM' is an instrument, not a session; SessionTool list" in done.err) == (1, True)
        assert "Demo-TEM has no open session." in run("SessionTool", "note", "Demo-TEM", "x").err

    def test_its_newest_session_is_named(self, embedded: Database) -> None:
        """It is what is meant most often, and can be copied."""
        configure(embedded, Edit("Instruments.Demo-TEM.filestore_path", value="./x"))
        for _ in range(2):
            run("SessionTool", "start", "Demo-TEM")
            run("SessionTool", "end", "Demo-TEM")
        (newest,) = Sessions(embedded, SYSTEM_CLOCK).newest("Demo-TEM", count=1)
        for words in (("requeue", "Demo-TEM"), ("requeue", "Demo-TEM", "--upload")):
            done = run("SessionTool", *words)
            says = f"'Demo-TEM' is an instrument, not a session (its newest one is {newest.identifier}); "
            assert (done.code, says in done.err) == (1, True)

    def test_removing_it_warns_of_its_open_session(self, embedded: Database) -> None:
        configure(
            embedded,
            Edit("Instruments.Demo-TEM.filestore_path", value="./x"),
            Edit("Instruments.Demo-TEM.harvester", value="none"),
            Edit("Instruments.Other.filestore_path", value="./y"),
        )
        assert run("SessionTool", "start", "Demo-TEM").code == 0
        assert run("ConfigTool", "remove", "Instruments.Demo-TEM.harvester").err == ""
        assert run("ConfigTool", "remove", "Instruments.Other").err == ""
        done = run("ConfigTool", "remove", "Instruments.Demo-TEM")
        assert (done.code, done.err.startswith("ConfigTool: Warning: Demo-TEM has an open session (")) == (0, True)
