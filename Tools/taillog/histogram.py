"""How many lines were logged over time, as bars."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from NexusCore.clock import SECOND, SYSTEM_CLOCK, readable_time
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, NexusError
from NexusCore.log.store import LogFilter, LogQuery, levels_by_time, records
from NexusCore.storage import Database
from Tools.common.progress import ProgressLine
from Tools.common.terminal import Screen
from Tools.common.time_parser import local, rfc3339
from Tools.taillog.names import never_logged
from Tools.taillog.query import matcher, wanted

WARNING, ERROR = 30, 40
LONGEST_BAR = 40
"""Characters of the longest bar."""
MOST_ROWS = 10_000
"""Most rows, empty ones counted."""
PROGRESS_EVERY = 10_000
"""Records between two looks at the progress line."""


class TooManyRows(NexusError):
    """That would be {rows:,} rows; count per a longer time, or give the period with -S and -U."""

    exit_code = 2


@dataclass(slots=True)
class Bucket:
    """Lines in a stretch of time."""

    lines: int = 0
    warnings: int = 0
    errors: int = 0
    """ERROR and above."""


def show_histogram(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show how many lines match in each stretch of time, from the first to the last."""
    condition = wanted(arguments)
    buckets = _counted(database, arguments, condition, screen)
    if not buckets:
        screen.fail(" ".join(["No log lines match.", *never_logged(database, condition)]))
        return EXIT_FAILURE
    first, last = min(buckets), max(buckets)
    rows = (last - first) // arguments.per + 1
    if rows > MOST_ROWS:
        raise TooManyRows(rows=rows)
    most = max(bucket.lines for bucket in buckets.values())
    if arguments.output == "csv":
        screen.show("time,lines,warnings,errors")
    for begin in range(first, last + 1, arguments.per):
        _show(begin, buckets.get(begin, Bucket()), most, arguments.output, screen)
    return EXIT_OK


def _counted(database: Database, arguments: Namespace, condition: LogFilter, screen: Screen) -> dict[int, Bucket]:
    progress = ProgressLine(screen, SYSTEM_CLOCK)
    buckets: dict[int, Bucket] = {}
    per: int = arguments.per
    offsets: dict[int, int] = {}
    number = count(1)
    for ts, level in _lines(database, arguments, condition):
        hour = ts // (3600 * SECOND)
        if hour not in offsets:
            offsets[hour] = _offset(ts)
        offset = offsets[hour]
        begin = (ts + offset) // per * per - offset  # as the clock on the wall shows it
        bucket = buckets.get(begin)
        if bucket is None:
            bucket = buckets[begin] = Bucket()
        bucket.lines += 1
        bucket.warnings += WARNING <= level < ERROR
        bucket.errors += level >= ERROR
        if next(number) % PROGRESS_EVERY == 0:
            progress.update(f"counted as far as {local(ts)}")
    progress.clear()
    return buckets


def _lines(database: Database, arguments: Namespace, condition: LogFilter) -> Iterator[tuple[int, int]]:
    if arguments.grep:
        matches = matcher(arguments)
        return ((record.ts, record.level) for record in records(database, LogQuery(condition)) if matches(record))
    return levels_by_time(database, LogQuery(condition))


def _offset(ts: int) -> int:
    """Return the microseconds by which local time is ahead of UTC at a time."""
    moment = readable_time(ts)
    ahead = moment.astimezone().utcoffset() if moment is not None else None
    return 0 if ahead is None else round(ahead.total_seconds()) * SECOND


def _show(begin: int, bucket: Bucket, most: int, output: str, screen: Screen) -> None:
    if output == "json":
        screen.show_json(time=rfc3339(begin), lines=bucket.lines, warnings=bucket.warnings, errors=bucket.errors)
        return
    if output == "csv":
        screen.show(f"{rfc3339(begin)},{bucket.lines},{bucket.warnings},{bucket.errors}")
        return
    unicode = screen.out is None or "utf" in (screen.out.encoding or "").lower()
    bar = ("█" if unicode else "#") * -(-bucket.lines * LONGEST_BAR // most)
    style = ("red",) if bucket.errors else ("yellow",) if bucket.warnings else ()
    parts = [
        f"{number} {name}" for number, name in ((bucket.errors, "errors"), (bucket.warnings, "warnings")) if number
    ]
    line = f"{local(begin)}  {bucket.lines:>{len(str(most))}}  {screen.paint(bar, *style)}"
    screen.show(f"{line}{' ' * (LONGEST_BAR - len(bar))}  {', '.join(parts)}".rstrip())
