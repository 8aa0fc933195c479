"""What reservations and usage events mean for sessions: whose they are, when they began, and consent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from NexusCore.clock import SECOND, to_ts
from NexusCore.facility import Reservation, Session, State
from NexusCore.facility.reservations import BookedSample
from NexusCore.facility.session import Client
from NexusCore.facility.sessions import NotToBeBuilt
from NexusCore.service import Pass
from Services.Harvester.service import Harvester
from Services.Harvester.usage import SessionStep, UsageSessions
from tests.processes import LIMIT, PROJECT, environment_of, rows
from tests.services import harvesting
from tests.services.harvesting import NOW, Facility, status_of
from tests.services.test_harvester_ical import event, ics

facility = harvesting.facility
HOUR = 3600 * SECOND
SOURCE = "nemo:Titan"
LOGGER = Client("eve", "pc")


def at(hours: float) -> int:
    """Return a moment, in hours from now."""
    return to_ts(NOW + timedelta(hours=hours))


def booked(start: float, end: float, uid: str = "booking", **more: Any) -> Reservation:
    facts = {"user": "Alice Adams", "user_id": "alice", "title": "Booked", **more}
    return Reservation(SOURCE, uid, "Titan", at(start), at(end), **facts)


def used(start: float, end: float | None, uid: str = "https://nemo/use", **more: Any) -> Reservation:
    facts = {"user": "Alice Adams", "user_id": "alice", **more}
    last = at(400) if end is None else at(end)
    return Reservation(SOURCE, uid, "Titan", at(start), last, usage=True, ongoing=end is None, **facts)


class TestWhoseSessionItIs:
    """001-19, 001-21: overlap decides which one belongs to a session; a usage event first, then a reservation."""

    def of(self, facility: Facility, *known: Reservation, user: str | None = None) -> Reservation | None:
        """Return what a session from -2 h to now belongs to."""
        facility.reservations.take_over(SOURCE, at(-100), at(100), known)
        return facility.reservations.for_session("Titan", at(-2), at(0), user)

    def test_without_overlap_there_is_none(self, facility: Facility) -> None:
        assert (
            self.of(facility, booked(-4, -2), booked(0, 2, "later"), used(-3, -2), used(0, None, "later use")) is None
        )

    def test_a_reservation_alone(self, facility: Facility) -> None:
        one, two = booked(-4, -1.5, "one"), booked(-1.5, 1, "two")
        assert self.of(facility, one, two) == two, "it shares more time"

    def test_a_use_alone(self, facility: Facility) -> None:
        assert self.of(facility, used(-1.9, -0.1)) == used(-1.9, -0.1)

    def test_use_and_reservation_are_combined(self, facility: Facility) -> None:
        use = used(-1.9, -0.1, collaborators=("Carol",), consent=None, project="billing")
        found = self.of(facility, booked(-3, 1, purpose="Why", project="PRJ-1", consent=True), use)
        assert found == booked(-3, 1, purpose="Why", project="PRJ-1", consent=True, collaborators=("Carol",))

    def test_the_use_says_which_reservation(self, facility: Facility) -> None:
        """Bob came although most of the time was Alice's: his is the reservation."""
        bob = {"user": "Bob", "user_id": "bob"}
        found = self.of(facility, booked(-4, -0.5, "one"), booked(-0.5, 1, "two", **bob), used(-0.7, 0, **bob))
        assert found is not None
        assert found.uid == "two"

    def test_answers_at_the_instrument_go_first(self, facility: Facility) -> None:
        samples = (BookedSample("N"),)
        found = self.of(facility, booked(-3, 1, consent=True), used(-2, 0, title="Now", samples=samples, consent=False))
        assert found is not None
        assert (found.title, found.samples, found.consent) == ("Now", samples, False)

    @pytest.mark.parametrize(("given", "holds"), [(True, None), (False, False), (None, None)])
    def test_who_came_counts_not_who_booked(self, facility: Facility, given: bool | None, holds: bool | None) -> None:
        """Nobody agrees for another; a refusal is one all the same."""
        found = self.of(facility, booked(-3, 1, consent=given), used(-2, 0, user="Bob", user_id="bob"))
        assert found is not None
        assert (found.user, found.user_id, found.collaborators) == ("Bob", "bob", ("Alice Adams",))
        assert (found.title, found.consent) == ("Booked", holds)

    @pytest.mark.parametrize("user", ["bob", "BOB", "bob brown"])
    def test_the_sessions_own_user(self, facility: Facility, user: str) -> None:
        """Where two share about as much: the account at the instrument may be a person's, however it is spelt."""
        one, two = booked(-2, -0.9, "one"), booked(-0.9, 0, "two", user="Bob Brown", user_id="bob")
        assert self.of(facility, one, two, user=user) == two

    @pytest.mark.parametrize("what", [booked, used])
    def test_but_not_for_a_few_minutes(self, facility: Facility, what: Callable[..., Reservation]) -> None:
        """001-19: who booked the last five minutes of somebody else's two hours is not whose session it is."""
        one, two = what(-2, -0.1, "one"), what(-0.1, 1, "two", user="Bob", user_id="bob")
        assert self.of(facility, one, two, user="bob") == one
        assert self.of(facility, one, replace(two, start_ts=at(-0.6)), user="bob") == one, "less than half"
        both = what(-2, -0.8, "one"), what(-0.8, 1, "two", user="Bob", user_id="bob")
        assert self.of(facility, *both, user="bob") == both[1], "more than half"
        assert self.of(facility, *both, user="shared") == both[0]

    def test_the_same_person_spelt_differently(self, facility: Facility) -> None:
        """What they agreed to when they booked holds for the use that is noted under their account in capitals."""
        use = used(-2, 0, user="Alice", user_id="ALICE")
        found = self.of(facility, booked(-3, 1, consent=True), use)
        assert found is not None
        assert (found.consent, found.collaborators) == (True, ())

    def test_rows_from_before(self, facility: Facility) -> None:
        """Those that were stored without a word on usage are bookings."""
        facility.reservations.take_over(SOURCE, at(-9), at(9), [booked(-2, 0)])
        sql = (
            "UPDATE reservation SET data = replace(replace(data, ', \"usage\": false', ''), ', \"ongoing\": false', '')"
        )
        with facility.app.database().transaction() as transaction:
            transaction.run(sql)
        assert "usage" not in rows(facility.url, "SELECT data FROM reservation")[0][0]
        assert facility.reservations.for_session("Titan", at(-2), at(0)) == booked(-2, 0)


class TestSessionsFromUsage:
    """Where no logger runs, usage events start and end sessions; never twice, and never two at once."""

    def follow(self, facility: Facility, *events: Reservation) -> list[str]:
        """Take over and follow events; return what was to be done."""
        usage = UsageSessions(facility.sessions, facility.reservations, "here")
        facility.reservations.take_over(SOURCE, at(-1000), at(1000), events)
        plan = usage.plan("Titan", SOURCE, events)
        usage.carry_out("Titan", plan)
        return [f"{'start' if step.start else 'end'} {step.identifier}" for step in plan.steps]

    def session(self, facility: Facility, uid: str = "https://nemo/use") -> tuple[State, int, int | None, str]:
        one: Session = facility.sessions.get(uid)
        return one.state, one.start_ts, one.end_ts, one.user

    def test_one_that_goes_on(self, facility: Facility) -> None:
        assert self.follow(facility, used(-1, None)) == ["start https://nemo/use"]
        assert self.follow(facility, used(-1, None)) == []
        assert self.session(facility) == (State.WAITING_FOR_END, at(-1), None, "alice")
        assert self.follow(facility, used(-1, -0.5)) == ["end https://nemo/use"]
        assert self.session(facility) == (State.TO_BE_BUILT, at(-1), at(-0.5), "alice")
        assert self.follow(facility, used(-1, -0.5)) == []

    def test_one_that_has_ended(self, facility: Facility) -> None:
        assert len(self.follow(facility, used(-1, -0.5))) == 2
        assert self.session(facility) == (State.TO_BE_BUILT, at(-1), at(-0.5), "alice")

    def test_one_after_the_other(self, facility: Facility) -> None:
        self.follow(facility, used(-3, None))
        done = self.follow(facility, used(-1, None, "b"), used(-3, -1))
        assert done == ["end https://nemo/use", "start b"], "in order of time, whatever the order they come in"

    def test_bookings_and_what_was_cancelled_begin_none(self, facility: Facility) -> None:
        assert self.follow(facility, booked(-2, 2), replace(used(-1, None), cancelled=True)) == []

    def test_a_loggers_session_is_left_alone(self, facility: Facility) -> None:
        own = facility.sessions.start("Titan", LOGGER, ts=at(-2))
        plan = UsageSessions(facility.sessions, facility.reservations, "here").plan("Titan", SOURCE, [used(-1, None)])
        assert (plan.steps, own.identifier in str(plan.blocked)) == ((), True)
        facility.sessions.end(own.identifier, LOGGER, ts=at(-0.4))
        assert self.follow(facility, used(-1, -0.5)) == [], "the logger's session has covered it"

    def test_what_has_to_wait(self, facility: Facility) -> None:
        """A use of the morning, while a logger's session of the afternoon is open: it is made up for afterwards."""
        own = facility.sessions.start("Titan", LOGGER, ts=at(-2))
        assert self.follow(facility, used(-5, -4)) == []
        facility.sessions.end(own.identifier, LOGGER, ts=at(-1))
        assert self.follow(facility, used(-5, -4)) == ["start https://nemo/use", "end https://nemo/use"]

    def test_two_at_once(self, facility: Facility) -> None:
        """The second begins when the first has ended."""
        first, second = used(-3, None, "a"), used(-2, None, "b")
        assert self.follow(facility, first, second) == ["start a"]
        assert self.follow(facility, replace(first, ongoing=False, end_ts=at(-1)), second) == ["end a", "start b"]

    def test_a_logger_that_is_faster(self, facility: Facility) -> None:
        """Between the plan and its being carried out."""
        usage = UsageSessions(facility.sessions, facility.reservations, "here")
        plan = usage.plan("Titan", SOURCE, [used(-1, -0.5)])
        own = facility.sessions.start("Titan", LOGGER)
        assert usage.carry_out("Titan", plan) == []
        assert facility.sessions.open_on("Titan") == own

    def test_an_event_that_is_gone(self, facility: Facility) -> None:
        self.follow(facility, used(-1, None))
        assert self.follow(facility) == ["end https://nemo/use"]
        assert self.session(facility)[2] == at(0)

    def test_but_not_a_session_of_others(self, facility: Facility) -> None:
        """Another system may name its sessions by addresses, too."""
        facility.sessions.start("Titan", LOGGER, "https://elsewhere/1", at(-1))
        assert self.follow(facility) == []

    def test_what_became_of_it_is_asked(self, facility: Facility) -> None:
        """Of the event that an open session is from, and of no other."""
        usage = UsageSessions(facility.sessions, facility.reservations, "here")
        assert usage.unfinished("Titan", SOURCE) == set()
        self.follow(facility, used(-800, None))
        assert usage.unfinished("Titan", SOURCE) == {"https://nemo/use"}
        self.follow(facility, used(-800, -700))
        facility.sessions.start("Titan", LOGGER)
        assert usage.unfinished("Titan", SOURCE) == set()

    def test_a_step_reads_as_a_sentence(self) -> None:
        assert str(SessionStep("u", "bob", start=False, ts=None)) == "end the session u of bob at now"


class TestConsentThatComesLater:
    """A session without consent is built after all when its user agrees, as long as it is young."""

    def booking(self, consent: str) -> str:
        return event("1", ":20260309T090000Z", ":20260309T120000Z", f"X-CONSENT:{consent}")

    def refused(self, facility: Facility) -> Session:
        return facility.refused("Titan", "2026-03-09T09:10:00+00:00", "2026-03-09T11:50:00+00:00")

    def test_later_consent_queues_the_session(self, facility: Facility) -> None:
        path = facility.instrument("Titan", self.booking("no"))
        harvester, session = Harvester(facility.app), self.refused(facility)
        harvester.once()
        assert facility.sessions.get(session.identifier).state is State.NO_CONSENT
        path.write_bytes(ics(self.booking("yes")))
        harvester.once()
        again = facility.sessions.get(session.identifier)
        assert (again.state, again.attempts) == (State.TO_BE_BUILT, 0)
        assert status_of(harvester, "consents_given") == 1
        assert f"Titan: the session {session.identifier} is built, since its user agrees now" in facility.said()

    @pytest.mark.parametrize("said", ["no", "perhaps"])
    def test_other_answers_change_nothing(self, facility: Facility, said: str) -> None:
        facility.instrument("Titan", self.booking(said))
        session = self.refused(facility)
        Harvester(facility.app).once()
        assert facility.sessions.get(session.identifier).state is State.NO_CONSENT

    def test_consent_after_the_limit_changes_nothing(self, facility: Facility) -> None:
        facility.instrument("Titan", self.booking("yes"))
        session = self.refused(facility)
        facility.config["Services.Harvester.consent_days"] = 1
        facility.clock.time += timedelta(days=2)
        Harvester(facility.app).once()
        assert facility.sessions.get(session.identifier).state is State.NO_CONSENT


class TestConsentThatIsTakenBack:
    """A record that is still on its way is held back when its user says no, as long as the session is young."""

    SESSION = ("2026-03-09T09:10:00+00:00", "2026-03-09T11:50:00+00:00")

    def booking(self, *said: str) -> str:
        return event("1", ":20260309T090000Z", ":20260309T120000Z", *(f"X-CONSENT:{one}" for one in said))

    def state(self, facility: Facility, session: Session, booking: str) -> State:
        """Return what a session is after a pass that finds this booking."""
        facility.instrument("Titan", booking)
        Harvester(facility.app).once()
        return facility.sessions.get(session.identifier).state

    def test_the_record_is_held_back(self, facility: Facility) -> None:
        """TO_BE_BUILT: no Uploader sends it, and the Builder decides anew."""
        path = facility.instrument("Titan", self.booking("yes"))
        harvester, session = Harvester(facility.app), facility.finished("Titan", *self.SESSION, State.BUILT)
        harvester.once()
        assert facility.sessions.get(session.identifier).state is State.BUILT
        path.write_bytes(ics(self.booking("no")))
        harvester.once()
        assert facility.sessions.get(session.identifier).state is State.TO_BE_BUILT
        assert facility.records.to_upload() == []
        assert status_of(harvester, "consents_withdrawn") == 1
        no_longer = "is held back, since its user does not agree any more"
        assert f"Titan: the record of the session {session.identifier} {no_longer}" in facility.said()

    def test_what_the_builder_makes_of_it(self, facility: Facility) -> None:
        """NO_CONSENT, until they agree again."""
        session = facility.finished("Titan", *self.SESSION, State.BUILT)
        self.state(facility, session, self.booking("no"))
        subprocess.run(
            [sys.executable, "-m", "Services.Builder", "--once"],
            cwd=PROJECT,
            env=environment_of(facility.url, facility.home),
            check=True,
            timeout=LIMIT,
        )
        assert facility.sessions.get(session.identifier).state is State.NO_CONSENT
        assert self.state(facility, session, self.booking("yes")) is State.TO_BE_BUILT

    @pytest.mark.parametrize("required", [True, False])
    def test_no_answer_any_more(self, facility: Facility, required: bool) -> None:
        """It counts as a no only where the facility demands a yes."""
        facility.config["Services.Builder.require_consent"] = required
        session = facility.finished("Titan", *self.SESSION, State.BUILT)
        expected = State.TO_BE_BUILT if required else State.BUILT
        assert self.state(facility, session, self.booking()) is expected

    def test_what_was_sent_is_not_called_back(self, facility: Facility) -> None:
        session = facility.finished("Titan", *self.SESSION, State.BUILT)
        with facility.app.database().transaction() as transaction:
            transaction.run("UPDATE session SET state = 'COMPLETED'")
        assert self.state(facility, session, self.booking("no")) is State.COMPLETED

    def test_what_one_destination_has_goes_to_no_other(self, facility: Facility) -> None:
        """And the log says where it is."""
        session = facility.finished("Titan", *self.SESSION, State.BUILT)
        record = facility.records.of_session(session.id)
        assert record is not None
        with facility.app.database().transaction() as transaction:
            transaction.insert(
                "upload", record_id=record.id, destination="directory", state="DONE", attempts=1, updated_ts=1
            )
        assert self.state(facility, session, self.booking("no")) is State.TO_BE_BUILT
        assert facility.said()[-1].endswith("since its user does not agree any more; it was sent already to: directory")

    def test_an_old_session(self, facility: Facility) -> None:
        session = facility.finished("Titan", *self.SESSION, State.BUILT)
        Harvester(facility.app)
        facility.config["Services.Harvester.consent_days"] = 1
        facility.clock.time += timedelta(days=2)
        assert self.state(facility, session, self.booking("no")) is State.BUILT

    def test_a_completed_session_is_left_alone(self, facility: Facility) -> None:
        """A session that an Uploader completed in the last moment is left alone."""
        session = facility.finished("Titan", *self.SESSION, State.BUILT)
        with facility.app.database().transaction() as transaction:
            transaction.run("UPDATE session SET state = 'COMPLETED'")
        with pytest.raises(NotToBeBuilt, match="it is COMPLETED now, not BUILT"):
            facility.sessions.requeue(session.identifier, LOGGER, only=State.BUILT)
        assert facility.sessions.get(session.identifier).state is State.COMPLETED


class TestAnotherCalendar:
    """An instrument has one calendar: what the one before had in the window is retired when the new one is read."""

    def test_old_reservations_in_the_window_go(self, facility: Facility) -> None:
        facility.instrument("Titan", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        old = [booked(24, 25, "new enough"), booked(-1000, -999, "long ago")]
        facility.reservations.take_over(SOURCE, at(-2000), at(1000), old)
        other = replace(booked(24, 25), source="nemo:Quanta", instrument="Quanta")
        facility.reservations.take_over("nemo:Quanta", at(-2000), at(1000), [other])
        harvester = Harvester(facility.app)
        harvester.once()
        assert set(facility.found()) == {"1", "long ago"}
        assert set(facility.found("Quanta")) == {"booking"}
        assert status_of(harvester, "reservations_gone") == 1

    def test_not_before_it_can_be_read(self, facility: Facility) -> None:
        facility.instrument("Titan").unlink()
        facility.reservations.take_over(SOURCE, at(-2000), at(1000), [booked(24, 25)])
        Harvester(facility.app).once()
        assert set(facility.found()) == {"booking"}


class TestAPrivateAddress:
    """The address of a private calendar is a key to it: as a secret, it is shown nowhere."""

    def test_the_address_is_never_shown(self, facility: Facility) -> None:
        path = facility.instrument("Titan", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        address = f"http://127.0.0.1:1/private-8f2e/{path.name}"
        facility.config.deserialize(
            f'{{"api_url": {{"datatype": "string", "value": "{address}", "secret": true}}}}', "Instruments.Titan"
        )
        harvester = Harvester(facility.app)
        assert harvester.once() == Pass(failed=1)
        shown = [*facility.said(), str(status_of(harvester, "source Titan")), facility.config.serialize()]
        assert not [one for one in shown if "private-8f2e" in one]
        assert str(status_of(harvester, "source Titan")).startswith("The calendar at 127.0.0.1 does not answer: ")


class TestADryRun:
    """``--dry-run`` says what would become of sessions, and changes none."""

    def test_later_consent_is_only_reported(self, facility: Facility) -> None:
        consents = TestConsentThatComesLater()
        facility.instrument("Titan", consents.booking("yes"))
        facility.config["Services.Harvester.days_back"] = 3660
        facility.config["Services.Harvester.consent_days"] = 3660
        Harvester(facility.app).once()
        session = consents.refused(facility)
        done = subprocess.run(
            [sys.executable, "-m", "Services.Harvester", "--dry-run"],
            cwd=PROJECT,
            env=environment_of(facility.url, facility.home),
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        assert done.returncode == 0, done.stderr
        assert f"the session {session.identifier} would be built, since its user agrees now" in done.stderr
        assert facility.sessions.get(session.identifier).state is State.NO_CONSENT
