"""The course of a session, without a window, in a real database of each kind."""

from __future__ import annotations

import re
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from Logger.controller import Closed, Ended, Failed, OpenSessionQuestion, Running
from Logger.database_backend import DatabaseBackend
from Logger.session_backend import BackendError, OpenSession, Station
from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.facility.sessions import Client, State
from NexusCore.settings import DatabaseURL
from tests.logger.facility import LIMIT, PID, SOMEWHERE, Course, Facility, until
from tests.logger.wire import Wire
from tests.mariadb import MariaDB

ANN = Client(user="ann", host="elsewhere")


class LosesAnswers(DatabaseBackend):
    """A backend whose writes reach the database while their answers do not: the network failed in between."""

    def __init__(self, host: str, *lost: str) -> None:
        super().__init__(host)
        self._lost = set(lost)

    def start(self, pid: str, identifier: str) -> OpenSession:
        session = super().start(pid, identifier)
        self._lose("start")
        return session

    def end(self, identifier: str) -> None:
        super().end(identifier)
        self._lose("end")

    def _lose(self, answer: str) -> None:
        if answer in self._lost:
            self._lost.remove(answer)
            raise BackendError("The network is gone.")


class TestASessionFromStartToEnd:
    """000-01: its beginning and its end are recorded, and nothing else has to be done for it."""

    def test_start_end_and_release_for_building(self, facility: Facility) -> None:
        """000-32, 37, 39, 48: START, END; the state goes from WAITING_FOR_END to TO_BE_BUILT."""
        course = Course(DatabaseBackend(facility.host))
        running = course.begin(Running)
        assert running.station.name == "FEI Titan TEM"
        assert (facility.events(), facility.session().state) == (["START"], State.WAITING_FOR_END)
        course.end(Ended)
        assert (facility.events(), facility.session().state) == (["START", "END"], State.TO_BE_BUILT)
        assert facility.session().identifier == running.session.identifier

    def test_a_progress_bar_has_all_steps_to_show(self, facility: Facility) -> None:
        """000-22: the steps come in order, and say what is done."""
        course = Course(DatabaseBackend(facility.host))
        course.begin(Running)
        assert [(step.number, step.of) for step in course.steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
        assert [step.step.split()[0] for step in course.steps] == ["Finding", "Looking", "Starting", "Checking"]
        course.end(Ended)
        assert [(step.number, step.of) for step in course.steps] == [(1, 2), (2, 2)]

    def test_it_closes_by_itself_after_the_configured_time(self, facility: Facility) -> None:
        """000-41: the facility has set 0.2 s here."""
        course = Course(DatabaseBackend(facility.host))
        course.begin(Running)
        course.end(Ended)
        course.next(Closed)
        assert course.waited == [0.2]

    def test_three_seconds_and_no_address_if_the_facility_says_nothing(self) -> None:
        """000-41, 000-13."""
        assert (Station("pid", "name").close_delay, Station("pid", "name").support_address) == (3.0, "")

    def test_the_next_user_can_start_at_once(self, facility: Facility) -> None:
        """000-29, 42: the first finds no session at all, the second one that has ended."""
        for _ in range(2):
            course = Course(DatabaseBackend(facility.host))
            course.begin(Running)
            course.end(Ended)
        assert [session.state for session in facility.all()] == [State.TO_BE_BUILT] * 2

    def test_an_end_ordered_twice_is_one_end(self, facility: Facility) -> None:
        course = Course(DatabaseBackend(facility.host))
        course.begin(Running)
        course.controller.end()
        course.end(Ended)
        course.next(Closed)
        assert facility.events() == ["START", "END"]

    def test_a_session_that_the_staff_has_ended_needs_no_second_end(self, facility: Facility) -> None:
        course = Course(DatabaseBackend(facility.host))
        running = course.begin(Running)
        facility.sessions.end(running.session.identifier, ANN)
        course.end(Ended)
        assert facility.events() == ["START", "END"]


class TestWhatIsCollected:
    """000-43: six values, the zone and the clock's offset; nothing else about the PC or its user."""

    def test_identifier_instrument_and_user(self, facility: Facility) -> None:
        """000-44, 45, 47, 49: a random UUID4, the pid, the account; an apostrophe in its name does no harm."""
        Course(DatabaseBackend(facility.host)).begin(Running)
        session = facility.session()
        assert uuid.UUID(session.identifier).version == 4
        assert len(session.identifier) == 36
        assert (session.instrument, session.user) == (PID, "o'brien")
        (event,) = facility.full_events()
        assert (event.type, event.user, event.host, event.detail) == ("START", "o'brien", facility.host, None)

    def test_zone_and_clock_offset(self, facility: Facility) -> None:
        """000-46: the zone is an offset; a clock is measured where there is a server to compare it with."""
        Course(DatabaseBackend(facility.host)).begin(Running)
        with facility.database.reading() as reading:
            ((zone, offset),) = reading.all("SELECT zone, clock_offset FROM session_event")
        assert re.fullmatch(r"[+-]\d{4}", zone)
        assert offset is None if facility.database.url.kind == "sqlite" else abs(offset) < 5 * SECOND

    def test_a_pc_whose_clock_is_wrong(self, mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """000-46: the time recorded is the server's, the user is shown that of the PC."""
        monkeypatch.setenv("NEXUSCORE_DATABASE", mariadb_url)
        facility = Facility()
        course = Course(DatabaseBackend(facility.host, _Fast(600 * SECOND)))
        before = SYSTEM_CLOCK.now()
        running = course.begin(Running)
        assert before - SECOND < facility.session().start_ts < SYSTEM_CLOCK.now() + SECOND
        assert timedelta(seconds=599) < running.session.since - facility.session().start < timedelta(seconds=601)
        with facility.database.reading() as reading:
            ((offset,),) = reading.all("SELECT clock_offset FROM session_event")
        assert abs(offset - 600 * SECOND) < SECOND
        facility.close()


class _Fast:
    """A clock that is ahead."""

    def __init__(self, ahead: int) -> None:
        self._ahead = ahead

    def now(self) -> int:
        return SYSTEM_CLOCK.now() + self._ahead

    def monotonic(self) -> float:
        return SYSTEM_CLOCK.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return SYSTEM_CLOCK.wait(event, seconds)


class TestInterruptedSessions:
    """000-17..21: one that was not ended is found, and its user is asked."""

    @pytest.fixture
    def interrupted(self, facility: Facility) -> str:
        """Start a session as o'brien, whose logger then vanishes."""
        return Course(DatabaseBackend(facility.host)).begin(Running).session.identifier

    def test_the_question_says_whose_it_is(self, facility: Facility, interrupted: str) -> None:
        """000-18, 19, 30."""
        question = Course(DatabaseBackend(facility.host)).begin(OpenSessionQuestion)
        assert (question.session.identifier, question.session.user) == (interrupted, "o'brien")
        assert abs(question.session.since - datetime.now(UTC)) < timedelta(seconds=LIMIT)
        assert facility.events() == ["START"]

    def test_continuing_keeps_the_identifier_and_is_noted(self, facility: Facility, interrupted: str) -> None:
        """000-20, 31: the same identifier, no new START; that it went on is noted."""
        course = Course(DatabaseBackend(facility.host))
        course.begin(OpenSessionQuestion)
        assert course.go_on(Running).session.identifier == interrupted
        course.end(Ended)
        assert len(facility.all()) == 1
        assert facility.events() == ["START", "RESUME", "END"]

    def test_new_session_by_another_user(
        self, facility: Facility, interrupted: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """000-21: the session that was found is ended, by whom it was ended is noted, and a new one begins."""
        monkeypatch.setenv("LOGNAME", "ann")
        course = Course(DatabaseBackend(facility.host))
        course.begin(OpenSessionQuestion)
        running = course.start_new(Running)
        old, new = facility.all()
        assert (old.identifier, old.user, old.state) == (interrupted, "o'brien", State.TO_BE_BUILT)
        assert [(event.type, event.user) for event in facility.full_events(old)] == [
            ("START", "o'brien"),
            ("END", "ann"),
        ]
        assert (new.identifier, new.user, new.state) == (running.session.identifier, "ann", State.WAITING_FOR_END)
        course.end(Ended)
        assert facility.events() == ["START", "END"]

    def test_continue_after_it_was_ended_elsewhere(self, facility: Facility, interrupted: str) -> None:
        course = Course(DatabaseBackend(facility.host))
        course.begin(OpenSessionQuestion)
        facility.sessions.end(interrupted, ANN)
        failed = course.go_on(Failed)
        assert "has ended in the meantime" in failed.detail
        assert course.begin(Running).session.identifier != interrupted

    def test_the_answer_is_about_the_session_that_was_asked_about(self, facility: Facility, interrupted: str) -> None:
        course = Course(DatabaseBackend(facility.host))
        course.begin(OpenSessionQuestion)
        facility.sessions.end(interrupted, ANN)
        other = facility.sessions.start(PID, ANN)
        assert course.start_new(OpenSessionQuestion).session.identifier == other.identifier
        assert facility.events() == ["START"]

    def test_a_session_of_another_instrument_is_no_question(self, facility: Facility) -> None:
        facility.sessions.start("Another-SEM", ANN)
        Course(DatabaseBackend(facility.host)).begin(Running)


class TestTwoAtOnce:
    """One session is open on an instrument, however many loggers start at the same moment."""

    def test_two_starts_open_only_one_session(self, facility: Facility) -> None:
        courses = [Course(DatabaseBackend(facility.host)) for _ in range(2)]
        for course in courses:
            course.controller.begin()
        states = [course.next(object) for course in courses]  # type: ignore[type-var]
        assert sorted(type(state).__name__ for state in states) == ["OpenSessionQuestion", "Running"]
        assert [session.identifier for session in facility.all()] == [states[0].session.identifier]  # type: ignore[attr-defined]
        assert states[0].session.identifier == states[1].session.identifier  # type: ignore[attr-defined]

    def test_two_new_sessions(self, facility: Facility) -> None:
        """The slower one is asked about the session of the faster one, which is not ended behind its back."""
        facility.sessions.start(PID, ANN)
        courses = [Course(DatabaseBackend(facility.host)) for _ in range(2)]
        for course in courses:
            course.begin(OpenSessionQuestion)
        for course in courses:
            course.controller.start_new()
        states = [course.next(object) for course in courses]  # type: ignore[type-var]
        assert sorted(type(state).__name__ for state in states) == ["OpenSessionQuestion", "Running"]
        assert [facility.events(session) for session in facility.all()] == [["START", "END"], ["START"]]

    def test_a_start_between_looking_and_starting(self, facility: Facility) -> None:
        """The one who was slower is asked; nobody is told of an error."""

        class Slow(DatabaseBackend):
            def start(self, pid: str, identifier: str) -> OpenSession:
                facility.sessions.start(pid, ANN)
                return super().start(pid, identifier)

        question = Course(Slow(facility.host)).begin(OpenSessionQuestion)
        assert question.session.user == "ann"
        assert len(facility.all()) == 1


class TestErrors:
    """000-10: the user is told what went wrong and what that means; anything can be tried again."""

    def test_an_unknown_computer_is_named_with_the_remedy(self, facility: Facility) -> None:
        """000-27: the sentence names the computer and what the staff can do."""
        failed = Course(DatabaseBackend("nobody's-pc")).begin(Failed)
        assert failed.sentence == "The session was not started."
        assert "'nobody's-pc'" in failed.detail
        assert "ConfigTool Instruments.<pid>.computer_name=nobody's-pc" in failed.detail
        assert facility.sessions.newest() == []

    def test_a_database_error_is_not_an_interrupted_session(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The user is not asked about a session that isn't there, and the next attempt works."""
        monkeypatch.setenv("NEXUSCORE_DATABASE", database_url)
        facility = Facility()
        course = Course(DatabaseBackend(facility.host))
        nobody = re.sub(r":\d+/", ":1/", database_url) if "mysql" in database_url else f"{database_url}-is-away"
        monkeypatch.setenv("NEXUSCORE_DATABASE", nobody)
        failed = course.begin(Failed)
        assert failed.session is None
        monkeypatch.setenv("NEXUSCORE_DATABASE", database_url)
        course.begin(Running)
        facility.close()

    def test_an_answer_lost_at_the_start(self, facility: Facility) -> None:
        """The session that was started in spite of the error is ours: no question, no second START."""
        course = Course(LosesAnswers(facility.host, "start"))
        course.begin(Failed)
        assert facility.events() == ["START"]
        running = course.begin(Running)
        assert [session.identifier for session in facility.all()] == [running.session.identifier]

    def test_an_answer_lost_at_a_new_session(self, facility: Facility) -> None:
        facility.sessions.start(PID, ANN)
        course = Course(LosesAnswers(facility.host, "start"))
        course.begin(OpenSessionQuestion)
        course.start_new(Failed)
        running = course.begin(Running)
        assert [facility.events(session) for session in facility.all()] == [["START", "END"], ["START"]]
        assert facility.session().identifier == running.session.identifier

    def test_an_answer_lost_at_the_end(self, facility: Facility) -> None:
        """000-37: the button is there again, and END is written once."""
        course = Course(LosesAnswers(facility.host, "end"))
        running = course.begin(Running)
        failed = course.end(Failed)
        assert (failed.sentence, failed.session) == ("The session has not been ended.", running.session)
        course.end(Ended)
        assert facility.events() == ["START", "END"]

    def test_the_network_is_cut_while_end_is_committed(
        self, mariadb: MariaDB, mariadb_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """000-37, 39: the server hears COMMIT, its answer never comes; the next attempt finds what was done."""
        with Wire(mariadb.port) as wire:
            monkeypatch.setenv("NEXUSCORE_DATABASE", mariadb_url.replace(str(mariadb.port), str(wire.port)))
            facility = Facility()
            course = Course(DatabaseBackend(facility.host))
            running = course.begin(Running)
            wire.cut_after = b"COMMIT"
            assert course.end(Failed).session == running.session
            assert wire.dead
            course.end(Failed)
            wire.cut_after, wire.dead = b"", False
            course.end(Ended)
            assert (facility.events(), facility.session().state) == (["START", "END"], State.TO_BE_BUILT)
            facility.close()

    def test_the_server_dies_and_comes_back(self, private_mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch) -> None:
        from NexusCore.storage.migrate import migrate

        with private_mariadb as server:
            url = server.create_database("nexus")
            migrate(url)
            monkeypatch.setenv("NEXUSCORE_DATABASE", url)
            facility = Facility()
            course = Course(DatabaseBackend(facility.host))
            course.begin(Running)
            server.kill()
            assert "does not answer" in course.end(Failed).detail
            server.start()
            course.end(Ended)
            assert facility.events() == ["START", "END"]
            facility.close()

    def test_a_fault_in_the_logger_itself(self) -> None:
        """The thread lives on, and the window can say what happened."""
        course = Course(_Faulty())
        assert "ZeroDivisionError: as a test" in course.begin(Failed).detail
        course.begin(Running)

    def test_a_pc_that_was_never_set_up(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """It says so, and creates no database of its own."""
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        failed = Course(DatabaseBackend("pc")).begin(Failed)
        assert "does not know the facility's database" in failed.detail
        assert list(tmp_path.rglob("*.db")) == []

    def test_a_closing_delay_that_is_no_number(self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
        facility = Facility(close_delay="soon")
        failed = Course(DatabaseBackend(facility.host)).begin(Failed)
        assert "Logger.close_delay is 'soon', but must be a number of seconds" in failed.detail
        facility.close()


class _Faulty:
    """A backend whose instrument cannot be read."""

    def __init__(self) -> None:
        self._opened = False

    def station(self) -> Station:
        if not self._opened:
            self._opened = True
            raise ZeroDivisionError("as a test")
        return SOMEWHERE

    def open_session(self, pid: str) -> OpenSession | None:
        return None

    def start(self, pid: str, identifier: str) -> OpenSession:
        return OpenSession(identifier, "ann", datetime.now(UTC))

    def resume(self, identifier: str) -> None:
        pass

    def end(self, identifier: str) -> None:
        pass

    def has_ended(self, identifier: str) -> bool:
        return False

    def release(self) -> None:
        pass


class TestWhatIsNotThereIsNotBelieved:
    """000-33, 38: what was written is read back."""

    def test_an_end_that_is_not_recorded(self) -> None:
        backend = _Faulty()
        course = Course(backend)
        course.begin(Failed)
        course.begin(Running)
        failed = course.end(Failed)
        assert "could not be read back" in failed.detail
        assert failed.session is not None

    def test_a_start_whose_row_is_gone(self, facility: Facility) -> None:
        class Forgetful(DatabaseBackend):
            def start(self, pid: str, identifier: str) -> OpenSession:
                session = super().start(pid, identifier)
                with facility.database.transaction() as transaction:
                    transaction.run("DELETE FROM session_event")
                return session

        assert "has inconsistent events" in Course(Forgetful(facility.host)).begin(Failed).detail


class TestNothingHappensWhileASessionRuns:
    """000-07, 35: no traffic between start and end."""

    def test_no_connection_is_open(self, mariadb: MariaDB, mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NEXUSCORE_DATABASE", mariadb_url)
        facility = Facility()
        facility.database.close()
        name = DatabaseURL.parse(mariadb_url).name
        query = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = %s"
        for course_state in (Running, OpenSessionQuestion):
            Course(DatabaseBackend(facility.host)).begin(course_state)
            # The server hears of a closed connection a moment later.
            until(lambda: mariadb.execute(query, name) == [(0,)], "the connections are closed")

    def test_no_thread_but_the_logic_s_own_is_left(self, facility: Facility) -> None:
        before = set(threading.enumerate())
        Course(DatabaseBackend(facility.host)).begin(Running)
        assert [thread.name for thread in set(threading.enumerate()) - before] == ["controller"]
