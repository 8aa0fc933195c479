"""Schedules fetches: a few at a time, and slow ones beside them.

A server that accepts and never answers must not take the place of one that does. A server that
failed at the last fetch, or has not answered for a while, is slow: slow ones have slots of their own, limited, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import wait

from NexusCore.clock import Clock
from Services.Harvester.fetch_process import Bounds, FetchProcess, FetchRequest, FetchResult, FetchWindow

Server = tuple[str, str]
"""Kind of calendar, and address of a server that has those of several instruments, or pid of the only one."""


@dataclass(frozen=True, slots=True)
class FetchSlots:
    """How many fetches may run at a time."""

    quick: int
    slow: int
    slow_after: float
    """Seconds after which a fetch counts as slow."""


class FetchScheduler:
    """Runs fetches, one from each server at a time.

    Parameters
    ----------
    clock
        Measures how long they take.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._under_way: dict[Server, FetchProcess] = {}
        self._slow: set[Server] = set()
        self._begun: dict[Server, float] = {}
        """When the last fetch of each server began."""

    def __len__(self) -> int:
        return len(self._under_way)

    def due(self, requests: Mapping[Server, FetchRequest], failed: set[Server]) -> list[Server]:
        """Return the servers to ask now: first those that did not fail, and among equals the longest waiting.

        Running fetches whose query has changed are ended.

        Parameters
        ----------
        requests
            The queries by server.
        failed
            Servers whose last fetch failed.
        """
        for server, fetch in list(self._under_way.items()):
            now, then = requests.get(server), fetch.request
            if now is None or (now.source, now.instruments) != (then.source, then.instruments):
                self._end(server)
        waiting = [server for server in requests if server not in self._under_way]
        self._slow = (self._slow & self._under_way.keys()) | (failed & set(waiting))
        self._begun = {server: begun for server, begun in self._begun.items() if server in requests}
        return sorted(waiting, key=lambda server: (server in failed, self._begun.get(server, 0.0)))

    def start(
        self, server: Server, request: FetchRequest, window: FetchWindow, bounds: Bounds, slots: FetchSlots
    ) -> bool:
        """Start a fetch if a slot is free; return whether it was.

        Parameters
        ----------
        server, request, window, bounds
            Of the `FetchProcess`.
        slots
            How many fetches may run; a server that failed last, or runs for long, takes a slow one.
        """
        now = self._clock.monotonic()
        self._slow |= {server for server, fetch in self._under_way.items() if now - fetch.begun >= slots.slow_after}
        slow = len(self._slow & self._under_way.keys())
        quick = len(self._under_way) - slow
        if server in self._slow:
            free = slow < slots.slow
        else:
            free = quick < slots.quick and quick + slow < slots.quick + slots.slow
        if free:
            self._begun[server] = now
            self._under_way[server] = FetchProcess(request, window, bounds, now)
        return free

    def answered(self, seconds: float) -> Iterator[tuple[FetchProcess, Mapping[str, FetchResult]]]:
        """Wait for an answer, for so many seconds at most; yield and end the fetches that have one."""
        wait([fetch.connection for fetch in self._under_way.values()], timeout=seconds)
        for server, fetch in list(self._under_way.items()):
            answers = fetch.answers(self._clock.monotonic())
            if answers is not None:
                self._end(server)
                yield fetch, answers

    def end(self) -> None:
        """End all."""
        for server in list(self._under_way):
            self._end(server)

    def _end(self, server: Server) -> None:
        self._under_way.pop(server).end()
