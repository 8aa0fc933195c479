"""Which values are wanted, and how they are shown: as a table, as lines, as JSON, as CSV."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from NexusCore.status.store import StatusSample, short_line
from Tools.arguments import did_you_mean
from Tools.moments import rfc3339, span
from Tools.terminal import Screen, one_line

STALE = "STALE"
CSV_HEADER = ("time", "channel", "name", "value", "expires", "stale")


def is_wanted(channel: str, name: str, wanted: Sequence[str]) -> bool:
    """Tell whether a value is one of those asked for: by channel, or by ``channel:name``, with wildcards."""
    names = (f"{channel}:{name}", channel)
    return not wanted or any(word in names or any(fnmatchcase(one, word) for one in names) for word in wanted)


def is_stale(sample: StatusSample, now: int) -> bool:
    """Tell whether a value has expired."""
    return sample.expires is not None and sample.expires < now


class Show(Protocol):
    """Shows a value on a line of its own, in colour where colour is wanted."""

    def __call__(self, one: StatusSample, *styles: str) -> None:
        """Show it."""


def shower(arguments: Namespace, screen: Screen, now: Callable[[], int]) -> Show:
    """Return what shows values in the way that the arguments ask for."""
    if arguments.json:
        return lambda one, *styles: screen.show_json(
            time=rfc3339(one.ts), channel=one.channel, name=one.name, value=one.value,
            expires=rfc3339(one.expires), stale=is_stale(one, now()),
        )  # fmt: skip
    if arguments.csv:
        return _csv(screen, now)
    return lambda one, *styles: screen.show(screen.paint(one_line(short_line(one)), *styles))


def _csv(screen: Screen, now: Callable[[], int]) -> Show:
    import csv
    import io

    def show(*cells: object) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(cells)
        screen.show(line.getvalue())

    show(*CSV_HEADER)
    return lambda one, *styles: show(
        rfc3339(one.ts), one.channel, one.name, one.value, rfc3339(one.expires), int(is_stale(one, now()))
    )


def table(samples: Sequence[StatusSample], now: int, screen: Screen) -> None:
    """Show values as a table, with their ages."""
    rows = [
        (one.channel, one.name, one.value or "", span(now - one.ts), STALE if is_stale(one, now) else "")
        for one in samples
    ]
    screen.table(("channel", "name", "value", "age", ""), rows, {STALE: "bold red"})


def no_match(samples: Sequence[StatusSample], wanted: Sequence[str]) -> str:
    """Return a sentence about what is asked for and not there; an empty text if all is."""
    if not samples:
        return "No program has reported any status yet."
    missing = [word for word in wanted if not any(is_wanted(one.channel, one.name, (word,)) for one in samples)]
    if not missing:
        return ""
    known = {name for one in samples for name in (one.channel, f"{one.channel}:{one.name}")}
    hints = "".join(did_you_mean(word, sorted(known)) for word in missing)
    return f"There is no status {' or '.join(repr(word) for word in missing)}.{hints}"


def tell_missing(samples: Sequence[StatusSample], wanted: Sequence[str], screen: Screen) -> None:
    """Say what is asked for and not there, beside what is."""
    told = no_match(samples, wanted) if wanted else ""
    if told:
        screen.fail(told)
