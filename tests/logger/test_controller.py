"""The course of a session, without a window, in a real database of each kind."""

from __future__ import annotations

import re
import threading
import time
import uuid
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from Logger.database_facility import DatabaseFacility
from Logger.facility import EventReceipt, OpenSession, Refused, SessionEvent, Station
from Logger.states import Closed, Ended, Failed, OpenSessionQuestion, Overtaken, Running
from Logger.uptime import Uptime
from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.facility.sessions import Client, State
from NexusCore.settings import DatabaseURL
from tests.logger.facility import LIMIT, PID, Course, Facility, known, until
from tests.logger.network import Network
from tests.mariadb import MariaDB

ANN = Client(user="ann", host="elsewhere")


class TestASessionFromStartToEnd:
    """000-01: its beginning and its end are recorded, and nothing else has to be done for it."""

    def test_start_end_and_release_for_building(self, facility: Facility) -> None:
        """000-32, 37, 39, 48: START, END; the state goes from WAITING_FOR_END to TO_BE_BUILT."""
        course = facility.course()
        running = course.begin(Running)
        assert running.station.name == "FEI Titan TEM"
        assert (facility.events(), facility.session().state) == (["START"], State.WAITING_FOR_END)
        course.end(Ended)
        assert (facility.events(), facility.session().state) == (["START", "END"], State.TO_BE_BUILT)
        assert facility.session().identifier == running.session.identifier

    def test_a_progress_bar_has_all_steps_to_show(self, facility: Facility) -> None:
        """000-22: the steps come in order, and say what is done."""
        course = facility.course()
        course.begin(Running)
        assert [(step.number, step.of) for step in course.steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
        assert [step.step.split()[0] for step in course.steps] == ["Finding", "Looking", "Starting", "Telling"]
        course.end(Ended)
        assert [(step.number, step.of) for step in course.steps] == [(1, 2), (2, 2)]

    def test_it_closes_by_itself_after_the_configured_time(self, facility: Facility) -> None:
        """000-41: the facility has set 0.2 s here."""
        course = facility.course()
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
            course = facility.course()
            course.begin(Running)
            course.end(Ended)
        assert [session.state for session in facility.all()] == [State.TO_BE_BUILT] * 2

    def test_an_end_ordered_twice_is_one_end(self, facility: Facility) -> None:
        course = facility.course()
        course.begin(Running)
        course.controller.end()
        course.end(Ended)
        course.next(Closed)
        assert facility.events() == ["START", "END"]

    def test_a_session_that_the_staff_has_ended_needs_no_second_end(self, facility: Facility) -> None:
        course = facility.course()
        running = course.begin(Running)
        facility.sessions.end(running.session.identifier, ANN)
        course.end(Ended)
        assert facility.events() == ["START", "END"]


class TestWhatIsCollected:
    """000-43: six values, the zone and the clock's offset; nothing else about the PC or its user."""

    def test_identifier_instrument_and_user(self, facility: Facility) -> None:
        """000-44, 45, 47, 49: a random UUID4, the pid, the account; an apostrophe in its name does no harm."""
        facility.course().begin(Running)
        session = facility.session()
        assert uuid.UUID(session.identifier).version == 4
        assert len(session.identifier) == 36
        assert (session.instrument, session.user) == (PID, "o'brien")
        (event,) = facility.full_events()
        assert (event.type, event.user, event.host, event.detail) == ("START", "o'brien", facility.host, None)

    def test_zone_and_clock_offset(self, facility: Facility) -> None:
        """000-46: the zone is an offset; a clock is measured where there is a server to compare it with."""
        facility.course().begin(Running)
        with facility.database.reading() as reading:
            ((zone, offset),) = reading.all("SELECT zone, clock_offset FROM session_event")
        assert re.fullmatch(r"[+-]\d{4}", zone)
        assert offset is None if facility.database.url.kind == "sqlite" else abs(offset) < 5 * SECOND

    def test_a_pc_whose_clock_is_wrong(self, mariadb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """000-46: the time recorded is the server's, the user is shown that of the PC."""
        monkeypatch.setenv("NEXUSCORE_DATABASE", mariadb_url)
        facility = Facility(tmp_path)
        course = facility.course(lambda host: DatabaseFacility(host, _Fast(600 * SECOND)), uptime=_FastUptime())
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


class _FastUptime(Uptime):
    """The same clock, as the outbox sees it."""

    def now(self) -> int:
        return super().now() + 600 * SECOND


class TestInterruptedSessions:
    """000-17..21: one that was not ended is found, and its user is asked."""

    @pytest.fixture
    def interrupted(self, facility: Facility) -> str:
        """Start a session as o'brien, whose logger then vanishes."""
        return facility.course().begin(Running).session.identifier

    def test_the_question_says_whose_it_is(self, facility: Facility, interrupted: str) -> None:
        """000-18, 19, 30."""
        question = facility.course().begin(OpenSessionQuestion)
        assert (question.session.identifier, question.session.user) == (interrupted, "o'brien")
        assert abs(question.session.since - datetime.now(UTC)) < timedelta(seconds=LIMIT)
        assert question.session.last == question.session.since
        assert facility.events() == ["START"]

    def test_the_same_at_another_computer(self, facility: Facility, interrupted: str) -> None:
        """The instrument's PC was exchanged, or its disk: the facility knows of the session."""
        course = facility.course(computer="new")
        question = course.begin(OpenSessionQuestion)
        assert (question.session.identifier, question.session.user) == (interrupted, "o'brien")
        assert course.go_on(Running).session.identifier == interrupted
        course.end(Ended)
        assert facility.events() == ["START", "RESUME", "END"]

    @pytest.mark.parametrize("computer", ["", "new"])
    def test_the_end_of_the_old_one_can_be_chosen(self, small_facility: Facility, computer: str) -> None:
        """Its last activity, or a time: when a session was forgotten is known to its user only."""
        small_facility.course().begin(Running)
        time.sleep(1)
        course = small_facility.course(computer=computer)
        question = course.begin(OpenSessionQuestion)
        course.order(lambda: course.controller.start_new(question.session.last), Running)
        old, new = small_facility.all()
        assert old.end_ts is not None
        assert abs(old.end_ts - old.start_ts) < SECOND / 2
        assert new.start_ts - old.end_ts > SECOND / 2
        assert small_facility.events(old) == ["START", "END"]

    def test_who_ends_it_after_another_user_continued(
        self, facility: Facility, interrupted: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each event has the user who was there."""
        monkeypatch.setenv("LOGNAME", "ann")
        course = facility.course()
        assert course.begin(OpenSessionQuestion).session.identifier == interrupted
        course.go_on(Running)
        course.end(Ended)
        assert [event.user for event in facility.full_events()] == ["o'brien", "ann", "ann"]

    def test_new_session_by_another_user(
        self, facility: Facility, interrupted: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """000-21: the session that was found is ended, by whom it was ended is noted, and a new one begins."""
        monkeypatch.setenv("LOGNAME", "ann")
        course = facility.course()
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
        course = facility.course(computer="new")
        course.begin(OpenSessionQuestion)
        facility.sessions.end(interrupted, ANN)
        failed = course.go_on(Failed)
        assert "has ended in the meantime" in failed.detail
        assert course.begin(Running).session.identifier != interrupted

    def test_continue_here_after_it_was_ended_elsewhere(self, facility: Facility, interrupted: str) -> None:
        """This computer cannot know; the facility says so, and the window too. Nothing is noted in it any more."""
        course = facility.course()
        course.begin(OpenSessionQuestion)
        facility.sessions.end(interrupted, ANN)
        course.go_on(Running)
        assert course.shown(lambda state: isinstance(state, Overtaken))
        assert facility.events() == ["START", "END"]
        assert course.begin(Running).session.identifier != interrupted

    def test_the_answer_is_about_the_session_that_was_asked_about(self, facility: Facility, interrupted: str) -> None:
        course = facility.course(computer="new")
        course.begin(OpenSessionQuestion)
        facility.sessions.end(interrupted, ANN)
        other = facility.sessions.start(PID, ANN)
        assert course.start_new(OpenSessionQuestion).session.identifier == other.identifier
        assert facility.events() == ["START"]

    def test_a_session_of_another_instrument_is_no_question(self, facility: Facility) -> None:
        facility.sessions.start("Another-SEM", ANN)
        facility.course().begin(Running)


class TestTwoAtOnce:
    """One session is open on an instrument, however many loggers start at the same moment."""

    def test_two_starts_open_only_one_session(self, facility: Facility) -> None:
        courses = [facility.course(computer=name) for name in ("one", "two")]
        for course in courses:
            course.controller.begin()
        states = [course.shown(_settled) for course in courses]
        assert sorted(type(state).__name__ for state in states) == ["OpenSessionQuestion", "Running"]
        assert [session.identifier for session in facility.all()] == [states[0].session.identifier]  # type: ignore[union-attr]
        assert states[0].session.identifier == states[1].session.identifier  # type: ignore[union-attr]

    def test_two_new_sessions(self, facility: Facility) -> None:
        """The slower one is asked about the session of the faster one, which is not ended behind its back."""
        facility.sessions.start(PID, ANN)
        courses = [facility.course(computer=name) for name in ("one", "two")]
        for course in courses:
            course.begin(OpenSessionQuestion)
        for course in courses:
            course.controller.start_new()
        states = [course.shown(_settled) for course in courses]
        assert sorted(type(state).__name__ for state in states) == ["OpenSessionQuestion", "Running"]
        assert [facility.events(session) for session in facility.all()] == [["START", "END"], ["START"]]

    def test_a_start_between_looking_and_starting(self, facility: Facility) -> None:
        """The one who was slower is asked; nobody is told of an error."""

        class Slow(DatabaseFacility):
            def deliver(self, event: SessionEvent, token: str) -> EventReceipt:
                facility.sessions.start(PID, ANN)
                return super().deliver(event, token)

        question = facility.course(Slow).begin(OpenSessionQuestion)
        assert question.session.user == "ann"
        assert len(facility.all()) == 1


def _settled(state: object) -> bool:
    return isinstance(state, OpenSessionQuestion | Running | Failed)


def in_the_way(path: Path) -> bool:
    """Put a folder in the place of a file; return whether it is there."""
    with suppress(FileNotFoundError, FileExistsError, IsADirectoryError, PermissionError):
        path.unlink()
        path.mkdir()
    return path.is_dir()


class TestErrors:
    """000-10: the user is told what went wrong and what that means; anything can be tried again."""

    def test_an_unknown_computer_is_named_with_the_remedy(self, facility: Facility) -> None:
        """000-27: the sentence names the computer and what the staff can do."""
        failed = facility.course(lambda host: DatabaseFacility("nobody's-pc")).begin(Failed)
        assert failed.sentence == "The session was not started."
        assert "'nobody's-pc'" in failed.detail
        assert "ConfigTool Instruments.<pid>.computer_name=nobody's-pc" in failed.detail
        assert facility.sessions.newest() == []

    def test_a_refusal_can_be_passed_over(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the staff have to mend does not keep a user from working."""
        known(facility)

        class Refusing(DatabaseFacility):
            def open_session(self, pid: str) -> OpenSession | None:
                raise Refused("The token of this computer was revoked.")

        course = facility.course(Refusing)
        assert course.begin(Failed).can_go_on
        running = course.order(course.controller.work_offline, Running)
        until(lambda: facility.session().identifier == running.session.identifier, "it is delivered all the same")

    def test_a_fault_in_the_logger_itself(self, facility: Facility) -> None:
        """The thread lives on, and the window can say what happened."""

        class Faulty(DatabaseFacility):
            faults = iter([True])

            def station(self, patience: float) -> Station:
                if next(self.faults, False):
                    raise ZeroDivisionError("as a test")
                return super().station(patience)

        course = facility.course(Faulty)
        assert "ZeroDivisionError: as a test" in course.begin(Failed).detail
        course.begin(Running)

    def test_an_event_that_is_never_accepted_is_told(self, facility: Facility, network: type[Network]) -> None:
        """It does not stop what comes after it."""
        course = facility.course(network)
        running = course.begin(Running)
        with facility.database.transaction() as transaction:
            for table in ("session_event", "session"):
                transaction.run(f"DELETE FROM {table}")
        course.controller.note("about a session that is gone")
        told = course.shown(lambda state: isinstance(state, Running) and state.delivery.refused != "")
        assert running.session.identifier in told.delivery.refused  # type: ignore[union-attr]
        course.finish()
        assert course.begin(Running)

    def test_a_disk_that_is_full(self, facility: Facility, tmp_path: Path) -> None:
        """A start that cannot be stored is not shown as one."""
        course = facility.course()
        course.begin(Running)
        until(lambda: in_the_way(course.outbox.path), "the file is a folder")  # the delivery looks into it, too
        failed = course.end(Failed)
        assert failed.sentence == "This was not saved."
        assert "cannot be used" in failed.detail
        assert failed.session is not None
        course.outbox.path.rmdir()
        course.end(Ended)
        assert facility.events() == ["START", "END"]

    def test_a_pc_that_was_never_set_up(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """It says so, and creates no database of its own."""
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        with closing(Course(tmp_path, lambda: DatabaseFacility("pc"))) as course:
            failed = course.begin(Failed)
        assert "knows neither a Gateway nor a database" in failed.detail
        assert list(tmp_path.rglob("*.db")) == []

    def test_a_closing_delay_that_is_no_number(
        self, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
        with closing(Facility(tmp_path, close_delay="soon")) as facility:
            failed = facility.course().begin(Failed)
        assert "Logger.close_delay is 'soon', but must be a number of seconds" in failed.detail


class TestNothingHappensWhileASessionRuns:
    """000-07, 35: no traffic between start and end."""

    def test_no_connection_is_open(
        self, mariadb: MariaDB, mariadb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NEXUSCORE_DATABASE", mariadb_url)
        name = DatabaseURL.parse(mariadb_url).name
        query = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = %s"
        with closing(Facility(tmp_path)) as facility:
            facility.database.close()
            for course_state in (Running, OpenSessionQuestion):
                facility.course().begin(course_state)
                # The server hears of a closed connection a moment later.
                until(lambda: mariadb.execute(query, name) == [(0,)], "the connections are closed")

    def test_no_thread_but_the_logic_s_own_is_left(self, facility: Facility) -> None:
        before = set(threading.enumerate())
        facility.course().begin(Running)

        def names() -> list[str]:
            return sorted(thread.name for thread in set(threading.enumerate()) - before)

        until(lambda: names() == ["controller", "delivery"], "the question's thread has ended")
