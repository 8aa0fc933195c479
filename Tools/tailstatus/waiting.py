"""Waiting for a value, so that a script can: ``TailStatus --exit-on Builder:state=idle --timeout 60``."""

from __future__ import annotations

import operator
import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from NexusCore.status.store import StatusSample, arriving, latest
from NexusCore.storage import Database
from NexusCore.tail import Tail
from Tools.following import ReaderLeft, follow, patiently
from Tools.tailstatus.showing import is_stale, is_wanted, no_match, shower
from Tools.terminal import Screen

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """What a value has to be."""

    name: str
    """``channel:name``; wildcards stand for any of several."""
    comparison: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Return the condition that was written; for `add_argument(type=...)`."""
        found = re.fullmatch(r"([^=<>!]+:[^=<>!]+)(==|!=|<=|>=|=|<|>)(.*)", text)
        if found is None:
            raise ArgumentTypeError(f"'{text}' is no condition; examples are Builder:state=idle and Builder:waiting<1")
        name, comparison, value = (part.strip() for part in found.groups())
        if comparison[0] in "<>" and _number(value) is None:
            raise ArgumentTypeError(f"what is compared with {comparison} is a number, and '{value}' is none")
        return cls(name, comparison.replace("==", "="), value)

    def __str__(self) -> str:
        return f"{self.name}{self.comparison}{self.value}"

    def concerns(self, sample: StatusSample) -> bool:
        """Tell whether a value is the one that this is about."""
        name = f"{sample.channel}:{sample.name}"
        return name == self.name or fnmatchcase(name, self.name)

    def holds(self, sample: StatusSample, now: int) -> bool:
        """Tell whether a value meets this; one that has expired tells nothing any more."""
        if not self.concerns(sample) or is_stale(sample, now) or sample.value is None:
            return False
        numbers = _number(sample.value), _number(self.value)
        if None not in numbers:
            return _COMPARISONS[self.comparison](*numbers)
        return self.comparison in ("=", "!=") and _COMPARISONS[self.comparison](sample.value, self.value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class TimeIsUp(Exception):
    """Nobody wants to wait any longer."""


class Limit(ReaderLeft):
    """Ends waits when nobody reads the output any more, and raises `TimeIsUp` when they have lasted too long.

    Parameters
    ----------
    screen
        Whose output it is.
    clock
        Tells the time.
    seconds
        How long all waits together may last; None for ever.
    """

    def __init__(self, screen: Screen, clock: Clock, seconds: float | None) -> None:
        super().__init__(screen)
        self._clock = clock
        self._end = None if seconds is None else clock.monotonic() + seconds

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it, at most `timeout` seconds."""
        if self._end is None:
            return super().wait(timeout)
        left = self._end - self._clock.monotonic()
        if left <= 0:
            raise TimeIsUp
        return super().wait(left if timeout is None else min(timeout, left))


def wait(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Wait until the condition holds; at once if it does."""
    condition: Condition = arguments.exit_on
    limit = Limit(screen, SYSTEM_CLOCK, arguments.timeout)
    tail = Tail(database, arriving(), SYSTEM_CLOCK)
    show = shower(arguments, screen, SYSTEM_CLOCK.now)
    known: dict[tuple[str, str], StatusSample] = {}

    def begin() -> list[StatusSample]:
        tail.begin()
        return latest(database)

    def tell(sample: StatusSample) -> bool:
        """Show a value if it is wanted; tell whether the wait is over."""
        known[sample.channel, sample.name] = sample
        over = condition.holds(sample, SYSTEM_CLOCK.now())
        if over or (arguments.follow and is_wanted(sample.channel, sample.name, arguments.wanted)):
            show(sample)
        return over

    try:
        for sample in patiently(screen, begin, limit):
            if tell(sample):
                return EXIT_OK
        for sample in follow(tail, screen, limit):
            if tell(sample):
                return EXIT_OK
    except TimeIsUp:
        screen.fail(_too_late(condition, arguments.timeout, list(known.values())))
        return EXIT_FAILURE
    raise BrokenPipeError


def _too_late(condition: Condition, seconds: float, known: list[StatusSample]) -> str:
    found = [one for one in known if condition.concerns(one)]
    if not found:
        return f"{condition} did not come true within {seconds:g} s. {no_match(known, [condition.name])}"
    now = SYSTEM_CLOCK.now()
    values = ", ".join(
        f"{one.channel}:{one.name} is '{one.value}'{' and STALE' if is_stale(one, now) else ''}" for one in found
    )
    return f"{condition} did not come true within {seconds:g} s: {values}."
