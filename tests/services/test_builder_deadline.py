"""A session whose files do not come is built without them after a while, and its record says what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from NexusCore.facility import Session, State, transfer_changes
from NexusCore.facility.session import Client, EventType
from NexusCore.facility.session_tokens import set_seen
from NexusCore.facility.transfer_file import FileReport, FileState
from NexusCore.storage import Transaction
from tests.processes import rows
from tests.services.builder_facility import Stage

HOUR = 3600.0
PC = Client("ada", "titan-pc", "Europe/Oslo", 0)


def facility(url: str, folder: Path) -> Iterator[Stage]:
    """Yield a facility on a database."""
    one = Stage(url, folder)
    one.config["Instruments.Titan.transfer.deadline_hours"] = 6.0
    yield one
    one.close()


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    yield from facility(sqlite_url, tmp_path)


def passes(stage: Stage, hours: float = 0.0) -> None:
    stage.clock.move(hours * HOUR + 61)
    stage.builder.once()


def report(stage: Stage, session: Session, *reports: FileReport) -> None:
    now = stage.clock.now()
    stage.app.database().write(lambda transaction: transfer_changes.report(transaction, session.id, reports, now))


def ended(stage: Stage) -> Session:
    """Let a session end whose files are on their way."""
    session = stage.sessions.start("Titan", PC)
    stage.clock.move(60)
    now = stage.clock.now()
    report(
        stage,
        session,
        FileReport("raw", "a.dm4", 5, now, FileState.LOCKED, reason="locked by another program"),
        FileReport("raw", "b.dm4", 5, now, FileState.SENDING),
        FileReport("raw", "c.dm4", 5, now, FileState.HELD),
    )
    return stage.sessions.end(session.identifier, PC, transfers=True)


def problems(stage: Stage, session: Session) -> list[str]:
    return [one.detail or "" for one in stage.sessions.events(session) if one.type is EventType.PROBLEM]


class TestTheDeadline:
    """The facility waits for files as long as its setting says, from the last sign of life on."""

    @pytest.fixture
    def stage(self, database_url: str, tmp_path: Path) -> Iterator[Stage]:
        """Lend it on each kind of database."""
        yield from facility(database_url, tmp_path)

    def test_it_is_released_and_what_is_missing_is_named(self, stage: Stage) -> None:
        session = ended(stage)
        stage.put("raw/of nobody.dm3", ago=-1)
        passes(stage, 5.9)
        assert stage.sessions.get(session.identifier).awaits_files
        assert stage.builder.status["sessions_awaiting_files"].get_value() == 1
        passes(stage, 0.2)
        assert stage.sessions.get(session.identifier).state in (State.BUILT, State.NO_FILES_FOUND)
        assert stage.builder.status["sessions_awaiting_files"].get_value() == 0
        files, unreported = problems(stage, session)
        assert files.splitlines() == [
            "not transferred: raw/a.dm4 (locked by another program)",
            "not transferred: raw/b.dm4 (it was being sent)",
            "held back: raw/c.dm4 (it appeared after the end)",
        ]
        assert unreported.startswith("not transferred: what its PC has not reported")
        stage.app.shutdown(5)
        # of its own: where the clock moves on by hours, callbacks seem to take long
        own = rows(stage.url, "SELECT message FROM log_record WHERE level = 30 AND logger = 'Builder'")
        ((warning,),) = own
        assert "its record is made now, without 3 files." in warning

    @pytest.mark.parametrize(
        "sign",
        [
            lambda session, now: lambda transaction: set_seen(transaction, session, now),
            lambda session, now: (
                lambda transaction: transfer_changes.report(
                    transaction, session.id, [FileReport("raw", "b.dm4", 5, now, FileState.GROWING)], now
                )
            ),
        ],
        ids=["its PC", "a file"],
    )
    def test_a_sign_of_life_extends_it(
        self, stage: Stage, sign: Callable[[Session, int], Callable[[Transaction], object]]
    ) -> None:
        session = ended(stage)
        for _ in range(4):
            stage.clock.move(4 * HOUR)
            stage.app.database().write(sign(session, stage.clock.now()))
            passes(stage)
        assert stage.sessions.get(session.identifier).awaits_files
        passes(stage, 6)
        assert not stage.sessions.get(session.identifier).awaits_files

    def test_an_open_session_is_not_meant(self, stage: Stage) -> None:
        session = stage.sessions.start("Titan", PC)
        passes(stage, 7)
        assert stage.sessions.get(session.identifier).is_open

    def test_a_wrong_setting_releases_nothing_and_stops_no_other(self, stage: Stage) -> None:
        session = ended(stage)
        stage.config["Instruments.Titan.transfer.deadline_hours"] = 0
        stage.config["Instruments.Helios.filestore_path"] = str(stage.files)
        other = stage.sessions.start("Helios", PC)
        stage.sessions.end(other.identifier, PC, transfers=True)
        passes(stage, 25)
        passes(stage, 25)
        assert stage.sessions.get(session.identifier).awaits_files
        assert stage.sessions.get(other.identifier).state is State.NO_FILES_FOUND
        stage.app.shutdown(5)
        texts = [text for (text,) in rows(stage.url, "SELECT message FROM log_record WHERE level = 30")]
        assert sum("Instruments.Titan.transfer.deadline_hours is 0" in text for text in texts) == 1
