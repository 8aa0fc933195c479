"""The controller of the session logger: starts a session, waits, and ends it, without a window.

Promises
--------
* Slow work runs on a thread of its own. The commands of the window (`begin`, `go_on`, `start_new`, `end`) return at
  once; the queue `states` has the states to show.
* Errors are shown as errors; the question about an open session is asked only if such a session was found.
* Every command can be repeated after a failure: a session never gets a second START or END.
* While a session is running, nothing is sent.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Callable, Union

from Logger.session_backend import AlreadyOpen, BackendError, OpenSession, SessionBackend, Station

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Working:
    """A step is in progress."""

    step: str
    number: int
    """Number of this step, from 1."""
    of: int
    """Number of steps."""


@dataclass(frozen=True)
class OpenSessionQuestion:
    """A session is still open; the user decides whether to continue it or to start a new one."""

    station: Station
    session: OpenSession


@dataclass(frozen=True)
class Running:
    """The session is running, until `end`."""

    station: Station
    session: OpenSession


@dataclass(frozen=True)
class Failed:
    """A step failed; it can be tried again."""

    sentence: str
    """The effect on the session."""
    detail: str
    """The message of the error."""
    station: Station | None
    """None if the instrument is not known yet."""
    session: OpenSession | None
    """The session that could not be ended and is still running, if any."""


@dataclass(frozen=True)
class Ended:
    """The session has ended; the window closes by itself."""

    station: Station
    session: OpenSession


@dataclass(frozen=True)
class Closed:
    """The window can close."""


ControllerState = Union[Working, OpenSessionQuestion, Running, Failed, Ended, Closed]


class Controller:
    """Controls a session.

    Parameters
    ----------
    backend
        Stores sessions; used only on the thread of the controller.
    new_identifier
        Returns an identifier for a session; UUID4 by default.
    sleep
        Waits some seconds before the window closes.
    """

    def __init__(
        self,
        backend: SessionBackend,
        new_identifier: Callable[[], str] = lambda: str(uuid.uuid4()),
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.states: queue.SimpleQueue[ControllerState] = queue.SimpleQueue()
        """The states to show, in order."""
        self._backend = backend
        self._new_identifier = new_identifier
        self._sleep = sleep
        # All attempts to start use the same identifier: an attempt whose answer was lost may have worked.
        self._identifier = new_identifier()
        self._station: Station | None = None
        self._question: OpenSession | None = None
        self._session: OpenSession | None = None
        self._orders: queue.SimpleQueue[Callable[[], ControllerState | None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="controller", daemon=True).start()

    # -- commands ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Find the instrument and start a session, or ask about an open session."""
        self._orders.put(self._begin)

    def go_on(self) -> None:
        """Continue the open session."""
        self._orders.put(self._go_on)

    def start_new(self) -> None:
        """End the open session and start a new one."""
        self._orders.put(self._start_new)

    def end(self) -> None:
        """End the session."""
        self._orders.put(self._end)

    # -- on the thread of the controller -------------------------------------------------------------------------------

    def _work(self) -> None:
        state: ControllerState | None = None
        while not isinstance(state, Ended):
            order = self._orders.get()
            try:
                state = order()
            except BackendError as error:
                state = self._failed(str(error))
            except Exception as error:  # noqa: BLE001  the edge of the thread: without it, the window would freeze
                state = self._failed(f"Unexpected error: {type(error).__name__}: {error}.")
            self._backend.release()
            if state is not None:
                self.states.put(state)
        self._sleep(state.station.close_delay)
        self.states.put(Closed())

    def _begin(self) -> ControllerState | None:
        if self._session is not None:
            return None
        self._step("Finding the instrument of this computer", 1)
        self._station = self._backend.station()
        _LOG.info("This computer belongs to %s (%s).", self._here.name, self._here.pid)
        session = self._find_open()
        if session is not None:
            return self._mine(session) or self._ask(session)
        return self._opened()

    def _go_on(self) -> ControllerState | None:
        if self._question is None:
            return None
        session = self._find_open()
        if session is None:
            self._question = None
            raise BackendError("The open session has ended in the meantime. Try again to start a new session.")
        if session.identifier != self._question.identifier:
            return self._ask(session)
        self._step("Continuing the session", 3)
        self._backend.resume(session.identifier)
        return self._started(session)

    def _start_new(self) -> ControllerState | None:
        if self._question is None:
            return None
        # Exactly the session in the question: another window may have answered the same question.
        self._close(self._question, 4)
        return self._opened()

    def _end(self) -> ControllerState | None:
        if self._session is None:
            return None
        self._close(self._session, 2)
        ended, self._session = self._session, None
        return Ended(self._here, ended)

    @property
    def _here(self) -> Station:
        assert self._station is not None  # noqa: S101  `begin` finds it first
        return self._station

    def _close(self, session: OpenSession, of: int) -> None:
        self._step("Ending the session", 1, of)
        self._backend.end(session.identifier)
        self._step("Checking that its end is recorded", 2, of)
        if not self._backend.has_ended(session.identifier):
            raise BackendError("The end of the session was written, but could not be read back.")
        _LOG.info("Session %s has ended.", session.identifier)

    def _find_open(self) -> OpenSession | None:
        self._step("Looking for a session that is still open", 2)
        session = self._backend.open_session(self._here.pid)
        if session is None:
            _LOG.info("No session is open.")
        else:
            _LOG.info("Session %s of %s is open since %s.", session.identifier, session.user, _text(session.since))
        return session

    def _opened(self) -> ControllerState:
        self._step("Starting the session", 3)
        try:
            return self._started(self._backend.start(self._here.pid, self._identifier))
        except AlreadyOpen as error:
            _LOG.info("Another session was started first. %s", error)
        session = self._find_open()
        if session is None:
            raise BackendError("Another session started and ended just now. Please try again.")
        return self._mine(session) or self._ask(session)

    def _mine(self, session: OpenSession) -> Running | None:
        """Return the running state if the session is ours: an attempt that seemed to fail had worked."""
        return self._started(session) if session.identifier == self._identifier else None

    def _ask(self, session: OpenSession) -> OpenSessionQuestion:
        self._question = session
        return OpenSessionQuestion(self._here, session)

    def _started(self, session: OpenSession) -> Running:
        self._step("Checking that its start is recorded", 4)
        if self._backend.has_ended(session.identifier):
            self._identifier = self._new_identifier()  # an identifier is used only once
            raise BackendError("The session was started, but has ended already. Please try again.")
        self._question, self._session = None, session
        _LOG.info("Session %s has been running since %s.", session.identifier, _text(session.since))
        return Running(self._here, session)

    def _step(self, step: str, number: int, of: int = 4) -> None:
        _LOG.info("Step %d of %d: %s", number, of, step)
        self.states.put(Working(step, number, of))

    def _failed(self, detail: str) -> Failed:
        sentence = "The session was not started." if self._session is None else "The session has not been ended."
        _LOG.exception("%s %s", sentence, detail)
        return Failed(sentence, detail, self._station, self._session)


def _text(time: datetime) -> str:
    return time.isoformat(" ", "seconds")
