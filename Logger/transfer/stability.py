"""Whether a file is finished: unchanged for a while, by a clock that no one can set.

The times of the file say nothing about that: instruments' clocks are wrong, and some programs write a file at its
full size before its content.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from Logger.transfer.scanning import Signature, same
from Logger.transfer.tracked import FileKey


@dataclass
class Watch:
    """What was observed of a file."""

    signature: Signature
    since: float
    """Since when it is unchanged, by a monotonic clock."""
    changes: int = 0
    """How often it has changed since it was first looked at."""
    due: float = 0.0
    """When it may be tried, by the same clock."""


@dataclass
class Watches:
    """What was observed of all files that are not settled."""

    _all: dict[FileKey, Watch] = field(default_factory=dict)

    def observe(self, key: FileKey, signature: Signature, now: float) -> Watch:
        """Note what a file is now."""
        watch = self._all.get(key)
        if watch is None:
            watch = self._all[key] = Watch(signature, now)
        elif not same(watch.signature, signature):
            watch.signature, watch.since, watch.due = signature, now, 0.0
            watch.changes += 1
        return watch

    def of(self, key: FileKey) -> Watch | None:
        """Return what was observed of a file."""
        return self._all.get(key)

    def forget(self, key: FileKey) -> None:
        """Forget a file that is settled."""
        self._all.pop(key, None)

    def next_due(self, stable_seconds: float, now: float) -> float:
        """Return the seconds until the next file may be stable and is due; infinite if there is none."""
        return min(
            (max(watch.since + stable_seconds, watch.due) - now for watch in self._all.values()), default=float("inf")
        )
