"""Calls of destinations, on threads, with a time limit; they never hold up the end of the service."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Event
from typing import Any, TypeVar

from NexusCore.clock import Clock
from NexusCore.threads import start_thread
from Services.Uploader.destinations import DestinationAway

STOP_CHECK_SECONDS = 0.1
"""Interval of checks whether to stop."""

T = TypeVar("T")


class DestinationSilent(DestinationAway):
    """{destination} did not answer within {seconds:g} s."""


class DestinationBusy(DestinationAway):
    """{destination} is still busy with a request that exceeded its time limit."""


class UploadStopped(Exception):
    """The service was stopped while a destination was at work."""


class TimedCalls:
    """Lets destinations work, one thing at a time each.

    Parameters
    ----------
    clock, stop
        Measures their time; says that the service is to end.
    """

    def __init__(self, clock: Clock, stop: Event) -> None:
        self._clock = clock
        self._stop = stop
        self._overdue: dict[str, Future[Any]] = {}

    def overdue(self) -> list[str]:
        """Return the destinations that are still busy with a call that exceeded its time limit."""
        return [name for name, result in list(self._overdue.items()) if not result.done()]

    def run(self, name: str, work: Callable[[], T], limit: float, beat: Callable[[float], None]) -> T:
        """Return what a destination's work returns, or raise what it raises.

        Parameters
        ----------
        name, work, limit
            Of which destination, what, and for how many seconds at most.
        beat
            Called again and again meanwhile, with the seconds that it takes so far.

        Raises
        ------
        DestinationSilent
            If it takes more than `limit` seconds. It runs on; until it has ended, no other call is made there, since
            two at once might store a record twice.
        DestinationBusy
            If an earlier call of the destination is.
        Stopped
            If the service is stopped meanwhile.
        """
        if name in self.overdue():
            raise DestinationBusy(destination=name)
        result = start_thread(work, f"to {name}")
        first = self._clock.monotonic()
        while not wait([result], timeout=STOP_CHECK_SECONDS).done:
            seconds = self._clock.monotonic() - first
            if self._stop.is_set() or seconds > limit:
                self._overdue[name] = result
                if self._stop.is_set():
                    raise UploadStopped
                raise DestinationSilent(destination=name, seconds=limit)
            beat(seconds)
        return result.result()
