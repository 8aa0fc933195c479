"""A screen that is drawn again when something changes, until Ctrl-C."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from itertools import zip_longest
from typing import Generic, TypeVar

from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.errors import EXIT_OK, DatabaseBusy, DatabaseUnreachable
from NexusCore.storage import Database
from NexusCore.tail import NO_FILE
from Tools.common.following import ReaderLeft
from Tools.common.terminal import Screen

T = TypeVar("T")
REDRAW_SECONDS = 0.2
SILENT_SECONDS = 3.0
"""Seconds without an answer after which the server counts as away."""

_ENTER_SCREEN = "\033[?1049h\033[?25l"
_END = "\033[?25h\033[?1049l"
_CLEAR = "\033[2J"
_DRAW_LINE = "\033[{};1H{}\033[K"
# Terminals that support it show everything in between as a single update.
_ONE_UPDATE = "\033[?2026h{}\033[?2026l"


class Poller(Generic[T]):
    """Reads something from a database again and again, on a thread of its own.

    So drawing and Ctrl-C work while a server does not answer.

    Parameters
    ----------
    database
        The database.
    read
        Reads it.
    clock
        Clock for the waits.
    every
        Seconds between two reads.
    """

    def __init__(self, database: Database, read: Callable[[], T], clock: Clock, every: float = REDRAW_SECONDS) -> None:
        self._database = database
        self._read = read
        self._clock = clock
        self._every = every
        self._stop = threading.Event()
        self.first = threading.Event()
        """Set after the first answer or error."""
        self.value: T | None = None
        """What was read last."""
        self.fault: Exception | None = None
        """The error that ended the thread."""
        self._away = ""
        self._answered = clock.monotonic()
        threading.Thread(target=self._run, name="poller", daemon=True).start()

    @property
    def away(self) -> str:
        """Why the values are not up to date; empty if they are."""
        silent = self._clock.monotonic() - self._answered
        if self._away or silent < SILENT_SECONDS + self._every:
            return self._away
        return f"The database at {self._database.url} has not answered for {silent:.0f} s."

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.value, self._away = self._read(), ""
            except (DatabaseUnreachable, DatabaseBusy, *NO_FILE) as error:
                if isinstance(error, NO_FILE) and not (self.first.is_set() and self._database.generation()):
                    self.fault = error
                    return
                self._away = str(error)
            except Exception as error:  # noqa: BLE001  the edge of the thread: raised where the table is drawn
                self.fault = error
                return
            finally:
                self._answered = self._clock.monotonic()
                self.first.set()
            self._clock.wait(self._stop, self._every)


def draw(
    reader: Poller[T], lines_of: Callable[[T | None, int, tuple[int, int], str], list[str]], screen: Screen
) -> int:
    """Draw what a poller reads until Ctrl-C; only changed lines are written.

    Parameters
    ----------
    reader
        Reads it.
    lines_of
        Returns the lines from what was read, the present time, columns and lines of the terminal, and why what was
        read is not up to date (an empty text if it is).
    screen
        The terminal.
    """
    left = ReaderLeft(screen)
    drawn: tuple[tuple[int, int], list[str]] = ((0, 0), [])
    reader.first.wait(SILENT_SECONDS)
    _write(_ENTER_SCREEN, screen)
    try:
        while reader.fault is None:
            columns, height = shutil.get_terminal_size()
            lines = lines_of(reader.value, SYSTEM_CLOCK.now(), (columns, height), reader.away)
            if difference := _difference(drawn, ((columns, height), lines)):
                _write(_ONE_UPDATE.format(difference), screen)
                drawn = (columns, height), lines
            if left.wait(REDRAW_SECONDS / 2):
                return EXIT_OK
        raise reader.fault
    finally:
        reader.close()
        _write(_END, screen)


def _difference(before: tuple[tuple[int, int], list[str]], after: tuple[tuple[int, int], list[str]]) -> str:
    """Return the sequences that update the screen: only the changed lines, so that nothing flickers."""
    (old_size, old), (size, new) = before, after
    if size != old_size:
        return _CLEAR + "".join(_DRAW_LINE.format(number, line) for number, line in enumerate(new, 1))
    pairs = enumerate(zip_longest(old, new, fillvalue=""), 1)
    return "".join(_DRAW_LINE.format(number, line) for number, (gone, line) in pairs if gone != line)


def _write(text: str, screen: Screen) -> None:
    if screen.out is not None:
        screen.out.write(text)
        screen.out.flush()
