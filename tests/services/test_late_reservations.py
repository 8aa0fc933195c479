"""Records whose calendar was away, or whose reservation or note came late: marked, shown, and made again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from NexusCore.clock import to_datetime
from NexusCore.facility import Session, State
from NexusCore.facility.calendar_reads import CalendarReads
from NexusCore.facility.record_booking import BookingState, RecordBooking, RecordBookings
from NexusCore.facility.sessions import EventType
from NexusCore.storage import open_database
from Services.Builder.care.late_notes import LateNotes
from Services.Builder.service import CARE_SECONDS
from Services.Harvester.late_reservations import WHY
from Services.Harvester.service import Harvester
from tests.processes import eventually, messages
from tests.services.builder_facility import USER, Stage
from tests.services.test_harvester_ical import event, ics

NX = {"nx": "https://data.nist.gov/od/dm/nexus/experiment/v1.0"}


class Lab:
    """A Builder and a Harvester of one facility, with a calendar that is a file."""

    def __init__(self, url: str, folder: Path) -> None:
        self.stage = Stage(url, folder)
        self.calendar = folder / "Titan.ics"
        self.stage.config["Instruments.Titan.harvester"] = "ical"
        self.stage.config["Instruments.Titan.api_url"] = str(self.calendar)
        self.harvester = Harvester(self.stage.app)
        self.bookings = RecordBookings(open_database(url))

    def booked(self, session: Session | None = None, title: str = "Gold") -> None:
        """Have a calendar in which a session was booked; without one, an empty calendar."""
        times = [] if session is None or session.end_ts is None else [session.start_ts, session.end_ts]
        lines = [f":{to_datetime(ts):%Y%m%dT%H%M%SZ}" for ts in times]
        self.calendar.write_bytes(ics(*([event("a", lines[0], lines[1], f"SUMMARY:{title}")] if lines else [])))

    def harvest(self) -> None:
        self.harvester.once()

    def build(self) -> None:
        """Have a pass of the Builder in which it also looks after notes."""
        self.stage.clock.move(CARE_SECONDS + 1)
        self.stage.builder.once()

    def known(self, session: Session) -> RecordBooking:
        known = self.bookings.of_session(session.id)
        assert known is not None
        return known

    def state(self, session: Session) -> State:
        return self.stage.sessions.get(session.identifier).state

    def title(self, session: Session) -> str | None:
        return etree.fromstring(self.stage.document(session).encode()).findtext("nx:title", namespaces=NX)

    def said(self, logger: str) -> list[str]:
        self.stage.app.get_log("test").info("done")
        eventually(lambda: messages(self.stage.url, "test"))
        return messages(self.stage.url, logger)

    def tool(self, name: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
        """Run a tool in this process; return what it printed."""
        from Tools import Doctor, SessionTool

        capsys.readouterr()
        {"SessionTool": SessionTool, "Doctor": Doctor}[name].main(list(arguments))
        return capsys.readouterr().out


@pytest.fixture
def lab(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
    monkeypatch.setenv("NEXUSCORE_HOME", str(tmp_path / "home"))
    lab = Lab(sqlite_url, tmp_path)
    yield lab
    lab.stage.close()


@pytest.fixture
def any_lab(database_url: str, tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(database_url, tmp_path)
    yield lab
    lab.stage.close()


class TestAReservationThatComesLate:
    """A record that was made without it is made again, once."""

    def test_it_is_in_the_record_then(self, any_lab: Lab) -> None:
        lab = any_lab
        lab.booked(None)
        session = lab.stage.session("a.dm4")
        lab.harvest()
        lab.build()
        assert lab.known(session).calendar is BookingState.MISSING
        lab.harvest()
        assert lab.state(session) is State.BUILT, "nothing has come"
        lab.booked(session)
        lab.harvest()
        assert (lab.state(session), lab.known(session).calendar) == (State.TO_BE_BUILT, BookingState.LATE)
        lab.build()
        assert (lab.title(session), lab.known(session).calendar) == ("Gold", BookingState.FOUND)
        details = [one.detail for one in lab.stage.sessions.events(session) if one.type is EventType.NOTE]
        assert details == [f"queued again, was BUILT: {WHY}"]
        assert any(session.identifier in said and "is made again" in said for said in lab.said("Harvester"))
        lab.booked(session, title="Silver")
        lab.harvest()
        assert lab.state(session) is State.BUILT, "who changes a title afterwards changes no record"

    def test_one_that_was_sent_is_sent_again(self, lab: Lab) -> None:
        lab.booked(None)
        session = lab.stage.session("a.dm4")
        lab.harvest()
        lab.build()
        record = lab.stage.records.of_session(session.id)
        assert record is not None
        lab.stage.records.expect([(record, "there")])
        lab.stage.records.uploaded(record, "there", "7", None)
        assert lab.stage.records.complete(record, ["there"])
        lab.booked(session)
        lab.harvest()
        lab.build()
        assert lab.state(session) is State.BUILT
        again = lab.stage.records.of_session(session.id)
        assert again is not None
        assert [one.state for one in lab.stage.records.uploads(again)] == ["WAITING"]

    def test_where_it_cannot_be_made_again_it_is_tried_once(self, lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
        lab.booked(None)
        session = lab.stage.session("a.dm4")
        lab.harvest()
        lab.build()
        (lab.stage.files / "a.dm4").unlink()
        lab.stage.config["Services.Builder.file_delay"] = 0
        lab.booked(session)
        lab.harvest()
        lab.build()
        assert (lab.state(session), lab.known(session).calendar) == (State.BUILT, BookingState.LATE)
        lab.harvest()
        assert lab.state(session) is State.BUILT
        assert "came late" in lab.tool("SessionTool", capsys, "list")
        assert "was made before its reservation came" in lab.tool("Doctor", capsys)

    def test_after_late_days_it_stays_away(self, lab: Lab) -> None:
        lab.booked(None)
        session = lab.stage.session("a.dm4")
        lab.harvest()
        lab.build()
        lab.stage.config["Services.Harvester.late_days"] = 2
        lab.stage.clock.move(3 * 86_400)
        lab.booked(session)
        lab.harvest()
        assert lab.state(session) is State.BUILT


class TestACalendarThatIsAway:
    """A record that is made meanwhile is marked, until the calendar has been read."""

    def test_it_is_shown(self, lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
        session = lab.stage.session("a.dm4")
        lab.harvest()
        lab.build()
        known = lab.known(session)
        assert known.calendar is BookingState.UNREAD
        assert known.reason == f"The calendar at {lab.calendar} cannot be read: No such file or directory."
        said = [one for one in lab.said("Builder") if "made without its calendar" in one]
        assert len(said) == 1
        assert "could not be read when this record was made" in lab.stage.document(session)
        assert "calendar unread" in lab.tool("SessionTool", capsys, "list")
        shown: dict[str, Any] = json.loads(lab.tool("SessionTool", capsys, "list", "--json"))
        assert shown["calendar"] == "UNREAD"
        assert "made without its calendar" in lab.tool("SessionTool", capsys, "show", session.identifier)
        assert "the record was made without its calendar" in lab.tool(
            "SessionTool", capsys, "trace", session.identifier
        )
        sentence = f"The record of session {session.identifier} at Titan was made without its calendar"
        assert sentence in lab.tool("Doctor", capsys)
        lab.stage.clock.move(31 * 86_400)
        assert sentence not in lab.tool("Doctor", capsys), "nothing can be done any more"

    @pytest.mark.parametrize("days", [0, 20])
    def test_it_comes_back_with_a_reservation(self, lab: Lab, days: int) -> None:
        """After however long: what it had for the session is asked for, too."""
        session = lab.stage.session("a.dm4")
        lab.harvest()
        lab.build()
        lab.stage.clock.move(days * 86_400)
        lab.booked(session)
        lab.harvest()
        lab.build()
        assert (lab.title(session), lab.known(session).calendar) == ("Gold", BookingState.FOUND)

    def test_it_comes_back_without_one(self, lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
        session = lab.stage.session("a.dm4")
        lab.harvest()
        lab.build()
        lab.booked(None)
        lab.harvest()
        assert (lab.state(session), lab.known(session).calendar) == (State.BUILT, BookingState.MISSING)
        assert "calendar unread" not in lab.tool("SessionTool", capsys, "list")
        assert "No record lacks a reservation" in lab.tool("Doctor", capsys)

    def test_what_it_said_before_was_cancelled_meanwhile(self, lab: Lab) -> None:
        start = lab.stage.now
        lab.booked(None)
        lab.calendar.write_bytes(
            ics(event("a", f":{start:%Y%m%dT%H%M%SZ}", f":{start + timedelta(hours=2):%Y%m%dT%H%M%SZ}", "SUMMARY:Gold"))
        )
        lab.harvest()
        lab.calendar.rename(lab.calendar.with_suffix(".away"))
        lab.harvest()
        session = lab.stage.session("a.dm4")
        lab.build()
        assert (lab.title(session), lab.known(session).calendar) == ("Gold", BookingState.UNREAD)
        lab.booked(None)
        lab.harvest()
        lab.build()
        assert lab.title(session) != "Gold"

    def test_a_harvester_that_does_not_run(self, lab: Lab) -> None:
        lab.booked(None)
        lab.harvest()
        lab.stage.clock.move(3600)
        session = lab.stage.session("a.dm4")
        lab.build()
        assert lab.known(session).calendar is BookingState.UNREAD
        assert "Is the Harvester running?" in str(lab.known(session).reason)

    def test_since_when(self, any_lab: Lab) -> None:
        """The first failure stays; another calendar begins anew."""
        reads = CalendarReads(open_database(any_lab.stage.url))
        reads.succeeded("Titan", "ical:Titan", 1_000_000)
        reads.failed("Titan", "ical:Titan", 2_000_000, "it is away")
        reads.failed("Titan", "ical:Titan", 3_000_000, "it is slow")
        known = reads.of("Titan")
        assert known is not None
        assert (known.read_ts, known.failed_ts, known.reason) == (1_000_000, 2_000_000, "it is slow")
        reads.failed("Titan", "nemo:Titan", 4_000_000, "it is away")
        known = reads.of("Titan")
        assert known is not None
        assert (known.read_ts, known.failed_ts) == (None, 4_000_000)
        assert reads.of("Quanta") is None

    def test_without_a_calendar_nothing_is_missed(self, lab: Lab) -> None:
        lab.stage.config["Instruments.Titan.harvester"] = ""
        session = lab.stage.session("a.dm4")
        lab.build()
        assert (lab.known(session).calendar, lab.known(session).remark) == (BookingState.NO_CALENDAR, None)


class TestTwoBookingsAtOnce:
    """The record is of one of them, and names the other."""

    def test_both_are_in_the_record(self, lab: Lab) -> None:
        session = lab.stage.session("a.dm4")
        start, end = session.start, session.end
        assert end is not None
        times = f":{start:%Y%m%dT%H%M%SZ}", f":{end + timedelta(minutes=5):%Y%m%dT%H%M%SZ}"
        lab.calendar.write_bytes(
            ics(
                event("a", *times, "SUMMARY:Gold", "ORGANIZER;CN=Eve:mailto:eve@example.org"),
                event("b", times[0], f":{start + timedelta(seconds=20):%Y%m%dT%H%M%SZ}", "SUMMARY:Silver"),
                event("c", *times, "SUMMARY:Away", "TRANSP:TRANSPARENT"),
            )
        )
        lab.harvest()
        lab.build()
        assert lab.title(session) == "Gold"
        document = lab.stage.document(session)
        assert document.count("Two bookings at once") == 1
        assert "there was also 'Silver'." in document


class TestANoteThatComesLate:
    """A note that was added after the end stands in the record."""

    def test_after_the_record(self, any_lab: Lab) -> None:
        lab = any_lab
        lab.stage.config["Instruments.Titan.harvester"] = ""
        session = lab.stage.session("a.dm4")
        lab.build()
        lab.stage.sessions.note(session.identifier, USER, "The grid was number 3.")
        lab.build()
        assert "The grid was number 3." in lab.stage.document(session)
        events = len(lab.stage.sessions.events(session))
        lab.build()
        assert len(lab.stage.sessions.events(session)) == events, "once"

    def test_while_it_is_made(self, lab: Lab) -> None:
        lab.stage.config["Instruments.Titan.harvester"] = ""
        session = lab.stage.session("a.dm4")
        lab.stage.builder.once()
        known = lab.known(session)
        lab.stage.sessions.note(session.identifier, USER, "Late.", EventType.PROBLEM)
        lab.bookings.put(known)
        lab.build()
        assert "problem with the instrument: Late." in lab.stage.document(session)

    def test_what_is_about_the_record_is_no_note(self, lab: Lab) -> None:
        """Else a record that is sent again would be made again, too."""
        lab.stage.config["Instruments.Titan.harvester"] = ""
        session = lab.stage.session("a.dm4")
        lab.build()
        record = lab.stage.records.of_session(session.id)
        assert record is not None
        lab.stage.sessions.note(
            session.identifier, USER, "record queued to be sent again, was BUILT", also=lab.stage.records.resend(record)
        )
        lab.build()
        assert lab.state(session) is State.BUILT
        assert len(lab.stage.readers.asked) == 1

    def test_a_builder_that_stops(self, lab: Lab) -> None:
        notes = LateNotes(open_database(lab.stage.url), lab.stage.clock, USER, lab.stage.app.get_log("test"))
        session = lab.stage.session("a.dm4")
        lab.build()
        lab.stage.sessions.note(session.identifier, USER, "Late.")
        assert notes.care(lambda: True) == 0
        assert lab.state(session) is State.BUILT


def test_times_are_compared_in_the_same_unit() -> None:
    """Three passes of the Harvester may lie between its last reading and a session."""
    from NexusCore.facility.calendar_reads import CalendarRead
    from NexusCore.facility.record_booking import booking_of

    start = int(datetime(2026, 3, 1).astimezone().timestamp()) * 1_000_000
    session = Session(1, "s", "Titan", "eve", State.BUILDING, start, start + 1, 0, None)
    slack = 900_000_000
    for before, state in ((899, BookingState.MISSING), (901, BookingState.UNREAD)):
        read = CalendarRead("Titan", "ical:Titan", start - before * 1_000_000, None, None)
        assert booking_of(session, None, read, 0, slack).calendar is state
