"""One value of a status channel: a variable that is also stored whenever it changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any, Protocol

from NexusCore import sizes
from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.dispatch import Dispatcher
from NexusCore.errors import StatusException
from NexusCore.text import kind_of, shortened

_LOG = logging.getLogger("NexusCore.status")

LONGEST_STORED_VALUE = sizes.STATUS_VALUE
"""Bytes of UTF-8 that a stored value may have."""

LATEST_TIME = 1e12
"""Seconds before and after the epoch; times beyond are refused as mistakes."""

Report = Callable[[str, str | None, int, int | None], None]
"""Takes name, value as text, time and expiry in microseconds since the epoch."""

callbacks = Dispatcher("status-callbacks")
"""Calls the callbacks of all elements."""


def fitting(sentence: str) -> str:
    """Return a message shortened so that it can be stored as a value."""
    most = LONGEST_STORED_VALUE // 4 - 1  # a character takes four bytes at the most, and the mark three
    return shortened(sentence, most)


def discard(name: str, value: str | None, ts: int, expires: int | None) -> None:
    """Store nothing: the element has no channel."""


def system_now() -> int:
    """Return the system's time in UTC microseconds since the epoch."""
    return SYSTEM_CLOCK.now()


class Channel(Protocol):
    """What holds elements: `NexusCore.status.holder.StatusHolder`."""

    def get_elements(self) -> list[StatusElement]:
        """Return all elements."""
        ...


class Reporter(Protocol):
    """Gets every change of an element: `NexusCore.status.reporters.OnChangeStatusReporter`."""

    name: str

    def report(self, element: StatusElement) -> None:
        """Report an element's new value."""
        ...


class StatusElement:
    """A named value; compare it with a value or another element: ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``.

    Parameters
    ----------
    name
        Its name in the channel.
    holder
        Ignored, for programs written for CryoCore: use `StatusHolder.add_status_element`.
    initial_value
        Its first value.
    expire_time
        Seconds after which the stored value counts as stale; the element itself keeps it.
    report
        Called with each change to store.
    now
        Returns UTC microseconds since the epoch.
    reporters
        Called with each change.
    """

    __slots__ = (
        "_called", "_changed", "_expires", "_lock", "_now", "_report", "_reporters", "_ts", "_value", "_wanted",
        "_watched", "name",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        holder: Channel | None = None,
        initial_value: Any = None,
        *,
        expire_time: float | None = None,
        report: Report = discard,
        now: Callable[[], int] = system_now,
        reporters: Sequence[Reporter] = (),
    ) -> None:
        self.name = name
        self._report = report
        self._now = now
        self._expires: int | None
        self.set_expire_time(expire_time)
        self._value: Any = initial_value
        self._ts = now()
        self._lock = threading.RLock()  # an event may run code of its owner that sets the element again
        self._changed: list[tuple[threading.Event, bool]] = []
        self._wanted: list[tuple[object, threading.Event, bool]] = []
        self._called: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._reporters = reporters
        self._watched = bool(reporters)

    def __repr__(self) -> str:
        return f"{self.name}={self._value}"

    def get_name(self) -> str:
        """Return its name in the channel."""
        return self.name

    def get_value(self) -> Any:
        """Return the value, with the type that was set."""
        return self._value

    def get_timestamp(self) -> float:
        """Return when the value was last stored, in seconds since the epoch; at first, when the element was created."""
        return self._ts / SECOND

    def set_expire_time(self, expire_time: float | None) -> None:
        """Set after how many seconds values stored from now on count as stale; None for never."""
        self._expires = None if expire_time is None else self._micros("expire time", expire_time, 0)

    def set_value(self, value: Any, force_update: bool = False, timestamp: float | None = None) -> None:
        """Change the value; it is stored if it differs from the previous one.

        Parameters
        ----------
        value
            Any value whose text has at most 1024 bytes.
        force_update
            Store it even if it is unchanged.
        timestamp
            Time of the change in seconds since the epoch; now, if not given.

        Raises
        ------
        StatusException
            If the value is too long; the element keeps the previous one.
        """
        if not (force_update or self._watched):
            # No lock needed: a value is only visible once it has been stored.
            old = self._value
            if type(old) is type(value) and old == value:
                return
        with self._lock:
            changed = self._set(value, force_update, timestamp)
        if changed and self._watched:
            self._call_reporters()

    def _set(self, value: Any, force_update: bool = False, timestamp: float | None = None) -> bool:
        """Set the value, under the lock, and the events that wait for it; return whether it changed."""
        old = self._value
        changed = type(old) is not type(value) or old != value
        if changed or force_update:
            text = None if value is None else self._text(value)
            ts = self._now() if timestamp is None else self._micros("time", timestamp, -LATEST_TIME)
            expires = self._expires
            self._report(self.name, text, ts, None if expires is None else ts + expires)
            self._value, self._ts = value, ts
        if self._watched:
            self._fire(value, changed)
        return changed

    def inc(self, by: float = 1) -> None:
        """Count up; an element without a value starts at 0.

        Raises
        ------
        StatusException
            If the value is not a number.
        """
        if not isinstance(by, Number):
            raise StatusException(reason=f"'{self.name}' is counted by a number, not by one {kind_of(by)}")
        with self._lock:
            try:
                value = (self._value or 0) + by
            except TypeError:
                raise StatusException(reason=f"'{self.name}' is {self._value!r}, which cannot be counted") from None
            changed = self._set(value)
        if changed and self._watched:
            self._call_reporters()

    def dec(self, by: float = 1) -> None:
        """Count down."""
        self.inc(-by if isinstance(by, Number) else by)

    def add_event_on_change(self, event: threading.Event, once: bool = False) -> None:
        """Set `event` each time the value changes; with ``once=True``, only the first time."""
        self._check_event(event)
        with self._lock:
            self._changed.append((event, once))
            self._watched = True

    def add_event_on_value(self, value: Any, event: threading.Event, once: bool = False) -> None:
        """Set `event` each time `value` is set, changed or not, and immediately if it is the current value.

        With ``once=True`` it is set only once, possibly immediately.
        """
        self._check_event(event)
        with self._lock:
            met = bool(self._value == value)
            if not (met and once):
                self._wanted.append((value, event, once))
                self._watched = True
            if met:
                event.set()

    def remove_event(self, event: threading.Event) -> None:
        """Stop setting `event`."""
        with self._lock:
            self.remove_event_on_change(event)
            self._wanted = [entry for entry in self._wanted if entry[1] is not event]

    def remove_event_on_change(self, event: threading.Event) -> None:
        """Stop setting `event` on changes."""
        with self._lock:
            self._changed = [entry for entry in self._changed if entry[0] is not event]

    def remove_event_on_value(self, value: Any, event: threading.Event) -> None:
        """Stop setting `event` on this value; other values still set it."""
        with self._lock:
            self._wanted = [entry for entry in self._wanted if entry[1] is not event or entry[0] != value]

    def add_callback(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call ``function(element, *arguments)`` after each change, on a separate thread.

        The argument `element` has the value of that change; methods that change it change the real element.

        Raises
        ------
        StatusException
            If `function` cannot be called.
        """
        if not callable(function):
            raise StatusException(reason=f"a callback of '{self.name}' must be a function, but is {kind_of(function)}")
        with self._lock:
            self._called.append((function, arguments))
            self._watched = True

    def remove_callback(self, function: Callable[..., object], *arguments: Any) -> None:
        """Stop calling `function`; with arguments, only stop calls with these."""
        with self._lock:
            self._called = [entry for entry in self._called if entry[0] != function or arguments not in ((), entry[1])]

    def attach(self, report: Report, now: Callable[[], int], reporters: Sequence[Reporter]) -> None:
        """Attach the element to a channel; called by the holder."""
        with self._lock:
            self._report, self._now, self._reporters = report, now, reporters
            self._watched = self._watched or bool(reporters)

    def forked(self) -> None:
        """Replace the lock; called by the holder."""
        self._lock = threading.RLock()

    def _fire(self, value: Any, changed: bool) -> None:
        if changed:
            if self._called:
                # Queued under the lock, so that they come in the order of the changes; and before the events, since
                # setting an event may set the element again.
                then = self._as_it_is()
                for function, arguments in self._called:
                    callbacks.call(function, then, *arguments)
            for event, _ in self._changed:
                event.set()
            self._changed = [entry for entry in self._changed if not entry[1]]
        due = [entry for entry in self._wanted if entry[0] == value]
        if due:
            self._wanted = [entry for entry in self._wanted if not (entry[2] and entry[0] == value)]
            for _, event, _ in due:
                event.set()

    def _as_it_is(self) -> StatusElement:
        """Return the element for callbacks, with its present value."""
        then = object.__new__(_LiveElementAtChange)
        then.live, then.name, then._value, then._ts = self, self.name, self._value, self._ts
        return then

    def _check_event(self, event: object) -> None:
        if not callable(getattr(event, "set", None)):
            reason = f"an event of '{self.name}' must be a threading.Event, but is {kind_of(event)}"
            raise StatusException(reason=reason)

    def _call_reporters(self) -> None:
        """Report a change; without the lock, since a reporter may set elements whose locks others hold."""
        for reporter in self._reporters:
            try:
                reporter.report(self)
            except Exception:  # noqa: BLE001  a stranger's code; the value is set all the same
                _LOG.exception("The status reporter %s failed", reporter.name)

    def _micros(self, what: str, seconds: float, least: float) -> int:
        """Return a time in seconds as stored, in microseconds."""
        try:
            # False for NaN; and nanoseconds instead of seconds would not fit any column.
            fits = least <= seconds < LATEST_TIME
        except TypeError:
            fits = False
        if not fits:
            raise StatusException(reason=f"the {what} {seconds!r} of '{self.name}' is not a number of seconds")
        return int(seconds * SECOND)

    def _text(self, value: Any) -> str:
        """Return the text of a value, as stored."""
        try:
            text = str(value)
        except Exception as error:  # noqa: BLE001  the value may be of a foreign type, and Python refuses very long numbers
            reason = f"the value of '{self.name}', {kind_of(value)}, cannot be written as text: {error}"
            raise StatusException(reason=reason) from None
        if len(text) * 4 > LONGEST_STORED_VALUE:
            length = len(text.encode("utf-8", "surrogatepass"))
            if length > LONGEST_STORED_VALUE:
                reason = f"the value of '{self.name}' has {length} bytes, at most {LONGEST_STORED_VALUE} can be stored"
                raise StatusException(reason=reason)
        return text

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return other is self or bool(self._value == _plain(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        return bool(self._value < _plain(other))

    def __le__(self, other: Any) -> bool:
        return bool(self._value <= _plain(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self._value > _plain(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self._value >= _plain(other))

    def __float__(self) -> float:
        return float(self._value)

    def __int__(self) -> int:
        return int(self._value)


def _on_the_element(name: str) -> Callable[..., Any]:
    def method(element: ElementAtChange, *arguments: Any, **options: Any) -> Any:
        return getattr(element.live, name)(*arguments, **options)

    return method


class ElementAtChange:
    """An element with its value at a change, for callbacks; methods that change it change the real element."""

    __slots__ = ()

    live: StatusElement

    set_value = _on_the_element("set_value")
    inc = _on_the_element("inc")
    dec = _on_the_element("dec")
    set_expire_time = _on_the_element("set_expire_time")
    add_event_on_change = _on_the_element("add_event_on_change")
    add_event_on_value = _on_the_element("add_event_on_value")
    remove_event = _on_the_element("remove_event")
    remove_event_on_change = _on_the_element("remove_event_on_change")
    remove_event_on_value = _on_the_element("remove_event_on_value")
    add_callback = _on_the_element("add_callback")
    remove_callback = _on_the_element("remove_callback")


class _LiveElementAtChange(ElementAtChange, StatusElement):
    __slots__ = ("live",)


def _plain(other: Any) -> Any:
    return other.get_value() if isinstance(other, StatusElement) else other
