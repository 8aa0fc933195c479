"""What changed in the configuration lately, by whomever."""

from __future__ import annotations

from collections import deque

from NexusCore.clock import Clock
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.view import NamedConfiguration

FRESH_SECONDS = 60.0
"""How long a change keeps its mark."""


class News:
    """Listens to a configuration, whose thread hands in the changes, for a screen, whose thread takes them over.

    Parameters
    ----------
    config
        The configuration, from its root.
    clock
        Tells the time.
    """

    def __init__(self, config: NamedConfiguration, clock: Clock) -> None:
        self._clock = clock
        self._arrived: deque[ConfigParameter] = deque()
        self._fresh: dict[str, float] = {}
        """When a path, or something below it, changed; the oldest first."""
        self.newest: ConfigParameter | None = None
        """The last that changed, as it was then."""
        config.add_callback("", self._arrived.append)

    def take(self) -> bool:
        """Take over what arrived; return whether anything did, or lost its mark by age."""
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
        """Tell whether a parameter, or something in a folder, changed lately."""
        return path in self._fresh
