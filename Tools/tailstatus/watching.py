"""A table of the present values that is updated when something changes, until Ctrl-C."""

from __future__ import annotations

import shutil
import threading
from argparse import Namespace
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Generic, TypeVar

from NexusCore.clock import SECOND, SYSTEM_CLOCK, Clock
from NexusCore.errors import EXIT_OK, DatabaseBusy, DatabaseUnreachable
from NexusCore.status.store import StatusSample
from NexusCore.storage import Database
from NexusCore.tail import NO_FILE
from Tools.common.cells import cut, plain, width, wrapped
from Tools.common.following import ReaderLeft
from Tools.common.quantities import counted
from Tools.common.terminal import Screen
from Tools.common.time_parser import local, span
from Tools.tailstatus.showing import STALE, is_stale, is_wanted, no_match, present

if TYPE_CHECKING:
    from Tools.tailstatus.overview import Overview

T = TypeVar("T")
REDRAW_SECONDS = 0.2
OVERVIEW_SECONDS = 2.0
"""Seconds between two reads of the overview."""
SILENT_SECONDS = 3.0
"""Seconds without an answer after which the server counts as away."""
RECENT = 2 * SECOND
"""Microseconds for which a changed value is highlighted."""
HEADS = ("channel", "name", "value", "age")
GAP = "  "
NARROW = 60
"""Columns of a terminal below which ages have a single unit."""
AWAY_LINES = 3
"""Most lines of the message that the database is away."""

_ENTER_SCREEN = "\033[?1049h\033[?25l"
_END = "\033[?25h\033[?1049l"
_CLEAR = "\033[2J"
_DRAW_LINE = "\033[{};1H{}\033[K"
# Terminals that support it show everything in between as a single update.
_ONE_UPDATE = "\033[?2026h{}\033[?2026l"


class StatusPoller(Generic[T]):
    """Reads the present status again and again, on a thread of its own.

    So drawing and Ctrl-C work while a server does not answer.

    Parameters
    ----------
    database
        The database of the status.
    read
        Reads it.
    clock
        Clock for the waits.
    every
        Seconds between two reads.
    """

    def __init__(self, database: Database, read: Callable[[], T], clock: Clock, every: float = REDRAW_SECONDS) -> None:
        self._database = database
        self._read = read
        self._clock = clock
        self._every = every
        self._stop = threading.Event()
        self.first = threading.Event()
        """Set after the first answer or error."""
        self.value: T | None = None
        """What was read last."""
        self.fault: Exception | None = None
        """The error that ended the thread."""
        self._away = ""
        self._answered = clock.monotonic()
        threading.Thread(target=self._run, name="status", daemon=True).start()

    @property
    def away(self) -> str:
        """Why the values are not up to date; empty if they are."""
        silent = self._clock.monotonic() - self._answered
        if self._away or silent < SILENT_SECONDS + self._every:
            return self._away
        return f"The database at {self._database.url} has not answered for {silent:.0f} s."

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.value, self._away = self._read(), ""
            except (DatabaseUnreachable, DatabaseBusy, *NO_FILE) as error:
                if isinstance(error, NO_FILE) and not (self.first.is_set() and self._database.generation()):
                    self.fault = error
                    return
                self._away = str(error)
            except Exception as error:  # noqa: BLE001  the edge of the thread: raised where the table is drawn
                self.fault = error
                return
            finally:
                self._answered = self._clock.monotonic()
                self.first.set()
            self._clock.wait(self._stop, self._every)


def watch(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Draw the table of values until Ctrl-C."""
    wanted = arguments.wanted
    reader = StatusPoller(database, lambda: present(database, wanted), SYSTEM_CLOCK)
    return _draw(
        reader,
        lambda samples, now, size, away: frame(samples or [], wanted, now, size, screen, away),
        screen,
    )


def watch_overview(database: Database, read: Callable[[int], Overview], screen: Screen) -> int:
    """Draw the overview until Ctrl-C."""
    reader = StatusPoller(database, lambda: read(SYSTEM_CLOCK.now()), SYSTEM_CLOCK, OVERVIEW_SECONDS)

    def lines(overview: Overview | None, now: int, size: tuple[int, int], away: str) -> list[str]:
        from Tools.tailstatus.picture import picture

        columns, height = size
        title = [screen.paint(line, "bold", "red") for line in wrapped(plain(away), columns, AWAY_LINES)]
        return [*title, *(picture(overview, now, columns, screen.paint) if overview is not None else [])][:height]

    return _draw(reader, lines, screen)


def _draw(
    reader: StatusPoller[T], lines_of: Callable[[T | None, int, tuple[int, int], str], list[str]], screen: Screen
) -> int:
    left = ReaderLeft(screen)
    drawn: tuple[tuple[int, int], list[str]] = ((0, 0), [])
    reader.first.wait(SILENT_SECONDS)
    _write(_ENTER_SCREEN, screen)
    try:
        while reader.fault is None:
            columns, height = shutil.get_terminal_size()
            lines = lines_of(reader.value, SYSTEM_CLOCK.now(), (columns, height), reader.away)
            if difference := _difference(drawn, ((columns, height), lines)):
                _write(_ONE_UPDATE.format(difference), screen)
                drawn = (columns, height), lines
            if left.wait(REDRAW_SECONDS / 2):
                return EXIT_OK
        raise reader.fault
    finally:
        reader.close()
        _write(_END, screen)


def _difference(before: tuple[tuple[int, int], list[str]], after: tuple[tuple[int, int], list[str]]) -> str:
    """Return the sequences that update the screen: only the changed lines, so that nothing flickers."""
    (old_size, old), (size, new) = before, after
    if size != old_size:
        return _CLEAR + "".join(_DRAW_LINE.format(number, line) for number, line in enumerate(new, 1))
    pairs = enumerate(zip_longest(old, new, fillvalue=""), 1)
    return "".join(_DRAW_LINE.format(number, line) for number, (gone, line) in pairs if gone != line)


def _write(text: str, screen: Screen) -> None:
    if screen.out is not None:
        screen.out.write(text)
        screen.out.flush()


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
