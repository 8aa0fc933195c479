"""A file that is still being written when its session ends belongs to it; what does not become quiet is named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from NexusCore.clock import SECOND
from NexusCore.facility import Session, State, file_walk
from NexusCore.facility.sessions import EventType
from tests.services.builder_facility import USER, Stage, dry_run_output

MARGIN = 60
"""Default of `late_margin`, in seconds."""


@pytest.fixture
def births(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Say when files were made, in nanoseconds; of all others the file system does not say."""
    known: dict[str, int] = {}
    real = file_walk.walk

    def walk(*arguments: Any, **options: Any) -> file_walk.FolderWalk:
        made = real(*arguments, **options)
        return made._replace(seen=[file._replace(birth=known.get(file.path.decode())) for file in made.seen])

    monkeypatch.setattr(file_walk, "walk", walk)
    return known


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path, births: dict[str, int]) -> Iterator[Stage]:
    one = Stage(sqlite_url, tmp_path)
    yield one
    one.close()


def state(stage: Stage, session: Session) -> State:
    return stage.sessions.get(session.identifier).state


def notes(stage: Stage, session: Session) -> list[str | None]:
    return [event.detail for event in stage.sessions.events(session) if event.type is EventType.NOTE]


def look(stage: Stage, seconds: float = 30) -> None:
    """Let the Builder look again."""
    stage.clock.move(seconds)
    stage.builder.once()


class TestItIsWaitedFor:
    """The session waits until the file is quiet, and its record has all of it."""

    def test_until_it_is_quiet(self, stage: Stage) -> None:
        session = stage.session("done.dm3")
        stage.clock.move(4)
        stage.put("movie.dm3", "half", ago=0.1)
        stage.builder.once()
        assert state(stage, session) is State.TO_BE_BUILT
        stage.put("movie.dm3", "whole", ago=0)
        look(stage)
        assert state(stage, session) is State.BUILT
        assert "movie.dm3" in stage.document(session)
        assert sorted(stage.readers.asked) == ["done.dm3", "movie.dm3"]
        assert notes(stage, session) == []

    def test_longer_than_the_margin(self, stage: Stage) -> None:
        """Once it was seen to be growing, it is known to be the session's, however long it takes."""
        session = stage.session("done.dm3")
        for _ in range(5):
            stage.clock.move(MARGIN / 2)
            stage.put("movie.dm3", "more", ago=0.1)
            stage.builder.once()
            assert state(stage, session) is State.TO_BE_BUILT
        look(stage)
        assert "movie.dm3" in stage.document(session)

    def test_where_the_time_of_its_birth_is_known(self, stage: Stage, births: dict[str, int]) -> None:
        """What was made in the session is its own, hours later; what was made after it is not, a second later."""
        session = stage.session("done.dm3")
        births |= {
            "movie.dm3": (session.start_ts + SECOND) * 1000,
            "other.dm3": ((session.end_ts or 0) + SECOND) * 1000,
        }
        stage.clock.move(2)
        stage.put("other.dm3", ago=0.1)
        stage.clock.move(3500)
        stage.put("movie.dm3", ago=60)
        stage.builder.once()
        document = stage.document(session)
        assert "movie.dm3" in document
        assert "other.dm3" not in document

    def test_a_companion_that_is_written_late(self, stage: Stage) -> None:
        session = stage.session("a.emi")
        stage.clock.move(4)
        stage.put("a_1.ser", ago=0.1)
        stage.builder.once()
        assert state(stage, session) is State.TO_BE_BUILT
        look(stage)
        assert "With a_1.ser" in stage.document(session)

    def test_a_session_that_has_nothing_else(self, stage: Stage) -> None:
        session = stage.session()
        stage.clock.move(4)
        stage.put("movie.dm3", ago=0.1)
        stage.builder.once()
        assert state(stage, session) is State.TO_BE_BUILT
        look(stage)
        assert state(stage, session) is State.BUILT


class TestItDoesNotBecomeQuiet:
    """It is named: in the log, among the session's events, in the record."""

    def test_it_is_written_for_longer_than_the_session_waits(self, stage: Stage) -> None:
        stage.config["Services.Builder.growing_wait"] = 100.0
        session = stage.session("done.dm3")
        for _ in range(5):
            stage.clock.move(30)
            stage.put("movie.dm3", ago=0.1)
            stage.builder.once()
        assert state(stage, session) is State.BUILT
        sentence = (
            "Begun in the session, not in its record, because still being written when the record was made: movie.dm3."
        )
        assert f"Warning: {sentence}" in stage.document(session)
        assert "<name>movie.dm3</name>" not in stage.document(session)
        assert notes(stage, session) == [sentence]
        stage.sessions.requeue(session.identifier, USER)
        look(stage)
        assert "<name>movie.dm3</name>" in stage.document(session), "it is quiet now"

    def test_the_next_session_starts_meanwhile(self, stage: Stage) -> None:
        """Files go by time: what is written then is the next one's, and the first one says so, once."""
        session = stage.session("done.dm3")
        stage.clock.move(4)
        stage.put("movie.dm3", ago=0.1)
        stage.put("quiet.dm3", ago=2)
        stage.builder.once()
        following = stage.sessions.start("Titan", USER)
        stage.clock.move(10)
        stage.put("movie.dm3", ago=5)
        stage.sessions.end(following.identifier, USER)
        look(stage)
        assert state(stage, session) is state(stage, following) is State.BUILT
        assert "<name>quiet.dm3</name>" in stage.document(session)
        assert "<name>movie.dm3</name>" not in stage.document(session)
        assert "<name>movie.dm3</name>" in stage.document(following)
        (note,) = notes(stage, session)
        assert note == (
            "Begun in the session, not in its record, because still being written when the next session had started: "
            "movie.dm3."
        )
        stage.sessions.requeue(session.identifier, USER)
        look(stage)
        assert [one for one in notes(stage, session) if one == note] == [note]

    def test_what_the_next_session_alone_has_is_not_named(self, stage: Stage) -> None:
        session = stage.session("mine.dm3")
        following = stage.session("theirs.dm3")
        look(stage)
        assert "theirs.dm3" not in stage.document(session)
        assert "theirs.dm3" in stage.document(following)
        assert notes(stage, session) == []

    def test_a_dry_run_says_so_too(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        stage.session("done.dm3")
        stage.clock.move(4)
        stage.put("movie.dm3", ago=0.1)
        _, _, err = dry_run_output(stage, monkeypatch)
        assert "movie.dm3 is still being written; the session waits." in err


class TestWhatIsNotTheSessions:
    """What comes after it stays outside."""

    def test_a_file_of_later(self, stage: Stage) -> None:
        session = stage.session("done.dm3")
        stage.clock.move(MARGIN + 10)
        stage.put("later.dm3", ago=5)
        look(stage)
        assert "later.dm3" not in stage.document(session)

    def test_no_margin(self, stage: Stage) -> None:
        stage.config["Services.Builder.late_margin"] = 0.0
        session = stage.session("done.dm3")
        stage.clock.move(20)
        stage.put("later.dm3", ago=10)
        stage.builder.once()
        assert "later.dm3" not in stage.document(session)

    def test_a_file_that_was_changed_days_later(self, stage: Stage, births: dict[str, int]) -> None:
        """A search for the files of an old session does not ask for all that came since."""
        session = stage.session("done.dm3")
        births["table.csv"] = (session.start_ts + SECOND) * 1000
        stage.clock.move(2 * 86_400)
        stage.put("table.csv", ago=60)
        stage.builder.once()
        assert "table.csv" not in stage.document(session)

    def test_a_log_that_grows_all_day(self, stage: Stage, births: dict[str, int]) -> None:
        births["pump.log"] = int((stage.now - timedelta(hours=3)).timestamp()) * 10**9
        session = stage.session("done.dm3")
        stage.put("pump.log", ago=-1)
        look(stage)
        assert state(stage, session) is State.BUILT
        assert "pump.log" not in stage.document(session)
