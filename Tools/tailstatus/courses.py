"""How numbers have changed: a small curve of characters beside each, or a picture of them all."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite
from pathlib import Path

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, NexusError
from NexusCore.status.store import StatusSample, changes
from NexusCore.storage import Database
from NexusCore.text import one_line
from Tools.common.quantities import counted
from Tools.common.terminal import Screen
from Tools.common.time_parser import local, rfc3339, span
from Tools.tailstatus.showing import STALE, channels_of, is_stale, is_wanted, no_match, present

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=^"
"""For terminals limited to ASCII."""
STEPS = 24
"""Characters of a curve."""
SPARK_MICROSECONDS = 3600 * SECOND
PLOT_MICROSECONDS = 24 * 3600 * SECOND
MOST_CURVES = 12
"""Curves in a picture; with more, it could not be read."""

Point = tuple[int, float]
"""Time in microseconds since the epoch, and the value."""


class NoPicture(NexusError):
    """The picture {path} cannot be written: {reason}"""  # noqa: D400


def show_sparks(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show the present values, with the course of each number."""
    now = SYSTEM_CLOCK.now()
    since = now - SPARK_MICROSECONDS if arguments.since is None else arguments.since
    samples = present(database, arguments.wanted)
    chosen = [sample for sample in samples if is_wanted(sample.channel, sample.name, arguments.wanted)]
    if not chosen:
        screen.fail(no_match(samples, arguments.wanted))
        return EXIT_FAILURE
    courses = _courses(database, arguments.wanted, since)
    bars = BARS if (screen.out is None or "utf" in (screen.out.encoding or "").lower()) else ASCII_BARS
    rows = []
    for sample in chosen:
        points = courses.get((sample.channel, sample.name), [])
        if arguments.json:
            values = [{"time": rfc3339(ts), "value": value} for ts, value in points]
            screen.show_json(channel=sample.channel, name=sample.name, value=sample.value, history=values)
            continue
        low, high = _range(points)
        curve, extent = (spark(points, since, now, bars), f"{low:g}..{high:g}") if points else ("", "")
        stale = STALE if is_stale(sample, now) else ""
        age = span(now - sample.ts)
        rows.append((sample.channel, sample.name, sample.value or "", curve, extent, age, stale))
    if rows:
        screen.table(
            ("channel", "name", "value", f"since {local(since)}", "range", "age", ""), rows, {STALE: "bold red"}
        )
    return EXIT_OK


def spark(points: Sequence[Point], since: int, until: int, bars: str = BARS) -> str:
    """Return the course of a number as a line of characters, a value staying until the next one.

    Parameters
    ----------
    points
        Times and values, the oldest first.
    since, until
        The time from the left to the right end.
    bars
        Characters from low to high.
    """
    low, high = _range(points)
    step = max(1, (until - since) // STEPS)
    line = []
    for number in range(STEPS):
        begin, end = since + number * step, since + (number + 1) * step
        within = [value for ts, value in points if begin <= ts < end]
        before = [value for ts, value in points if ts < begin]
        if not within and not before:
            line.append(" ")
            continue
        value = max(within) if within else before[-1]
        line.append(bars[0] if high == low else bars[min(len(bars) - 1, int((value - low) / (high - low) * len(bars)))])
    return "".join(line)


def plot(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Draw the numbers into a picture."""
    now = SYSTEM_CLOCK.now()
    since = now - PLOT_MICROSECONDS if arguments.since is None else arguments.since
    courses = {name: points for name, points in _courses(database, arguments.wanted, since).items() if points}
    if not courses:
        why = no_match(present(database, arguments.wanted), arguments.wanted)
        screen.fail(f"No numbers since {local(since)}. {why}".strip())
        return EXIT_FAILURE
    if len(courses) > MOST_CURVES:
        reason = f"{counted(len(courses), 'curve')} cannot be told apart; name at most {MOST_CURVES} values"
        raise NoPicture(path=arguments.plot, reason=f"{reason}.")
    _drawn(courses, now, Path(arguments.plot))
    screen.show(one_line(f"{arguments.plot}: {counted(len(courses), 'curve')} since {local(since)}."))
    return EXIT_OK


def _drawn(courses: Mapping[tuple[str, str], Sequence[Point]], now: int, path: Path) -> None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        reason = "it needs the package matplotlib: pip install matplotlib."
        raise NoPicture(path=path, reason=reason) from None
    figure = Figure(figsize=(10, 1 + 1.6 * len(courses)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(courses), sharex=True, squeeze=False)[:, 0]
    for axis, ((channel, name), points) in zip(axes, sorted(courses.items()), strict=True):
        times = [datetime.fromtimestamp(ts / SECOND).astimezone() for ts, _ in (*points, (now, 0.0))]
        values = [value for _, value in points]
        # A value holds until the next one.
        axis.step(times, [*values, values[-1]], where="post", linewidth=1.2)
        axis.set_title(f"{one_line(channel)}: {one_line(name)}", loc="left", fontsize=9, parse_math=False)
        axis.grid(alpha=0.3)
        axis.margins(x=0)
    axes[-1].tick_params(axis="x", labelrotation=20)
    try:
        figure.savefig(path, dpi=100)
    except (OSError, ValueError) as error:  # such as an unknown format
        raise NoPicture(path=path, reason=f"{getattr(error, 'strerror', None) or error}.") from None


def _courses(database: Database, wanted: Sequence[str], since: int) -> dict[tuple[str, str], list[Point]]:
    """Return the numbers since a time, by channel and name; of a repeated value only the first and the last."""
    courses: dict[tuple[str, str], list[Point]] = {}
    is_one = (lambda channel, name: is_wanted(channel, name, wanted)) if wanted else None
    for sample in changes(database, channels=channels_of(wanted), wanted=is_one, since=since):
        value = _number(sample)
        if value is None:
            continue
        points = courses.setdefault((sample.channel, sample.name), [])
        if len(points) > 1 and points[-1][1] == points[-2][1] == value:
            points.pop()
        points.append((sample.ts, value))
    return courses


def _number(sample: StatusSample) -> float | None:
    try:
        value = float(sample.value or "")
    except ValueError:
        return None
    return value if isfinite(value) else None


def _range(points: Sequence[Point]) -> tuple[float, float]:
    values = [value for _, value in points] or [0.0]
    return min(values), max(values)
