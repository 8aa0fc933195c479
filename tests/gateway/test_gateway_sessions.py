"""The API of the Gateway: what a session logger needs, on every database."""

from __future__ import annotations

import threading
import uuid
from datetime import datetime

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.facility import Session, Sessions, forgotten, transitions
from NexusCore.facility.reservations import Reservation, Reservations
from NexusCore.facility.session import Client
from NexusCore.storage import Transaction, open_database
from tests.gateway.gateways import RunningGateway, Started, clock, event_body, kind_of
from tests.processes import eventually, rows


class TestASession:
    """002-08: START and END, and what happens between them, without an account of the database."""

    def test_from_start_to_end(self, gateway: RunningGateway) -> None:
        """002-01, 002-14: the pair defines the session; it is released for building with its END."""
        pc = gateway.pc()
        session = pc.start()
        assert session.post("pause").json()["paused"] is True
        assert session.post("resume").json()["paused"] is False
        assert session.post("note", text="The filament was changed.").status_code == 200
        assert session.post("problem", text="Vacuum").status_code == 200
        ended = session.post("end")
        assert (ended.status_code, ended.json()["state"]) == (200, "TO_BE_BUILT")
        assert session.types() == ["START", "PAUSE", "RESUME", "NOTE", "PROBLEM", "END"]
        stored = rows(
            gateway.main,
            """SELECT e.host, e.user, e.zone FROM session_event e JOIN session s ON s.id = e.session_id
                WHERE s.identifier = :identifier""",
            identifier=session.identifier,
        )
        assert set(stored) == {(pc.name, "ada", "Europe/Oslo")}

    def test_last_and_newest(self, gateway: RunningGateway) -> None:
        pc = gateway.pc()
        assert pc.get("sessions/last").json() == {"session": None}
        first = pc.start()
        assert pc.get("sessions/last").json()["session"]["state"] == "WAITING_FOR_END"
        first.post("end")
        second = pc.start()
        assert pc.get("sessions/last").json()["session"]["identifier"] == second.identifier
        listed = pc.get("sessions").json()["sessions"]
        assert [one["identifier"] for one in listed] == [second.identifier, first.identifier]
        ended = pc.get("sessions", params={"state": "TO_BE_BUILT", "limit": 1}).json()["sessions"]
        assert [one["identifier"] for one in ended] == [first.identifier]

    def test_a_pc_with_several_instruments_says_which(self, gateway: RunningGateway) -> None:
        pc = gateway.pc("Two-A", "Two-B")
        assert pc.get("sessions").status_code == 422
        session = pc.start("Two-B")
        found = pc.get("sessions/last", params={"instrument": "Two-B"}).json()
        assert found["session"]["identifier"] == session.identifier
        assert pc.get("sessions/last", params={"instrument": "Two-A"}).json() == {"session": None}

    def test_one_open_session_for_each_instrument(self, gateway: RunningGateway) -> None:
        pc = gateway.pc("Shared-A")
        open_session = pc.start()
        other = gateway.pc("Shared-A")
        refused = other.post("sessions", other.start_body(str(uuid.uuid4()), user="bob"))
        assert (refused.status_code, kind_of(refused)) == (409, "session-open")
        assert refused.json()["session"]["identifier"] == open_session.identifier
        open_session.post("end")
        other.start()

    def test_of_simultaneous_starts_one_succeeds(self, gateway: RunningGateway) -> None:
        pcs = [gateway.pc(f"Race-{gateway.main[:5]}") for _ in range(4)]
        codes: list[int] = []

        def start(number: int) -> None:
            pc = pcs[number]
            codes.append(pc.post("sessions", pc.start_body(str(uuid.uuid4()))).status_code)

        threads = [threading.Thread(target=start, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(codes) == [201, 409, 409, 409]

    def test_what_has_ended_stays_ended(self, gateway: RunningGateway) -> None:
        session = gateway.pc().start()
        first = session.post("end").json()
        assert session.post("end").json() == first
        assert kind_of(session.post("pause")) == "session-ended"
        assert session.post("note", text="afterwards").status_code == 200
        assert session.types() == ["START", "END", "NOTE"]

    def test_an_identifier_belongs_to_one_session(self, gateway: RunningGateway) -> None:
        """A second START with another request id gets no token of the session."""
        pc = gateway.pc()
        session = pc.start()
        refused = pc.post("sessions", pc.start_body(session.identifier))
        assert (refused.status_code, kind_of(refused)) == (409, "session-exists")


class TestTimes:
    """000-46: an event keeps the time at which it happened, however late it is delivered."""

    def test_a_start_that_is_delivered_late(self, gateway: RunningGateway) -> None:
        pc = gateway.pc()
        at = clock(-7200)
        session = pc.start(at=at)
        found = pc.get(f"sessions/{session.identifier}").json()["session"]["start"]
        assert datetime.fromisoformat(found) == datetime.fromisoformat(at)

    def test_a_pc_whose_clock_is_wrong(self, gateway: RunningGateway) -> None:
        """Its offset is measured and stored, and the time is corrected by it."""
        pc = gateway.pc()
        before = SYSTEM_CLOCK.now()
        session = pc.start(at=clock(86_400 - 60), now=clock(86_400))
        ((ts, offset),) = rows(
            gateway.main,
            """SELECT e.ts, e.clock_offset FROM session_event e JOIN session s ON s.id = e.session_id
                WHERE s.identifier = :identifier""",
            identifier=session.identifier,
        )
        assert abs(offset - 86_400 * SECOND) < 30 * SECOND
        assert abs(ts - (before - 60 * SECOND)) < 30 * SECOND

    def test_the_end_of_one_that_was_taken_for_forgotten(self, gateway: RunningGateway) -> None:
        """The PC was away for days: when the session ended by it is kept, and nothing else changes."""
        session = gateway.pc().start()
        database = open_database(gateway.main)

        def close(transaction: Transaction) -> Session | None:
            found = transitions.find(transaction, session.identifier)
            signs = forgotten.signs_of_life(transaction, found, "Builder", transaction.now())
            return forgotten.end(
                transaction, found, Client("Builder", "server"), signs, found.start_ts, "it was silent"
            )

        closed = database.write(close)
        assert closed is not None
        for _ in range(2):
            answer = session.post("end")
            assert (answer.status_code, answer.json()["state"]) == (200, "TO_BE_BUILT")
        assert session.types() == ["START", "END", "NOTE"]
        sessions = Sessions(database, SYSTEM_CLOCK)
        assert sessions.get(session.identifier) == closed
        note = sessions.events(closed)[-1]
        assert (note.user, (note.detail or "").startswith("the session logger reported later")) == ("ada", True)
        database.close()

    def test_an_end_is_not_before_its_start(self, gateway: RunningGateway) -> None:
        session = gateway.pc().start()
        ended = session.post("end", at=clock(-3600)).json()
        assert ended["end"] == ended["start"]

    def test_what_cannot_be_is_refused(self, gateway: RunningGateway) -> None:
        session = gateway.pc().start()
        assert kind_of(session.post("note", text="x", at=clock(3600))) == "in-the-future"
        assert kind_of(session.post("note", text="x", at=clock(-100 * 86_400))) == "too-old"
        assert kind_of(session.post("note", text="x", at="2026-11-30T10:00:00")) == "invalid"


class TestInstruments:
    """000-27: the instrument of a computer, and who has booked it."""

    def test_by_the_name_of_the_computer(self, gateway: RunningGateway) -> None:
        from NexusCore.config.store import ConfigStore, Edit, Origin

        database = open_database(gateway.main)
        store = ConfigStore(database, SYSTEM_CLOCK)
        values = {
            "computer_name": "TITAN-PC",
            "filestore_path": "/srv/secret-place",
            "api_url": "https://x.example.org",
        }
        edits = [Edit(f"Instruments.FEI-Titan-TEM.{name}", value=value) for name, value in values.items()]
        edits.append(Edit("Logger.support_address", value="help@example.org"))
        store.apply(store.version_id("default"), "default", edits, Origin("jane", "desk", "test", "to begin with"))
        database.close()
        pc = gateway.pc("FEI-Titan-TEM")
        (found,) = eventually(lambda: pc.get("instruments", params={"computer": "titan-pc.lab"}).json()["instruments"])
        assert (found["pid"], found["computer_name"]) == ("FEI-Titan-TEM", "TITAN-PC")
        assert found["logger"]["support_address"] == "help@example.org"
        assert pc.get("instruments/FEI-Titan-TEM").json() == found
        assert "secret-place" not in pc.get("instruments").text
        assert "x.example.org" not in pc.get("instruments").text
        assert pc.get("instruments", params={"computer": "OTHER"}).json() == {"instruments": []}

    def test_reservations_now_and_next(self, gateway: RunningGateway) -> None:
        pc, now, hour = gateway.pc(), SYSTEM_CLOCK.now(), 3600 * SECOND
        pid = pc.pids[0]
        assert pc.get(f"instruments/{pid}/reservations").json() == {"now": None, "next": None}
        booked = [
            Reservation("ical", f"{pid}-1", pid, now - hour, now + hour, title="NMC811", user="Jane Doe"),
            Reservation("ical", f"{pid}-2", pid, now + 2 * hour, now + 3 * hour, title="Gold", user="Bob"),
        ]
        database = open_database(gateway.main)
        Reservations(database, SYSTEM_CLOCK).take_over(pid, now - 10 * hour, now + 10 * hour, booked)
        database.close()
        found = pc.get(f"instruments/{pid}/reservations").json()
        assert (found["now"]["title"], found["now"]["user"]) == ("NMC811", "Jane Doe")
        assert found["next"]["title"] == "Gold"


class TestTheGatewayItself:
    """Version, health and heartbeats."""

    def test_version_and_health_need_no_token(self, gateway: RunningGateway) -> None:
        version = gateway.get("/v1/version").json()
        assert (version["server"], version["api"]) == ("NexusCore Gateway", 1)
        assert gateway.get("/v1/health").json() == {"status": "ok"}

    def test_a_client_of_another_level_is_refused(self, gateway: RunningGateway) -> None:
        """At the handshake, and at any other request."""
        pc = gateway.pc()
        for level in ("0", "2", "x", "-1", "١"):
            headers = {**pc.headers, "NexusCore-API": level.encode().decode("latin-1")}
            for path in ("/v1/version", "/v1/sessions"):
                refused = gateway.get(path, headers=headers)
                assert (refused.status_code, kind_of(refused)) == (400, "incompatible-client")
                assert "API level" in refused.json()["detail"]
        assert gateway.get("/v1/sessions", headers={**pc.headers, "NexusCore-API": "1"}).status_code == 200

    def test_a_heartbeat_is_noted(self, gateway: RunningGateway) -> None:
        pc = gateway.pc()
        session = pc.start()
        before = SYSTEM_CLOCK.now()
        answer = pc.post("heartbeat", {"session": session.identifier})
        assert (answer.status_code, answer.json()["computer"]) == (200, pc.name)
        sql = "SELECT seen_ts FROM session WHERE identifier = :identifier"
        assert rows(gateway.main, sql, identifier=session.identifier)[0][0] >= before
        assert pc.post("heartbeat", {}).status_code == 200
        assert rows(gateway.main, "SELECT seen_ts FROM token WHERE id = :id", id=pc.token_id)[0][0] is not None

    def test_what_is_logged_belongs_to_the_session(self, gateway: RunningGateway) -> None:
        session = gateway.pc().start()
        sql = "SELECT message FROM log_record WHERE session = :identifier"
        found = eventually(lambda: rows(gateway.main, sql, identifier=session.identifier))
        assert found[0][0].startswith("START at ")
        assert session.token not in str(rows(gateway.main, "SELECT message FROM log_record"))


class TestOneInstrumentsTwoSessions:
    """Where another session is open, the user decides, or for a START that comes late, the order of the starts."""

    def test_the_user_ends_the_other_one(self, gateway: RunningGateway) -> None:
        """Both happen together, at the times that the PC says."""
        pc = gateway.pc()
        first = pc.start(at=clock(-600))
        identifier = str(uuid.uuid4())
        ends = {"identifier": first.identifier, "at": clock(-300)}
        answer = pc.post("sessions", pc.start_body(identifier, ends=ends))
        assert (answer.status_code, answer.json()["session"]["end"]) == (201, None)
        old, new = (pc.get(f"sessions/{one}").json() for one in (first.identifier, identifier))
        assert [event["type"] for event in old["events"]] == ["START", "END"]
        lasted = datetime.fromisoformat(old["session"]["end"]) - datetime.fromisoformat(old["session"]["start"])
        assert abs(lasted.total_seconds() - 300) < 2
        assert [event["type"] for event in new["events"]] == ["START"]

    def test_only_the_one_that_was_decided_about(self, gateway: RunningGateway) -> None:
        pc = gateway.pc()
        pc.start()
        ends = {"identifier": str(uuid.uuid4()), "at": clock()}
        answer = pc.post("sessions", pc.start_body(str(uuid.uuid4()), ends=ends))
        assert (answer.status_code, kind_of(answer)) == (409, "session-open")

    @pytest.mark.parametrize("ours_first", [True, False])
    def test_a_late_start_is_settled(self, gateway: RunningGateway, ours_first: bool) -> None:
        """The one that began first ends when the other one began; nothing is lost, and they do not overlap."""
        pc = gateway.pc()
        other = pc.start(at=clock(-300))
        identifier = str(uuid.uuid4())
        answer = pc.post("sessions", pc.start_body(identifier, settle=True, at=clock(-600 if ours_first else -60)))
        assert answer.status_code == 201
        ours, theirs = (pc.get(f"sessions/{one}").json() for one in (identifier, other.identifier))
        first, second = (ours, theirs) if ours_first else (theirs, ours)
        assert (first["session"]["end"], second["session"]["end"]) == (second["session"]["start"], None)
        assert answer.json()["session"]["end"] == ours["session"]["end"]
        assert [event["type"] for event in first["events"]] == ["START", "NOTE", "END"]
        assert [event["type"] for event in second["events"]] == ["START"]

    def test_a_late_start_covers_no_later_session(self, embedded_gateway: RunningGateway) -> None:
        """It ends when the next one began, also if that one has ended: a PC claims no files of others."""
        pc = embedded_gateway.pc()
        for begin, end in ((-3000, -2500), (-2000, -1500)):
            session = pc.start(at=clock(begin))
            assert session.post("end", at=clock(end)).status_code == 200
        answer = pc.post("sessions", pc.start_body(str(uuid.uuid4()), settle=True, at=clock(-2400))).json()["session"]
        lasted = datetime.fromisoformat(answer["end"]) - datetime.fromisoformat(answer["start"])
        assert abs(lasted.total_seconds() - 400) < 2

    def test_a_lost_token_is_made_anew(self, gateway: RunningGateway) -> None:
        """The former one is of no use then; an ended session has none to make."""
        pc = gateway.pc()
        session = pc.start()
        request, body = str(uuid.uuid4()), event_body()
        answers = [pc.post(f"sessions/{session.identifier}/continue", body, request) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        again = Started(pc, session.identifier, answers[0].json()["session_token"])
        assert again.post("end").status_code == 200
        assert session.types() == ["START", "RESUME", "END"]
        refused = pc.post(f"sessions/{session.identifier}/continue", event_body())
        assert (refused.status_code, kind_of(refused)) == (409, "session-ended")

    def test_another_pc_s_session_cannot_be_continued(self, gateway: RunningGateway) -> None:
        session, stranger = gateway.pc().start(), gateway.pc()
        answer = stranger.post(f"sessions/{session.identifier}/continue", event_body())
        assert (answer.status_code, kind_of(answer)) == (404, "no-such-session")
