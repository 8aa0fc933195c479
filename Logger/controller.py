"""The controller of the session logger: starts a session, waits, and ends it, without a window.

Promises
--------
* A session starts and ends on this computer first: what the user does is in the outbox before it is shown as done, and
  is delivered in the background, whether the facility can be reached or not.
* Slow work runs on a thread of its own. The commands of the window return at once; the queue `states` has the states
  to show.
* The question about an open session is asked only if such a session was found.
* Every command can be repeated: a session never gets a second START or END.
* While a session is running and everything is delivered, nothing is sent, unless its files are transferred.
"""

from __future__ import annotations

import getpass
import logging
import queue
import threading
import time
import uuid
from dataclasses import replace
from datetime import datetime
from typing import Callable

from Logger.delivery import Delivery, DeliveryState, StartOutcome
from Logger.direct import store
from Logger.facility import EventKind, FacilityError, FacilityLink, OpenSession, Station, Unreachable
from Logger.inquiry import ask_in_time, names_of_bookings
from Logger.outbox import LocalSession, Outbox, OutboxError
from Logger.questions import BackgroundQuestions, FacilityNews, ShareCheck, without_files
from Logger.session_transfers import SessionTransfers
from Logger.states import (
    Closed,
    ControllerState,
    Ended,
    Failed,
    OpenSessionQuestion,
    Overtaken,
    Running,
    UserQuestion,
    Working,
)
from Logger.times import local_time, microseconds_of
from Logger.transfer.tracked import FileKey
from Logger.transfer.views import NoTransfers, TransferDesk

PATIENCE = 1.5
"""Seconds that a start, and an end, wait for the facility by default."""
FIRST_SECONDS = 15.0
"""The same if the instrument of this computer has never been asked before, so that there is nothing to go on with."""
CONTINUED = "continued after an interruption"

_LOG = logging.getLogger(__name__)


class Controller:
    """Controls a session.

    Parameters
    ----------
    outbox
        Where everything is stored first.
    make_facility
        Returns the facility; called once for each thread that uses it.
    new_identifier
        Returns an identifier for a session; UUID4 by default.
    sleep
        Waits some seconds before the window closes.
    user
        Account of who works.
    patience
        Seconds that a start, and an end, may wait for the facility; after that they go on without it.
    transfers
        Transfers the files of sessions; by default, they are not transferred.
    share
        The file share that is looked at when a session starts and ends, if there is one.
    """

    def __init__(
        self,
        outbox: Outbox,
        make_facility: Callable[[], FacilityLink],
        new_identifier: Callable[[], str] = lambda: str(uuid.uuid4()),
        sleep: Callable[[float], object] = time.sleep,
        user: str = "",
        patience: float = PATIENCE,
        transfers: TransferDesk | None = None,
        share: ShareCheck | None = None,
    ) -> None:
        self.states: queue.SimpleQueue[ControllerState] = queue.SimpleQueue()
        """The states to show, in order."""
        self._outbox = outbox
        self._make_facility = make_facility
        self._facility = make_facility()
        self._questions = BackgroundQuestions(make_facility, share, FIRST_SECONDS)
        self._delivery = Delivery(outbox, make_facility(), self._delivered)
        self._new_identifier = new_identifier
        self._sleep = sleep
        self._account = user or getpass.getuser()
        self._patience = patience
        self._user = ""
        self._station: Station | None = None
        self._question: OpenSession | None = None
        self._running: Running | None = None
        self._ended: Ended | None = None
        """The session that has ended and is still shown, since its files are being sent."""
        self._away: FacilityError | None = None
        self._stopped = False
        self._closed = threading.Event()
        """Set when all threads are to end."""
        self._next_begins = False
        """Whether a session is to be started that has not been begun yet."""
        self._orders: queue.SimpleQueue[Callable[[], ControllerState | None]] = queue.SimpleQueue()
        self._transfers: TransferDesk = transfers or NoTransfers()
        self._files = SessionTransfers(outbox, self._transfers)
        self._transfers.changed = lambda: self._orders.put(self._look_at_transfer)
        self._transfers.wake()  # what an earlier logger has not finished
        self._delivery.start()
        threading.Thread(target=self._work, name="controller", daemon=True).start()

    # -- commands ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Find the instrument and start a session, or ask about an open session."""
        self._next_begins = True
        self._orders.put(self._begin)

    def begin_as(self, user: str) -> None:
        """StartOutcome who works, and go on."""
        self._orders.put(lambda: self._begin_as(user))

    def work_offline(self) -> None:
        """Start a session although the facility has refused."""
        self._orders.put(lambda: self._begin(offline=True))

    def go_on(self) -> None:
        """Continue the open session."""
        self._orders.put(self._go_on)

    def start_new(self, ended: datetime | None = None) -> None:
        """End the open session, now or at another time, and start a new one."""
        self._orders.put(lambda: self._start_new(ended))

    def pause(self) -> None:
        """Note that the work is interrupted."""
        self._orders.put(lambda: self._note_event(EventKind.PAUSE, paused=True))

    def resume(self) -> None:
        """Note that the work goes on."""
        self._orders.put(lambda: self._note_event(EventKind.RESUME, paused=False))

    def note(self, text: str) -> None:
        """Add a remark to the session."""
        self._orders.put(lambda: self._note_event(EventKind.NOTE, text, notice="The note is saved."))

    def report_problem(self, text: str) -> None:
        """Report a problem with the instrument."""
        self._orders.put(lambda: self._note_event(EventKind.PROBLEM, text, notice="The problem is reported."))

    def end(self) -> None:
        """End the session."""
        self._orders.put(self._end)

    def leave_paused(self) -> None:
        """Pause the session, and close."""
        self._orders.put(self._leave_paused)

    def look_again(self) -> None:
        """Show how much is delivered by now; used while something waits."""
        self._orders.put(self._look_again)

    def send_held(self, file: FileKey) -> None:
        """Send a file that is held back."""
        self._transfers.release(file)

    def finish_without(self) -> None:
        """End the transfer of the session that has ended without the files that have trouble."""
        ended = self._ended
        if ended is not None:
            self._transfers.finish_without(ended.session.identifier)

    def stop_transfers(self) -> None:
        """Stop the transfer; what is not finished is taken up by the next logger."""
        self._transfers.stop()

    def stop(self) -> None:
        """Stop all threads after what they are doing; what waits stays in the outbox."""
        self._stopped = True
        self._closed.set()
        self._orders.put(lambda: None)
        self._transfers.stop()
        self._delivery.stop()

    @property
    def waiting(self) -> bool:
        """Whether something is still to be delivered, as far as is known."""
        return self._delivery.busy

    # -- on the thread of the controller -------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._stopped:
            order = self._orders.get()
            try:
                state = order()
            except (FacilityError, OutboxError) as error:
                state = self._failed(str(error), getattr(error, "detail", ""))
            except Exception as error:  # noqa: BLE001  the edge of the thread: without it, the window would freeze
                state = self._failed(f"Unexpected error: {type(error).__name__}: {error}.")
            self._facility.release()
            if state is not None:
                self.states.put(state)
            if isinstance(state, Ended) and state.is_last:
                self._sleep(state.close_delay)
                if not self._next_begins:  # else the next user has begun meanwhile
                    self.states.put(Closed(self.waiting, by_itself=True))

    def _begin(self, *, offline: bool = False) -> ControllerState | None:
        self._next_begins = False
        if self._running is not None:
            return self._running
        self._ended = None
        until = time.monotonic() + self._patience
        self._step("Finding the instrument of this computer", 1)
        self._away = Unreachable("You chose to work without the facility.") if offline else None
        self._station = self._outbox.station()
        if self._station is None:
            self._keep(self._facility.station(FIRST_SECONDS))
        here = self._here
        _LOG.info("This computer belongs to %s (%s).", here.name, here.pid)
        self._step("Looking for a session that is still open", 2)
        local = self._outbox.open_session()
        if local is not None:
            return self._ask(_shown(local))
        session = self._asked(until)
        here = self._here
        # One that was ended here is on its way: its END is delivered before our START.
        if session is not None and not self._outbox.has_end(session.identifier):
            return self._ask(session)
        if here.ask_user and not self._user:
            return UserQuestion(here, () if self._away is not None else names_of_bookings(self._facility, here.pid))
        return self._start(until=until)

    def _begin_as(self, user: str) -> ControllerState | None:
        self._user = user.strip()
        return self._start() if self._user and self._running is None else None

    def _go_on(self) -> ControllerState | None:
        session = self._question
        if session is None:
            return None
        self._step("Continuing the session", 3)
        local = self._outbox.open_session()
        if local is not None and local.identifier == session.identifier:
            self._outbox.add(EventKind.RESUME, session.identifier, self._here.pid, self._who, CONTINUED)
        else:
            found = self._facility.open_session(self._here.pid)
            if found is None:
                self._question = None
                raise FacilityError("The open session has ended in the meantime. Try again to start a new session.")
            if found.identifier != session.identifier:
                return self._ask(found)
            self._outbox.add(EventKind.CONTINUE, session.identifier, self._here.pid, session.user)
        if self._here.ask_user:
            self._user = self._user or session.user
        self._files.take_up(session, self._here, self._who)
        return self._started(session)

    def _start_new(self, ended: datetime | None) -> ControllerState | None:
        question = self._question
        if question is None:
            return None
        ends_at = 0 if ended is None else microseconds_of(ended)
        local = self._outbox.open_session()
        if local is not None and local.identifier == question.identifier:
            at = None if ended is None else max(ends_at, local.start)
            self._outbox.add(EventKind.END, local.identifier, local.pid, self._who, at=at)
            self._question = None
            return self._start()
        return self._start(ends=question.identifier, ends_at=ends_at)

    def _start(self, *, ends: str = "", ends_at: int = 0, until: float | None = None) -> ControllerState:
        """Store START, and show the session; ask if the facility says in time that another one is open."""
        self._step("Starting the session", 3)
        identifier = self._new_identifier()
        self._outbox.add(
            EventKind.START, identifier, self._here.pid, self._who, ends=ends, ends_at=ends_at,
            settle=self._away is not None, transfer=self._here.transfer if self._here.transfer.on else None,
        )  # fmt: skip
        self._transfers.wake()
        local = self._outbox.open_session()
        if local is None:
            raise OutboxError("The start was stored on this computer, but could not be read back.")
        self._step("Telling the facility", 4)
        remaining = self._patience if until is None else until - time.monotonic()
        if self._away is None:
            if self._delivery.first_answer(identifier, max(0.2, remaining)) is StartOutcome.ANOTHER_IS_OPEN:
                session = self._facility.open_session(self._here.pid)
                if session is None:
                    raise FacilityError("Another session started and ended just now. Please try again.")
                return self._ask(session)
        else:
            self._delivery.wake()
        return self._started(_shown(local))

    def _started(self, session: OpenSession) -> Running:
        self._question = None
        view = self._files.view(session.identifier)
        self._running = Running(self._here, session, delivery=self._delivery.state, transfer=view)
        self._delivery.wake()
        self._transfers.wake()
        _LOG.info("Session %s has been running since %s.", session.identifier, _text(session.since))
        self._look_around()
        self._orders.put(self._look_again)  # the delivery may have been quicker
        return self._running

    def _look_around(self) -> None:
        """Ask what is good to know but not needed to start."""
        self._questions.check_share(lambda sentence: self._orders.put(lambda: self._say(sentence)))
        if self._away is None:
            session = self._running.session.identifier if self._running else ""
            self._questions.ask(self._here.pid, session, lambda found: self._orders.put(lambda: self._known(found)))

    def _known(self, found: FacilityNews) -> ControllerState | None:
        """Show what was found."""
        self._keep(found.station)
        if self._running is None or self._running.station.pid != found.station.pid:
            return None
        self._files.renew(self._running.session, found.station, self._who, found.booking)
        notice, empty = self._running.notice, found.empty
        if empty is not None and self._outbox.is_first_notice_of(empty.identifier):
            notice = without_files(empty)
        self._running = replace(
            self._running, station=found.station, booking=found.booking, following=found.following, notice=notice
        )
        return replace(self._running, by_itself=True)

    def _say(self, sentence: str) -> ControllerState | None:
        """Show a sentence beside the session."""
        if self._running is None:
            return None
        self._running = replace(self._running, notice=sentence)
        return replace(self._running, by_itself=True)

    def _look_at_transfer(self) -> ControllerState | None:
        """Show how far the files have come."""
        running, ended = self._running, self._ended
        if running is not None:
            session = running.session.identifier
            view, earlier = self._transfers.view(session), self._transfers.earlier(session)
            if (view, earlier) == (running.transfer, running.earlier):
                return None
            self._running = replace(running, transfer=view, earlier=earlier)
            return replace(self._running, by_itself=True)
        if ended is None:
            return None
        view = self._transfers.view(ended.session.identifier)
        if view is None or view == ended.transfer:
            return None
        self._ended = replace(ended, transfer=view, delivery=self._delivery.state)
        shown = replace(self._ended, by_itself=True)
        if shown.is_last:
            self._ended = None
        return shown

    def _note_event(
        self, kind: EventKind, text: str = "", notice: str = "", paused: bool | None = None
    ) -> ControllerState | None:
        running = self._running
        if running is None or (paused is not None and running.paused is paused):
            return None
        store(self._outbox, self._facility, kind, running.session.identifier, running.station.pid, self._who, text)
        self._running = replace(running, paused=running.paused if paused is None else paused, notice=notice)
        self._delivery.wake()
        return self._running

    def _leave_paused(self) -> ControllerState | None:
        if self._running is None:
            return Closed()
        self._note_event(EventKind.PAUSE, paused=True)
        self._delivery.wait(self._patience)
        return Closed(self.waiting)

    def _end(self) -> ControllerState | None:
        running = self._running
        if running is None:
            return None
        self._step("Ending the session", 1, 2)
        session = running.session.identifier
        store(
            self._outbox,
            self._facility,
            EventKind.END,
            session,
            running.station.pid,
            self._who,
            later=self._wake_both,
            closed=self._closed,
        )
        self._questions.check_share(lambda _: None)
        self._step("Telling the facility", 2, 2)
        self._delivery.wake()
        self._transfers.wake()
        delivered = self._delivery.wait(self._patience)
        self._running, self._user = None, ""
        _LOG.info("Session %s has ended.", session)
        state = self._delivery.state if not delivered else DeliveryState()
        view = self._files.view(session)
        state = state if delivered or state.waiting else _unsent()
        ended = Ended(running.station, running.session, state, view)
        if not ended.is_last:
            self._ended = ended
            self._orders.put(self._look_at_transfer)  # it may have been quicker
        return ended

    def _look_again(self) -> ControllerState | None:
        running, delivery = self._running, self._delivery.state
        if running is None:
            if self._ended is None or self._ended.delivery == delivery:
                return None
            self._ended = replace(self._ended, delivery=delivery)
            return replace(self._ended, by_itself=True)
        if delivery.ended == running.session.identifier:
            self._running, self._user = None, ""
            return Overtaken(running.station, running.session)
        if running.delivery == delivery:
            return None
        self._running = replace(running, delivery=delivery)
        return replace(self._running, by_itself=True)

    def _wake_both(self) -> None:
        self._delivery.wake()
        self._transfers.wake()

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _delivered(self, state: DeliveryState) -> None:
        """Show a change of what is delivered; called on the thread of the delivery."""
        self._transfers.wake()
        self._orders.put(self._look_again)

    def _keep(self, station: Station) -> None:
        """Remember the instrument of this computer."""
        if station != self._station:
            self._outbox.keep_station(station)
            self._station = station
        self._files.known(station)

    def _asked(self, until: float) -> OpenSession | None:
        """Return the session that is open on the instrument, by the facility; the settings are renewed on the way.

        If the answer does not come in time, return None and go on without it: the request may take longer, but nothing
        waits for it.
        """
        if self._away is not None:
            return None
        answer = ask_in_time(self._make_facility, FIRST_SECONDS, max(0.1, until - time.monotonic()))
        if isinstance(answer, Unreachable):
            self._away = answer
            _LOG.warning("Going on without the facility. %s %s", answer, answer.detail)
            return None
        if isinstance(answer, FacilityError):
            raise answer
        self._keep(answer[0])
        return answer[1]

    @property
    def _here(self) -> Station:
        assert self._station is not None  # noqa: S101  `begin` finds it first
        return self._station

    @property
    def _who(self) -> str:
        return self._user or self._account

    def _ask(self, session: OpenSession) -> OpenSessionQuestion:
        self._question = session
        _LOG.info("Session %s of %s is open since %s.", session.identifier, session.user, _text(session.since))
        return OpenSessionQuestion(self._here, session)

    def _step(self, step: str, number: int, of: int = 4) -> None:
        _LOG.info("Step %d of %d: %s", number, of, step)
        self.states.put(Working(step, number, of))

    def _failed(self, sentence: str, detail: str = "") -> Failed:
        running = self._running
        effect = "The session was not started." if running is None else "This was not saved."
        _LOG.exception("%s %s %s", effect, sentence, detail)
        can_go_on = running is None and self._outbox_has_station()
        return Failed(effect, sentence, self._station, running.session if running else None, can_go_on)

    def _outbox_has_station(self) -> bool:
        try:
            return self._outbox.station() is not None
        except OutboxError:
            return False


def _unsent() -> DeliveryState:
    return DeliveryState(waiting=1, reason="The facility's server has not answered yet.")


def _shown(local: LocalSession) -> OpenSession:
    return OpenSession(local.identifier, local.user, local_time(local.start), local_time(local.last))


def _text(moment: datetime) -> str:
    return moment.isoformat(" ", "seconds")
