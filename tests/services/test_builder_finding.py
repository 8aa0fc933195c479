"""Which files a session gets: one walk for all that wait, by a strategy, and not before they can be there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.facility import State
from NexusCore.facility.sessions import EventType
from Services.Builder import files
from Services.Builder.searching import FRESH
from tests.services.builder_facility import USER, Stage

FILE_DELAY = 600.0


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(database_url, tmp_path)
    yield one
    one.close()


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tell which folders are walked through."""
    made: list[str] = []
    real = files._walk

    def counted(root: Path, *rest: object) -> object:
        made.append(root.name)
        return real(root, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "_walk", counted)
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

    def test_an_old_walk_does_not_answer(self, stage: Stage, walks: list[str]) -> None:
        stage.session("1.dm3")
        stage.session("2.dm3")
        stage.readers.before = lambda _: stage.clock.move(FRESH + 1)
        stage.config["Services.Builder.lease"] = 10 * FRESH
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

    def test_both(self, stage: Stage) -> None:
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
            "Instruments.Titan.strategy is 'everything', which is no strategy of finding files; it is 'exclusive' or "
            "'inclusive'. To mend it: ConfigTool Instruments.Titan.strategy=exclusive"
        )


class TestFilesThatComeLate:
    """001-29: a session without files is given `file_delay` seconds before it is NO_FILES_FOUND."""

    def test_they_come(self, stage: Stage) -> None:
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

    def test_files_that_have_not_settled(self, stage: Stage) -> None:
        """002-16."""
        stage.config["Services.Builder.settle"] = 30.0
        session = stage.session("a.dm3")
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.TO_BE_BUILT
        stage.clock.move(31)
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.BUILT
