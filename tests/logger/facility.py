"""A facility in a test's database: one microscope, its PC, and what is written down about its sessions."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from Logger.controller import Controller
from Logger.database_facility import DatabaseFacility
from Logger.facility import FacilityLink as LoggerFacility
from Logger.outbox import Outbox
from Logger.questions import ShareCheck
from Logger.states import Closed, ControllerState, Ended, Running, Working
from Logger.uptime import Uptime
from NexusCore import settings
from NexusCore.API import App
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.facility.sessions import Event, Session, Sessions
from NexusCore.storage import Database

PID = "FEI-Titan-TEM"
LIMIT = 60.0
"""Seconds after which a test gives up waiting: far more than a slow machine needs."""
LOOK_EVERY = 0.02
S = TypeVar("S", bound=ControllerState)


class Facility:
    """What the logger finds; the variables of the environment name its database."""

    def __init__(self, folder: Path, **logger_settings: str | float | bool) -> None:
        self._courses: list[Course] = []
        self.folder = folder / "computers"
        """For the outboxes."""
        self.host = f"pc-{uuid.uuid4().hex[:12]}"
        """Of this test alone: there is one logger per computer."""
        app = App(settings.load(), tool="test")
        try:
            config = app.get_config()
            config[f"Instruments.{PID}.name"] = "FEI Titan TEM"
            config[f"Instruments.{PID}.computer_name"] = self.host.upper()
            for name, value in logger_settings.items():
                config[f"Logger.{name}"] = value
        finally:
            app.shutdown(0)
        self.database = Database(settings.load().main)
        self.sessions = Sessions(self.database, SYSTEM_CLOCK)

    def course(
        self, make: Callable[[str], LoggerFacility] = DatabaseFacility, computer: str = "", **options: Any
    ) -> Course:
        """Return a logger at the microscope's PC, or at another computer, which has an outbox of its own."""
        self._courses.append(Course(self.folder / (computer or "pc"), lambda: make(self.host), **options))
        return self._courses[-1]

    def close(self) -> None:
        for course in self._courses:
            course.close()
        self.database.close()

    def session(self) -> Session:
        """Return the newest session."""
        return self.sessions.newest(PID, count=1)[0]

    def all(self) -> list[Session]:
        """Return all sessions, oldest first."""
        return self.sessions.newest(PID)[::-1]

    def events(self, session: Session | None = None) -> list[str]:
        """Return what happened in a session, the newest if none is given."""
        return [event.type.value for event in self.full_events(session)]

    def full_events(self, session: Session | None = None) -> list[Event]:
        return self.sessions.events(session or self.session())


def configure_logger(**values: bool | float) -> None:
    """Set parameters of the logger, as the staff does."""
    app = App(settings.load(), tool="test")
    try:
        for name, value in values.items():
            app.get_config()[f"Logger.{name}"] = value
    finally:
        app.shutdown(0)


class Course:
    """A logger without a window: gives orders as the window does, and reads what it would show.

    Parameters
    ----------
    home
        Folder of the outbox: that of one computer.
    make
        Makes what it reaches the facility by.
    patience
        Seconds that it waits for the facility; long by default, since the machine may be busy.
    uptime, share
        Its clocks, and the file share that it looks at, if any.
    """

    def __init__(
        self,
        home: Path,
        make: Callable[[], LoggerFacility],
        patience: float = LIMIT,
        uptime: Uptime | None = None,
        share: ShareCheck | None = None,
    ) -> None:
        self.waited: list[float] = []
        self.steps: list[Working] = []
        self.outbox = Outbox(home / "pc.outbox", uptime or Uptime())
        self.controller = Controller(self.outbox, make, sleep=self.waited.append, patience=patience, share=share)

    def close(self) -> None:
        """Stop it: it would deliver into the next test's database."""
        self.controller.stop()

    def begin(self, expected: type[S]) -> S:
        return self._after(self.controller.begin, expected)

    def go_on(self, expected: type[S]) -> S:
        return self._after(self.controller.go_on, expected)

    def start_new(self, expected: type[S]) -> S:
        return self._after(self.controller.start_new, expected)

    def end(self, expected: type[S]) -> S:
        return self._after(self.controller.end, expected)

    def order(self, order: Callable[[], None], expected: type[S]) -> S:
        return self._after(order, expected)

    def shown(self, condition: Callable[[ControllerState], bool]) -> ControllerState:
        """Return the next state for which something holds, passing over the others."""
        while True:
            state = self.next(ControllerState)  # type: ignore[arg-type,type-var]
            if condition(state):
                return state

    def next(self, expected: type[S]) -> S:
        while True:
            try:
                state = self.controller.states.get(timeout=LIMIT)
            except queue.Empty:
                raise AssertionError("the logger shows nothing more") from None
            if isinstance(state, Working) and expected is not Working:
                self.steps.append(state)
                continue
            if isinstance(state, Running) and expected not in (Running, ControllerState):
                continue  # the same session, with something more that is known about it
            assert isinstance(state, expected), state
            return state

    def _after(self, order: Callable[[], None], expected: type[S]) -> S:
        self.steps.clear()
        order()
        return self.next(expected)

    def finish(self) -> None:
        """End a session that runs, until the window would be gone."""
        self.controller.end()
        while not isinstance(self.next(object), Closed):  # type: ignore[type-var]
            pass


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so, for at most `LIMIT`."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(LOOK_EVERY)


def known(facility: Facility) -> None:
    """Have the PC learn its instrument, in a session that ends."""
    course = facility.course()
    course.begin(Running)
    course.end(Ended)
