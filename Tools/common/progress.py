"""Progress of long work, in a temporary line of the terminal."""

from __future__ import annotations

from NexusCore.clock import Clock
from Tools.common.terminal import Screen

PROGRESS_DELAY_SECONDS = 1.0
"""Seconds without output before progress is shown."""


class ProgressLine:
    """A temporary line on the terminal; nothing where messages go elsewhere.

    Parameters
    ----------
    screen
        Where to show it.
    clock
        Clock for the delay.
    """

    def __init__(self, screen: Screen, clock: Clock) -> None:
        self._screen = screen
        self._clock = clock
        self._err = screen.err if screen.err is not None and screen.err.isatty() else None
        self._since = clock.monotonic()
        self._shown = False

    def update(self, text: str) -> None:
        """Replace the text of the line, unless there was output recently."""
        if self._err is not None and self._clock.monotonic() - self._since >= PROGRESS_DELAY_SECONDS:
            self._screen.flush()
            self._err.write(f"\r\033[K{self._screen.name}: {text} ...")
            self._err.flush()
            self._shown = True

    def clear(self) -> None:
        """Remove the line before other output."""
        self._since = self._clock.monotonic()
        if self._shown and self._err is not None:
            self._err.write("\r\033[K")
            self._err.flush()
            self._shown = False
