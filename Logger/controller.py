"""What the session logger does: it starts a session, waits, and ends it. There is no window here.

Promises
--------
* What takes time happens on a thread of its own. The window gives orders (`begin`, `go_on`, `start_anew`, `end`), which
  return at once, and takes what it is to show from the queue `states`.
* An error is shown as an error; the question about an interrupted session is asked only about one that was found.
* Any order may be given again after a failure: there is never a second START or END of one session.
* While a session runs, nothing happens.
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

from Logger.session_backend import AlreadyOpen, BookError, OpenSession, SessionBook, Station

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Working:
    """The logger is busy with a step."""

    step: str
    number: int
    """Of this step, from 1."""
    of: int
    """How many steps there are."""


@dataclass(frozen=True)
class OpenSessionQuestion:
    """A session is still open; its user says whether it goes on or a new one begins."""

    station: Station
    session: OpenSession


@dataclass(frozen=True)
class Running:
    """The session runs, until `end`."""

    station: Station
    session: OpenSession


@dataclass(frozen=True)
class Failed:
    """Something went wrong; the same may be tried again."""

    sentence: str
    """What this means for the session."""
    detail: str
    """What went wrong, in the error's own sentence."""
    station: Station | None
    """None if not even the instrument is known."""
    session: OpenSession | None
    """The session that could not be ended, and runs on; None if there is none."""


@dataclass(frozen=True)
class Ended:
    """The session has ended; the window closes by itself."""

    station: Station
    session: OpenSession


@dataclass(frozen=True)
class Closed:
    """There is nothing more to show."""


ControllerState = Union[Working, OpenSessionQuestion, Running, Failed, Ended, Closed]


class Logic:
    """The course of one session.

    Parameters
    ----------
    book
        Where sessions are written down; used on the logic's own thread only.
    new_identifier
        Makes identifiers of sessions; UUID4.
    sleep
        Waits for a number of seconds before the window closes.
    """

    def __init__(
        self,
        book: SessionBook,
        new_identifier: Callable[[], str] = lambda: str(uuid.uuid4()),
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.states: queue.SimpleQueue[ControllerState] = queue.SimpleQueue()
        """What the window is to show, in order."""
        self._book = book
        self._new_identifier = new_identifier
        self._sleep = sleep
        # One name for one session, however often its start is tried: an attempt whose answer was lost may have worked.
        self._identifier = new_identifier()
        self._station: Station | None = None
        self._asked: OpenSession | None = None
        self._session: OpenSession | None = None
        self._orders: queue.SimpleQueue[Callable[[], ControllerState | None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="logic", daemon=True).start()

    # -- orders ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Find the instrument and start a session, or ask about the one that is open."""
        self._orders.put(self._begin)

    def go_on(self) -> None:
        """Answer the question with: continue."""
        self._orders.put(self._go_on)

    def start_anew(self) -> None:
        """Answer the question with: a new session."""
        self._orders.put(self._start_anew)

    def end(self) -> None:
        """End the session."""
        self._orders.put(self._end)

    # -- on the logic's own thread -------------------------------------------------------------------------------------

    def _work(self) -> None:
        state: ControllerState | None = None
        while not isinstance(state, Ended):
            order = self._orders.get()
            try:
                state = order()
            except BookError as error:
                state = self._failed(str(error))
            except Exception as error:  # noqa: BLE001  the edge of the thread: a dead one would leave a frozen window
                state = self._failed(f"Something unexpected happened: {type(error).__name__}: {error}.")
            self._book.release()
            if state is not None:
                self.states.put(state)
        self._sleep(state.station.close_delay)
        self.states.put(Closed())

    def _begin(self) -> ControllerState | None:
        if self._session is not None:
            return None
        self._step("Finding the instrument of this computer", 1)
        self._station = self._book.station()
        _LOG.info("This computer belongs to %s (%s).", self._here.name, self._here.pid)
        found = self._found()
        if found is not None:
            return self._mine(found) or self._ask(found)
        return self._opened()

    def _go_on(self) -> ControllerState | None:
        if self._asked is None:
            return None
        found = self._found()
        if found is None:
            self._asked = None
            raise BookError("The session that was to continue has ended in the meantime. Try again to start a new one.")
        if found.identifier != self._asked.identifier:
            return self._ask(found)
        self._step("Continuing the session", 3)
        self._book.resume(found.identifier)
        return self._started(found)

    def _start_anew(self) -> ControllerState | None:
        if self._asked is None:
            return None
        # The one that was asked about, and no other: somebody else may have answered the same question.
        self._close(self._asked, 4)
        return self._opened()

    def _end(self) -> ControllerState | None:
        if self._session is None:
            return None
        self._close(self._session, 2)
        ended, self._session = self._session, None
        return Ended(self._here, ended)

    @property
    def _here(self) -> Station:
        assert self._station is not None  # noqa: S101  every course begins with finding it
        return self._station

    def _close(self, session: OpenSession, of: int) -> None:
        self._step("Ending the session", 1, of)
        self._book.end(session.identifier)
        self._step("Checking that its end is recorded", 2, of)
        if not self._book.has_ended(session.identifier):
            raise BookError("The end of the session was written, but is not there when it is looked for.")
        _LOG.info("Session %s has ended.", session.identifier)

    def _found(self) -> OpenSession | None:
        self._step("Looking for a session that is still open", 2)
        found = self._book.open_session(self._here.pid)
        if found is None:
            _LOG.info("No session is open.")
        else:
            _LOG.info("Session %s of %s is open since %s.", found.identifier, found.user, _text(found.since))
        return found

    def _opened(self) -> ControllerState:
        self._step("Starting the session", 3)
        try:
            return self._started(self._book.start(self._here.pid, self._identifier))
        except AlreadyOpen as error:
            _LOG.info("Somebody was faster. %s", error)
        found = self._found()
        if found is None:
            raise BookError("Another session began and ended just now. Please try again.")
        return self._mine(found) or self._ask(found)

    def _mine(self, found: OpenSession) -> Running | None:
        """Return that the session runs, if the one found is ours: an attempt that seemed to fail has worked."""
        return self._started(found) if found.identifier == self._identifier else None

    def _ask(self, found: OpenSession) -> OpenSessionQuestion:
        self._asked = found
        return OpenSessionQuestion(self._here, found)

    def _started(self, session: OpenSession) -> Running:
        self._step("Checking that its start is recorded", 4)
        if self._book.has_ended(session.identifier):
            self._identifier = self._new_identifier()  # that one is used up
            raise BookError("The session was started, but has ended already. Please try again.")
        self._asked, self._session = None, session
        _LOG.info("Session %s runs since %s.", session.identifier, _text(session.since))
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
