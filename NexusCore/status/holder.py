"""A status channel: what `get_status` returns."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from NexusCore.errors import NoSuchElementException, StatusException
from NexusCore.forks import renew_in_children
from NexusCore.status.element import StatusElement, system_now
from NexusCore.status.element2d import Cell, Status2DElement
from NexusCore.status.reporters import OnChangeStatusReporter, PeriodicStatusReporter

NAME_LENGTH = 128
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_encode = msgspec.msgpack.Encoder().encode


def _nowhere(payload: bytes) -> None:
    pass


class StatusHolder:
    """The elements of a channel, by name; ``status["state"] = "idle"`` makes one if need be (003-36).

    Values go to the database, but never come back from it (003-43).

    Parameters
    ----------
    channel
        Name of the channel.
    append
        Takes an encoded change to be stored; without it, the channel is in memory only.
    now
        Gives UTC microseconds since the epoch.
    """

    def __init__(
        self, channel: str, append: Callable[[bytes], None] = _nowhere, now: Callable[[], int] = system_now
    ) -> None:
        self.channel = _name(channel)
        self._append = append
        self._now = now
        self._elements: dict[str, StatusElement] = {}
        self._reporters: tuple[OnChangeStatusReporter, ...] = ()
        self._lock = threading.Lock()
        renew_in_children(self)

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
        element = StatusElement(_name(name), self._report, self._now, expire_time, self._reporters)
        with self._lock:
            self._elements[element.name] = element
        if initial_value is not None:
            element.set_value(initial_value)
        return element

    def new2d(
        self,
        name: str,
        size: Cell,
        initial_value: int | Sequence[Sequence[int]] | None = None,
        expire_time: float | None = None,
    ) -> Status2DElement:
        """Make an element with two dimensions (003-38); see `Status2DElement`."""
        element = Status2DElement(_name(name), size, initial_value, expire_time)
        self.add_status_element(element)
        if initial_value is not None:
            element.set_value(element.get_value(), force_update=True)
        return element

    def create_status_element(
        self, name: str, initial_value: Any = None, expire_time: float | None = None
    ) -> StatusElement:
        """Make an element that must not be there yet.

        Raises
        ------
        StatusException
            If it is.
        """
        if name in self._elements:
            raise StatusException(reason=f"channel '{self.channel}' already has an element '{name}'")
        return self.new(name, initial_value, expire_time)

    def add_status_element(self, element: StatusElement) -> None:
        """Take in an element that was made by itself, in the place of one of the same name; its changes are stored."""
        name = _name(element.name)
        element.attach(self._report, self._now, self._reporters)
        with self._lock:
            self._elements[name] = element

    def add_reporter(self, reporter: OnChangeStatusReporter | PeriodicStatusReporter) -> None:
        """Tell a reporter of this channel's elements, those that come later too."""
        if isinstance(reporter, PeriodicStatusReporter):
            reporter.attach(self)
            return
        with self._lock:
            self._reporters = (*self._reporters, reporter)
        for element in self.get_elements():
            element.attach(self._report, self._now, self._reporters)

    def get_or_create_status_element(self, name: str) -> StatusElement:
        """Return an element, made if it isn't there."""
        element = self._elements.get(name)
        if element is None:
            made = StatusElement(_name(name), self._report, self._now, None, self._reporters)
            with self._lock:  # another thread may have made it meanwhile: there is one, and no change to it gets lost
                element = self._elements.setdefault(made.name, made)
        return element

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

    def forked(self) -> None:
        """Make the locks new."""
        self._lock = threading.Lock()
        for element in self._elements.values():
            element.forked()

    def _report(self, name: str, value: str | None, ts: int, expires: int | None) -> None:
        try:
            payload = _encode((ts, self.channel, name, value, expires))
        except UnicodeEncodeError:  # lone surrogates, as in file names of unknown encoding
            payload = _encode(
                (ts, self.channel, name, str(value).encode("utf-8", "backslashreplace").decode(), expires)
            )
        self._append(payload)


def _name(name: str) -> str:
    # A database may take names that differ in outer spaces only for one; and it takes no halves of characters.
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH or name != name.strip() or _SURROGATE.search(name):
        raise StatusException(reason=f"{name!r} is no name; it takes 1 to {NAME_LENGTH} characters, no spaces around")
    return str.__str__(name)  # plain text, also of a member of an Enum
