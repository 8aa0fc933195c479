"""Handlers for the signals that ask a program to end, so that it can end in order.

A signal that is ignored when the program starts stays ignored: that is what ``nohup`` asks for.
"""

from __future__ import annotations

import atexit
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType

from NexusCore.errors import EXIT_INTERRUPTED

Handler = Callable[[int, FrameType | None], object]

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
"""Names of the signals that ask a program to end: Ctrl-C, ``kill``, a terminal that closes."""

_FRAGILE = "mysql.connector.connection_cext"
"""The module whose C extension does not expect exceptions of what it calls: it crashes the process."""


class HandlerEvent(threading.Event):
    """An event that a signal handler may set at any time.

    The standard library's holds a lock while it is set, and while a wait begins; a handler that comes in just then and
    sets the event waits for that lock for ever, since its own thread holds it. This one has no lock: who waits takes a
    token from a queue that may be interrupted (``queue.SimpleQueue``), and passes it on. And Python runs handlers
    between two of its instructions only, so that of a signal that came just before a wait began would be run at its
    end; the main thread therefore waits in short pieces.

    Parameters
    ----------
    piece
        Seconds that the main thread waits at a time.
    """

    def __init__(self, piece: float = 0.5) -> None:
        super().__init__()
        self._piece = piece
        self._happened = False
        self._tokens: SimpleQueue[None] = SimpleQueue()

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._happened

    def set(self) -> None:
        """Set it and wake the waiting threads."""
        if not self._happened:
            self._happened = True
            self._tokens.put(None)

    def clear(self) -> None:
        """Clear it: the next `wait` blocks again."""
        self._happened = False
        with suppress(Empty):
            while True:
                self._tokens.get_nowait()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most `timeout` seconds if given; return whether it is set."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        longest = self._piece if threading.current_thread() is threading.main_thread() else threading.TIMEOUT_MAX
        while not self._happened and (left := end - time.monotonic()) > 0:
            with suppress(Empty):
                self._tokens.get(timeout=min(left, longest))
                if self.is_set():
                    self._tokens.put(None)  # for the next that waits
        return self._happened


def may_raise(frame: FrameType | None) -> bool:
    """Return whether a handler may raise an exception in the frame that it has interrupted."""
    while frame is not None:
        if frame.f_globals.get("__name__") == _FRAGILE:
            return False
        frame = frame.f_back
    return True


def take(names: tuple[str, ...], handler: Handler) -> list[int]:
    """Have `handler` called for signals; return the numbers of those that this system has and this process minds.

    Parameters
    ----------
    names
        Their names; Windows has no SIGHUP.
    handler
        Called with the number and the frame, in the main thread, where this must be called, too.
    """
    numbers = [int(getattr(signal, name)) for name in names if hasattr(signal, name)]
    minded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    for number in minded:
        signal.signal(number, handler)
    return minded


def quiet_interrupts() -> None:
    """Have Ctrl-C end this program without a traceback from its first moment to its last; for its main module.

    It ends the process at once until the program takes the signal over. It is ignored when all functions at the exit
    have been called, since Python gives the signal back to the system a moment before the process is gone.
    """
    if take(("SIGINT",), lambda number, frame: os._exit(EXIT_INTERRUPTED)):
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


@contextmanager
def taken(names: tuple[str, ...], handler: Handler) -> Iterator[list[int]]:
    """`take` signals for the block; afterwards they do what they did before."""
    before = {name: signal.getsignal(getattr(signal, name)) for name in names if hasattr(signal, name)}
    numbers = take(names, handler)
    try:
        yield numbers
    finally:
        for number in numbers:
            signal.signal(number, before[signal.Signals(number).name])
