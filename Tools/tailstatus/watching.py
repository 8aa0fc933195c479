"""A table of the present values that is updated when something changes, until Ctrl-C."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.status.store import StatusSample
from NexusCore.storage import Database
from Tools.common.cells import cut, plain, width, wrapped
from Tools.common.drawing import Poller, draw
from Tools.common.quantities import counted
from Tools.common.terminal import Screen
from Tools.common.time_parser import local, span
from Tools.tailstatus.showing import STALE, is_stale, is_wanted, no_match, present

if TYPE_CHECKING:
    from Tools.tailstatus.overview import Overview

OVERVIEW_SECONDS = 2.0
"""Seconds between two reads of the overview."""
RECENT = 2 * SECOND
"""Microseconds for which a changed value is highlighted."""
HEADS = ("channel", "name", "value", "age")
GAP = "  "
NARROW = 60
"""Columns of a terminal below which ages have a single unit."""
AWAY_LINES = 3
"""Most lines of the message that the database is away."""


def watch(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Draw the table of values until Ctrl-C."""
    wanted = arguments.wanted
    reader = Poller(database, lambda: present(database, wanted), SYSTEM_CLOCK)
    return draw(
        reader,
        lambda samples, now, size, away: frame(samples or [], wanted, now, size, screen, away),
        screen,
    )


def watch_overview(database: Database, read: Callable[[int], Overview], screen: Screen) -> int:
    """Draw the overview until Ctrl-C."""
    reader = Poller(database, lambda: read(SYSTEM_CLOCK.now()), SYSTEM_CLOCK, OVERVIEW_SECONDS)

    def lines(overview: Overview | None, now: int, size: tuple[int, int], away: str) -> list[str]:
        from Tools.tailstatus.picture import picture

        columns, height = size
        title = [screen.paint(line, "bold", "red") for line in wrapped(plain(away), columns, AWAY_LINES)]
        return [*title, *(picture(overview, now, columns, screen.paint) if overview is not None else [])][:height]

    return draw(reader, lines, screen)


def frame(
    samples: Sequence[StatusSample], wanted: Sequence[str], now: int, size: tuple[int, int], screen: Screen, away: str
) -> list[str]:
    """Return the lines of a full screen.

    Parameters
    ----------
    samples, wanted
        All values, and the names of those to show.
    now
        The present time.
    size
        Columns and lines of the terminal.
    screen
        The output, for colour.
    away
        Why the values are not up to date; empty if they are.
    """
    columns, height = size
    chosen = [sample for sample in samples if is_wanted(sample.channel, sample.name, wanted)]
    title = [screen.paint(cut(_title(chosen, now), columns), "bold")]
    if away:
        title = [screen.paint(line, "bold", "red") for line in wrapped(plain(away), columns, AWAY_LINES)]
    room = max(0, height - len(title) - 1)
    rows = chosen if len(chosen) <= room else chosen[: max(0, room - 1)]
    lines = [*title, *_rows(rows, now, columns, screen)]
    if len(rows) < len(chosen):
        rest = f"and {len(chosen) - len(rows)} more; name those to see, such as TailStatus --watch 'Camera*'"
        lines.append(screen.paint(cut(rest, columns), "dim"))
    elif not away and (missing := no_match(samples, wanted)):
        lines.append(cut(plain(missing), columns))
    return lines[:height]


def _title(chosen: Sequence[StatusSample], now: int) -> str:
    stale = sum(is_stale(sample, now) for sample in chosen)
    amount = f"{counted(len(chosen), 'value')}{f', {stale} {STALE}' if stale else ''}"
    return f"{local(now)}{GAP}{amount}{GAP}Ctrl-C ends"


def _rows(rows: Sequence[StatusSample], now: int, columns: int, screen: Screen) -> list[str]:
    if not rows:
        return []
    cells = [
        (plain(sample.channel), plain(sample.name), plain(sample.value or ""), _age(now - sample.ts, columns))
        for sample in rows
    ]
    channels, names, values, ages = (
        max(len(head), *map(width, column)) for head, column in zip(HEADS, zip(*cells, strict=True), strict=True)
    )
    marks = len(GAP + STALE) if any(is_stale(sample, now) for sample in rows) else 0
    room = columns - ages - marks - 3 * len(GAP)
    channels = min(channels, max(room // 3, room - names - values))
    names = min(names, max(room // 3, room - channels - values))
    values = room - channels - names
    head = GAP.join((_fit(HEADS[0], channels), _fit(HEADS[1], names), _fit(HEADS[2], values), HEADS[3].rjust(ages)))
    lines = [screen.paint(cut(head, columns), "bold")]
    for sample, (channel, name, value, age) in zip(rows, cells, strict=True):
        text, mark = _fit(value, values), ""
        if is_stale(sample, now):
            mark = GAP + screen.paint(STALE, "bold", "red")
        elif now - sample.ts < RECENT:
            text = screen.paint(text, "bold", "cyan")
        lines.append(GAP.join((_fit(channel, channels), _fit(name, names), text, age.rjust(ages))) + mark)
    return lines


def _age(microseconds: int, columns: int) -> str:
    text = span(microseconds)
    return text if columns >= NARROW else " ".join(text.split()[:2])


def _fit(text: str, columns: int) -> str:
    """Return a text, cut or padded to a number of cells."""
    short = cut(text, columns)
    return short + " " * (columns - width(short))
