"""The Harvester and a real CalDAV server: series, zones, cancellations, and who may see what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from NexusCore.clock import to_datetime
from NexusCore.facility import Reservation
from NexusCore.service import Pass
from Services.Harvester.service import Harvester
from tests.peers.servers import PeerServer, running
from tests.services import harvesting
from tests.services.harvesting import Facility, status_of
from tests.services.test_harvester_ical import event, ics

facility, embedded_facility = harvesting.facility, harvesting.embedded_facility
CALENDARS = {"Titan": "fei-titan-tem", "Quanta": "fei-quanta-sem", "JEOL": "jeol-3010", "Saw": "dicing-saw"}


@pytest.fixture
def lab(facility: Facility, caldav: PeerServer, monkeypatch: pytest.MonkeyPatch) -> Facility:
    """A facility whose calendars are all on one server."""
    has_caldav(facility, caldav, monkeypatch)
    return facility


def has_caldav(facility: Facility, caldav: PeerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nexusLIMS_user", "harvester")
    monkeypatch.setenv("nexusLIMS_pass", caldav.passwords["harvester"])
    for pid, name in CALENDARS.items():
        facility.config[f"Instruments.{pid}.harvester"] = "caldav"
        facility.config[f"Instruments.{pid}.api_url"] = f"{caldav.url}/admin/{name}/"
        facility.config[f"Instruments.{pid}.timezone"] = "America/New_York"


def put(caldav: PeerServer, path: str, content: bytes | None) -> None:
    """Change an event as its owner may; without content, delete it."""
    url, owner = f"{caldav.url}/admin/{path}", ("admin", caldav.passwords["admin"])
    if content is None:
        answer = requests.delete(url, auth=owner, timeout=30)
    else:
        answer = requests.put(url, content, auth=owner, headers={"Content-Type": "text/calendar"}, timeout=30)
    assert answer.ok, answer.text


def when(one: Reservation) -> str:
    start, end = to_datetime(one.start_ts), to_datetime(one.end_ts)
    return f"{start:%m-%d %H:%M} to {end:%m-%d %H:%M}"


class TestWhatItSays:
    """001-19, 001-20: the bookings of each instrument's calendar, at the moments they are meant for."""

    @pytest.fixture
    def facility(self, embedded_facility: Facility) -> Facility:
        return embedded_facility

    def test_a_booking_has_user_time_and_consent(self, lab: Facility) -> None:
        assert Harvester(lab.app).once() == Pass(done=4)
        one = lab.found()["titan-1"]
        assert (one.source, one.user, one.user_id) == ("caldav:Titan", "Alice Adams", "alice@example.org")
        assert when(one) == "03-03 14:00 to 03-03 17:00"
        assert one.consent is True
        assert lab.found()["titan-2"].consent is False

    def test_a_cancelled_booking_is_stored_as_cancelled(self, lab: Facility) -> None:
        Harvester(lab.app).once()
        assert "titan-3-cancelled" in lab.cancelled()

    def test_a_series_across_the_change_of_clocks(self, lab: Facility) -> None:
        """Eight o'clock stays eight o'clock; one Monday was dropped, another moved."""
        Harvester(lab.app).once()
        mondays = [when(one) for uid, one in sorted(lab.found().items()) if uid.startswith("titan-5-weekly#")]
        assert mondays == ["03-09 12:00 to 03-09 13:00", "03-23 14:00 to 03-23 15:00"]
        assert when(lab.found()["titan-4-dst"]) == "03-08 03:00 to 03-08 10:00"

    def test_times_are_right_at_the_autumn_clock_change(self, lab: Facility) -> None:
        lab.clock.time = datetime(2026, 11, 1, tzinfo=UTC)
        Harvester(lab.app).once()
        assert when(lab.found()["titan-6-autumn"]) == "11-01 04:30 to 11-01 08:30"

    def test_odd_bookings_are_read(self, lab: Facility) -> None:
        """A duration instead of an end, whole days, no zone at all, nobody's, and one for ever."""
        Harvester(lab.app).once()
        quanta, jeol = lab.found("Quanta"), lab.found("JEOL")
        assert when(quanta["quanta-3-allday"]) == "03-10 04:00 to 03-12 04:00"
        assert {"quanta-1", "quanta-2-duration", "quanta-4-floating"} <= quanta.keys()
        assert jeol["jeol-2-nobody"].user is None
        daily = [uid for uid in jeol if uid.startswith("jeol-3-daily#")]
        assert 10 <= len(daily) <= 16, "working days of three weeks"

    def test_an_empty_calendar(self, lab: Facility) -> None:
        harvester = Harvester(lab.app)
        harvester.once()
        assert (lab.found("Saw"), status_of(harvester, "source Saw")) == ({}, "ok")


class TestChanges:
    """What is changed on the server is changed here at the next pass."""

    def test_moved_cancelled_and_gone(self, lab: Facility, caldav: PeerServer) -> None:
        harvester = Harvester(lab.app)
        put(caldav, "dicing-saw/a.ics", ics(event("a", ":20260311T090000Z", ":20260311T100000Z")))
        put(caldav, "dicing-saw/b.ics", ics(event("b", ":20260312T090000Z", ":20260312T100000Z")))
        harvester.once()
        before = lab.found("Saw")
        put(caldav, "dicing-saw/a.ics", ics(event("a", ":20260311T110000Z", ":20260311T120000Z")))
        put(caldav, "dicing-saw/b.ics", None)
        harvester.once()
        assert lab.found("Saw")["a"].start_ts == before["a"].start_ts + 2 * 3_600_000_000
        assert lab.found("Saw").keys() == {"a"}
        cancelled = event("a", ":20260311T110000Z", ":20260311T120000Z", "STATUS:CANCELLED")
        put(caldav, "dicing-saw/a.ics", ics(cancelled))
        harvester.once()
        assert lab.found("Saw") == {}

    def test_a_thousand_reservations_need_few_requests(self, lab: Facility, caldav: PeerServer) -> None:
        """1,000 reservations in the window: one request."""
        only_the_saw(lab, caldav, 1000)
        harvester, before = Harvester(lab.app), len(caldav.requests())
        begin = lab.clock.monotonic()
        assert harvester.once() == Pass(done=1)
        asked = caldav.requests()[before:]
        print(f"1,000 reservations: {len(asked)} requests, {lab.clock.monotonic() - begin:.2f} s")
        assert len(asked) <= 5
        assert len(lab.found("Saw")) == 1000


def only_the_saw(lab: Facility, caldav: PeerServer, count: int) -> None:
    """Have so many events in the calendar of one instrument, and leave the others' alone."""
    many = [event(f"n{n}", f":202603{11 + n // 100:02}T{n % 24:02}0000Z", None, "DURATION:PT1H") for n in range(count)]
    stored = requests.put(
        f"{caldav.url}/admin/dicing-saw/",
        ics(*many),
        auth=("admin", caldav.passwords["admin"]),
        headers={"Content-Type": "text/calendar"},
        timeout=60,
    )
    assert stored.ok, stored.text
    for pid in CALENDARS.keys() - {"Saw"}:
        lab.config[f"Instruments.{pid}.harvester"] = ""


class TestWhoMaySeeWhat:
    """001-07: the environment's user and password; a refusal is a sentence, and nothing known is lost."""

    @pytest.fixture
    def facility(self, embedded_facility: Facility) -> Facility:
        return embedded_facility

    def test_a_forbidden_calendar_keeps_what_was_known(self, lab: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        harvester = Harvester(lab.app)
        harvester.once()
        known = lab.found()
        monkeypatch.setenv("nexusLIMS_user", "stranger")
        monkeypatch.setenv("nexusLIMS_pass", "stranger")
        assert harvester.once() == Pass(failed=4)
        assert (
            status_of(harvester, "source Titan")
            == "The calendar at 127.0.0.1 cannot be read: it answered 403 Forbidden."
        )
        assert lab.found() == known

    def test_a_wrong_password(self, lab: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("nexusLIMS_pass", "wrong")
        harvester = Harvester(lab.app)
        assert harvester.once() == Pass(failed=4)
        assert "it refuses the user 'harvester' (401)" in str(status_of(harvester, "source Titan"))

    def test_the_folder_above(self, lab: Facility, caldav: PeerServer) -> None:
        """Of which a server reports nothing: that is not taken for an empty calendar."""
        harvester = Harvester(lab.app)
        harvester.once()
        known = lab.found()
        lab.config["Instruments.Titan.api_url"] = f"{caldav.url}/admin/"
        assert harvester.once() == Pass(done=3, failed=1)
        assert "its address is not that of a calendar; in it are the calendars '" in str(
            status_of(harvester, "source Titan")
        )
        assert lab.found() == known

    def test_a_calendar_that_is_not_there(self, lab: Facility, caldav: PeerServer) -> None:
        lab.config["Instruments.Titan.api_url"] = f"{caldav.url}/admin/nowhere/"
        harvester = Harvester(lab.app)
        assert harvester.once() == Pass(done=3, failed=1)
        assert "it answered 404 Not Found" in str(status_of(harvester, "source Titan"))


class TestAServerThatIsDown:
    """It delays only its own instruments, and its status says why."""

    def test_down_and_back(self, facility: Facility, peers_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        with running(peers_home, "caldav") as caldav:
            has_caldav(facility, caldav, monkeypatch)
            facility.instrument("Other", event("1", ":20260311T090000Z", ":20260311T100000Z"))
            harvester = Harvester(facility.app)
            assert harvester.once() == Pass(done=5)
            known = facility.found()
        assert harvester.once() == Pass(done=1, failed=4)
        assert facility.found() == known
        assert "does not answer" in str(status_of(harvester, "source Titan"))
        with running(peers_home, "caldav") as caldav:
            has_caldav(facility, caldav, monkeypatch)
            assert harvester.once() == Pass(done=5)
            assert facility.found() == known
