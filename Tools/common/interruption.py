"""Ctrl-C, SIGTERM and a terminal that closes end a tool in order, and at once.

Also while a database driver waits for a server that does not answer.
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
"""Seconds in which Python's own way, an exception, may do its work."""
AGAIN = 0.05
"""Seconds after which a signal that was put off is sent again."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to end.

    Parameters
    ----------
    number
        The signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
        """What the shell gets: 130 for Ctrl-C, 143 for SIGTERM, 129 for a terminal that was closed."""


@contextmanager
def at_once() -> Iterator[None]:
    """Have a signal that asks the program to end raise `Interrupted` in the block, or else end the process.

    Python raises between two of its instructions; inside a driver that waits in C for an answer there are none, for as
    long as the driver's own time limit. And a driver that is interrupted between a question and its answer may raise an
    error of its own instead, or crash; there, the signal is put off. Only the first signal counts: a second Ctrl-C does
    not disturb the tidying up.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    happened: list[int] = []
    raised, ended = signals.HandlerEvent(), threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        happened.append(number)
        if not raised.is_set() and signals.may_raise(frame):
            raised.set()
            raise Interrupted(happened[0])

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
            if happened:
                raise Interrupted(happened[0]) from None
            raise
        finally:
            ended.set()
            signal.set_wakeup_fd(before)
            os.close(write_end)
            thread.join(GRACE)


def _listen(read_end: int, numbers: list[int], raised: threading.Event, ended: threading.Event) -> None:
    """Wait for a signal, or for the end of the block; leave the process when it does not end by itself."""
    with os.fdopen(read_end, "rb", buffering=0) as pipe:
        while received := pipe.read(1):
            number = received[0]
            if number in numbers and not _ends(number, raised, ended):
                os._exit(128 + number)


def _ends(number: int, raised: threading.Event, ended: threading.Event) -> bool:
    """Return whether the block ends in time; a signal that was put off is sent again until it is not."""
    for _ in range(round(GRACE / AGAIN)):
        if ended.wait(AGAIN):
            return True
        if not raised.is_set() and hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, number)
    return ended.is_set()
