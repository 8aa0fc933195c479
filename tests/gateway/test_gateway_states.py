"""Any order of START, PAUSE, RESUME and END, with repeats and restarts of the Gateway: the session is right."""

from __future__ import annotations

import uuid
from typing import Any

import requests
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.gateway.gateways import RunningGateway, Started, event_body, kind_of

EXAMPLES, STEPS = 8, 25
RESTARTS = 1
"""In each example; a restart takes longer than all other steps."""
EVENTS = ("pause", "resume", "note", "end")


class Microscope(RuleBasedStateMachine):
    """One PC, and what its sessions must be."""

    gateway: RunningGateway

    def __init__(self) -> None:
        super().__init__()
        self.pc = self.gateway.pc()
        self.sessions: list[Started] = []
        self.expected: list[list[str]] = []
        self.sent: list[tuple[tuple[Any, ...], requests.Response]] = []
        """Successful requests, with their answers."""
        self.restarts = 0

    @property
    def is_open(self) -> bool:
        return bool(self.expected) and "END" not in self.expected[-1]

    def send(self, *request: Any) -> requests.Response:
        answer = self.pc.post(*request)
        if answer.status_code < 300:
            self.sent.append((request, answer))
        return answer

    @rule()
    def start(self) -> None:
        identifier = str(uuid.uuid4())
        answer = self.send("sessions", self.pc.start_body(identifier), str(uuid.uuid4()))
        if self.is_open:
            assert kind_of(answer) == "session-open"
            return
        assert answer.status_code == 201, answer.text
        self.sessions.append(Started(self.pc, identifier, answer.json()["session_token"]))
        self.expected.append(["START"])

    @precondition(lambda self: bool(self.sessions))
    @rule(what=st.sampled_from(EVENTS), data=st.data())
    def report(self, what: str, data: st.DataObject) -> None:
        """An event of the newest session, or of an earlier one that has ended."""
        number = data.draw(st.integers(0, len(self.sessions) - 1))
        session, events = self.sessions[number], self.expected[number]
        body = event_body(text="x") if what == "note" else event_body()
        path = f"sessions/{session.identifier}/{what}"
        answer = self.send(path, body, str(uuid.uuid4()), session.token)
        if "END" in events and what in ("pause", "resume"):
            assert kind_of(answer) == "session-ended"
            return
        assert answer.status_code == 200, answer.text
        if not (what == "end" and "END" in events):
            events.append(what.upper())
        breaks = [event for event in events if event in ("PAUSE", "RESUME")]
        assert answer.json()["paused"] is ("END" not in events and breaks[-1:] == ["PAUSE"])
        assert answer.json()["state"] == ("TO_BE_BUILT" if "END" in events else "WAITING_FOR_END")

    @precondition(lambda self: bool(self.sent))
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        request, answer = data.draw(st.sampled_from(self.sent))
        again = self.pc.post(*request)
        assert (again.status_code, again.text) == (answer.status_code, answer.text)

    @precondition(lambda self: self.restarts < RESTARTS and len(self.sent) > 4)
    @rule(kill=st.booleans())
    def restart(self, kill: bool) -> None:
        self.restarts += 1
        if kill:
            self.gateway.kill()
        else:
            assert self.gateway.stop() == 0
        self.gateway.start()

    def teardown(self) -> None:
        assert [session.types() for session in self.sessions] == self.expected
        for events in self.expected:
            assert events.count("START") == 1
            assert events.count("END") <= 1


def test_every_session_is_right(embedded_gateway: RunningGateway) -> None:
    """000-01: one START and one END, whatever a PC sends, and however often."""
    machine = type("Microscope", (Microscope,), {"gateway": embedded_gateway})
    chosen = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None, derandomize=True)
    run_state_machine_as_test(machine, settings=chosen)  # type: ignore[no-untyped-call]
