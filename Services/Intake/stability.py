"""Decides when a file is complete: by the observer's own clock, a marker, a lock, or its name."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Collection
from contextlib import suppress

from Services.Intake.rules.rule import FilingRule, Ready
from Services.Intake.scanning import Found, Scan

_SETSIG = 10
"""F_SETSIG of Linux, which Python does not name (fcntl(2))."""
Seen = tuple[int, int, int, int]
"""Size, both times and number of a file."""


class Stability:
    """Remembers since when each file of an inbox has been what it is.

    Times come from the observer's monotonic clock: those of files are set by whoever writes them.
    """

    def __init__(self) -> None:
        self._since: dict[tuple[tuple[str, ...], str], tuple[Seen, float]] = {}
        self._looked = False
        self._news: float | None = None
        """When a file was last seen that was not there before, or was another one."""

    def look(self, scan: Scan, now: float) -> None:
        """Take over what a look found.

        Parameters
        ----------
        scan
            The files that there are.
        now
            Seconds of the monotonic clock.
        """
        since: dict[tuple[tuple[str, ...], str], tuple[Seen, float]] = {}
        for found in scan.files:
            key, seen = (found.folder, found.name), (found.size, found.modified_ns, found.changed_ns, found.inode)
            before = self._since.get(key)
            since[key] = before if before is not None and before[0] == seen else (seen, now)
            if since[key] is not before and self._looked:  # what lies there at first may have come at any time
                self._news = now
        self._since, self._looked = since, True

    def nothing_new_for(self, now: float) -> float | None:
        """Return the seconds since a file came or changed; None if none has since the first look."""
        return None if self._news is None else now - self._news

    def quiet_for(self, found: Found, now: float) -> float:
        """Return the seconds for which a file has not changed."""
        known = self._since.get((found.folder, found.name))
        return 0.0 if known is None else now - known[1]

    def reason_to_wait(
        self, found: Found, rule: FilingRule, beside: Collection[str], now: float, stable_seconds: float
    ) -> str | None:
        """Return why a file is not complete yet; None if it is.

        Parameters
        ----------
        found, rule
            The file, and the rule that takes it.
        beside
            Paths of all that is in the inbox.
        now, stable_seconds
            Seconds of the monotonic clock, and for how long a file must not have changed.
        """
        if rule.ready == Ready.RENAME:
            return None
        if rule.ready in (Ready.MARKER, Ready.LOCK):
            other = "/".join((*found.folder, rule.ready_file(found.name)))
            if rule.ready == Ready.MARKER:
                return None if other in beside else f"its marker {other} is not there yet"
            if other in beside:
                return f"its lock {other} is still there"
        quiet = self.quiet_for(found, now)
        if quiet < stable_seconds:
            return f"it changed less than {stable_seconds:g} s ago"
        return None


def is_marker(found: Found, rules: Collection[FilingRule], beside: Collection[str]) -> bool:
    """Return whether a file only says something about another one: a marker or a lock of a rule."""
    for rule in rules:
        if rule.ready not in (Ready.MARKER, Ready.LOCK):
            continue
        before, after = rule.ready_file("\0").partition("\0")[::2]
        if found.name.startswith(before) and found.name.endswith(after) and len(found.name) > len(before + after):
            stem = found.name[len(before) : len(found.name) - len(after)]
            prefix = "".join(f"{name}/" for name in found.folder)
            if "{stem}" in rule.ready_name or prefix + stem in beside:
                return True
    return False


def open_for_writing(descriptor: int) -> bool:
    """Return whether another program has a file open for writing; False where the system cannot tell.

    A lease for reading is refused then (fcntl(2)). It is given back at once: who opened the file meanwhile would wait.
    """
    with suppress(OSError):
        # The signal by default would end this process; this one is ignored by default.
        fcntl.fcntl(descriptor, _SETSIG, signal.SIGURG)
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except BlockingIOError:
            return True
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def seen_of(state: os.stat_result) -> tuple[int, int, int]:
    """Return what must not change while a file is filed: size, time and number."""
    return state.st_size, state.st_mtime_ns, state.st_ino
