"""Limited waits for work that may never end, such as a silent database or a disk that hangs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, wait
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


def run_in_thread(work: Callable[[], T]) -> Future[T]:
    """Run `work` on a daemon thread; the future gets its result or its exception.

    A thread that hangs in a driver or in the kernel cannot be stopped; a daemon thread does not keep the program from
    ending.
    """
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001  raised again where it is waited for
            result.set_exception(error)

    Thread(target=run, daemon=True).start()
    return result


def all_within(seconds: float, works: Mapping[K, Callable[[], T]]) -> dict[K, Future[T]]:
    """Run several works at the same time; return the futures of those that finished in time."""
    running = {key: run_in_thread(work) for key, work in works.items()}
    wait(running.values(), max(0.0, seconds))
    return {key: future for key, future in running.items() if future.done()}
