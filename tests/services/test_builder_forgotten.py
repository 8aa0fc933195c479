"""Sessions that nobody ends are shown, and then ended with their last file; who did it can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from NexusCore.clock import SECOND
from NexusCore.facility import Session, State, forgotten, transfer_changes, transitions
from NexusCore.facility.file_walk import SearchTimedOut
from NexusCore.facility.forgotten import ENDED_BY, NO_SIGN, ended_by
from NexusCore.facility.session import Client, EventType
from NexusCore.facility.session_tokens import set_seen
from NexusCore.facility.transfer_file import FileReport, FileState
from NexusCore.storage import Transaction
from Services.Builder.care import forgotten as care
from Services.Builder.service import Builder
from tests.processes import rows
from tests.services.builder_facility import USER, Stage

HOUR = 3600.0
PC = Client("ada", "titan-pc", "Europe/Oslo", 0)


def facility(url: str, folder: Path) -> Iterator[Stage]:
    """Yield a facility on a database."""
    one = Stage(url, folder)
    one.clock.move(7 * 24 * HOUR)
    yield one
    one.close()


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    yield from facility(sqlite_url, tmp_path)


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tell for which sessions the folder is searched."""
    made: list[str] = []
    real = care.last_file

    def counted(config: object, session: Session, *rest: object) -> object:
        made.append(session.identifier)
        return real(config, session, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(care, "last_file", counted)
    return made


def write(stage: Stage, act: Callable[[Transaction], object]) -> None:
    stage.app.database().write(act)


def passes(stage: Stage, hours: float = 0.0) -> None:
    """Let time pass, and the Builder look."""
    stage.clock.move(hours * HOUR + 61)
    stage.builder.once()


def state(stage: Stage, session: Session) -> State:
    return stage.sessions.get(session.identifier).state


def notes(stage: Stage, session: Session) -> list[str]:
    return [one.detail or "" for one in stage.sessions.events(session) if one.type is EventType.NOTE]


def warnings(stage: Stage) -> list[str]:
    """Return the warnings but those about callbacks: one that runs while the clock is moved seems to take days."""
    stage.app.shutdown(5)
    found = rows(stage.url, "SELECT message FROM log_record WHERE level = 30 ORDER BY id")
    return [text for (text,) in found if not text.startswith("The callback ")]


class TestShownFirst:
    """A forgotten session is shown, once, and stays open for another while."""

    @pytest.fixture
    def stage(self, database_url: str, tmp_path: Path) -> Iterator[Stage]:
        """Lend it on each kind of database."""
        yield from facility(database_url, tmp_path)

    def test_it_is_shown_and_then_ended_with_its_last_file(self, stage: Stage) -> None:
        session = stage.sessions.start("Titan", USER)
        stage.clock.move(2 * HOUR)
        last = stage.put("day/last.dm3", ago=0.000001)
        stage.put("day/before.dm3", ago=60)
        stage.put("of a wrong clock.dm3", ago=-400 * 24 * HOUR)
        end = stage.clock.now()
        passes(stage, 23)
        assert (state(stage, session), notes(stage, session)) == (State.WAITING_FOR_END, [])
        passes(stage, 1)
        (note,) = notes(stage, session)
        assert note.startswith(NO_SIGN)
        assert stage.builder.status["sessions_forgotten"].get_value() == 1
        assert session.identifier in str(stage.builder.status["forgotten"].get_value())
        passes(stage, 3.9)
        assert state(stage, session) is State.WAITING_FOR_END
        passes(stage, 0.2)
        closed = stage.sessions.get(session.identifier)
        assert 0 <= end - (closed.end_ts or 0) <= 2, "microseconds: it ended with its last file"
        assert closed.state is State.BUILT, "the same pass builds its record"
        assert last.name in stage.document(session)
        assert stage.builder.status["sessions_forgotten"].get_value() == 0
        (ended,) = (one for one in stage.sessions.events(session) if one.type is EventType.END)
        assert (ended.user, ended.host) == (stage.builder.client.user, stage.builder.client.host)
        assert (ended.detail or "").startswith(ENDED_BY + NO_SIGN)
        assert (ended.detail or "").endswith("its last file is Titan/day/last.dm3")
        assert f"It was ended by {(ended.detail or '').removeprefix('ended by ')}." in stage.document(session)
        shown, closed_now = warnings(stage)
        assert f"SessionTool show {session.identifier}" in shown
        assert "was forgotten and is ended now" in closed_now

    def test_another_builder_goes_on_from_there(self, stage: Stage) -> None:
        """What was said is kept: also ``--once`` from cron, a new process each time, gets on."""
        session = stage.sessions.start("Titan", USER)
        passes(stage, 25)
        other = Builder(stage.app, stage.readers)
        stage.clock.move(4.1 * HOUR)
        other.once()
        other.close()
        assert (state(stage, session), len(notes(stage, session))) == (State.NO_FILES_FOUND, 1)

    def test_without_files_it_ended_with_its_last_event(self, stage: Stage) -> None:
        session = stage.sessions.start("Titan", USER)
        stage.clock.move(HOUR)
        stage.sessions.note(session.identifier, USER, "grid 3")
        last = stage.clock.now()
        passes(stage, 25)
        passes(stage, 5)
        closed = stage.sessions.get(session.identifier)
        assert (closed.end_ts, closed.state) == (last, State.NO_FILES_FOUND)
        (ender,) = filter(None, [ended_by(stage.sessions.events(session))])
        assert ender.startswith("NexusCore: no sign of life since ")
        assert ender.endswith("it has no files")

    def test_the_folder_is_searched_only_when_it_decides(self, stage: Stage, walks: list[str]) -> None:
        """A walk takes minutes, and a pass comes every ten seconds."""
        session = stage.sessions.start("Titan", USER)
        for _ in range(20):
            passes(stage, 2)
        assert state(stage, session) is State.NO_FILES_FOUND
        assert len(walks) == 2, "before it was shown, and before it was ended"

    def test_a_time_or_a_session_that_is_asked_for_is_all_that_is_done(self, stage: Stage) -> None:
        session = stage.sessions.start("Titan", USER)
        stage.clock.move(25 * HOUR)
        stage.builder._selection = replace(stage.builder._selection, from_ts=0)
        stage.builder.once()
        assert notes(stage, session) == []


SIGNS: dict[str, Callable[[Stage, Session], object]] = {
    "a note": lambda stage, session: stage.sessions.note(session.identifier, USER, "still here"),
    "its PC": lambda stage, session: write(
        stage, lambda transaction: set_seen(transaction, session, stage.clock.now())
    ),
    "a file": lambda stage, session: stage.put("new.dm3", ago=1),
    "a file on its way": lambda stage, session: write(
        stage,
        lambda transaction: transfer_changes.report(
            transaction, session.id, [FileReport("raw", "a.dm4", 5, stage.clock.now())], stage.clock.now()
        ),
    ),
}


class TestASessionThatLives:
    """One that shows life meanwhile is left alone."""

    @pytest.mark.parametrize("sign", SIGNS)
    def test_before_it_is_shown(self, stage: Stage, sign: str) -> None:
        session = stage.sessions.start("Titan", USER)
        for _ in range(4):
            stage.clock.move(20 * HOUR)
            SIGNS[sign](stage, session)
            passes(stage)
        assert state(stage, session) is State.WAITING_FOR_END
        assert not any(note.startswith(NO_SIGN) for note in notes(stage, session))

    @pytest.mark.parametrize("sign", SIGNS)
    def test_after_it_was_shown(self, stage: Stage, sign: str) -> None:
        session = stage.sessions.start("Titan", USER)
        passes(stage, 25)
        stage.clock.move(HOUR)
        SIGNS[sign](stage, session)
        for _ in range(5):
            passes(stage, 4)
        passes(stage, 4)
        assert stage.sessions.get(session.identifier).is_open, "it is shown again before it is ended"
        assert sum(note.startswith(NO_SIGN) for note in notes(stage, session)) == 2
        passes(stage, 4.1)
        assert not stage.sessions.get(session.identifier).is_open

    def test_while_its_files_are_looked_for(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        session = stage.sessions.start("Titan", USER)
        passes(stage, 25)
        real = care.last_file

        def slow(*arguments: object) -> object:
            stage.clock.move(120)
            stage.sessions.note(session.identifier, USER, "I am back")
            return real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(care, "last_file", slow)
        passes(stage, 4.1)
        assert state(stage, session) is State.WAITING_FOR_END

    def test_its_user_ends_it_while_its_files_are_looked_for(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = stage.sessions.start("Titan", USER)
        passes(stage, 25)
        real = care.last_file

        def slow(*arguments: object) -> object:
            stage.sessions.end(session.identifier, USER)
            return real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(care, "last_file", slow)
        passes(stage, 4.1)
        assert ended_by(stage.sessions.events(session)) == f"{USER.user}@{USER.host}"

    def test_an_event_of_next_year_is_none(self, stage: Stage) -> None:
        session = stage.sessions.start("Titan", USER)
        write(
            stage,
            lambda transaction: transitions.add_event(
                transaction, session.id, EventType.NOTE, USER, stage.clock.now() + 400 * 86_400 * SECOND, "x"
            ),
        )
        passes(stage, 25)
        assert stage.builder.status["sessions_forgotten"].get_value() == 1


class TestSettings:
    """How long is set for all, or for one instrument; 0 is never."""

    def test_off(self, stage: Stage) -> None:
        stage.config["Services.Builder.forgotten_hours"] = 0.0
        session = stage.sessions.start("Titan", USER)
        passes(stage, 24 * 300)
        passes(stage, 24 * 300)
        assert (state(stage, session), notes(stage, session)) == (State.WAITING_FOR_END, [])

    def test_of_one_instrument(self, stage: Stage) -> None:
        stage.config["Instruments.Titan.forgotten_hours"] = 0
        stage.config["Instruments.Helios.filestore_path"] = str(stage.files)
        stage.config["Instruments.Helios.forgotten_hours"] = 1.5
        mine, other = (stage.sessions.start(pid, USER) for pid in ("Titan", "Helios"))
        passes(stage, 1.6)
        assert (len(notes(stage, mine)), len(notes(stage, other))) == (0, 1)

    def test_nonsense_for_one_instrument_leaves_the_others(self, stage: Stage) -> None:
        stage.config["Instruments.Titan.forgotten_hours"] = "often"
        stage.config["Instruments.Helios.filestore_path"] = str(stage.files)
        mine, other = (stage.sessions.start(pid, USER) for pid in ("Titan", "Helios"))
        passes(stage, 25)
        passes(stage, 25)
        assert state(stage, mine) is State.WAITING_FOR_END
        assert state(stage, other) is State.NO_FILES_FOUND
        assert sum("Instruments.Titan.forgotten_hours" in text for text in warnings(stage)) == 1

    def test_a_grace_of_its_own(self, stage: Stage) -> None:
        stage.config["Services.Builder.forgotten_grace_hours"] = 0.0
        session = stage.sessions.start("Titan", USER)
        passes(stage, 25)
        passes(stage)
        assert state(stage, session) is State.NO_FILES_FOUND


class TestTheEnd:
    """When a forgotten session ended: by the files' own clock, and not into the next session."""

    def test_a_store_that_cannot_be_searched_ends_nothing(self, stage: Stage) -> None:
        session = stage.sessions.start("Titan", USER)
        passes(stage, 25)
        stage.files.rename(stage.folder / "away")
        for _ in range(3):
            passes(stage, 5)
        assert state(stage, session) is State.WAITING_FOR_END
        assert stage.builder.status["sessions_forgotten"].get_value() == 1
        (stage.folder / "away").rename(stage.files)
        passes(stage, 1.1)
        assert state(stage, session) is State.NO_FILES_FOUND
        assert sum("cannot be searched" in text for text in warnings(stage)) == 1

    def test_a_file_server_that_hangs_does_not_hold_up_records(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two searches take their full time within hours, not one for each instrument in each pass."""
        asked: list[str] = []

        def hanging(config: object, session: Session, *rest: object) -> None:
            asked.append(session.instrument)
            raise SearchTimedOut(root="/mnt/em", limit="600")

        monkeypatch.setattr(care, "last_file", hanging)
        for pid in ("Helios", "Quanta", "Arctica"):
            stage.config[f"Instruments.{pid}.filestore_path"] = str(stage.files)
        sessions = [stage.sessions.start(pid, USER) for pid in ("Titan", "Helios", "Quanta", "Arctica")]
        passes(stage, 25)
        for _ in range(10):
            passes(stage, 0.3)
        assert len(asked) == 1
        passes(stage, 2)
        assert len(asked) == 2
        assert {state(stage, session) for session in sessions} == {State.WAITING_FOR_END}

    def test_files_with_the_times_of_a_slow_pc(self, stage: Stage) -> None:
        stage.config["Instruments.Titan.file_times"] = "pc"
        slow = replace(PC, clock_offset=int(-600 * SECOND))
        session = stage.sessions.start("Titan", slow)
        stage.clock.move(60)
        stage.put("a.dm3", ago=600)
        end = stage.clock.now()
        passes(stage, 25)
        passes(stage, 5)
        assert stage.sessions.get(session.identifier).end_ts == end
        assert "a.dm3" in stage.document(session)

    def test_the_next_session_bounds_it(self, stage: Stage) -> None:
        """A START of earlier that is delivered late: the files from the next session's start on are not its own."""
        began = stage.clock.now()
        stage.clock.move(HOUR)
        own = stage.clock.now() - 60 * SECOND
        stage.put("own.dm3", ago=60)
        write(stage, lambda transaction: transitions.start(transaction, "Titan", USER, "later", stage.clock.now()))
        stage.clock.move(HOUR)
        stage.put("of the next one.dm3", ago=1)
        stage.sessions.end("later", USER)
        sessions = [stage.sessions.start(pid, USER, ts=began) for pid in ("Titan", "Helios")]
        stage.config["Instruments.Helios.filestore_path"] = str(stage.files)
        passes(stage, 25)
        passes(stage, 5)
        mine, alone = (stage.sessions.get(session.identifier).end_ts for session in sessions)
        assert (mine, alone) == (own, own + (HOUR + 59) * SECOND)
        assert "of the next one.dm3" not in stage.document(sessions[0])

    def test_files_that_its_pc_was_sending(self, stage: Stage) -> None:
        """They show when it ended; that they are on their way is another matter, with a time of its own."""
        session = stage.sessions.start("Titan", PC)
        stage.clock.move(HOUR)
        now = stage.clock.now()
        reports = [
            FileReport("raw", "a.dm4", 5, now - SECOND, FileState.SENDING),
            FileReport("raw", "late.dm4", 5, now, FileState.HELD),
        ]
        write(stage, lambda transaction: transfer_changes.report(transaction, session.id, reports, now))
        stage.put("not of this session.dm3", ago=-60)
        stage.config["Services.Builder.forgotten_hours"] = 1.0
        passes(stage, 1.1)
        passes(stage, 4.1)
        closed = stage.sessions.get(session.identifier)
        assert closed.end_ts == now - SECOND
        assert closed.awaits_files

    def test_the_end_that_its_pc_reports_later_is_kept_as_a_note(self, stage: Stage) -> None:
        session = stage.sessions.start("Titan", PC)
        passes(stage, 25)
        passes(stage, 5)
        before = stage.sessions.get(session.identifier)
        for _ in range(2):
            write(
                stage,
                lambda transaction: forgotten.note_late_end(transaction, session, PC, stage.clock.now()),
            )
        assert sum("reported later that the session ended at" in note for note in notes(stage, session)) == 1
        assert stage.sessions.get(session.identifier) == before
        other = stage.session("a.dm3")
        write(stage, lambda transaction: forgotten.note_late_end(transaction, other, PC, stage.clock.now()))
        assert notes(stage, other) == [], "its user has ended it"


def test_of_many_sessions_who_ended_each(stage: Stage) -> None:
    first, second = stage.session(), stage.sessions.start("Titan", PC)
    with stage.app.database().reading() as reading:
        assert forgotten.enders(reading, [first, second]) == {first.id: f"{USER.user}@{USER.host}"}
        assert forgotten.enders(reading, []) == {}
