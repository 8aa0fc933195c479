"""Pauses, notes, problems, bookings, and who works: what is said of a session while it runs."""

from __future__ import annotations

from Logger.states import Closed, Ended, OpenSessionQuestion, Running, UserQuestion
from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.facility.reservations import Reservation, Reservations
from NexusCore.facility.sessions import Client
from tests.logger.facility import PID, Facility, configure_logger, known
from tests.processes import execute

ANN = Client(user="ann", host="elsewhere")


class TestBreaksAndRemarks:
    """Pauses, notes and problems are events of the session."""

    def test_they_are_stored_in_order(self, facility: Facility) -> None:
        course = facility.course()
        course.begin(Running)
        controller = course.controller
        for order in (controller.pause, controller.pause, controller.resume):
            order()
        controller.note('It\'s a "good" sample; 100 % <b>')
        controller.report_problem("drift")
        course.end(Ended)
        assert [(event.type.value, event.detail) for event in facility.full_events()] == [
            ("START", None), ("PAUSE", None), ("RESUME", None), ("NOTE", "It's a \"good\" sample; 100 % <b>"),
            ("PROBLEM", "drift"), ("END", None),
        ]  # fmt: skip

    def test_a_paused_session_is_asked_about_at_the_next_launch(self, facility: Facility) -> None:
        """000-15..20: the window closes at once; the next one asks."""
        course = facility.course()
        running = course.begin(Running)
        course.order(course.controller.leave_paused, Closed)
        assert facility.events() == ["START", "PAUSE"]
        again = facility.course()
        assert again.begin(OpenSessionQuestion).session.identifier == running.session.identifier
        assert again.go_on(Running).paused is False
        again.end(Ended)
        assert facility.events() == ["START", "PAUSE", "RESUME", "END"]

    def test_who_has_booked_the_instrument(self, facility: Facility) -> None:
        now = SYSTEM_CLOCK.now()
        book(facility, "Jane Doe", "NMC811", now - SECOND, now + 3600 * SECOND)
        course = facility.course()
        course.begin(Running)
        state = course.shown(lambda state: isinstance(state, Running) and state.booking is not None)
        assert (state.booking.user, state.booking.title) == ("Jane Doe", "NMC811")  # type: ignore[union-attr]

    def test_a_session_without_files_is_told_once(self, small_facility: Facility) -> None:
        """Afterwards: that no record was made of the last session."""
        known(small_facility)
        execute(str(small_facility.database.url), "UPDATE session SET state = 'NO_FILES_FOUND'")
        for times in (1, 0):
            course = small_facility.course()
            course.begin(Running)
            state = course.shown(lambda state: isinstance(state, Running) and state.by_itself)
            assert state.notice.count("had no files: no record was made of it.") == times  # type: ignore[union-attr]
            course.finish()
            with small_facility.database.transaction() as transaction:
                transaction.run("DELETE FROM session_event WHERE session_id > 1")
                transaction.run("DELETE FROM session WHERE id > 1")

    def test_on_a_shared_account_it_asks_who_works(self, facility: Facility) -> None:
        """With the names from the reservation; what is answered is the session's user."""
        now = SYSTEM_CLOCK.now()
        book(facility, "Jane Doe", "NMC811", now - SECOND, now + 3600 * SECOND)
        configure_logger(ask_user=True)
        course = facility.course()
        assert course.begin(UserQuestion).names == ("Jane Doe",)
        course.order(lambda: course.controller.begin_as("Ada O'Neil"), Running)
        assert facility.session().user == "Ada O'Neil"
        course.finish()
        assert course.begin(UserQuestion), "the next person is asked again"


def book(facility: Facility, user: str, title: str, start: int, end: int) -> None:
    """Put a reservation of the instrument into the database."""
    reservation = Reservation("test", "1", PID, start, end, user=user, title=title)
    Reservations(facility.database, SYSTEM_CLOCK).take_over("test", start - SECOND, end + SECOND, [reservation])
