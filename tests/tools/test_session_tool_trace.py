"""SessionTool: everything about one session in the order of time; its record sent again; identifiers cut short."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.facility.records import Records, UploadState
from NexusCore.facility.reservations import Reservation, Reservations
from NexusCore.facility.sessions import EventType, Session, Sessions, State
from NexusCore.storage import Database
from tests.tools.conftest import log, report
from tests.tools.facility import BUILDER, JANE, built, furnished, tool


@pytest.fixture
def facility(database: Database) -> Database:
    return furnished(database)


@pytest.fixture
def sessions(facility: Database) -> Sessions:
    return Sessions(facility, SYSTEM_CLOCK)


def booked(facility: Database, session: Session) -> None:
    start, end = session.start_ts - 60 * SECOND, session.start_ts + 7200 * SECOND
    one = Reservation("nemo", "17", session.instrument, start, end, title="Gold", user="jane")
    Reservations(facility, SYSTEM_CLOCK).take_over("nemo", start, end, [one])


class TestTrace:
    """Whatever part of the facility knows something of a session, it is there, in the order of time."""

    def test_all_sources_are_shown_in_order(self, facility: Database, sessions: Sessions, tmp_path: Path) -> None:
        path = tmp_path / "titan.xml"
        session = built(sessions, facility, State.BUILT, path=path)
        path.write_text("<Experiment/>")
        booked(facility, session)
        records = Records(facility, SYSTEM_CLOCK)
        record = records.of_session(session.id)
        assert record is not None
        records.failed(record, "cdcs", "503 Service Unavailable", 60)
        records.uploaded(record, "directory", "titan", "file:///archive/titan.xml")
        now = SYSTEM_CLOCK.now()
        log(facility, "Reading a.dm4", session=session.identifier, ts=now)
        log(facility, "broken", session=session.identifier, level=40, ts=now + 1, traceback="Traceback\n  1/0")
        log(facility, "something else", ts=now)
        report(
            facility,
            (now + 2, "Builder", "state", f"building {session.identifier}", None),
            (now + 3, "Builder", "state", "idle", None),
            (now + 4, "Camera", "state", f"used by {session.identifier}", None),
        )
        done = tool("trace", session.identifier[:6])
        assert (done.code, done.err) == (0, "")
        found = [re.sub(r"^\S+ \d\d:\d\d:\d\d\.\d{3}  ", "", line) for line in done.lines]
        assert found[0] == "booking  reservation 'Gold' of jane begins (nemo)"
        assert found[-1] == "booking  reservation 'Gold' ends"
        assert found[1:4] == [
            "event    START by jane@pc", "event    END by jane@pc", "event    RECORD_GENERATION by Builder@server",
        ]  # fmt: skip
        assert found[4] == f"record   {path}, 40 files, by NexusCore 1"
        assert found[5:7] == [
            "upload   cdcs: ERROR  503 Service Unavailable", "upload   directory: DONE  file:///archive/titan.xml",
        ]  # fmt: skip
        assert found[7:10] == [
            "log      INFO Builder: Reading a.dm4", "log      ERROR Builder: broken",
            f"status   Builder:state = building {session.identifier}",
        ]  # fmt: skip
        assert len(found) == 11
        steps = tool("trace", session.identifier, "--json").objects
        assert [one["source"] for one in steps] == [line.split()[0] for line in found]
        assert [one["time"] for one in steps] == sorted(one["time"] for one in steps)
        assert datetime.fromisoformat(steps[1]["time"]) == session.start
        assert (steps[8]["level"], steps[8]["detail"]) == ("ERROR", "Traceback\n  1/0")

    def test_activities_and_their_files(self, facility: Database, sessions: Sessions, tmp_path: Path) -> None:
        path = tmp_path / "titan.xml"
        session = built(sessions, facility, State.BUILT, path=path)
        lines = tool("trace", session.identifier).lines
        assert [line.rpartition("files    ")[2] for line in lines if "  files  " in line] == [
            "activity 1 begins, 2 files", "activity 2 begins, 1 file",
        ]  # fmt: skip
        found = [one for one in tool("trace", session.identifier, "--json").objects if one["source"] == "files"]
        assert [one["detail"] for one in found] == ["Titan/a.dm4\nTitan/b.dm4", "Titan/c.dm4"]
        assert datetime.fromisoformat(found[0]["time"]) == datetime.fromisoformat("2026-11-20T09:00:00+01:00")

    def test_a_record_that_is_not_here(self, facility: Database, sessions: Sessions, tmp_path: Path) -> None:
        """It may lie on another machine: that is said, and all else is shown."""
        path = tmp_path / "titan.xml"
        session = built(sessions, facility, State.BUILT, path=path)
        path.unlink()
        done = tool("trace", session.identifier)
        assert (done.code, done.err) == (0, f"SessionTool: {path} cannot be used: no such file or directory.\n")
        assert f"{path}, 40 files" in done.out

    def test_of_one_that_has_just_begun(self, sessions: Sessions) -> None:
        session = sessions.start("FEI-Titan-TEM", JANE)
        (line,) = tool("trace", session.identifier).lines
        assert line.endswith("event    START by jane@pc")

    def test_a_part_that_cannot_be_asked(self, embedded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """The rest is shown, and a sentence and the exit code tell that it is not all."""
        session = Sessions(furnished(embedded), SYSTEM_CLOCK).start("FEI-Titan-TEM", JANE)
        monkeypatch.setenv("NEXUSCORE_DATABASE_LOG", "mysql://nobody@127.0.0.1:1/log")
        for words in (("trace", session.identifier), ("show", session.identifier)):
            done = tool(*words)
            assert done.code == 3
            assert "START" in done.out
            assert done.err.count("SessionTool: The database at mysql://nobody@127.0.0.1:1/log does not answer") == 1


class TestSendingAgain:
    """A record that its destinations have lost is sent to them again, without being built anew."""

    def test_requeue_queues_every_upload_again(self, facility: Database, sessions: Sessions) -> None:
        session = built(sessions, facility, State.BUILT)
        records = Records(facility, SYSTEM_CLOCK)
        record = records.of_session(session.id)
        assert record is not None
        records.uploaded(record, "directory", "titan", "file:///archive/titan.xml")
        records.failed(record, "cdcs", "503", None)
        assert not records.complete(record, ["directory", "cdcs"])
        assert records.complete(record, ["directory"])
        assert records.to_upload() == []
        done = tool("requeue", session.identifier, "--upload")
        assert done.lines == [
            f"The record of session {session.identifier} is queued to be sent again.",
            "Its record is built; the Uploader sends it to its destinations.",
        ]
        assert sessions.get(session.identifier).state is State.BUILT
        assert records.to_upload() == [record]
        assert records.due("me") == {"cdcs": [record], "directory": [record]}
        assert {(one.state, one.attempts) for one in records.uploads(record)} == {(UploadState.WAITING, 0)}
        note = sessions.events(session)[-1]
        assert (note.type, note.detail) == (EventType.NOTE, "record queued to be sent again, was COMPLETED")

    def test_only_what_there_is(self, facility: Database, sessions: Sessions) -> None:
        session = built(sessions, facility, State.BUILT)
        sessions.requeue(session.identifier, BUILDER)
        done = tool("requeue", session.identifier, "--upload")
        assert (done.code, "it is TO_BE_BUILT, not BUILT or COMPLETED" in done.err) == (4, True)
        assert len(sessions.events(session)) == 4, "a refusal leaves no remark"
        session = sessions.start("FEI-Titan-TEM", JANE)
        done = tool("requeue", session.identifier, "--upload")
        assert (done.code, "it has no record" in done.err) == (4, True)


class TestIdentifiersCutShort:
    """The beginning of an identifier will do, where only one begins so."""

    def test_a_unique_prefix_finds_the_session(self, sessions: Sessions) -> None:
        for name in ("ab-1", "ab-2", "abc", "b"):
            sessions.end(sessions.start("FEI-Titan-TEM", JANE, name).identifier, JANE)
        assert tool("show", "abc").code == tool("show", "ab-1").code == 0
        done = tool("show", "ab")
        assert (done.code, done.out) == (1, "")
        assert (
            done.err == "SessionTool: Several sessions begin with 'ab': ab-1, ab-2, abc. Type more of the identifier.\n"
        )
        assert tool("show", "").code == 2
        assert tool("show", "AB").code == tool("show", "%").code == 1
