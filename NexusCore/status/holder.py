"""A status channel: what `get_status` returns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from NexusCore.errors import NoSuchElementException, StatusException
from NexusCore.status.element import StatusElement

NAME_LENGTH = 128

_encode = msgspec.msgpack.Encoder().encode


class StatusHolder:
    """The elements of a channel, by name; ``status["state"] = "idle"`` makes one if need be (003-36).

    Values go to the database, but never come back from it (003-43).

    Parameters
    ----------
    channel
        Name of the channel.
    append
        Takes an encoded change to be stored.
    now
        Gives UTC microseconds since the epoch.
    """

    def __init__(self, channel: str, append: Callable[[bytes], None], now: Callable[[], int]) -> None:
        self.channel = _name(channel)
        self._append = append
        self._now = now
        self._elements: dict[str, StatusElement] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<StatusHolder {self.channel}: {', '.join(map(str, self.get_elements()))}>"

    def __setitem__(self, name: str, value: Any) -> None:
        element = self._elements.get(name)
        if element is None:
            element = self.get_or_create_status_element(name)
        element.set_value(value)

    def __getitem__(self, name: str) -> StatusElement:
        return self.get_status_element(name)

    def __contains__(self, name: str) -> bool:
        return name in self._elements

    def new(self, name: str, initial_value: Any = None, expire_time: float | None = None) -> StatusElement:
        """Make an element (003-37), or one anew.

        Parameters
        ----------
        name
            Its name.
        initial_value
            Set at once, unless None.
        expire_time
            Seconds after which a stored value counts as stale.
        """
        with self._lock:
            element = StatusElement(_name(name), self._report, self._now, expire_time)
            self._elements[name] = element
        if initial_value is not None:
            element.set_value(initial_value)
        return element

    def get_or_create_status_element(self, name: str) -> StatusElement:
        """Return an element, made if it isn't there."""
        with self._lock:
            element = self._elements.get(name)
        return element if element is not None else self.new(name)

    def get_status_element(self, name: str) -> StatusElement:
        """Return an element.

        Raises
        ------
        NoSuchElementException
            If there is none of that name.
        """
        try:
            return self._elements[name]
        except KeyError:
            raise NoSuchElementException(name=name, channel=self.channel) from None

    def remove_status_element(self, name: str) -> None:
        """Forget an element; what was stored stays stored."""
        self.get_status_element(name)
        with self._lock:
            self._elements.pop(name, None)

    def get_elements(self) -> list[StatusElement]:
        """Return all elements."""
        with self._lock:
            return list(self._elements.values())

    def _report(self, name: str, value: str | None, ts: int, expires: int | None) -> None:
        try:
            payload = _encode((ts, self.channel, name, value, expires))
        except UnicodeEncodeError:  # lone surrogates, as in file names of unknown encoding
            payload = _encode(
                (ts, self.channel, name, str(value).encode("utf-8", "backslashreplace").decode(), expires)
            )
        self._append(payload)


def _name(name: str) -> str:
    if not isinstance(name, str) or not name or len(name) > NAME_LENGTH:
        raise StatusException(reason=f"{name!r} is no name; it takes 1 to {NAME_LENGTH} characters")
    return name
