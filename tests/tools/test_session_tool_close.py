"""SessionTool close: a session that nobody ended, with its end taken from its last file, a given time, or now."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.facility import forgotten as forgotten_sessions
from NexusCore.facility.sessions import Client, EventType, Session, Sessions, State
from NexusCore.storage import Database, Transaction
from tests.tools.conftest import configure
from tests.tools.facility import JANE, furnished, tool

DAY = 86_400 * SECOND


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Lend the folder that the instruments' files are in."""
    folder = tmp_path / "store"
    (folder / "FEI-Titan-TEM/day").mkdir(parents=True)
    return folder


@pytest.fixture
def facility(database: Database, store: Path) -> Database:
    furnished(database)
    configure(
        database,
        Edit("Facility.data_root", value=str(store)),
        Edit("Services.Builder.ignore", value=".*, *.tmp"),
        Edit("Services.Builder.search_limit", value=20.0),
    )
    return database


@pytest.fixture
def sessions(facility: Database) -> Sessions:
    return Sessions(facility, SYSTEM_CLOCK)


@pytest.fixture
def forgotten(sessions: Sessions) -> Session:
    """Lend a session that was begun yesterday and is open still."""
    return sessions.start("FEI-Titan-TEM", JANE, ts=SYSTEM_CLOCK.now() - DAY)


def leave(store: Path, name: str, session: Session, minutes: float, nanoseconds: int = 0) -> int:
    """Leave a file of some minutes after a session's start; return its time as the session's end must be."""
    path = store / "FEI-Titan-TEM" / name
    path.write_text("x")
    ns = (session.start_ts + int(minutes * 60 * SECOND)) * 1000 + nanoseconds
    os.utime(path, ns=(ns, ns))
    return -(-ns // 1000)


class TestFromTheLastFile:
    """Without more being said, the session ended with the last file that its instrument left since it began."""

    def test_the_last_files_time_is_the_end(self, store: Path, sessions: Sessions, forgotten: Session) -> None:
        leave(store, "before.dm4", forgotten, -5)
        leave(store, "day/a.dm4", forgotten, 10)
        last = leave(store, "day/b.dm4", forgotten, 90, nanoseconds=1)
        leave(store, ".hidden", forgotten, 100)
        leave(store, "half.TMP", forgotten, 100)
        leave(store, "of a PC whose clock is ahead.dm4", forgotten, 5 * 24 * 60)
        (store / "FEI-Titan-TEM/link.dm4").symlink_to(store / "FEI-Titan-TEM/day/a.dm4")
        dry_run = tool("close", "FEI-Titan-TEM", "--dry-run")
        assert (dry_run.code, "day/b.dm4" in dry_run.out) == (0, True)
        assert dry_run.err == "Dry run: nothing was changed.\n"
        assert sessions.get(forgotten.identifier).state is State.WAITING_FOR_END
        done = tool("close", forgotten.identifier[:8])
        assert done.code == 0
        assert done.lines[0] == dry_run.lines[0]
        assert done.lines[0].endswith("with its last file, FEI-Titan-TEM/day/b.dm4.")
        closed = sessions.get(forgotten.identifier)
        # Rounded up, so that the file is in the session's time for whoever compares whole nanoseconds.
        assert (closed.state, closed.end_ts) == (State.TO_BE_BUILT, last)
        note = sessions.events(closed)[-1]
        assert (note.type, "its last file, FEI-Titan-TEM/day/b.dm4" in str(note.detail)) == (EventType.NOTE, True)

    def test_there_is_none(self, store: Path, sessions: Sessions, forgotten: Session) -> None:
        leave(store, "before.dm4", forgotten, -5)
        done = tool("close", forgotten.identifier)
        assert (done.code, done.out) == (1, "")
        assert f"{store}/FEI-Titan-TEM has no files since the session started" in done.err
        assert "--at TIME or --now" in done.err
        assert sessions.get(forgotten.identifier).state is State.WAITING_FOR_END

    def test_the_folder_is_not_there(self, sessions: Sessions, facility: Database) -> None:
        sessions.start("JEOL-JEM-TEM", JANE)
        done = tool("close", "JEOL-JEM-TEM")
        assert (done.code, "JEOL-JEM-TEM cannot be searched (No such file or directory)" in done.err) == (1, True)
        configure(facility, Edit("Instruments.JEOL-JEM-TEM.filestore_path", value=""))
        assert "filestore_path is not set" in tool("close", "JEOL-JEM-TEM").err


class TestWhenSaid:
    """The end can be said, as a time or as now."""

    def test_a_relative_time_can_be_given(self, sessions: Sessions, forgotten: Session) -> None:
        (found,) = tool("close", forgotten.identifier, "--at", "-15m", "--json").objects
        closed = sessions.get(forgotten.identifier)
        assert found["state"] == "TO_BE_BUILT"
        assert 0 <= SYSTEM_CLOCK.now() - (closed.end_ts or 0) - 900 * SECOND < 60 * SECOND

    def test_now_is_the_current_time(self, sessions: Sessions, forgotten: Session) -> None:
        before = SYSTEM_CLOCK.now()
        assert tool("close", "FEI-Titan-TEM", "--now").code == 0
        assert before <= (sessions.get(forgotten.identifier).end_ts or 0) <= SYSTEM_CLOCK.now()

    def test_times_that_cannot_be(self, sessions: Sessions, forgotten: Session) -> None:
        for words, code, sentence in (
            (("--at", "-2d"), 4, "it began"),
            (("--at", "2999-01-01"), 4, "that is in the future"),
            (("--at", "noonish"), 2, "invalid time 'noonish'"),
            (("--at", "09:00", "--now"), 2, "not allowed with"),
        ):
            done = tool("close", forgotten.identifier, *words)
            assert (done.code, sentence in done.err) == (code, True), done
        assert sessions.get(forgotten.identifier).state is State.WAITING_FOR_END

    def test_one_that_has_ended_stays_as_it_is(self, sessions: Sessions, forgotten: Session) -> None:
        ended = sessions.end(forgotten.identifier, JANE)
        done = tool("close", forgotten.identifier, "--at", "-1h")
        assert (done.code, "has ended already" in done.out) == (0, True)
        assert sessions.get(forgotten.identifier) == ended


class TestWhoEndedIt:
    """Who ended a session is shown; NexusCore itself ends one that was forgotten."""

    @pytest.fixture
    def ended(self, facility: Database, sessions: Sessions, forgotten: Session) -> Session:
        def end(transaction: Transaction) -> object:
            signs = forgotten_sessions.signs_of_life(transaction, forgotten, "Builder", SYSTEM_CLOCK.now())
            reason = "no sign of life since yesterday; it has no files"
            return forgotten_sessions.end(
                transaction, forgotten, Client("Builder", "server"), signs, forgotten.start_ts, reason
            )

        facility.write(end)
        return sessions.get(forgotten.identifier)

    def test_one_that_was_forgotten(self, ended: Session, sessions: Sessions) -> None:
        other = sessions.end(sessions.start("JEOL-JEM-TEM", JANE).identifier, JANE)
        shown = tool("show", ended.identifier).out
        assert "ended by   NexusCore: no sign of life since yesterday; it has no files\n" in shown
        assert "END    Builder@server   ended by NexusCore: no sign of life since yesterday" in shown
        header, *rows = tool("list").lines
        assert header.endswith("ended by")
        assert [row.split()[-1] for row in rows] == ["jane", "NexusCore"]
        found = {one["identifier"]: one["ended_by"] for one in tool("list", "--json").objects}
        assert found[other.identifier] == "jane@pc"
        assert found[ended.identifier].startswith("NexusCore: no sign of life")
        assert tool("show", ended.identifier, "--json").objects[0]["ended_by"] == found[ended.identifier]

    def test_all_by_their_users(self, sessions: Sessions, forgotten: Session) -> None:
        sessions.end(forgotten.identifier, JANE)
        assert tool("list").lines[0].endswith("length"), "that needs no column"
        assert "ended by   jane@pc\n" in tool("show", forgotten.identifier).out

    def test_the_clock_of_the_files_counts(self, store: Path, facility: Database, sessions: Sessions) -> None:
        """Its PC is ten minutes slow, and so are its files."""
        configure(facility, Edit("Instruments.FEI-Titan-TEM.file_times", value="pc"))
        slow = Client("jane", "pc", "Europe/Oslo", -600 * SECOND)
        session = sessions.start("FEI-Titan-TEM", slow, ts=SYSTEM_CLOCK.now() - DAY)
        by_pc = leave(store, "a.dm4", session, -5)
        assert tool("close", session.identifier).code == 0
        assert sessions.get(session.identifier).end_ts == by_pc + 600 * SECOND
