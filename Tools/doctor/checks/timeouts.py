"""Limited waits for work that may never end, such as a silent database or a disk that hangs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, wait
from typing import TypeVar

from NexusCore.threads import start_thread

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


def all_within(seconds: float, works: Mapping[K, Callable[[], T]]) -> dict[K, Future[T]]:
    """Run several works at the same time; return the futures of those that finished in time."""
    running = {key: start_thread(work) for key, work in works.items()}
    wait(running.values(), max(0.0, seconds))
    return {key: future for key, future in running.items() if future.done()}
