"""Recent changes of the configuration, by any process."""

from __future__ import annotations

from collections import deque

from NexusCore.clock import Clock
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.view import NamedConfiguration

FRESH_SECONDS = 60.0
"""Seconds for which a change is marked."""


class RecentChanges:
    """Collects changes on the thread of the configuration, and hands them to the thread of the screen.

    Parameters
    ----------
    config
        The configuration, from its root.
    clock
        Clock for the marks.
    """

    def __init__(self, config: NamedConfiguration, clock: Clock) -> None:
        self._clock = clock
        self._arrived: deque[ConfigParameter] = deque()
        self._fresh: dict[str, float] = {}
        """Times when a path, or a parameter below it, changed; the oldest first."""
        self.newest: ConfigParameter | None = None
        """The parameter of the last change, as it was then."""
        config.add_callback("", self._arrived.append)

    def take(self) -> bool:
        """Take the new changes; return whether any arrived, or an old mark expired."""
        now = self._clock.monotonic()
        changed = bool(self._arrived)
        while self._arrived:
            self.newest = self._arrived.popleft()
            parts = self.newest.path.split(".")
            for end in range(1, len(parts) + 1):
                path = ".".join(parts[:end])
                self._fresh.pop(path, None)
                self._fresh[path] = now
        while self._fresh:
            oldest = next(iter(self._fresh))
            if now - self._fresh[oldest] < FRESH_SECONDS:
                break
            del self._fresh[oldest]
            changed = True
        return changed

    def is_fresh(self, path: str) -> bool:
        """Return whether a parameter, or one in a folder, changed recently."""
        return path in self._fresh
