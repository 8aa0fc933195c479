"""Selecting values, and showing them as a table, lines, JSON or CSV."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from NexusCore.status.names import Channels
from NexusCore.status.store import StatusSample, latest, short_line
from NexusCore.storage import Database
from NexusCore.text import one_line, suggest
from Tools.common.csv_lines import csv_line
from Tools.common.terminal import Screen
from Tools.common.time_parser import rfc3339, span

STALE = "STALE"
CSV_HEADER = ("time", "channel", "name", "value", "expires", "stale")


def is_wanted(channel: str, name: str, wanted: Sequence[str]) -> bool:
    """Return whether a value is among those wanted: by channel, or by ``channel:name``, with wildcards."""
    names = (f"{channel}:{name}", channel)
    return not wanted or any(
        word in names or any(fnmatchcase(candidate, word) for candidate in names) for word in wanted
    )


def channels_of(wanted: Sequence[str]) -> Channels:
    """Return the channels that may have a wanted value: only these must be read."""
    names: dict[str, None] = {}
    prefixes: dict[str, None] = {} if wanted else {"": None}
    for word in wanted:
        fixed = re.split(r"[*?[]", word, maxsplit=1)[0]
        (names if fixed == word else prefixes)[fixed] = None
        names |= {fixed[:place]: None for place, character in enumerate(fixed) if character == ":"}
        names[word] = None  # the word may also be a literal name
    return Channels(tuple(names), tuple(prefixes))


def present(database: Database, wanted: Sequence[str]) -> list[StatusSample]:
    """Return the present values of the wanted channels; of all if a word has no match, for suggestions."""
    samples = latest(database, channels_of(wanted))
    return latest(database) if wanted and no_match(samples, wanted) else samples


def is_stale(sample: StatusSample, now: int) -> bool:
    """Return whether a value has expired."""
    return sample.expires is not None and sample.expires < now


class Renewals:
    """Tells changes from values that were only renewed, as a service does every few seconds to show that it lives.

    Parameters
    ----------
    arguments
        The tool's: with ``--all``, every value counts as changed.
    """

    def __init__(self, arguments: Namespace) -> None:
        self._all: bool = arguments.all
        self._known: dict[tuple[str, str], StatusSample] = {}

    def __call__(self, sample: StatusSample) -> bool:
        """Return whether a value differs from the one before it, or that one had expired."""
        before = self._known.get((sample.channel, sample.name))
        self._known[sample.channel, sample.name] = sample
        return self._all or before is None or before.value != sample.value or is_stale(before, sample.ts)


class Show(Protocol):
    """Shows a value on a line of its own, in colour if enabled."""

    def __call__(self, sample: StatusSample, *styles: str) -> None:
        """Show the value."""


def shower(arguments: Namespace, screen: Screen, now: Callable[[], int]) -> Show:
    """Return the function that shows values as the arguments say."""
    if arguments.json:
        return lambda sample, *styles: screen.show_json(
            time=rfc3339(sample.ts), channel=sample.channel, name=sample.name, value=sample.value,
            expires=rfc3339(sample.expires), stale=is_stale(sample, now()),
        )  # fmt: skip
    if arguments.csv:
        return _csv(screen, now)
    return lambda sample, *styles: screen.show(screen.paint(one_line(short_line(sample)), *styles))


def _csv(screen: Screen, now: Callable[[], int]) -> Show:
    screen.show(csv_line(CSV_HEADER))
    return lambda sample, *styles: screen.show(
        csv_line(
            (
                *(rfc3339(sample.ts), sample.channel, sample.name, sample.value, rfc3339(sample.expires)),
                int(is_stale(sample, now())),
            )
        )
    )


def table(samples: Sequence[StatusSample], now: int, screen: Screen) -> None:
    """Show values as a table, with their ages."""
    rows = [
        (sample.channel, sample.name, sample.value or "", span(now - sample.ts), STALE if is_stale(sample, now) else "")
        for sample in samples
    ]
    screen.table(("channel", "name", "value", "age", ""), rows, {STALE: "bold red"})


def no_match(samples: Sequence[StatusSample], wanted: Sequence[str]) -> str:
    """Return a sentence about wanted values that do not exist; an empty text if all do."""
    if not samples:
        return "No program has reported any status yet."
    missing = [
        word for word in wanted if not any(is_wanted(sample.channel, sample.name, (word,)) for sample in samples)
    ]
    if not missing:
        return ""
    known = {name for sample in samples for name in (sample.channel, f"{sample.channel}:{sample.name}")}
    hints = "".join(suggest(word, sorted(known)) for word in missing)
    return f"Status not found: {', '.join(missing)}.{hints}"


def report_missing(samples: Sequence[StatusSample], wanted: Sequence[str], screen: Screen) -> None:
    """Report wanted values that do not exist."""
    message = no_match(samples, wanted) if wanted else ""
    if message:
        screen.fail(message)
