"""A status channel: what `get_status` returns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import msgspec

from NexusCore import sizes
from NexusCore.errors import NoSuchElementException, StatusException
from NexusCore.forks import renew_in_children
from NexusCore.status.element import StatusElement, system_now
from NexusCore.status.element2d import Cell, Status2DElement
from NexusCore.status.reporters import OnChangeStatusReporter, PeriodicStatusReporter
from NexusCore.text import odd_character, one_line

NAME_LENGTH = sizes.NAME

_Kind = TypeVar("_Kind", bound=StatusElement)

_encode = msgspec.msgpack.Encoder().encode


def _nowhere(payload: bytes) -> None:
    pass


class StatusHolder:
    """The elements of a channel, by name; ``status["state"] = "idle"`` makes one if need be.

    Values go to the database, but never come back from it.

    Parameters
    ----------
    name
        Name of the channel.
    stop_event
        Of no use here, where a channel has no thread to stop; programs written for CryoCore give one.
    append
        Takes an encoded change to be stored; without it, the channel is in memory only.
    now
        Gives UTC microseconds since the epoch.
    """

    def __init__(
        self,
        name: str,
        stop_event: threading.Event | None = None,
        *,
        append: Callable[[bytes], None] = _nowhere,
        now: Callable[[], int] = system_now,
    ) -> None:
        self.channel = _name(name)
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
        """Return an element, made if it isn't there, as one is by setting it."""
        element = self._elements.get(name)
        return element if element is not None else self.get_or_create_status_element(name)

    def __contains__(self, name: str) -> bool:
        return name in self._elements

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def get_name(self) -> str:
        """Return the channel's name."""
        return self.channel

    def keys(self) -> list[str]:
        """Return the names of all elements."""
        with self._lock:
            return list(self._elements)

    def new(self, name: str, initial_value: Any = None, expire_time: float | None = None) -> StatusElement:
        """Return an element, made if it isn't there; one that is takes over expiry and value.

        Parameters
        ----------
        name
            Its name.
        initial_value
            Set at once, unless None.
        expire_time
            Seconds after which a stored value counts as stale.
        """
        fresh = self._made(name, expire_time)
        with self._lock:
            element = self._elements.setdefault(fresh.name, fresh)
        element.set_expire_time(expire_time)
        if initial_value is not None:
            element.set_value(initial_value, force_update=True)
        return element

    def new2d(
        self,
        name: str,
        size: Cell,
        initial_value: int | Sequence[Sequence[int]] | None = None,
        expire_time: float | None = None,
    ) -> Status2DElement:
        """Return an element with two dimensions, as `new` does; see `Status2DElement`.

        Raises
        ------
        StatusException
            If there is an element of that name with one value.
        """
        fresh = Status2DElement(_name(name), self, size, initial_value, expire_time=expire_time)
        element = self._taken_in(fresh)
        element.become(fresh, set_anew=initial_value is not None)
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

    def add_status_element(self, element: StatusElement) -> StatusElement:
        """Take in an element that was made by itself; its changes are stored. Return the one that is in the channel.

        One of the same name that is there stays, with all who watch it, and takes over the value.

        Raises
        ------
        StatusException
            If only one of the two has two dimensions.
        """
        known = self._taken_in(element)
        if known is not element:
            known.set_value(element.get_value(), timestamp=element.get_timestamp())
        return known

    def add_reporter(self, reporter: OnChangeStatusReporter | PeriodicStatusReporter) -> None:
        """Tell a reporter of this channel's elements, those that come later too."""
        if isinstance(reporter, PeriodicStatusReporter):
            reporter.attach(self)
            return
        with self._lock:
            if reporter in self._reporters:
                return
            self._reporters = (*self._reporters, reporter)
        for element in self.get_elements():
            element.attach(self._report, self._now, self._reporters)

    def get_or_create_status_element(
        self, name: str, initial_value: Any = None, expire_time: float | None = None
    ) -> StatusElement:
        """Return an element, made if it isn't there; `initial_value` and `expire_time` are for one that is made."""
        element = self._elements.get(name) if isinstance(name, str) else None
        if element is None:
            made = self._made(name, expire_time)
            with self._lock:  # another thread may have made it meanwhile: there is one, and no change to it gets lost
                element = self._elements.setdefault(made.name, made)
            if element is made and initial_value is not None:
                element.set_value(initial_value)
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

    def remove_status_element(self, element: StatusElement | str) -> None:
        """Forget an element, given itself or by name; what was stored stays stored.

        Raises
        ------
        NoSuchElementException
            If there is none of that name.
        """
        name = element.name if isinstance(element, StatusElement) else element
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

    def _made(self, name: str, expire_time: float | None) -> StatusElement:
        return StatusElement(
            _name(name), self, expire_time=expire_time, report=self._report, now=self._now, reporters=self._reporters
        )

    def _taken_in(self, element: _Kind) -> _Kind:
        """Return the element of that name and kind that is in the channel: this one, unless there is another."""
        name = _name(element.name)
        if self._elements.get(name, element) is element:
            element.attach(self._report, self._now, self._reporters)
        with self._lock:
            known = self._elements.setdefault(name, element)
        if isinstance(known, Status2DElement) != isinstance(element, Status2DElement):
            raise StatusException(reason=f"channel '{self.channel}' has an element '{name}' of another kind")
        return cast(_Kind, known)

    def _report(self, name: str, value: str | None, ts: int, expires: int | None) -> None:
        try:
            payload = _encode((ts, self.channel, name, value, expires))
        except UnicodeEncodeError:  # lone surrogates, as in file names of unknown encoding
            payload = _encode(
                (ts, self.channel, name, str(value).encode("utf-8", "backslashreplace").decode(), expires)
            )
        self._append(payload)


def _name(name: str) -> str:
    # A database may take names that differ in outer spaces only for one; nor does it take halves of characters.
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH or name != name.strip():
        text = str(name)
        shown = one_line(text) if len(text) <= NAME_LENGTH else f"{one_line(text[:40])}… ({len(text)} characters)"
        reason = f"'{shown}' is not a valid name; it takes 1 to {NAME_LENGTH} characters, no spaces around"
        raise StatusException(reason=reason)
    odd = odd_character(name)
    if odd is not None:
        raise StatusException(reason=f"the name '{one_line(name)}' contains {odd}, which no name may contain")
    return str.__str__(name)  # plain text, also of a member of an Enum
