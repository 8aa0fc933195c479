"""Callbacks on separate threads: a slow, hanging or faulty one delays neither its caller nor the others.

Promises
--------
* Calls of one callback run one after the other, in order.
* As long as every callback returns in time, one thread makes all calls, in order.
* A callback that runs longer than `STUCK_SECONDS` keeps that thread; another thread continues with the other callbacks.
  This is logged once. Its further calls wait for it to return, up to `MOST_WAITING`; then the oldest are dropped and
  counted.
* At most `MOST_STUCK` threads wait for such callbacks.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.forks import renew_in_children

STUCK_SECONDS = 1.0
"""A callback that runs longer than this no longer delays the others."""
MOST_STUCK = 16
"""Callbacks that may hang at the same time, each on its own thread; one more delays all others."""
MOST_WAITING = 1000
"""Calls that wait for a hanging callback."""

_LOG = logging.getLogger("NexusCore.callbacks")


@dataclass(frozen=True, slots=True)
class _Call:
    """One call to be made."""

    function: Callable[..., object]
    arguments: tuple[Any, ...]

    def make(self) -> None:
        try:
            self.function(*self.arguments)
        except BaseException:  # noqa: BLE001  foreign code, which may also raise CancelledError
            _LOG.exception("The callback %r failed", self.function)


@dataclass(eq=False, slots=True)
class _Current:
    """The current call of the leading thread."""

    key: Hashable
    call: _Call
    since: float
    dropped: int = 0
    """Calls of the same callback dropped since then."""


class Dispatcher:
    """Calls functions in order. The threads start with the first call.

    Parameters
    ----------
    name
        Name of the threads.
    clock
        Measures the run time of callbacks.
    """

    def __init__(self, name: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self._name = name
        self._clock = clock
        self.forked()
        renew_in_children(self)

    def forked(self) -> None:
        """Start without threads and waiting calls, which a forked child does not have."""
        self._lock = threading.RLock()  # a signal handler may interrupt its own thread here
        self._crew: _Crew | None = None

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Queue a call; return at once."""
        with self._lock:
            if self._crew is None:
                self._crew = _Crew(self._name, self._clock)
            self._crew.add(_Call(function, arguments))

    def close(self, seconds: float) -> None:
        """Make the queued calls, for at most `seconds`, and end the threads."""
        with self._lock:
            crew, self._crew = self._crew, None
        if crew is not None:
            crew.close(seconds)


class _Crew:
    """The threads of a dispatcher from its first call to its end.

    One of them leads: it makes the calls in order. A watcher, which exists only while calls wait behind the current
    one, takes the lead from a thread whose call does not return, and gives it to a new thread.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._changed = threading.Condition()
        """Guards the attributes below; notified when the leader or `close` must look."""
        self._waiting: dict[Hashable, deque[_Call]] = {}
        self._order: deque[Hashable] = deque()
        """Order of the waiting calls, by callback, without those that hang."""
        self._current: _Current | None = None
        self._stuck: dict[Hashable, _Current] = {}
        self._slow: set[Hashable] = set()
        """Callbacks that were logged and have not returned in time since."""
        self._threads: set[threading.Thread] = set()
        self._watched = False
        self._alarm = threading.Event()
        self._patience = STUCK_SECONDS
        self._closing = self._ended = False
        self._start(self._lead)

    def add(self, call: _Call) -> None:
        """Queue a call."""
        key = _key(call.function)
        with self._changed:
            waiting = self._waiting.setdefault(key, deque())
            hanging = self._stuck.get(key)
            in_the_way = hanging or (self._current if self._all_stuck() else None)
            if in_the_way is not None and len(waiting) >= MOST_WAITING:
                waiting.popleft()
                in_the_way.dropped += 1
            elif hanging is None:
                self._order.append(key)
            waiting.append(call)
            self._watch_if_needed()
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Make the waiting calls, for at most `seconds`, and end."""
        with self._changed:
            self._closing = True
            # All calls together have less time now than one usually has.
            self._patience = min(self._patience, seconds / 4)
            self._alarm.set()
            self._watch_if_needed()
            self._changed.notify_all()
            if threading.current_thread() in self._threads:
                return  # called by a callback; the waiting calls are made after it
            self._changed.wait_for(lambda: not (self._order or self._current or self._stuck), seconds)
            self._ended = True
            self._changed.notify_all()
            self._alarm.set()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=self._name, daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self._threads.discard(thread)
            raise

    # -- the leading thread ----------------------------------------------------------------------------------------

    def _lead(self) -> None:
        while (current := self._next()) is not None:
            current.call.make()
            with self._changed:
                leads = self._current is current
                if leads:
                    self._current = None
                    self._slow.discard(current.key)
                    self._changed.notify_all()
            if not leads:
                self._catch_up(current)
            if not leads or current.dropped:
                self._log_return(current)
            if not leads:
                return

    def _next(self) -> _Current | None:
        """Wait for a call and return it; None at the end."""
        with self._changed:
            while not self._ended:
                if self._order:
                    key = self._order.popleft()
                    self._current = _Current(key, self._take(key), self._clock.monotonic())
                    self._watch_if_needed()
                    return self._current
                if self._closing:
                    break
                self._changed.wait()
            return None

    def _take(self, key: Hashable) -> _Call:
        """Return the next call of a callback."""
        waiting = self._waiting[key]
        call = waiting.popleft()
        if not waiting:
            del self._waiting[key]
        return call

    # -- callbacks that hang ---------------------------------------------------------------------------------------

    def _all_stuck(self) -> bool:
        return len(self._stuck) >= MOST_STUCK

    def _watch_if_needed(self) -> None:
        if self._current is not None and self._order and not self._watched and not self._all_stuck():
            with suppress(RuntimeError):  # the system starts no more threads now: calls are made all the same
                self._start(self._watch)
                self._watched = True

    def _watch(self) -> None:
        """Take the lead from a call that does not return; end when no call waits."""
        while True:
            with self._changed:
                current = self._current
                if current is None or not self._order or self._ended or self._all_stuck():
                    self._watched = False
                    self._threads.discard(threading.current_thread())
                    return
                self._alarm.clear()
                ran = self._clock.monotonic() - current.since
                left = self._patience - ran
                if left <= 0 and not self._took_lead(current):
                    left = self._patience
            if left > 0:
                self._clock.wait(self._alarm, left)
            else:
                self._complain(current, ran)

    def _took_lead(self, current: _Current) -> bool:
        """Give the lead to a new thread; return False where the system starts none."""
        try:
            self._start(self._lead)  # which waits for the lock
        except RuntimeError:
            return False
        self._current, self._stuck[current.key] = None, current
        self._order = deque(key for key in self._order if key != current.key)
        return True

    def _complain(self, current: _Current, ran: float) -> None:
        if current.key not in self._slow:
            self._slow.add(current.key)
            text = "The callback %s has been running for %.1f seconds. Its further calls wait until it returns%s."
            limit = f"; {MOST_STUCK} callbacks hang, and one more delays all others" if self._all_stuck() else ""
            _LOG.warning(text, _name(current.call.function), ran, limit)

    def _catch_up(self, current: _Current) -> None:
        """Make the calls of a callback that came while it hung."""
        while True:
            with self._changed:
                if self._ended or current.key not in self._waiting:
                    del self._stuck[current.key]
                    self._threads.discard(threading.current_thread())
                    self._watch_if_needed()
                    self._changed.notify_all()
                    return
                call = self._take(current.key)
            call.make()

    def _log_return(self, current: _Current) -> None:
        _LOG.log(
            logging.WARNING if current.dropped else logging.INFO,
            "The callback %s has returned, after %.1f seconds; %d calls were dropped meanwhile.",
            _name(current.call.function), self._clock.monotonic() - current.since, current.dropped,
        )  # fmt: skip


def _key(function: Callable[..., object]) -> Hashable:
    """Return a key that identifies a callback; methods of one object have different keys."""
    try:
        hash(function)
    except TypeError:
        return id(function)
    return function


def _name(function: Callable[..., object]) -> str:
    name = getattr(function, "__qualname__", None)
    return f"{getattr(function, '__module__', None)}.{name}" if name else repr(function)
