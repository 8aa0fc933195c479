"""Callbacks on a thread of their own, one after the other: a slow or faulty one never holds up who calls it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

from NexusCore.forks import renew_in_children

_LOG = logging.getLogger("NexusCore.callbacks")


class Dispatcher:
    """Calls functions in the order they were handed in. The thread starts with the first.

    Parameters
    ----------
    name
        Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.forked()
        renew_in_children(self)

    def forked(self) -> None:
        """Begin: a forked child has neither the thread nor what waited for it."""
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have a function called; returns at once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        self._queue.put((function, arguments))

    def close(self, seconds: float) -> None:
        """Call what was handed in so far, for at most `seconds`, and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            if thread is not threading.current_thread():
                thread.join(seconds)

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None:
            function, arguments = entry
            try:
                function(*arguments)
            except BaseException:  # noqa: BLE001  a stranger's code, which may say it is cancelled: the next must not suffer
                _LOG.exception("The callback %r failed", function)
