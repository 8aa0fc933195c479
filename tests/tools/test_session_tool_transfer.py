"""SessionTool: which files of a session are in the store, and a session that waits for its files."""

from __future__ import annotations

import json

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.facility import transfer_changes
from NexusCore.facility.session import Session
from NexusCore.facility.sessions import EventType, Sessions, State
from NexusCore.facility.transfer_file import Content, FileReport, FileState, Place
from NexusCore.facility.transfers import find_file
from NexusCore.storage import Database
from tests.tools.facility import JANE, furnished, tool
from tests.tools.programs import run

MD5 = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def facility(database: Database) -> Database:
    return furnished(database)


@pytest.fixture
def sessions(facility: Database) -> Sessions:
    return Sessions(facility, SYSTEM_CLOCK)


@pytest.fixture
def session(sessions: Sessions, facility: Database) -> Session:
    """Lend an open session with four files: one is in the store."""
    opened = sessions.start("FEI-Titan-TEM", JANE)
    now = SYSTEM_CLOCK.now()
    reports = [
        FileReport("raw", "good.dm4", 10, now, md5=MD5),
        FileReport("raw", "part.dm4", 1000, now, FileState.SENDING, 420),
        FileReport(
            "raw", "busy.dm4", 5, now, FileState.LOCKED, reason="locked by SerialEM", next_try_ts=now + 3600 * SECOND
        ),
        FileReport("raw", "late.dm4", 5, now, FileState.HELD),
    ]  # fmt: skip
    content = Content("raw", "good.dm4", 10, now, MD5)
    with facility.transaction() as transaction:
        transfer_changes.report(transaction, opened.id, reports, now)
        file = find_file(transaction, opened.id, "raw", "good.dm4")
        assert file is not None
        place = Place("", "FEI-Titan-TEM", "raw/good.dm4")
        assert transfer_changes.set_verified(transaction, file, content, place, now)
    return opened


class TestTransfer:
    """Each file is told with its state in words."""

    def test_the_files_of_a_session(self, session: Session) -> None:
        done = tool("transfer", session.identifier[:8])
        assert done.code == 0
        assert "4 files: 1 locked, 1 sending, 1 verified, 1 held." in done.out
        states = {line.split()[0]: line for line in done.lines if line.startswith("raw/")}
        assert list(states) == ["raw/part.dm4", "raw/busy.dm4", "raw/late.dm4", "raw/good.dm4"]
        assert states["raw/part.dm4"].endswith("sending 42 %")
        assert "locked by SerialEM, next try in 5" in states["raw/busy.dm4"]
        assert states["raw/late.dm4"].endswith("held back: it appeared after the end")
        assert states["raw/good.dm4"].endswith("verified")

    def test_by_instrument_and_state(self, session: Session) -> None:
        done = tool("transfer", "FEI-Titan-TEM", "--state", "verified")
        assert [line.split()[0] for line in done.lines if line.startswith("raw/")] == ["raw/good.dm4"]
        assert tool("transfer", "FEI-Titan-TEM", "-n", "1").out.count("raw/") == 1

    def test_for_programs(self, session: Session) -> None:
        first, *files = [json.loads(line) for line in tool("transfer", session.identifier, "--json").lines]
        assert first["counts"] == {"held": 1, "locked": 1, "sending": 1, "verified": 1}
        assert {file["path"]: file["state"] for file in files}["good.dm4"] == "verified"
        assert next(file for file in files if file["path"] == "good.dm4")["object"] == "raw/good.dm4"

    def test_nothing_to_show(self, session: Session, sessions: Sessions) -> None:
        done = tool("transfer", session.identifier, "--state", "failed")
        assert (done.code, done.err.strip()) == (1, "SessionTool: The session has no files in the state failed.")
        other = sessions.start("JEOL-JEM-TEM", JANE)
        done = tool("transfer", other.identifier)
        assert done.code == 1
        assert "ConfigTool Instruments.JEOL-JEM-TEM.transfer.on" in done.err

    def test_the_words_of_a_next_try(self, session: Session, facility: Database) -> None:
        """Behind a sentence without its full stop, and not of what is being sent."""
        now = SYSTEM_CLOCK.now()
        reports = [
            FileReport("raw", "part.dm4", 1000, now, FileState.SENDING, 410, next_try_ts=now),
            FileReport("raw", "full.dm4", 5, now, FileState.FAILED, reason="Tell the staff.", next_try_ts=now),
            FileReport("raw", "big.dm4", 5, now, FileState.WAITING, reason="The store 'x' is full."),
        ]  # fmt: skip
        with facility.transaction() as transaction:
            transfer_changes.report(transaction, session.id, reports, now)
        lines = tool("transfer", session.identifier).lines
        states = {line.split()[0]: line for line in lines if line.startswith("raw/")}
        assert states["raw/part.dm4"].endswith("sending 41 %")
        assert states["raw/full.dm4"].endswith("failed: Tell the staff, next try now")
        assert states["raw/big.dm4"].endswith("waiting: The store 'x' is full.")

    def test_a_long_name_does_not_widen_the_table(self, session: Session, facility: Database) -> None:
        now = SYSTEM_CLOCK.now()
        with facility.transaction() as transaction:
            transfer_changes.report(transaction, session.id, [FileReport("raw", "x" * 255, 5, now)], now)
        lines = tool("transfer", session.identifier).lines
        assert any("xxx… (259 bytes)" in line for line in lines)
        assert max(len(line) for line in lines) < 200
        assert "x" * 255 in tool("transfer", session.identifier, "--json").out

    def test_of_an_instrument_whose_session_has_ended(self, session: Session, sessions: Sessions) -> None:
        """One looks there when it has just ended; an open one comes first."""
        sessions.end(session.identifier, JANE, transfers=True)
        for command in ("transfer", "show", "trace"):
            done = tool(command, "FEI-Titan-TEM")
            assert done.code == 0, done.err
        assert session.identifier in tool("transfer", "FEI-Titan-TEM").out
        newer = sessions.start("FEI-Titan-TEM", JANE)
        for command in ("transfer", "show"):
            done = tool(command, "FEI-Titan-TEM", "--json")
            assert newer.identifier in done.out
            assert session.identifier not in done.out


class TestASessionThatWaitsForItsFiles:
    """It is told as that, it is not open, and its record can be built without the missing files."""

    def test_end_leaves_it_waiting(self, session: Session, sessions: Sessions) -> None:
        """As long as the PC has files to send."""
        done = tool("end", "FEI-Titan-TEM")
        assert f"SessionTool close {session.identifier}" in done.out
        ended = sessions.get(session.identifier)
        assert (ended.state, ended.awaits_files, ended.is_open) == (State.WAITING_FOR_END, True, False)
        assert sessions.open_on("FEI-Titan-TEM") is None
        assert tool("start", "FEI-Titan-TEM").code == 0
        assert "its files are on their way" in tool("show", session.identifier).out
        assert tool("requeue", session.identifier).code == 4

    def test_close_names_what_is_missing(self, session: Session, sessions: Sessions) -> None:
        sessions.end(session.identifier, JANE, transfers=True)
        done = tool("close", session.identifier, "--dry-run")
        assert "Missing: raw/busy.dm4 (locked by SerialEM)" in done.out
        assert sessions.get(session.identifier).awaits_files
        done = tool("close", session.identifier)
        assert "without 3 missing files" in done.out
        released = sessions.get(session.identifier)
        assert released.state is State.TO_BE_BUILT
        problems = [event.detail for event in sessions.events(released) if event.type is EventType.PROBLEM]
        assert problems == [
            "not transferred: raw/part.dm4 (it was being sent)\n"
            "not transferred: raw/busy.dm4 (locked by SerialEM)\n"
            "held back: raw/late.dm4 (it appeared after the end)"
        ]
        assert "has ended already" in tool("close", session.identifier).out

    def test_doctor_lists_it(self, session: Session, sessions: Sessions, facility: Database) -> None:
        """When it has waited for long."""
        sessions.end(session.identifier, JANE, transfers=True)
        assert "still on their way" not in run("Doctor").out
        with facility.transaction() as transaction:
            transaction.run(
                "UPDATE session SET start_ts = start_ts - :day, end_ts = end_ts - :day", day=86_400 * SECOND
            )
        done = run("Doctor")
        assert f"SessionTool transfer {session.identifier}" in done.out
        assert "has been open for" not in done.out
