"""Waiting for a value, for scripts: ``TailStatus --exit-on Builder:state=idle --timeout 60``."""

from __future__ import annotations

import operator
import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from NexusCore.status.store import StatusSample, arriving, latest
from NexusCore.storage import Database
from NexusCore.tail import Tail
from Tools.common.following import ReaderLeft, follow, patiently
from Tools.common.terminal import Screen
from Tools.tailstatus.showing import channels_of, is_stale, is_wanted, no_match, report_missing, shower

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on a value."""

    name: str
    """``channel:name``, with wildcards."""
    comparison: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Parse a condition; for `add_argument(type=...)`."""
        match = re.fullmatch(r"([^=<>!]+:[^=<>!]+)(==|!=|<=|>=|=|<|>)(.*)", text)
        if match is None:
            raise ArgumentTypeError(
                f"invalid condition '{text}'; examples are Builder:state=idle and Builder:waiting<1"
            )
        name, comparison, value = (part.strip() for part in match.groups())
        if comparison[0] in "<>" and _number(value) is None:
            raise ArgumentTypeError(f"{comparison} needs a number, not '{value}'")
        return cls(name, comparison.replace("==", "="), value)

    def __str__(self) -> str:
        return f"{self.name}{self.comparison}{self.value}"

    def concerns(self, sample: StatusSample) -> bool:
        """Return whether the condition is about this value."""
        name = f"{sample.channel}:{sample.name}"
        return name == self.name or fnmatchcase(name, self.name)

    def holds(self, sample: StatusSample, now: int) -> bool:
        """Return whether a value meets the condition; an expired value does not."""
        if not self.concerns(sample) or is_stale(sample, now) or sample.value is None:
            return False
        numbers = _number(sample.value), _number(self.value)
        if None not in numbers:
            return _COMPARISONS[self.comparison](*numbers)
        equality = self.comparison in ("=", "!=")
        return equality and _COMPARISONS[self.comparison](_plain(sample.value), _plain(self.value))


def _plain(text: str) -> str:
    """Return a text for comparison, with booleans in lower case: programs write True, people true."""
    return text.lower() if text.lower() in ("true", "false") else text


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class TimeIsUp(Exception):
    """The time limit has passed."""


class Limit(ReaderLeft):
    """Ends waits when the reader of the output has gone, and raises `TimeIsUp` after a time limit.

    Parameters
    ----------
    screen
        The output.
    clock
        Clock for the limit.
    seconds
        Limit for all waits together; None for none.
    """

    def __init__(self, screen: Screen, clock: Clock, seconds: float | None) -> None:
        super().__init__(screen)
        self._clock = clock
        self._end = None if seconds is None else clock.monotonic() + seconds

    def is_set(self) -> bool:
        """Return whether the reader has gone; code that waits for something else calls this from time to time."""
        self._left()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it, at most `timeout` seconds."""
        left = self._left()
        if left is None:
            return super().wait(timeout)
        return super().wait(left if timeout is None else min(timeout, left))

    def _left(self) -> float | None:
        """Return the remaining seconds; None without a limit."""
        if self._end is None:
            return None
        left = self._end - self._clock.monotonic()
        if left <= 0:
            raise TimeIsUp
        return left


class Watched:
    """The values that conditions are about, and whether all conditions are true at once.

    Parameters
    ----------
    conditions
        The conditions.
    """

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._about: dict[Condition, dict[str, StatusSample]] = {condition: {} for condition in conditions}
        self.known: dict[str, StatusSample] = {}
        """All values seen so far."""

    def see(self, sample: StatusSample) -> bool:
        """Store a value; return whether a condition is about it."""
        name = f"{sample.channel}:{sample.name}"
        self.known[name] = sample
        concerned = [condition for condition in self._about if condition.concerns(sample)]
        for condition in concerned:
            self._about[condition][name] = sample
        return bool(concerned)

    def meeting(self, now: int) -> list[StatusSample] | None:
        """Return a value for each condition that meets it; None while a condition is not met."""
        matches = [
            next((sample for sample in known.values() if condition.holds(sample, now)), None)
            for condition, known in self._about.items()
        ]
        return None if None in matches else [match for match in dict.fromkeys(matches) if match is not None]

    def not_met(self, now: int) -> list[tuple[Condition, list[StatusSample]]]:
        """Return the conditions that are not met, each with the values it is about."""
        return [
            (condition, list(known.values()))
            for condition, known in self._about.items()
            if not any(condition.holds(sample, now) for sample in known.values())
        ]


def wait(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Wait until all conditions are true at once."""
    limit = Limit(screen, SYSTEM_CLOCK, arguments.timeout)
    names = [condition.name for condition in arguments.exit_on]
    # With -f, also the wanted values; otherwise only those of the conditions.
    words = [*names, *arguments.wanted] if arguments.wanted or not arguments.follow else []
    tail = Tail(database, arriving(channels_of(words)), SYSTEM_CLOCK)
    show = shower(arguments, screen, SYSTEM_CLOCK.now)
    watched = Watched(arguments.exit_on)
    shown: dict[tuple[str, str], StatusSample] = {}

    def begin() -> list[StatusSample]:
        tail.begin()
        return latest(database)

    def is_over(sample: StatusSample) -> bool:
        """Show a wanted value; return whether the wait is over."""
        concerned = watched.see(sample)
        if arguments.follow and is_wanted(sample.channel, sample.name, arguments.wanted):
            show(sample)
            shown[sample.channel, sample.name] = sample
        met = watched.meeting(SYSTEM_CLOCK.now()) if concerned else None
        for match in met or ():
            if shown.get((match.channel, match.name)) is not match:
                show(match)
        return met is not None

    try:
        present = patiently(screen, begin, limit)
        if any(map(is_over, present)):
            return EXIT_OK
        if arguments.timeout is None:  # with a timeout, it is reported at its end
            report_missing(present, names, screen)
        if any(map(is_over, follow(tail, screen, limit))):
            return EXIT_OK
    except TimeIsUp:
        for sentence in _too_late(watched, arguments.timeout):
            screen.fail(sentence)
        return EXIT_FAILURE
    raise BrokenPipeError


def _too_late(watched: Watched, seconds: float) -> Iterator[str]:
    now = SYSTEM_CLOCK.now()
    for condition, samples in watched.not_met(now):
        values = ", ".join(
            f"{sample.channel}:{sample.name} is '{sample.value}'{' and STALE' if is_stale(sample, now) else ''}"
            for sample in samples
        )
        message = f": {values}." if samples else f". {no_match(list(watched.known.values()), [condition.name])}"
        yield f"{condition} was not true within {seconds:g} s{message}"
