"""Work for destinations, on threads: it may take only so long, and never holds up the end of the service."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from threading import Event, Thread
from typing import TypeVar

from NexusCore.clock import Clock
from Services.Uploader.destinations import DestinationAway

_LOOK = 0.1
"""Seconds between two looks at whether to stop."""

T = TypeVar("T")


class DestinationSilent(DestinationAway):
    """{destination} did not answer within {seconds:g} s."""


class DestinationBusy(DestinationAway):
    """{destination} is still at work on what took it too long."""


class Stopped(Exception):
    """The service was told to end while a destination was at work."""


class Errands:
    """Lets destinations work, one thing at a time each.

    Parameters
    ----------
    clock, stop
        Measures their time; says that the service is to end.
    """

    def __init__(self, clock: Clock, stop: Event) -> None:
        self._clock = clock
        self._stop = stop
        self._overdue: dict[str, Future[object]] = {}

    def run(self, name: str, work: Callable[[], T], limit: float) -> T:
        """Return what a destination's work returns, or raise what it raises.

        Raises
        ------
        DestinationSilent
            If it takes more than `limit` seconds. It goes on all the same; until it has ended, nothing else is done
            there, since two at once might store a record twice.
        DestinationBusy
            If that is so.
        Stopped
            If the service is told to end meanwhile.
        """
        overdue = self._overdue.pop(name, None)
        if overdue is not None and not overdue.done():
            self._overdue[name] = overdue
            raise DestinationBusy(destination=name)
        result: Future[T] = Future()

        def go() -> None:
            try:
                result.set_result(work())
            except BaseException as error:  # noqa: BLE001  raised again in the thread that waits for it
                result.set_exception(error)

        # A thread that is no daemon would hold up the end of the service for as long as a server is silent.
        Thread(target=copy_context().run, args=(go,), name=f"to {name}", daemon=True).start()
        deadline = self._clock.monotonic() + limit
        while not wait([result], timeout=_LOOK).done:
            if self._stop.is_set():
                raise Stopped
            if self._clock.monotonic() > deadline:
                self._overdue[name] = result  # type: ignore[assignment]  # only asked whether it is done
                raise DestinationSilent(destination=name, seconds=limit)
        return result.result()
