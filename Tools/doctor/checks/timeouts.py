"""Waiting for what may never come, such as a database that is silent or a disk that hangs, for a limited time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, wait
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


def begun(work: Callable[[], T]) -> Future[T]:
    """Begin some work beside the program; what comes of it, an error too, is in the future.

    A thread that hangs in a driver or in the kernel cannot be ended, only left behind: it does not hold up the end of
    the program.
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
    """Do several things at once; return the futures of those that came to an end in time."""
    running = {key: begun(work) for key, work in works.items()}
    wait(running.values(), max(0.0, seconds))
    return {key: future for key, future in running.items() if future.done()}
