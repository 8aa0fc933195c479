"""Work that the database may hold up, done aside: the screen stays alive, and Ctrl-C and Escape work, meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from NexusCore.errors import EXIT_UNREACHABLE, NexusError

T = TypeVar("T")


class OutcomeUnknown(NexusError):
    """It is not known whether the database did this: it has not answered so far."""

    exit_code = EXIT_UNREACHABLE


def sent(work: Callable[[], T]) -> Future[T]:
    """Begin `work` on a thread of its own, which does not keep the program from ending; return its outcome to be."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:  # noqa: BLE001  the edge of the thread; it is raised where the outcome is asked for
            outcome.set_exception(error)

    threading.Thread(target=run, name="background", daemon=True).start()
    return outcome
