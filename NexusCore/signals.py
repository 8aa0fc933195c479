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
"""Names of the signals that ask a program to end: Ctrl-C, ``kill``, a closed terminal."""

_FRAGILE = "mysql.connector.connection_cext"
"""The module whose C extension crashes the process if a handler raises an exception in it."""


class HandlerEvent(threading.Event):
    """An event that a signal handler may set at any time.

    That of the standard library holds a lock while it is set and when a wait begins; a handler that runs just then and
    sets the event waits for that lock forever, since its own thread holds it. This one has no lock: a waiting thread
    takes a token from a reentrant queue (``queue.SimpleQueue``) and passes it on. Python runs handlers only between two
    of its instructions, so the handler of a signal that came just before a wait would run at its end; the main thread
    therefore waits in short intervals.

    Parameters
    ----------
    piece
        Seconds of one such interval.
    """

    def __init__(self, piece: float = 0.5) -> None:
        super().__init__()
        self._piece = piece
        self._happened = False
        self._tokens: SimpleQueue[None] = SimpleQueue()
        self._followers: tuple[HandlerEvent, ...] = ()

    def sets_too(self, other: HandlerEvent) -> None:
        """Set another event whenever this one is set, so that a thread can wait for either."""
        self._followers = (*self._followers, other)

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._happened

    def set(self) -> None:
        """Set it and wake the waiting threads."""
        if not self._happened:
            self._happened = True
            self._tokens.put(None)
        for other in self._followers:
            other.set()

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
    """Install `handler` for signals; return the numbers of those that exist here and are not ignored.

    Parameters
    ----------
    names
        Their names; Windows has no SIGHUP.
    handler
        Called with number and frame in the main thread, in which `take` must be called, too.
    """
    numbers = [int(getattr(signal, name)) for name in names if hasattr(signal, name)]
    minded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    for number in minded:
        signal.signal(number, handler)
    return minded


def quiet_interrupts() -> None:
    """Let Ctrl-C end this program without a traceback at any time; for its main module.

    It ends the process at once until the program installs a handler. It is ignored after all exit functions, since
    Python restores the default action just before the process ends.
    """
    if take(("SIGINT",), lambda number, frame: os._exit(EXIT_INTERRUPTED)):
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


@contextmanager
def taken(names: tuple[str, ...], handler: Handler) -> Iterator[list[int]]:
    """`take` signals for the block; restore their handlers afterwards."""
    before = {name: signal.getsignal(getattr(signal, name)) for name in names if hasattr(signal, name)}
    numbers = take(names, handler)
    try:
        yield numbers
    finally:
        for number in numbers:
            signal.signal(number, before[signal.Signals(number).name])
