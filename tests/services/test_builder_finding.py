"""Which files a session gets: one walk for all that wait, by a strategy, and not before they can be there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.facility import Session, State, file_walk
from NexusCore.facility.sessions import EventType
from NexusCore.service import RunOptions
from Services.Builder.finding.searching import WALK_VALID_SECONDS
from tests.services.builder_facility import USER, Stage, dry_run_output

FILE_DELAY = 600.0


def young_session(stage: Stage, ago: float, name: str = "a.dm3") -> Session:
    """Let a session pass that ends just after a file was written."""
    session = stage.session()
    stage.put(name, ago=ago)
    return session


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(database_url, tmp_path)
    yield one
    one.close()


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tell which folders are walked through."""
    made: list[str] = []
    real = file_walk.walk

    def counted(root: Path, *rest: object, **options: object) -> object:
        made.append(root.name)
        return real(root, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(file_walk, "walk", counted)
    return made


class TestOneWalkForAll:
    """001-25..27: a walk takes tens of seconds, so an instrument has one in a pass, however many sessions wait."""

    def test_each_instrument_is_walked_through_once(self, stage: Stage, walks: list[str]) -> None:
        stage.config["Instruments.Helios.filestore_path"] = str(stage.folder / "Helios")
        (stage.folder / "Helios").mkdir()
        mine = [stage.session(f"{number}.dm3") for number in range(3)]
        other = stage.session(instrument="Helios")
        assert stage.builder.once().done == 4
        assert sorted(walks) == ["Helios", "Titan"]
        for number, session in enumerate(mine):
            document = stage.document(session)
            assert [f"{one}.dm3" in document for one in range(3)] == [one == number for one in range(3)]
        assert stage.sessions.get(other.identifier).state is State.NO_FILES_FOUND
        walks.clear()
        stage.builder.once()
        assert walks == [], "nothing waits, so nothing is searched"

    def test_a_session_that_ends_meanwhile_has_a_walk_of_its_own(self, stage: Stage, walks: list[str]) -> None:
        stage.session("1.dm3")
        later: list[str] = []
        stage.readers.before = lambda _: later.append(stage.session("2.dm3").identifier) if not later else None
        assert stage.builder.once().done == 2
        assert walks == ["Titan", "Titan"]
        assert stage.sessions.get(later[0]).state is State.BUILT

    def test_a_session_that_is_built_again_is_searched_for_again(self, stage: Stage, walks: list[str]) -> None:
        """Somebody may have queued it because files were missing."""
        first, second = stage.session("1.dm3"), stage.session("2.dm3")

        def late(job: object) -> None:
            if stage.readers.asked == ["1.dm3"]:
                stage.sessions.requeue(first.identifier, USER)
                stage.put("late.dm3", ago=80)

        stage.readers.before = late
        assert stage.builder.once().done == 3
        assert "late.dm3" in stage.document(first)
        assert "late.dm3" not in stage.document(second)
        assert walks == ["Titan", "Titan"]

    def test_one_that_ends_before_it_starts_keeps_no_other_from_its_files(self, stage: Stage) -> None:
        odd, good = stage.session("1.dm3"), stage.session("2.dm3")
        stage.app.database().write(
            lambda transaction: transaction.run("UPDATE session SET end_ts = 1 WHERE id = :id", id=odd.id)
        )
        stage.builder.once()
        assert "2.dm3" in stage.document(good)
        found = stage.sessions.get(odd.identifier)
        assert (found.state, "it ends before it starts" in (found.last_error or "")) == (State.ERROR, True)

    def test_an_old_walk_does_not_answer(self, stage: Stage, walks: list[str]) -> None:
        stage.session("1.dm3")
        stage.session("2.dm3")
        stage.readers.before = lambda _: stage.clock.move(WALK_VALID_SECONDS + 1)
        stage.config["Services.Builder.lease"] = 10 * WALK_VALID_SECONDS
        assert stage.builder.once().done == 2
        assert walks == ["Titan", "Titan"]

    def test_a_changed_setting_holds_from_the_next_session_on(self, stage: Stage, walks: list[str]) -> None:
        """003-08."""
        stage.session("1.dm3")
        second = stage.session("2.dm3", "2.log")

        def change(job: object) -> None:
            stage.config["Services.Builder.ignore"] = "*.log"

        stage.readers.before = change
        stage.builder.once()
        assert walks == ["Titan", "Titan"]
        assert "2.log" not in stage.document(second)


class TestStrategies:
    """001-28: 'exclusive' takes files of known formats only, 'inclusive' all; an instrument may have its own."""

    NAMES = ("image.dm3", "spectrum.msa", "huge.zip", "no extension")

    def datasets(self, stage: Stage) -> set[str]:
        stage.readers.asked.clear()
        stage.session(*self.NAMES)
        stage.builder.once()
        return set(stage.readers.asked)

    def test_exclusive_takes_known_formats_only(self, stage: Stage) -> None:
        assert self.datasets(stage) == set(self.NAMES)
        stage.config["Services.Builder.strategy"] = "exclusive"
        assert self.datasets(stage) == {"image.dm3", "spectrum.msa"}

    def test_an_instruments_own(self, stage: Stage) -> None:
        stage.config["Instruments.Titan.strategy"] = "exclusive"
        assert self.datasets(stage) == {"image.dm3", "spectrum.msa"}
        stage.config["Services.Builder.strategy"] = "exclusive"
        stage.config["Instruments.Titan.strategy"] = "inclusive"
        assert self.datasets(stage) == set(self.NAMES)

    def test_one_that_is_none(self, stage: Stage) -> None:
        stage.config["Instruments.Titan.strategy"] = "everything"
        session = stage.session("a.dm3")
        assert stage.builder.once().failed == 1
        assert stage.sessions.get(session.identifier).last_error == (
            "Instruments.Titan.strategy is 'everything', which is not a strategy of finding files; use 'exclusive' or "
            "'inclusive'. To correct it: ConfigTool Instruments.Titan.strategy=exclusive"
        )


class TestFilesThatComeLate:
    """001-29: a session without files is given `file_delay` seconds before it is NO_FILES_FOUND."""

    def test_late_files_are_still_built(self, stage: Stage) -> None:
        stage.config["Services.Builder.file_delay"] = FILE_DELAY
        session = stage.session()
        stage.builder.once()
        found = stage.sessions.get(session.identifier)
        assert (found.state, found.last_error) == (State.TO_BE_BUILT, None)
        assert stage.sessions.waiting() == [], "not asked for again at once"
        stage.put("late.dm3")
        stage.clock.move(FILE_DELAY / 2)
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.BUILT

    def test_they_do_not(self, stage: Stage) -> None:
        stage.config["Services.Builder.file_delay"] = FILE_DELAY
        session = stage.session()
        stage.builder.once()
        stage.clock.move(FILE_DELAY - 1)
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.TO_BE_BUILT
        stage.clock.move(1)
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.NO_FILES_FOUND
        kinds = [event.type for event in stage.sessions.events(session)]
        assert kinds == [EventType.START, EventType.END, *[EventType.RECORD_GENERATION] * 3]


class TestFilesThatMayStillGrow:
    """What was changed within the last moments is not read yet; one second of it is the default."""

    @pytest.mark.parametrize(("settle", "ago"), [(30.0, 10.0), (None, 0.5)])
    def test_the_session_waits(self, stage: Stage, settle: float | None, ago: float) -> None:
        if settle is not None:
            stage.config["Services.Builder.settle"] = settle
        session = young_session(stage, ago)
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.TO_BE_BUILT
        assert stage.readers.asked == []
        stage.clock.move(settle or 1.0)
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.BUILT

    def test_others_do_not(self, stage: Stage) -> None:
        stage.config["Instruments.Helios.filestore_path"] = str(stage.folder / "Helios")
        (stage.folder / "Helios").mkdir()
        young, settled = young_session(stage, 0.5, "young/b.dm3"), stage.session("a.dm3")
        stage.put("young/b.dm3", ago=61.0)
        stage.builder.once()
        states = [stage.sessions.get(one.identifier).state for one in (young, settled)]
        assert states == [State.BUILT, State.BUILT]

    @pytest.mark.parametrize(("settle", "waits"), [(5.0, True), (30.0, False)])
    def test_a_single_pass_waits_itself(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch, settle: float, waits: bool
    ) -> None:
        """``--once`` has no next pass to leave the session to; but it does not wait long."""
        stage.config["Services.Builder.settle"] = settle
        real = stage.clock.wait

        def wait(event: threading.Event, seconds: float) -> bool:
            if event is not stage.app.stop_event:
                return real(event, seconds)
            stage.clock.move(seconds)
            return False

        monkeypatch.setattr(stage.clock, "wait", wait)
        session = young_session(stage, 1.0)
        stage.builder.take_options(RunOptions(once=True))
        stage.builder.once()
        state = stage.sessions.get(session.identifier).state
        assert state is (State.BUILT if waits else State.TO_BE_BUILT)

    def test_one_that_grows_on_holds_up_nothing(self, stage: Stage) -> None:
        """It is waited for once, and then left to the next pass."""
        session = young_session(stage, 0.5)
        stage.builder.take_options(RunOptions(once=True))
        stage.builder.once()  # the clock stands still
        assert stage.sessions.get(session.identifier).state is State.TO_BE_BUILT


class TestFilesThatAreGone:
    """001-29: a session has a record or none; one that is built again when its files are gone keeps what it has."""

    def gone(self, stage: Stage) -> Session:
        session = stage.session("a.dm3")
        stage.builder.once()
        (stage.files / "a.dm3").unlink()
        stage.sessions.requeue(session.identifier, USER)
        return session

    def test_it_keeps_its_record_and_says_so(self, stage: Stage) -> None:
        session = self.gone(stage)
        before, document = stage.records.of_session(session.id), stage.document(session)
        assert before is not None
        assert stage.builder.once().failed == 0
        assert stage.sessions.get(session.identifier).state is State.BUILT
        assert (stage.records.of_session(session.id), stage.document(session)) == (before, document)
        assert stage.builder.status["records_built"].get_value() == 1
        stage.app.shutdown(5)
        (line,) = [row for row in stage.tables()["log_record"] if "does not contain" in str(row)]
        sentence = f"{stage.files} does not contain the session's files any more; its record {before.path} stays."
        assert f"Session {session.identifier}: {sentence}" in line
        assert logging.WARNING in line

    def test_a_dry_run_says_so_too(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        session = self.gone(stage)
        code, printed, said = dry_run_output(stage, monkeypatch)
        assert (code, printed) == (0, b"")
        assert said.startswith(f"Session {session.identifier} would become BUILT: {stage.files} does not contain ")

    def test_a_record_that_is_gone_as_well(self, stage: Stage) -> None:
        session = self.gone(stage)
        before = stage.records.of_session(session.id)
        assert before is not None
        Path(before.path).unlink()
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.NO_FILES_FOUND


class TestAFolderForRecordsThatCannotBeUsed:
    """001-06, 001-48: the operator reads one sentence, with what to set; and no file is read in vain."""

    def test_one_that_cannot_be_made(self, stage: Stage) -> None:
        (stage.folder / "file").write_text("no folder")
        stage.config["Services.Builder.records_path"] = str(stage.folder / "file/records")
        session = stage.session("a.dm3")
        assert stage.builder.once().failed == 1
        assert stage.sessions.get(session.identifier).last_error == (
            f"No record can be written into the folder {stage.folder}/file/records (Not a directory). "
            "Another one is set with ConfigTool Services.Builder.records_path=FOLDER"
        )
        assert stage.readers.asked == []
        stage.app.shutdown(5)
        assert "Traceback" not in str(stage.tables()["log_record"])

    def test_one_that_takes_no_record(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        day = f"{session.start:%Y-%m-%d}"
        (stage.folder / f"home/records/{day}_Titan_{session.identifier[:8]}.xml").mkdir(parents=True)
        assert stage.builder.once().failed == 1
        assert "_Titan_" in (sentence := str(stage.sessions.get(session.identifier).last_error))
        assert ".xml is in the way: it is a folder. Remove it" in sentence
