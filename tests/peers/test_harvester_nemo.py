"""The Harvester and a real NEMO: who used which tool, what for, and whether a record may be made."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from NexusCore.clock import to_ts
from NexusCore.facility import Reservation, Session, State
from NexusCore.facility.reservations import BookedSample
from NexusCore.facility.session import Client
from NexusCore.service import Pass
from Services.Harvester.service import Harvester
from tests.peers.servers import PeerServer, running
from tests.services import harvesting
from tests.services.harvesting import NOW, Facility, status_of
from tests.services.test_harvester_ical import event, ics

facility = harvesting.facility
TOOLS = {"Titan": 1, "Quanta": 2, "JEOL": 3, "Saw": 4}
HERE = "Services.Harvester.nemo.instances"


@pytest.fixture
def titan(facility: Facility, nemo: PeerServer) -> Facility:
    """A facility with one NEMO, which has all its instruments."""
    has_nemo(facility, nemo)
    return facility


def has_nemo(
    facility: Facility, nemo: PeerServer, name: str = "main", prefix: str = "", token: str = "harvester"
) -> None:
    facility.config[f"{HERE}.{name}.url"] = nemo.url
    facility.config[f"{HERE}.{name}.token"] = nemo.tokens[token]
    for pid, number in TOOLS.items():
        facility.config[f"Instruments.{prefix}{pid}.harvester"] = "nemo"
        facility.config[f"Instruments.{prefix}{pid}.api_url"] = f"{nemo.url}/api/tools/?id={number}"


def change(nemo: PeerServer, what: str, **values: object) -> dict[str, Any]:
    """Change a row of a NEMO, as its staff may; without a number in `what`, make one."""
    send = requests.patch if what.rstrip("/")[-1].isdigit() else requests.post
    headers = {"Authorization": f"Token {nemo.tokens['admin']}"}
    answer = send(f"{nemo.url}/api/{what}/", json=values, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def of(nemo: PeerServer, found: dict[str, Reservation], what: str = "reservations") -> dict[int, Reservation]:
    """Return reservations, or usage events, by their number."""
    return {int(uid.rpartition("=")[2]): one for uid, one in found.items() if f"/{what}/" in uid}


def as_of(moment: str) -> Callable[[Facility], Harvester]:
    """Return what makes a Harvester at a time."""

    def make(facility: Facility) -> Harvester:
        facility.clock.time = datetime.fromisoformat(moment).astimezone(UTC)
        return Harvester(facility.app)

    return make


class TestWhatItSays:
    """001-19, 001-20: reservations and usage events, each with all that the record wants."""

    def test_a_reservation_with_every_answer(self, titan: Facility, nemo: PeerServer) -> None:
        harvester = Harvester(titan.app)
        assert harvester.once() == Pass(done=4)
        one = of(nemo, titan.found())[1]
        assert one == Reservation(
            source="nemo:Titan",
            uid=f"{nemo.url}/api/reservations/?id=1",
            instrument="Titan",
            start_ts=to_ts(datetime(2026, 3, 3, 14, tzinfo=UTC)),
            end_ts=to_ts(datetime(2026, 3, 3, 17, tzinfo=UTC)),
            title="EELS mapping of NMC811 cathodes",
            user="Alice Adams",
            user_id="alice",
            purpose="Find the Ni valence\nacross the grain boundary",
            samples=(
                BookedSample("NMC811-07", None, "FIB lamella, 60 nm & thin <edge>", ("O", "Ni")),
                BookedSample(None, "20.500.12345/abc"),
            ),
            project="Battery cathodes",
            project_id="PRJ-001-A",
            reservation_id="1",
            url=f"{nemo.url}/event_details/reservation/1/",
            consent=True,
        )

    def test_consent_is_what_was_answered(self, titan: Facility, nemo: PeerServer) -> None:
        Harvester(titan.app).once()
        assert of(nemo, titan.found("Titan"))[2].consent is False
        assert of(nemo, titan.found("Quanta"))[3].consent is None, "nobody answered"
        assert of(nemo, titan.found("Saw"))[10].consent is None, "nobody asked"

    def test_not_in_english(self, titan: Facility, nemo: PeerServer) -> None:
        Harvester(titan.app).once()
        one = of(nemo, titan.found("Quanta"))[4]
        assert (one.title, one.samples[0].name, one.user) == ("Größe der Körner – 粒径", "Stahl №5", "Alice Adams")

    def test_cancelled_moved_and_missed(self, titan: Facility, nemo: PeerServer) -> None:
        Harvester(titan.app).once()
        gone = {int(uid.rpartition("=")[2]) for uid in titan.cancelled()}
        assert gone == {5, 7, 8}
        assert sorted(of(nemo, titan.found("JEOL"))) == [6]

    def test_over_a_change_of_clocks(self, titan: Facility, nemo: PeerServer) -> None:
        Harvester(titan.app).once()
        one = of(nemo, titan.found())[9]
        assert one.end_ts - one.start_ts == 7 * 3600 * 1_000_000

    def test_usage_events_have_times_users_and_collaborators(self, titan: Facility, nemo: PeerServer) -> None:
        Harvester(titan.app).once()
        first = of(nemo, titan.found(), "usage_events")[1]
        assert first.start_ts == to_ts(datetime(2026, 3, 3, 14, 4, 31, 123456, tzinfo=UTC))
        staff = of(nemo, titan.found("Quanta"), "usage_events")[4]
        assert (staff.user, staff.collaborators) == ("Alice Adams", ("Carol Núñez-Ørsted",)), "she ran it for her"
        going_on = of(nemo, titan.found("JEOL"), "usage_events")[7]
        assert (going_on.usage, going_on.ongoing) == (True, True)

    def test_the_questions_are_settings(self, titan: Facility, nemo: PeerServer) -> None:
        """Also for one instance alone."""
        titan.config["Services.Harvester.nemo.questions.title"] = "experiment_purpose"
        titan.config[f"{HERE}.main.questions.consent_yes"] = "Disagree"
        Harvester(titan.app).once()
        one = of(nemo, titan.found())[1]
        assert (one.title, one.consent) == ("Find the Ni valence across the grain boundary", False)


class TestWhichOneASessionBelongsTo:
    """001-19, 001-21: overlap decides; the usage event first, then the reservation."""

    def test_a_use_and_its_reservation_are_combined(self, titan: Facility, nemo: PeerServer) -> None:
        Harvester(titan.app).once()
        one = titan.booking("Titan", "2026-03-03T09:05-05:00", "2026-03-03T11:50-05:00", "shared-account")
        assert one is not None
        assert (one.user, one.title, one.consent) == ("Alice Adams", "EELS mapping of NMC811 cathodes", True)
        assert one.url == f"{nemo.url}/event_details/reservation/1/"

    def test_staff_ran_it_for_somebody(self, titan: Facility) -> None:
        Harvester(titan.app).once()
        one = titan.booking("Quanta", "2026-03-04T10:30-05:00", "2026-03-04T15:45-05:00")
        assert one is not None
        assert (one.user, one.collaborators, one.project_id) == ("Alice Adams", ("Carol Núñez-Ørsted",), "PRJ-001-B")

    def test_overlap_and_not_the_start(self, titan: Facility) -> None:
        """A session that began in the last minutes of one reservation belongs to the next."""
        Harvester(titan.app).once()
        one = titan.booking("Titan", "2026-03-03T11:55-05:00", "2026-03-03T16:00-05:00")
        assert one is not None
        assert (one.user, one.consent) == ("Bob Brown", False)

    def test_a_usage_event_alone(self, titan: Facility) -> None:
        Harvester(titan.app).once()
        one = titan.booking("JEOL", "2026-03-10T10:05-04:00", "2026-03-10T10:55-04:00")
        assert one is not None
        assert (one.user, one.project, one.project_id, one.consent) == ("Bob Brown", "Steel corrosion", "PRJ-002", None)
        assert one.reservation_id is None, "nothing was reserved"

    def test_somebody_else_came(self, titan: Facility, nemo: PeerServer) -> None:
        """The consent of who booked does not hold for them; a refusal would."""
        change(nemo, "usage_events/1", user=3, operator=3)
        Harvester(titan.app).once()
        one = titan.booking("Titan", "2026-03-03T09:05-05:00", "2026-03-03T11:50-05:00")
        assert one is not None
        assert (one.user, one.collaborators, one.consent) == ("Bob Brown", ("Alice Adams",), None)

    def test_cancelled_and_missed_bookings_do_not_count(self, titan: Facility) -> None:
        Harvester(titan.app).once()
        assert titan.booking("Titan", "2026-03-05T09:00-05:00", "2026-03-05T12:00-05:00") is None, "it was cancelled"
        assert titan.booking("JEOL", "2026-03-07T09:00-05:00", "2026-03-07T10:00-05:00") is None, "nobody came"


class TestChanges:
    """What is changed in a NEMO is changed here at the next pass."""

    def test_moved_and_cancelled(self, titan: Facility, nemo: PeerServer) -> None:
        harvester = Harvester(titan.app)
        harvester.once()
        before = of(nemo, titan.found())
        change(nemo, "reservations/9", end="2026-03-08T07:00:00-04:00")
        change(nemo, "reservations/10", cancelled=True)
        harvester.once()
        assert of(nemo, titan.found())[9].end_ts == before[9].end_ts + 3_600_000_000
        assert of(nemo, titan.found("Saw")) == {}

    def test_moved_to_another_tool(self, titan: Facility, nemo: PeerServer) -> None:
        harvester = Harvester(titan.app)
        harvester.once()
        change(nemo, "reservations/9", tool=2)
        harvester.once()
        assert 9 not in of(nemo, titan.found("Titan"))
        assert 9 in of(nemo, titan.found("Quanta"))

    def test_a_deleted_reservation_is_gone(self, titan: Facility, nemo: PeerServer) -> None:
        harvester = Harvester(titan.app)
        harvester.once()
        headers = {"Authorization": f"Token {nemo.tokens['admin']}"}
        requests.delete(f"{nemo.url}/api/reservations/9/", headers=headers, timeout=30)
        harvester.once()
        assert 9 not in of(nemo, titan.found())

    def test_an_instrument_that_gets_another_kind_of_calendar(self, titan: Facility, nemo: PeerServer) -> None:
        """What the old one had is retired, once the new one can be read."""
        path = titan.instrument("Titan")
        path.unlink()
        titan.config["Instruments.Titan.harvester"] = "nemo"
        titan.config["Instruments.Titan.api_url"] = f"{nemo.url}/api/tools/?id=1"
        harvester = Harvester(titan.app)
        harvester.once()
        known = titan.found()
        titan.config["Instruments.Titan.harvester"] = "ical"
        titan.config["Instruments.Titan.api_url"] = str(path)
        harvester.once()
        assert titan.found() == known, "the new one cannot be read yet"
        path = titan.instrument("Titan", event("1", ":20260311T090000Z", ":20260311T100000Z"))
        harvester.once()
        assert set(titan.found()) & {uid for uid, one in known.items() if one.end_ts > to_ts(NOW)} == set()
        assert "1" in titan.found()
        assert {uid for uid, one in titan.found().items() if one.source == "nemo:Titan"} <= {
            uid for uid, one in known.items() if one.end_ts < to_ts(NOW - timedelta(days=7))
        }, "what is older than the window stays"


class TestServersThatAreNotThere:
    """A source that is down, or wrong, delays only its own instruments, and its status says why."""

    def test_down_and_back(self, facility: Facility, peers_home: Any) -> None:
        with running(peers_home, "nemo") as nemo:
            has_nemo(facility, nemo)
            facility.instrument("Other", event("1", ":20260311T090000Z", ":20260311T100000Z"))
            harvester = Harvester(facility.app)
            assert harvester.once() == Pass(done=5)
            known = facility.found()
        (facility.home / "Other.ics").write_bytes(ics())
        assert harvester.once() == Pass(done=1, failed=4)
        assert facility.found() == known
        assert facility.found("Other") == {}
        sentence = "The calendar at 127.0.0.1 does not answer: the connection failed (Connection refused)."
        assert {status_of(harvester, f"source {pid}") for pid in TOOLS} == {sentence}
        with running(peers_home, "nemo") as nemo:
            has_nemo(facility, nemo)
            assert harvester.once() == Pass(done=5)
            assert status_of(harvester, "source Titan") == "ok"


class TestTokens:
    """They are secrets, however they were set."""

    def test_a_token_is_a_secret_and_never_shown(self, titan: Facility) -> None:
        """Even where it was set without saying so."""
        Harvester(titan.app).once()
        token = titan.config.get(f"{HERE}.main.token")
        assert token.limits.secret
        assert token.value == "b" * 40
        assert "bbbb" not in " ".join(titan.said())
        assert "bbbb" not in titan.config.serialize()


class TestManyReservations:
    """Ids first, then users and projects once: a handful of requests for 1,000 reservations of any number of people."""

    def test_a_thousand_reservations_need_few_requests(self, titan: Facility, nemo: PeerServer) -> None:
        fill(nemo, 1000, people=250)
        assert Harvester(titan.app).once() == Pass(done=4)
        asked = [one.partition("?")[0].rstrip("/").rpartition("/")[2] for one in nemo.requests()]
        counts = Counter(asked)
        assert counts == {"tools": 1, "reservations": 1, "usage_events": 2, "users": 2, "projects": 2}, (
            "200 ids at once"
        )
        found = [one for pid in TOOLS for one in of(nemo, titan.found(pid)).values()]
        assert len(found) >= 1000
        assert {one.user_id for one in found} >= {f"user{number}" for number in range(250)}
        assert {one.project for one in found} >= {f"Project {number}" for number in range(250)}


def fill(nemo: PeerServer, count: int, people: int = 0) -> None:
    """Put copies of a reservation into the database of a NEMO, 20 minutes each, for the first three tools in turn.

    They are of Alice and Bob, or of so many further people, each with a project.
    """
    new = {
        "start": "datetime('2026-03-04', (20 * n) || ' minutes')",
        "end": "datetime('2026-03-04', (20 * n + 20) || ' minutes')",
        "tool_id": "1 + n % 3",
        "user_id": f"101 + n % {people}" if people else "2 + n % 2",
    }
    with closing(sqlite3.connect(nemo.log.parent / "data/nemo.sqlite3")) as database, database:
        if people:
            _copy(
                database, "NEMO_user", people, {"id": "101 + n", "username": "'user' || n", "badge_number": "9000 + n"}
            )
            _copy(database, "NEMO_project", people, {"id": "101 + n", "name": "'Project ' || n"})
            new["project_id"] = new["user_id"]
        _copy(database, "NEMO_reservation", count, new, of=1)


def _copy(database: sqlite3.Connection, table: str, count: int, new: dict[str, str], of: int = 2) -> None:
    """Copy the row with an id of a table, with other values in some columns: SQL with the number of the copy, n."""
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})") if row[1] != "id" or "id" in new]
    database.execute(
        f"""WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < {count})
            INSERT INTO {table} ({", ".join(columns)})
            SELECT {", ".join(new.get(column, column) for column in columns)} FROM {table}, number WHERE id = {of}"""
    )


class TestSessionsFromUsage:
    """Where no logger runs, usage events start and end sessions; never twice, and never two at once."""

    @pytest.fixture
    def jeol(self, titan: Facility) -> Facility:
        titan.config["Instruments.JEOL.sessions_from_usage"] = True
        return titan

    def sessions(self, facility: Facility, pid: str = "JEOL") -> list[tuple[str, str, State]]:
        found = reversed(facility.sessions.newest(pid))
        return [(one.identifier.rpartition("/")[2], one.user, one.state) for one in found]

    def test_begun_and_ended(self, jeol: Facility, nemo: PeerServer) -> None:
        harvester = as_of("2026-03-11T11:00-04:00")(jeol)
        harvester.once()
        expected = [("?id=5", "bob", State.TO_BE_BUILT), ("?id=7", "bob", State.WAITING_FOR_END)]
        assert self.sessions(jeol) == expected
        harvester.once()
        Harvester(jeol.app).once()
        assert self.sessions(jeol) == expected, "the same events again change nothing"
        change(nemo, "usage_events/7", end="2026-03-11T12:00:00-04:00")
        harvester.once()
        ended = jeol.sessions.get(f"{nemo.url}/api/usage_events/?id=7")
        assert (ended.state, ended.end) == (State.TO_BE_BUILT, datetime(2026, 3, 11, 16, tzinfo=UTC))
        assert ended.start == datetime(2026, 3, 11, 14, tzinfo=UTC)
        assert self.sessions(jeol, "Titan") == [], "only where the instrument asks for it"

    def test_the_next_one_begins_when_it_has_ended(self, jeol: Facility, nemo: PeerServer) -> None:
        harvester = as_of("2026-03-11T11:00-04:00")(jeol)
        harvester.once()
        change(nemo, "usage_events/7", end="2026-03-11T12:00:00-04:00")
        change(nemo, "usage_events", user=2, operator=2, tool=3, project=1, start="2026-03-11T12:00:00-04:00")
        harvester.once()
        assert self.sessions(jeol)[1:] == [
            ("?id=7", "bob", State.TO_BE_BUILT),
            ("?id=8", "alice", State.WAITING_FOR_END),
        ]

    def test_a_logger_was_first(self, jeol: Facility) -> None:
        """Its session is left alone; what was used before waits until it has ended, what it covered begins none."""
        client = Client("eve", "pc")
        start, end = (to_ts(datetime(2026, 3, 11, hour, tzinfo=UTC)) for hour in (13, 15))
        own = jeol.sessions.start("JEOL", client, ts=start)
        harvester = as_of("2026-03-11T11:00-04:00")(jeol)
        harvester.once()
        harvester.once()
        assert jeol.sessions.open_on("JEOL") == own
        assert len(self.sessions(jeol)) == 1
        assert len([one for one in jeol.said() if "it is left alone" in one]) == 1
        jeol.sessions.end(own.identifier, client, ts=end)
        harvester.once()
        assert jeol.sessions.open_on("JEOL") is None
        assert [one for one, _, _ in self.sessions(jeol)] == [own.identifier, "?id=5"]

    def test_an_event_that_is_gone(self, jeol: Facility, nemo: PeerServer) -> None:
        harvester = as_of("2026-03-11T11:00-04:00")(jeol)
        harvester.once()
        headers = {"Authorization": f"Token {nemo.tokens['admin']}"}
        requests.delete(f"{nemo.url}/api/usage_events/7/", headers=headers, timeout=30)
        harvester.once()
        assert jeol.sessions.open_on("JEOL") is None

    def test_after_weeks_without_a_harvester(self, jeol: Facility, nemo: PeerServer) -> None:
        """The event that its open session is from is looked for, however long ago it ended."""
        as_of("2026-03-11T11:00-04:00")(jeol).once()
        change(nemo, "usage_events/7", end="2026-03-11T12:00:00-04:00")
        as_of("2026-04-20T11:00-04:00")(jeol).once()
        ended: Session = jeol.sessions.get(f"{nemo.url}/api/usage_events/?id=7")
        assert ended.end == datetime(2026, 3, 11, 16, tzinfo=UTC)

    def test_one_that_was_forgotten(self, jeol: Facility, nemo: PeerServer) -> None:
        """However long it goes on, what is asked for does not grow; when it has ended, so it stays known."""
        change(nemo, "usage_events/7", start="2025-03-11T10:00:00-04:00")
        harvester = as_of("2026-03-11T11:00-04:00")(jeol)
        harvester.once()
        before = len(nemo.requests())
        harvester.once()
        assert len(nemo.requests()) - before == 6
        change(nemo, "usage_events/7", end="2025-03-12T10:00:00-04:00")
        harvester.once()
        assert jeol.sessions.open_on("JEOL") is None
        one = of(nemo, jeol.found("JEOL"), "usage_events")[7]
        assert (one.ongoing, one.end_ts) == (False, to_ts(datetime(2025, 3, 12, 14, tzinfo=UTC)))

    def test_the_event_is_found_for_its_session(self, jeol: Facility, nemo: PeerServer) -> None:
        as_of("2026-03-11T11:00-04:00")(jeol).once()
        session = jeol.sessions.get(f"{nemo.url}/api/usage_events/?id=5")
        assert session.end_ts is not None
        booking = jeol.reservations.for_session("JEOL", session.start_ts, session.end_ts, session.user)
        assert booking is not None
        assert booking.uid == session.identifier


class TestConsentThatComesLater:
    """A session without consent gets another chance while it is young."""

    def test_it_is_given_after_all(self, titan: Facility, nemo: PeerServer) -> None:
        harvester = as_of("2026-03-05T09:00-05:00")(titan)
        session = titan.refused("Titan", "2026-03-03T12:10-05:00", "2026-03-03T16:00-05:00")
        harvester.once()
        assert titan.sessions.get(session.identifier).state is State.NO_CONSENT
        agree(nemo, 2)
        harvester.once()
        assert titan.sessions.get(session.identifier).state is State.TO_BE_BUILT
        assert status_of(harvester, "consents_given") == 1

    def test_but_not_for_ever(self, titan: Facility, nemo: PeerServer) -> None:
        session = titan.refused("Titan", "2026-03-03T12:10-05:00", "2026-03-03T16:00-05:00")
        agree(nemo, 2)
        titan.config["Services.Harvester.consent_days"] = 1
        as_of("2026-03-05T09:00-05:00")(titan).once()
        assert titan.sessions.get(session.identifier).state is State.NO_CONSENT


def agree(nemo: PeerServer, number: int) -> None:
    """Change the answer of a reservation to the question of consent, in the database of a NEMO."""
    with closing(sqlite3.connect(nemo.log.parent / "data/nemo.sqlite3")) as database, database:
        database.execute(
            """UPDATE NEMO_reservation
                  SET question_data = replace(question_data, '"user_input": "Disagree"', '"user_input": "Agree"')
                WHERE id = ?""",
            (number,),
        )
