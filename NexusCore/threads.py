"""Work on threads that never hold up the end of the program."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def start_thread(work: Callable[[], T], name: str = "background") -> Future[T]:
    """Run a function on a daemon thread; the future gets its result, or its exception.

    A thread that hangs in a driver or in the kernel cannot be stopped; a daemon thread does not keep the program from
    ending.

    Parameters
    ----------
    work
        Runs in the caller's context (`contextvars`).
    name
        Of the thread, for logs.
    """
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001  raised again where it is waited for
            result.set_exception(error)

    Thread(target=copy_context().run, args=(run,), name=name, daemon=True).start()
    return result
