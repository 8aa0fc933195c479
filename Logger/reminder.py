"""Reminds a user who may have left of a session that is still running."""

from __future__ import annotations

import time
from typing import Callable, Hashable

from Logger.idle import idle_seconds
from Logger.states import Running

LOOK_SECONDS = 20.0
"""Between two looks at how long nobody has touched the PC."""


class Reminder:
    """Says when it is time to remind.

    What counts as a sign that somebody works: input, and a change among the files of the session.

    Parameters
    ----------
    idle
        Returns the seconds since the last input; None if the system does not say: then nobody is reminded.
    clock
        Returns the seconds of a clock that nobody sets.
    """

    def __init__(
        self,
        idle: Callable[[], float | None] = idle_seconds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._idle = idle
        self._clock = clock
        self._next_look = self._since = 0.0
        self._seen: Hashable = None
        self._reminded = False

    def look(self, running: Running | None) -> str | None:
        """Return a sentence when nothing has happened for as long as is set, and when that is over an empty one.

        None: what was said still holds. Without input, the sentence comes again after the same time.
        """
        now = self._clock()
        if running is None or running.paused or not running.station.reminder_minutes:
            self._seen = None
            return self._over()
        seen = (running.session.identifier, running.transfer)
        if seen != self._seen:
            self._seen, self._since = seen, now
        if now < self._next_look:
            return None
        self._next_look = now + LOOK_SECONDS
        idle = self._idle()
        quiet = 0.0 if idle is None else min(idle, now - self._since)
        if quiet < running.station.reminder_minutes * 60:
            # Said already, and nobody has been here since: it stays.
            return None if self._reminded and idle is not None and idle > now - self._since else self._over()
        self._since, self._reminded = now, True
        minutes = round((idle or 0.0) / 60)
        return f"Nothing has happened here for {minutes} minutes. If your work is done, please end the session."

    def _over(self) -> str | None:
        was, self._reminded = self._reminded, False
        return "" if was else None
