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
from NexusCore.text import kind_of, odd_character, one_line, shortened

NAME_LENGTH = sizes.NAME

_Kind = TypeVar("_Kind", bound=StatusElement)

_encode = msgspec.msgpack.Encoder().encode


def _nowhere(payload: bytes) -> None:
    pass


class StatusHolder:
    """The elements of a channel, by name; ``status["state"] = "idle"`` creates one if needed.

    Values are written to the database, never read from it.

    Parameters
    ----------
    name
        Name of the channel.
    stop_event
        Ignored, for programs written for CryoCore: a channel has no thread.
    append
        Called with each encoded change to store; without it, the channel is in memory only.
    now
        Returns UTC microseconds since the epoch.
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
        """Return an element, created if it does not exist."""
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
        """Return an element, created if it does not exist; an existing one gets the expiry and value.

        Parameters
        ----------
        name
            Its name.
        initial_value
            Value to set, unless None.
        expire_time
            Seconds after which a stored value counts as stale.
        """
        fresh = self._new_element(name, expire_time)
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
            If an element with that name has one value.
        """
        fresh = Status2DElement(_name(name), self, size, initial_value, expire_time=expire_time)
        element = self._taken_in(fresh)
        element.become(fresh, with_value=initial_value is not None)
        return element

    def create_status_element(
        self, name: str, initial_value: Any = None, expire_time: float | None = None
    ) -> StatusElement:
        """Create a new element.

        Raises
        ------
        StatusException
            If it exists.
        """
        if name in self._elements:
            raise StatusException(reason=f"channel '{self.channel}' already has an element '{name}'")
        return self.new(name, initial_value, expire_time)

    def add_status_element(self, element: StatusElement) -> StatusElement:
        """Add an element that was created separately; return the one in the channel.

        An existing element with that name stays, with its callbacks and events, and gets the value.

        Raises
        ------
        StatusException
            If only one of the two elements has two dimensions.
        """
        known = self._taken_in(element)
        if known is not element:
            known.set_value(element.get_value(), timestamp=element.get_timestamp())
        return known

    def add_reporter(self, reporter: OnChangeStatusReporter | PeriodicStatusReporter) -> None:
        """Attach a reporter to this channel's elements, including later ones."""
        if isinstance(reporter, PeriodicStatusReporter):
            reporter.attach(self)
            return
        if not callable(getattr(reporter, "report", None)):
            reason = (
                f"a reporter is a subclass of OnChangeStatusReporter or PeriodicStatusReporter, not {kind_of(reporter)}"
            )
            raise StatusException(reason=reason)
        with self._lock:
            if reporter in self._reporters:
                return
            self._reporters = (*self._reporters, reporter)
        for element in self.get_elements():
            element.attach(self._report, self._now, self._reporters)

    def get_or_create_status_element(
        self, name: str, initial_value: Any = None, expire_time: float | None = None
    ) -> StatusElement:
        """Return an element, created if it does not exist.

        Parameters
        ----------
        name
            Its name.
        initial_value, expire_time
            As for `new`; only for a new element.
        """
        element = self._elements.get(name) if isinstance(name, str) else None
        if element is None:
            created = self._new_element(name, expire_time)
            with self._lock:  # another thread may have created it meanwhile
                element = self._elements.setdefault(created.name, created)
            if element is created and initial_value is not None:
                element.set_value(initial_value)
        return element

    def get_status_element(self, name: str) -> StatusElement:
        """Return an element.

        Raises
        ------
        NoSuchElementException
            If it does not exist.
        """
        try:
            return self._elements[name]
        except KeyError:
            raise NoSuchElementException(name=name, channel=self.channel) from None

    def remove_status_element(self, element: StatusElement | str) -> None:
        """Remove an element, given itself or its name; stored values stay.

        Raises
        ------
        NoSuchElementException
            If it does not exist.
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
        """Replace the locks."""
        self._lock = threading.Lock()
        for element in self._elements.values():
            element.forked()

    def _new_element(self, name: str, expire_time: float | None) -> StatusElement:
        return StatusElement(
            _name(name), self, expire_time=expire_time, report=self._report, now=self._now, reporters=self._reporters
        )

    def _taken_in(self, element: _Kind) -> _Kind:
        """Return the channel's element with that name and kind: this one, unless another exists."""
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


def _name(name: object) -> str:
    # A database may consider names that differ in outer spaces equal, and does not accept lone surrogates.
    if not isinstance(name, str):
        reason = f"{shortened(one_line(repr(name)), 40)} is not a valid name: a name is text, not {kind_of(name)}"
        raise StatusException(reason=reason)
    if not 0 < len(name) <= NAME_LENGTH or name != name.strip():
        shown = one_line(name) if len(name) <= NAME_LENGTH else f"{one_line(name[:40])}… ({len(name)} characters)"
        reason = f"'{shown}' is not a valid name; it takes 1 to {NAME_LENGTH} characters, no spaces around"
        raise StatusException(reason=reason)
    odd = odd_character(name)
    if odd is not None:
        raise StatusException(reason=f"the name '{one_line(name)}' contains {odd}, which no name may contain")
    return str.__str__(name)  # plain text, also of a member of an Enum
