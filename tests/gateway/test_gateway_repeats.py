"""A request that is sent again changes nothing and gets the same answer, whatever happened in between."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.gateway.gateways import PC, RunningGateway, clock, configure, event_body, kind_of
from tests.processes import eventually, execute, rows

KILLED_BEFORE_THE_ANSWER = """
import os, sys
from NexusCore.facility.answered import AnsweredRequests
real = AnsweredRequests.once
def once(self, key, work):
    given = real(self, key, work)
    if not given.again:
        os.kill(os.getpid(), 9)
    return given
AnsweredRequests.once = once
from NexusCore.service import main
from Services.Gateway.service import Gateway
sys.exit(main(Gateway, []))
"""
"""A Gateway that dies between each COMMIT and its answer."""


def at_once(pc: PC, path: str, body: object, token: str | None = None) -> list[requests.Response]:
    """Send one request eight times at the same time."""
    request, answers = str(uuid.uuid4()), list[requests.Response]()
    threads = [threading.Thread(target=lambda: answers.append(pc.post(path, body, request, token))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


class TestSentAgain:
    """The same id: the same answer, and no second event."""

    def test_every_kind_of_request(self, gateway: RunningGateway) -> None:
        pc = gateway.pc()
        request, identifier = str(uuid.uuid4()), str(uuid.uuid4())
        body = pc.start_body(identifier)
        first = pc.post("sessions", body, request)
        assert first.status_code == 201
        again = pc.post("sessions", {**body, "now": clock()}, request)
        assert (again.status_code, again.json()) == (201, first.json())
        token = first.json()["session_token"]
        for what, more in (
            ("pause", {}),
            ("resume", {}),
            ("note", {"text": "x"}),
            ("problem", {"text": "y"}),
            ("end", {}),
        ):
            request, body = str(uuid.uuid4()), event_body(**more)
            answers = [pc.post(f"sessions/{identifier}/{what}", body, request, token) for _ in range(3)]
            assert {answer.status_code for answer in answers} == {200}
            assert answers[0].json() == answers[1].json() == answers[2].json()
        events = pc.get(f"sessions/{identifier}").json()["events"]
        assert [event["type"] for event in events] == ["START", "PAUSE", "RESUME", "NOTE", "PROBLEM", "END"]

    def test_at_the_same_time(self, gateway: RunningGateway) -> None:
        pc = gateway.pc()
        identifier = str(uuid.uuid4())
        started = at_once(pc, "sessions", pc.start_body(identifier))
        assert {answer.status_code for answer in started} == {201}
        assert len({answer.text for answer in started}) == 1
        token = started[0].json()["session_token"]
        ended = at_once(pc, f"sessions/{identifier}/end", event_body(), token)
        assert {answer.status_code for answer in ended} == {200}
        assert len({answer.text for answer in ended}) == 1
        events = pc.get(f"sessions/{identifier}").json()["events"]
        assert [event["type"] for event in events] == ["START", "END"]

    def test_an_id_belongs_to_one_request(self, gateway: RunningGateway) -> None:
        session, request = gateway.pc().start(), str(uuid.uuid4())
        assert session.post("note", request, text="one").status_code == 200
        refused = session.post("note", request, text="two")
        assert (refused.status_code, kind_of(refused)) == (422, "request-id-reused")
        assert session.types() == ["START", "NOTE"]

    def test_ids_of_different_pcs_do_not_meet(self, gateway: RunningGateway) -> None:
        request = str(uuid.uuid4())
        for _ in range(2):
            pc = gateway.pc()
            assert pc.post("sessions", pc.start_body(str(uuid.uuid4())), request).status_code == 201

    def test_a_refused_request_is_judged_again(self, gateway: RunningGateway) -> None:
        """It has changed nothing, so there is nothing to keep."""
        first, second = gateway.pc(), None
        session = first.start()
        second = gateway.pc(first.pids[0])
        request, body = str(uuid.uuid4()), second.start_body(str(uuid.uuid4()))
        assert second.post("sessions", body, request).status_code == 409
        session.post("end")
        assert second.post("sessions", body, request).status_code == 201

    def test_no_token_is_stored(self, gateway: RunningGateway) -> None:
        pc = gateway.pc()
        session = pc.start()
        stored = [
            rows(gateway.main, f"SELECT * FROM {table}")
            for table in ("token", "session", "session_event", "gateway_request")
        ]
        assert session.identifier in str(stored)
        assert session.token not in str(stored)
        assert pc.secret not in str(stored)


class TestKilled:
    """kill -9 between COMMIT and answer: the client sends it again, and gets the answer that it missed."""

    @pytest.fixture
    def mortal(self, database_url: str, tmp_path: Path) -> Iterator[RunningGateway]:
        running = RunningGateway(database_url, tmp_path, KILLED_BEFORE_THE_ANSWER)
        yield running
        running.close()

    def test_between_commit_and_answer(self, mortal: RunningGateway) -> None:
        pc = mortal.pc()
        request, body = str(uuid.uuid4()), pc.start_body(str(uuid.uuid4()))
        with pytest.raises(requests.ConnectionError):
            pc.post("sessions", body, request)
        mortal.start()
        started = pc.post("sessions", body, request)
        assert started.status_code == 201
        token, path = started.json()["session_token"], f"sessions/{body['identifier']}"
        request, end = str(uuid.uuid4()), event_body()
        with pytest.raises(requests.ConnectionError):
            pc.post(f"{path}/end", end, request, token)
        mortal.start()
        assert pc.post(f"{path}/end", end, request, token).json()["state"] == "TO_BE_BUILT"
        assert [event["type"] for event in pc.get(path).json()["events"]] == ["START", "END"]


class TestOldAnswers:
    """Answers are kept for a configured time."""

    def test_they_are_forgotten(self, sqlite_template: Path, tmp_path: Path) -> None:
        shutil.copyfile(sqlite_template, tmp_path / "nexus.db")
        running = RunningGateway(f"sqlite:///{tmp_path}/nexus.db", tmp_path)
        try:
            running.pc().start()
            count = "SELECT COUNT(*) FROM gateway_request"
            assert rows(running.main, count) == [(1,)]
            execute(running.main, "UPDATE gateway_request SET ts = ts - 86400000000")
            configure(running.main, keep_answers_days=0.5)
            eventually(lambda: rows(running.main, count) == [(0,)])
        finally:
            running.close()
