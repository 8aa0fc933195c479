"""Further destinations of status: subclass a reporter and attach it with `StatusHolder.add_reporter`."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from NexusCore.status.element import Channel, StatusElement

_LOG = logging.getLogger("NexusCore.status")


class OnChangeStatusReporter(ABC):
    """Called with every change before `set_value` returns, so it must be fast.

    Parameters
    ----------
    name
        For messages about it.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def report(self, element: StatusElement) -> None:
        """Report an element's new value."""


class PeriodicStatusReporter(ABC):
    """Reports all elements of its holders periodically, on a thread of its own.

    Parameters
    ----------
    name
        Name of the thread.
    period
        Seconds between two reports.
    stop_event
        Ends the thread when set; by default an event of its own.
    """

    def __init__(self, name: str, period: float, stop_event: threading.Event | None = None) -> None:
        self.name = name
        self.period = period
        self.stop_event = stop_event if stop_event is not None else threading.Event()
        self._holders: list[Channel] = []
        self._thread: threading.Thread | None = None

    @abstractmethod
    def report(self) -> None:
        """Report the elements; `get_elements` returns them."""

    def get_elements(self) -> list[StatusElement]:
        """Return the elements of all holders that it is attached to."""
        return [element for holder in self._holders for element in holder.get_elements()]

    def attach(self, holder: Channel) -> None:
        """Attach to a holder; the first one starts the thread."""
        if holder not in self._holders:
            self._holders.append(holder)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self.stop_event.wait(self.period):
            try:
                self.report()
            except BaseException:  # noqa: BLE001  a stranger's code, at the edge of its thread: the next may succeed
                _LOG.exception("The status reporter %s failed", self.name)
