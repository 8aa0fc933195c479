"""Ctrl-C ends a tool at once, also while a database driver waits for a server that does not answer."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from NexusCore.errors import EXIT_INTERRUPTED

GRACE = 0.5
"""Seconds in which Python's own way, KeyboardInterrupt, may do its work."""


@contextmanager
def at_once() -> Iterator[None]:
    """See to it that Ctrl-C ends the process, as long as the block lasts.

    Python raises KeyboardInterrupt between two of its instructions; inside a driver that waits in C for an answer there
    are none, for as long as the driver's own time limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended = threading.Event()
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    thread = threading.Thread(target=_listen, args=(heard, ended), name="interruption", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        os.close(told)
        thread.join(GRACE)


def _listen(heard: int, ended: threading.Event) -> None:
    """Wait for a signal, or for the end of the block; leave the process when it does not end by itself."""
    with os.fdopen(heard, "rb", buffering=0) as pipe:
        while numbers := pipe.read(1):
            if numbers[0] == signal.SIGINT and not ended.wait(GRACE):
                os._exit(EXIT_INTERRUPTED)
