"""Delivers the outbox in the background, in order, however often and long the facility is away.

Promises
--------
* An event leaves the outbox only after the facility has it, or has refused it for good; the user sees that.
* If nothing waits, nothing is sent and nothing is open.
* Attempts become rarer, up to a minute apart, and never come at the same moment from all computers of a facility.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass, replace
from enum import Enum
from typing import Callable

from Logger.facility import (
    AlreadyOpen,
    EventKind,
    FacilityError,
    FacilityLink,
    NeverAccepted,
    SessionEvent,
    Unreachable,
)
from Logger.outbox import Outbox, OutboxError

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between attempts."""
STOP_SECONDS = 5.0
"""Longest wait for the present attempt when the delivery is stopped."""
FAULT = "The session logger cannot send this; the debug log says why. Keep working: everything is saved."
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeliveryState:
    """What the facility does not have yet."""

    waiting: int = 0
    """Number of events."""
    oldest: int = 0
    """Age of the first, in microseconds."""
    reason: str = ""
    """Why, as a sentence for the user; empty before the first attempt."""
    refused: str = ""
    """The last thing that was refused for good, as a sentence; empty if nothing was."""
    ended: str = ""
    """Identifier of a session that has ended at the facility without an END from here."""


class StartOutcome(Enum):
    """The facility's answer to a START."""

    NONE = "none yet"
    STARTED = "started"
    ANOTHER_IS_OPEN = "another session is open"


class Delivery:
    """The thread that delivers.

    Parameters
    ----------
    outbox, facility
        From where, and to where; `facility` is used by no other thread.
    changed
        Called with each new state, on the thread.
    random_
        Gives numbers from 0 to 1, for the pauses.
    """

    def __init__(
        self,
        outbox: Outbox,
        facility: FacilityLink,
        changed: Callable[[DeliveryState], None] = lambda state: None,
        random_: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._facility = facility
        self._changed = changed
        self._random = random_
        self._wake = threading.Event()
        self._asked_for = self._all_up_to = self._failed_up_to = 0
        """How often it was woken; the last of these times of which all is delivered; that of the last failure."""
        self._answered = threading.Condition()
        self._asked_about, self._answer = "", StartOutcome.NONE
        self._stopped = threading.Event()
        self._asked = 0.0
        """Seconds that the facility asked to wait."""
        self.state = DeliveryState()
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Begin; not before whoever `changed` tells is ready to hear it."""
        self._thread.start()

    def wake(self) -> None:
        """Deliver now: something was added, or the facility may be back."""
        with self._answered:
            self._asked_for += 1
        self._wake.set()

    @property
    def busy(self) -> bool:
        """Whether something waits, or may: an attempt has not finished yet."""
        with self._answered:
            return self._all_up_to < self._asked_for or self.state.waiting > 0

    def wait(self, seconds: float) -> bool:
        """Wait until all is delivered, or an attempt has failed, for at most `seconds`; return whether all is."""
        with self._answered:
            wanted = self._asked_for
            self._answered.wait_for(lambda: max(self._all_up_to, self._failed_up_to) >= wanted, seconds)
            return self._all_up_to >= wanted

    def stop(self) -> None:
        """Stop after the present attempt, and wait for that; what waits stays in the outbox."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(STOP_SECONDS)

    def first_answer(self, session: str, seconds: float) -> StartOutcome:
        """Wait for the facility's answer to the START of a session, for at most `seconds`.

        If another session is open, the START is taken back and the user must be asked. After that time the facility
        settles it: see `NexusCore.facility.transitions.start`.
        """
        with self._answered:
            self._asked_about, self._answer = session, StartOutcome.NONE
            self._asked_for += 1
            self._wake.set()
            self._answered.wait_for(lambda: self._answer is not StartOutcome.NONE, seconds)
            self._asked_about = ""
            return self._answer

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        self.wake()
        while True:
            pause = None if not failures else self._pause(failures)
            self._wake.wait(pause)
            self._wake.clear()
            if self._stopped.is_set():
                return
            failures = 0 if self._deliver_all() else failures + 1

    def _pause(self, failures: int) -> float:
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 10))
        return max(self._asked, longest * (0.5 + self._random() / 2))

    def _deliver_all(self) -> bool:
        """Deliver what waits; return whether nothing waits any more."""
        self._asked = 0.0
        with self._answered:
            asked_for = self._asked_for
        try:
            for event in self._outbox.waiting():
                if self._stopped.is_set():
                    return False
                self._deliver(event)
            left = self._outbox.waiting()
        except FacilityError as error:
            self._asked = error.wait if isinstance(error, Unreachable) else LONGEST_PAUSE / 2
            _LOG.warning("Not delivered: %s %s", error, error.detail)
            return self._not_delivered(str(error), asked_for)
        except OutboxError as error:
            _LOG.error("%s", error)
            return self._not_delivered(str(error), asked_for)
        except Exception:  # noqa: BLE001  the edge of the thread: the next attempt may succeed
            _LOG.exception("A fault while delivering")
            return self._not_delivered(FAULT, asked_for)
        finally:
            self._facility.release()
        if left:  # came in meanwhile
            self._wake.set()
            return True
        self._show(DeliveryState(refused=self.state.refused, ended=self.state.ended))
        with self._answered:
            self._all_up_to = asked_for
            self._answered.notify_all()
        return True

    def _deliver(self, event: SessionEvent) -> None:
        begin = time.monotonic()
        try:
            receipt = self._facility.deliver(event, self._outbox.token(event.session))
        except AlreadyOpen as error:
            if event.kind is not EventKind.START:
                raise
            if self._answers(event, StartOutcome.ANOTHER_IS_OPEN):
                _LOG.info("Another session is open: %s %s", error, error.detail)
                return
            self._outbox.let_facility_settle(event)
            receipt = self._facility.deliver(replace(event, settle=True), "")
        except NeverAccepted as error:
            sentence = f"{event.kind.value} of session {event.session} was refused: {error}"
            _LOG.error("%s %s", sentence, error.detail)
            self._outbox.settle(event, None, f"refused: {error}")
            self._show(DeliveryState(refused=str(error), ended=self.state.ended))
            return
        self._outbox.settle(event, receipt)
        if event.kind is EventKind.START:
            self._answers(event, StartOutcome.STARTED)
        _LOG.info("%s of session %s is delivered (%.0f ms).", event.kind.value, event.session, since_ms(begin))
        if receipt.ended and event.kind is not EventKind.END:
            self._outbox.ended_there(event.session)
            self._show(DeliveryState(refused=self.state.refused, ended=event.session))

    def _answers(self, event: SessionEvent, answer: StartOutcome) -> bool:
        """Hand the answer to a START to who waits for it; return whether anyone did."""
        with self._answered:
            if self._asked_about != event.session:
                return False
            if answer is StartOutcome.ANOTHER_IS_OPEN:
                self._outbox.withdraw(event)
            self._answer = answer
            self._asked_about = ""
            self._answered.notify_all()
            return True

    def _not_delivered(self, reason: str, asked_for: int) -> bool:
        try:
            waiting = self._outbox.waiting()
        except OutboxError:
            waiting = []
        oldest = max((event.age for event in waiting), default=0)
        self._show(DeliveryState(len(waiting), oldest, reason, self.state.refused, self.state.ended))
        with self._answered:
            self._failed_up_to = asked_for
            self._answered.notify_all()
        return False

    def _show(self, state: DeliveryState) -> None:
        if state != self.state:
            self.state = state
            try:
                self._changed(state)
            except Exception:  # noqa: BLE001  a fault of the screen must not keep anything from being delivered
                _LOG.exception("A fault while showing what is delivered")


def since_ms(begin: float) -> float:
    """Return the milliseconds since a moment of the monotonic clock."""
    return (time.monotonic() - begin) * 1000
