"""Ctrl-C ends a tool at once, also while a database driver waits for a server that does not answer."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from NexusCore.errors import EXIT_INTERRUPTED

GRACE = 0.5
"""Seconds in which Python's own way, KeyboardInterrupt, may do its work."""


@contextmanager
def at_once() -> Iterator[None]:
    """See to it that Ctrl-C ends the block with KeyboardInterrupt, or else the process.

    Python raises KeyboardInterrupt between two of its instructions; inside a driver that waits in C for an answer there
    are none, for as long as the driver's own time limit. And a driver that is interrupted between a question and its
    answer may raise an error of its own instead.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual is not signal.default_int_handler:
        yield
        return
    happened, ended = threading.Event(), threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        happened.set()
        raise KeyboardInterrupt

    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    thread = threading.Thread(target=_listen, args=(heard, ended), name="interruption", daemon=True)
    thread.start()
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except Exception:
        if happened.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        ended.set()
        signal.signal(signal.SIGINT, usual)
        signal.set_wakeup_fd(before)
        os.close(told)
        thread.join(GRACE)


def _listen(heard: int, ended: threading.Event) -> None:
    """Wait for a signal, or for the end of the block; leave the process when it does not end by itself."""
    with os.fdopen(heard, "rb", buffering=0) as pipe:
        while numbers := pipe.read(1):
            if numbers[0] == signal.SIGINT and not ended.wait(GRACE):
                os._exit(EXIT_INTERRUPTED)
