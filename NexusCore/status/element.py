"""One value of a status channel: a variable that is also stored whenever it changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from NexusCore.clock import SECOND
from NexusCore.errors import StatusException

LONGEST = 1024
"""Bytes of UTF-8 that a stored value may have (003-45)."""

Report = Callable[[str, str | None, int, int | None], None]
"""Takes name, value as text, time and expiry in microseconds since the epoch."""


class StatusElement:
    """A named value; compare it with a value or another element: ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=`` (003-47).

    Parameters
    ----------
    name
        Its name in the channel.
    report
        Takes each change to be stored.
    now
        Gives UTC microseconds since the epoch.
    expire_time
        Seconds after which the stored value counts as stale; the element itself keeps it (003-44).
    """

    __slots__ = ("_changed", "_expires", "_lock", "_now", "_report", "_value", "_wanted", "name")

    def __init__(self, name: str, report: Report, now: Callable[[], int], expire_time: float | None = None) -> None:
        self.name = name
        self._report = report
        self._now = now
        self._expires = None if expire_time is None else int(expire_time * SECOND)
        self._value: Any = None
        self._lock = threading.Lock()
        self._changed: list[tuple[threading.Event, bool]] = []
        self._wanted: list[tuple[object, threading.Event]] = []

    def __repr__(self) -> str:
        return f"{self.name}={self._value}"

    def get_value(self) -> Any:
        """Return the value, in the type it was set (003-42)."""
        return self._value

    def set_value(self, value: Any, force_update: bool = False, timestamp: float | None = None) -> None:
        """Change the value; it is stored if it differs from the one before (003-39).

        Parameters
        ----------
        value
            Anything whose text has at most 1024 bytes.
        force_update
            Store it although it is the same (003-40).
        timestamp
            Time of the change in seconds since the epoch; now, if not given (003-41).

        Raises
        ------
        StatusException
            If the value is too long; the element keeps the one it had.
        """
        with self._lock:
            self._set(value, force_update, timestamp)

    def _set(self, value: Any, force_update: bool = False, timestamp: float | None = None) -> None:
        old = self._value
        changed = type(old) is not type(value) or old != value
        if changed or force_update:
            text = None if value is None else str(value)
            if text is not None and len(text) * 4 > LONGEST:
                self._check_length(text)
            ts = self._now() if timestamp is None else int(timestamp * SECOND)
            self._value = value
            self._report(self.name, text, ts, None if self._expires is None else ts + self._expires)
        if self._changed or self._wanted:
            self._fire(value, changed)

    def inc(self, by: float = 1) -> None:
        """Count up; an element without a value starts at 0."""
        with self._lock:
            self._set((self._value or 0) + by)

    def dec(self, by: float = 1) -> None:
        """Count down."""
        self.inc(-by)

    def add_event_on_change(self, event: threading.Event, once: bool = True) -> None:
        """Set `event` when the value changes: the first time, or with ``once=False`` each time (003-48)."""
        with self._lock:
            self._changed.append((event, once))

    def add_event_on_value(self, value: Any, event: threading.Event) -> None:
        """Set `event` each time `value` is set, and at once if it is the value now (003-49)."""
        with self._lock:
            self._wanted.append((value, event))
            if self._value == value:
                event.set()

    def remove_event(self, event: threading.Event) -> None:
        """Set `event` no more."""
        with self._lock:
            self._changed = [entry for entry in self._changed if entry[0] is not event]
            self._wanted = [entry for entry in self._wanted if entry[1] is not event]

    def _fire(self, value: Any, changed: bool) -> None:
        if changed:
            for event, _ in self._changed:
                event.set()
            self._changed = [entry for entry in self._changed if not entry[1]]
        for wanted, event in self._wanted:
            if wanted == value:
                event.set()

    def _check_length(self, text: str) -> None:
        length = len(text.encode("utf-8", "surrogatepass"))
        if length > LONGEST:
            raise StatusException(
                reason=f"the value of '{self.name}' has {length} bytes, at most {LONGEST} can be stored"
            )

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return bool(self._value == _plain(other))

    def __ne__(self, other: object) -> bool:
        return bool(self._value != _plain(other))

    def __lt__(self, other: Any) -> bool:
        return bool(self._value < _plain(other))

    def __le__(self, other: Any) -> bool:
        return bool(self._value <= _plain(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self._value > _plain(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self._value >= _plain(other))


def _plain(other: Any) -> Any:
    return other.get_value() if isinstance(other, StatusElement) else other
