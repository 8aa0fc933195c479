"""Ctrl-C, SIGTERM and the closing of the terminal end a tool cleanly and at once.

This works even while a database driver waits for a server that does not answer.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from NexusCore import signals

GRACE = 0.5
"""Seconds in which an exception may end the program; then the process exits."""
AGAIN = 0.05
"""Seconds after which a delayed signal is sent again."""


class Interrupted(KeyboardInterrupt):
    """A signal that ends the program.

    Parameters
    ----------
    number
        Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
        """Exit code: 130 for Ctrl-C, 143 for SIGTERM, 129 for a closed terminal."""


@contextmanager
def at_once() -> Iterator[None]:
    """Make ending signals raise `Interrupted` in the block, or end the process if that does not work.

    Python raises between two of its instructions, which does not happen while a driver waits in C for an answer, up to
    the driver's own time limit. A driver that is interrupted between a query and its answer may raise another error or
    crash; there, the signal is delayed. Only the first signal counts: a second Ctrl-C does not disturb the cleanup.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    raised, ended = signals.HandlerEvent(), threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if not raised.is_set() and signals.may_raise(frame):
            raised.set()
            raise Interrupted(received[0])

    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with signals.taken(signals.ENDING, interrupt) as numbers:
        before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        thread = threading.Thread(
            target=_listen, args=(read_end, numbers, raised, ended), name="interruption", daemon=True
        )
        thread.start()
        try:
            yield
        except Exception:
            if received:
                raise Interrupted(received[0]) from None
            raise
        finally:
            ended.set()
            signal.set_wakeup_fd(before)
            os.close(write_end)
            thread.join(GRACE)


def _listen(read_end: int, numbers: list[int], raised: threading.Event, ended: threading.Event) -> None:
    """Wait for a signal or the end of the block; exit if the block does not end after a signal."""
    with os.fdopen(read_end, "rb", buffering=0) as pipe:
        while data := pipe.read(1):
            number = data[0]
            if number in numbers and not _ends(number, raised, ended):
                os._exit(128 + number)


def _ends(number: int, raised: threading.Event, ended: threading.Event) -> bool:
    """Return whether the block ends in time; a delayed signal is sent again until it is handled."""
    for _ in range(round(GRACE / AGAIN)):
        if ended.wait(AGAIN):
            return True
        if not raised.is_set() and hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, number)
    return ended.is_set()
