"""SessionTool requeue --upload: records of many sessions sent again, such as to a destination that was added later."""

from __future__ import annotations

from datetime import timedelta

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.facility.records import Record, Records, UploadState
from NexusCore.facility.resending import never_sent
from NexusCore.facility.sessions import Session, Sessions, State
from NexusCore.storage import Database
from tests.tools.conftest import configure
from tests.tools.facility import built, furnished, tool
from Tools.common.time_parser import rfc3339

HOUR = int(timedelta(hours=1).total_seconds()) * SECOND


@pytest.fixture
def facility(database: Database) -> Database:
    """Lend a database with two instruments, whose records go to a folder and to a CDCS."""
    configure(furnished(database), Edit("Services.Uploader.destinations", value="directory,cdcs"))
    return database


@pytest.fixture
def sessions(facility: Database) -> Sessions:
    return Sessions(facility, SYSTEM_CLOCK)


@pytest.fixture
def records(facility: Database) -> Records:
    return Records(facility, SYSTEM_CLOCK)


def complete(sessions: Sessions, records: Records, facility: Database, *destinations: str) -> tuple[Session, Record]:
    """Have a complete session whose record is at some destinations."""
    session = built(sessions, facility, State.BUILT)
    record = records.of_session(session.id)
    assert record is not None
    records.expect([(record, name) for name in destinations])
    for name in destinations:
        records.uploaded(record, name, "1", None)
    assert records.complete(record, destinations)
    return sessions.get(session.identifier), record


def states(records: Records, record: Record) -> dict[str, UploadState]:
    return {upload.destination: upload.state for upload in records.uploads(record)}


class TestMany:
    """What is asked for is queued, once, and nothing else."""

    def test_all_to_all(self, facility: Database, sessions: Sessions, records: Records) -> None:
        made = [complete(sessions, records, facility, "directory", "cdcs") for _ in range(2)]
        done = tool("requeue", "--upload", "--all")
        assert done.code == 0
        assert "2 records are queued to be sent again; the Uploader begins at its next pass." in done.err + done.out
        for session, record in made:
            assert sessions.get(session.identifier).state is State.BUILT
            assert set(states(records, record).values()) == {UploadState.WAITING}
            assert sessions.events(session)[-1].detail == "record queued to be sent again"

    def test_only_one_destination(self, facility: Database, sessions: Sessions, records: Records) -> None:
        """The others keep what they have."""
        _, record = complete(sessions, records, facility, "directory", "cdcs")
        assert tool("requeue", "--upload", "--all", "--destination", "cdcs").code == 0
        assert states(records, record) == {"directory": UploadState.DONE, "cdcs": UploadState.WAITING}

    def test_one_that_was_added_later(self, facility: Database, sessions: Sessions, records: Records) -> None:
        """It gets the record, which goes to none of the others: those that were added later, too, may be public."""
        configure(facility, Edit("Services.Uploader.destinations", value="directory,eln,cdcs"))
        session, record = complete(sessions, records, facility, "directory")
        assert tool("requeue", "--upload", "--all", "--destination", "eln").code == 0
        assert states(records, record) == {"directory": UploadState.DONE, "eln": UploadState.WAITING}
        assert records.due("me") == {"eln": [record]}
        assert records.to_upload() == [], "what is listed there goes to all destinations"
        assert sessions.get(session.identifier).state is State.COMPLETED

    def test_the_next_step_names_where_it_is_missing(
        self, facility: Database, sessions: Sessions, records: Records
    ) -> None:
        session, _ = complete(sessions, records, facility, "directory", "cdcs")
        done = tool("requeue", session.identifier, "--upload", "--destination", "cdcs")
        assert done.lines == [
            f"The record of session {session.identifier} is queued to be sent again to cdcs.",
            "Its record is not at cdcs yet; the Uploader sends it there, unless it was refused.",
        ]
        assert done.lines[1] in tool("show", session.identifier).err

    def test_what_failed_goes_nowhere_else(self, facility: Database, sessions: Sessions, records: Records) -> None:
        """Where one destination completes a session, others may have failed."""
        session, record = complete(sessions, records, facility, "directory")
        records.failed(record, "cdcs", "refused", None)
        assert tool("requeue", "--upload", "--state", "ERROR").code == 0
        assert states(records, record) == {"directory": UploadState.DONE, "cdcs": UploadState.WAITING}
        assert sessions.get(session.identifier).state is State.COMPLETED

    def test_since(self, facility: Database, sessions: Sessions, records: Records) -> None:
        old, _ = complete(sessions, records, facility, "directory")
        with facility.transaction() as transaction:
            transaction.run("UPDATE session SET start_ts = start_ts - :back WHERE id = :id", back=HOUR, id=old.id)
        new, _ = complete(sessions, records, facility, "directory")
        assert tool("requeue", "--upload", "--since", rfc3339(new.start_ts - HOUR // 2)).code == 0
        assert sessions.get(old.identifier).state is State.COMPLETED
        assert sessions.get(new.identifier).state is State.BUILT

    def test_what_could_not_be_sent(self, facility: Database, sessions: Sessions, records: Records) -> None:
        _, good = complete(sessions, records, facility, "directory", "cdcs")
        session = built(sessions, facility, State.BUILT)
        bad = records.of_session(session.id)
        assert bad is not None
        records.expect([(bad, name) for name in ("directory", "cdcs")])
        records.uploaded(bad, "directory", "1", None)
        records.failed(bad, "cdcs", "refused", None)
        assert tool("requeue", "--upload", "--state", "error").code == 0
        assert states(records, bad) == {"directory": UploadState.DONE, "cdcs": UploadState.WAITING}
        assert set(states(records, good).values()) == {UploadState.DONE}

    def test_a_dry_run_changes_nothing(self, facility: Database, sessions: Sessions, records: Records) -> None:
        session, _ = complete(sessions, records, facility, "directory")
        done = tool("requeue", "--upload", "--all", "--dry-run")
        assert f"Would send again: Gold on carbon (session {session.identifier})" in done.out
        assert sessions.get(session.identifier).state is State.COMPLETED
        assert tool("requeue", session.identifier, "--upload", "--dry-run").code == 0
        assert sessions.get(session.identifier).state is State.COMPLETED

    def test_open_sessions_are_left_alone(self, facility: Database, sessions: Sessions) -> None:
        tool("start", "FEI-Titan-TEM")
        done = tool("requeue", "--upload", "--all")
        assert (done.code, "No record is to be sent again." in done.err + done.out) == (0, True)


class TestWhatIsMissingSomewhere:
    """A destination that was added later lacks the records of sessions that were complete."""

    def test_they_are_counted(self, facility: Database, sessions: Sessions, records: Records) -> None:
        complete(sessions, records, facility, "directory")
        complete(sessions, records, facility, "directory", "cdcs")
        built(sessions, facility, State.BUILT)
        assert never_sent(facility, ("directory", "cdcs", "eln")) == {"directory": 0, "cdcs": 1, "eln": 2}


class TestWrongUse:
    """A sentence with what to type instead."""

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ((), "Give either IDENTIFIERs, or which: --state ERROR"),
            (("--upload",), "Give the IDENTIFIER of one session"),
            (("--all",), "--all needs --upload."),
            (("abc", "--destination", "cdcs"), "--destination needs --upload."),
            (("--upload", "--state", "BUILT"), "--upload knows only --state ERROR"),
            (("--upload", "--instrument", "A"), "--upload cannot be combined with --instrument."),
            (("abc", "--upload", "--all"), "--all cannot be combined with IDENTIFIER."),
        ],
    )
    def test_options_that_do_not_go_together(self, facility: Database, words: tuple[str, ...], says: str) -> None:
        done = tool("requeue", *words)
        assert (done.code, says in done.err) == (2, True)

    def test_a_destination_that_is_not_in_use(self, facility: Database) -> None:
        done = tool("requeue", "--upload", "--all", "--destination", "directry")
        assert (done.code, "Did you mean 'directory'?" in done.err) == (4, True)


class TestThePidOfADestination:
    """What a site has given the record is shown, and stays when the record is sent again."""

    def test_it_is_shown(self, facility: Database, sessions: Sessions, records: Records) -> None:
        session, record = complete(sessions, records, facility, "cdcs")
        records.uploaded(
            record, "cdcs", "1", "https://cdcs.example.org/data?id=1", pid="https://hdl.example.org/20.5/A1"
        )
        assert "PID https://hdl.example.org/20.5/A1" in tool("show", session.identifier).out
        assert tool("requeue", session.identifier, "--upload").code == 0
        (upload,) = records.uploads(record)
        assert (upload.state, upload.pid) == (UploadState.WAITING, "https://hdl.example.org/20.5/A1")
