"""Whatever users, networks and computers do, in any order: each session has one START and at most one END."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from Logger.outbox import Outbox
from Logger.states import ControllerState, OpenSessionQuestion, Running, Working
from Logger.uptime import Uptime
from NexusCore.errors import SessionOpen
from NexusCore.facility.sessions import Client, State
from tests.faults.load import LONG
from tests.logger.facility import LIMIT, PID, Course, Facility, until
from tests.logger.network import Network

STAFF = Client(user="staff", host="office")
COMPUTERS = ("one", "two")
EXAMPLES = 500 if LONG else 60


class _Network(Network):
    """The network of this test."""


class _Clock(Uptime):
    """A clock that is set now and then."""

    offset = 0

    def now(self) -> int:
        return super().now() + self.offset


class _Computer:
    """A computer at the instrument, with its outbox; its logger is open or not."""

    def __init__(self, folder: Path, host: str) -> None:
        self._folder, self._host = folder, host
        self.clock = _Clock()
        self.course: Course | None = None
        self.state: ControllerState | None = None

    def launch(self) -> None:
        self.course = Course(self._folder, lambda: _Network(self._host), patience=0.1, uptime=self.clock)
        self.order(self.course.controller.begin)

    def order(self, order: object) -> None:
        """Give an order, and wait until it is carried out."""
        assert self.course is not None
        assert callable(order)
        done = threading.Event()
        order()
        self.course.controller._orders.put(done.set)  # type: ignore[arg-type]
        assert done.wait(LIMIT)
        while True:
            try:
                state = self.course.controller.states.get_nowait()
            except queue.Empty:
                return
            if not isinstance(state, Working):
                self.state = state

    def crash(self) -> None:
        if self.course is not None:
            self.course.controller.stop()
        self.course = self.state = None

    def outbox(self) -> Outbox:
        return Outbox(self._folder / "pc.outbox", self.clock)


class Sequences(RuleBasedStateMachine):
    """Orders of users, staff and fate."""

    facility: ClassVar[Facility]
    folder: ClassVar[Path]
    _numbers: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        number = next(self._numbers)
        self.before = {session.identifier for session in self.all()}
        self.computers = {name: _Computer(self.folder / f"{number}-{name}", self.facility.host) for name in COMPUTERS}
        _Network.cut, _Network.lost = False, 0

    def all(self) -> list[object]:
        return self.facility.sessions.newest(PID, count=100_000)[::-1]  # type: ignore[return-value]

    @rule(name=st.sampled_from(COMPUTERS))
    def launch(self, name: str) -> None:
        computer = self.computers[name]
        if computer.course is None:
            computer.launch()

    @rule(name=st.sampled_from(COMPUTERS), order=st.sampled_from(["pause", "resume", "end", "begin"]))
    def click(self, name: str, order: str) -> None:
        computer = self.computers[name]
        if computer.course is not None:
            computer.order(getattr(computer.course.controller, order))

    @rule(name=st.sampled_from(COMPUTERS), goes_on=st.booleans(), at_last=st.booleans())
    def answer(self, name: str, goes_on: bool, at_last: bool) -> None:
        computer = self.computers[name]
        if computer.course is not None and isinstance(computer.state, OpenSessionQuestion):
            controller, last = computer.course.controller, computer.state.session.last
            computer.order(controller.go_on if goes_on else lambda: controller.start_new(last if at_last else None))

    @rule(name=st.sampled_from(COMPUTERS))
    def note(self, name: str) -> None:
        computer = self.computers[name]
        if computer.course is not None and isinstance(computer.state, Running):
            controller = computer.course.controller
            computer.order(lambda: controller.note("a note"))

    @rule(name=st.sampled_from(COMPUTERS))
    def crash(self, name: str) -> None:
        self.computers[name].crash()

    @rule(name=st.sampled_from(COMPUTERS), hours=st.integers(-30, 30))
    def set_clock(self, name: str, hours: int) -> None:
        self.computers[name].clock.offset += hours * 3_600_000_000

    @rule(cut=st.booleans())
    def network(self, cut: bool) -> None:
        _Network.cut = cut

    @rule(lost=st.integers(1, 3))
    def lose_answers(self, lost: int) -> None:
        _Network.lost = lost

    @rule()
    def staff_ends(self) -> None:
        session = self.facility.sessions.open_on(PID)
        if session is not None:
            self.facility.sessions.end(session.identifier, STAFF)

    @rule()
    def staff_starts(self) -> None:
        # No precondition: a delivery on its way may change the answer, and which rules there are must not depend on it.
        with suppress(SessionOpen):
            self.facility.sessions.start(PID, STAFF)

    def teardown(self) -> None:
        """Let everything be delivered, and look at what is there."""
        _Network.cut, _Network.lost = False, 0
        started: set[str] = set()
        for computer in self.computers.values():
            outbox = computer.outbox()
            started |= {event.session for event in outbox.waiting() if event.kind.value == "START"}
            if computer.course is None:
                computer.course = Course(
                    computer._folder, lambda: _Network(self.facility.host), patience=0.1, uptime=computer.clock
                )
            computer.course.controller._delivery.wake()
            until(lambda outbox=outbox: not outbox.waiting(), "everything is delivered")  # type: ignore[misc]
            computer.crash()
        sessions = [session for session in self.all() if session.identifier not in self.before]  # type: ignore[attr-defined]
        assert started <= {session.identifier for session in sessions}, "none is lost"  # type: ignore[attr-defined]
        for session in sessions:
            events = self.facility.events(session)  # type: ignore[arg-type]
            assert events.count("START") == 1
            assert events.count("END") == (session.state is not State.WAITING_FOR_END), events  # type: ignore[attr-defined]
            assert session.end_ts is None or session.end_ts >= session.start_ts  # type: ignore[attr-defined]
        assert sum(session.state is State.WAITING_FOR_END for session in sessions) <= 1  # type: ignore[attr-defined]
        self.staff_ends()


def test_any_sequence_leaves_right_sessions(
    small_facility: Facility, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """000-14..21, 37..39: crashes, lost answers, a second computer, another user, clocks that are set, the staff."""
    monkeypatch.setattr("Logger.delivery.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("Logger.delivery.LONGEST_PAUSE", 0.05)
    Sequences.facility, Sequences.folder = small_facility, tmp_path / "sequences"
    run_state_machine_as_test(
        Sequences,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
