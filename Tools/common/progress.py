"""Telling on a terminal how far something has come that takes long, in one line that goes again."""

from __future__ import annotations

from NexusCore.clock import Clock
from Tools.common.terminal import Screen

PROGRESS_DELAY_SECONDS = 1.0
"""Seconds in which somebody who waits need not be told anything."""


class ProgressLine:
    """One line of the terminal; nothing where messages go elsewhere.

    Parameters
    ----------
    screen
        Where to tell.
    clock
        Tells the time.
    """

    def __init__(self, screen: Screen, clock: Clock) -> None:
        self._screen = screen
        self._clock = clock
        self._err = screen.err if screen.err is not None and screen.err.isatty() else None
        self._since = clock.monotonic()
        self._shown = False

    def tell(self, text: str) -> None:
        """Write a text, in the place of the one before, if nothing was to be seen for a while."""
        if self._err is not None and self._clock.monotonic() - self._since >= PROGRESS_DELAY_SECONDS:
            self._screen.flush()
            self._err.write(f"\r\033[K{self._screen.name}: {text} ...")
            self._err.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the line away: there is something to be seen."""
        self._since = self._clock.monotonic()
        if self._shown and self._err is not None:
            self._err.write("\r\033[K")
            self._err.flush()
            self._shown = False
