"""Running work with the database on a thread, so that the screen, Ctrl-C and Escape keep working."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from NexusCore.errors import EXIT_UNREACHABLE, NexusError

T = TypeVar("T")


class OutcomeUnknown(NexusError):
    """The database has not answered: it is not known whether the change was made."""

    exit_code = EXIT_UNREACHABLE


def run_in_thread(work: Callable[[], T]) -> Future[T]:
    """Run `work` on a daemon thread; the future gets its result or its exception."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:  # noqa: BLE001  the edge of the thread; raised by `Future.result`
            outcome.set_exception(error)

    threading.Thread(target=run, name="background", daemon=True).start()
    return outcome
