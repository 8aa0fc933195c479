"""The overview as lines for a terminal: what needs somebody first, then services, instruments and others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from NexusCore.facility.instrument_state import InstrumentState
from NexusCore.facility.transfer_file import FileState
from NexusCore.status.process import ServiceProcess
from NexusCore.text import one_line
from Tools.common.cells import cut, plain, width
from Tools.common.quantities import counted
from Tools.common.services import PartnerReport, has_failed, is_silent
from Tools.common.time_parser import local, span
from Tools.tailstatus.overview import RECENT_ERROR, Overview, ServiceNow, in_need, is_old
from Tools.tailstatus.showing import STALE

GAP = "  "
ANY_WIDTH = 1 << 20
"""Columns where there is no terminal: nothing is cut."""
GONE = "GONE"
"""Marks the last state of a service whose process does not exist any more."""
LEAST_CELL = 8
"""Columns below which the widest column of a table is not narrowed."""
LEAST_SENTENCE = 24
"""Columns to which the last column of a table is narrowed before others are."""
ON_THE_WAY = (FileState.WAITING, FileState.GROWING, FileState.LOCKED, FileState.SENDING, FileState.CHECKING)

Paint = Callable[..., str]
"""Returns a text in some styles, if colour is enabled."""


class Cell(NamedTuple):
    """A cell of a table."""

    text: str
    styles: tuple[str, ...] = ()


RED, GREEN, YELLOW, DIM = ("bold", "red"), ("green",), ("yellow",), ("dim",)


def picture(overview: Overview, now: int, columns: int | None, paint: Paint) -> list[str]:
    """Return the lines of the overview.

    Parameters
    ----------
    overview
        What to show.
    now
        The present time.
    columns
        Width of the terminal; None without one, where nothing is cut.
    paint
        Colours a text.
    """
    room = columns or ANY_WIDTH
    needs = list(in_need(overview, now))
    title = f"{local(now)}{GAP}"
    if needs:
        things = counted(len(needs), "thing needs", "things need")
        lines = [paint(cut(f"{title}{things} somebody", room), *RED)]
        lines += [paint(cut(f"  ! {plain(sentence)}", room), "red") for sentence in needs]
    else:
        idle = [service.name for service in overview.services if service.state is None or service.stopped]
        rest = f"; not running: {', '.join(idle)}" if idle else ""
        lines = [paint(cut(f"{title}nothing needs somebody{rest}", room), "bold", "yellow" if idle else "green")]
    for heads, rows in (
        (("SERVICE", "STATE", "HOST", "PID", "UP", "SEEN", "LAST ERROR"), _services(overview, now)),
        (("INSTRUMENT", "SESSION", "FILES", "LAST RECORD", "LAST ERROR"), _instruments(overview, now)),
        (("OTHER SYSTEMS", "STATE", "WAITING"), _partners(overview, now)),
    ):
        if rows:
            lines += ["", *_table(heads, rows, room, paint)]
    lines.append("")
    if overview.others:
        rest = f"{counted(overview.others, 'value')} of other programs: TailStatus --all"
        lines.append(paint(cut(rest, room), "dim"))
    lines.append(paint(cut("How to mend it: Doctor. As it changes: TailStatus --watch, TailStatus -f", room), "dim"))
    return lines


def _services(overview: Overview, now: int) -> list[list[Cell]]:
    rows = []
    for service in overview.services:
        processes: list[ServiceProcess | None] = [*service.running] or [service.shown]
        rows += [
            _service(service, process, now, first=number == 0, several=len(processes) > 1)
            for number, process in enumerate(processes)
        ]
    return rows


def _service(
    service: ServiceNow, process: ServiceProcess | None, now: int, *, first: bool, several: bool
) -> list[Cell]:
    state = service.state
    if state is None:
        return [Cell(service.name), Cell("has never run", DIM), *[Cell("")] * 5]
    silent = is_silent(state, now)
    text = one_line(state.value or "")
    shown = Cell(text, GREEN)
    if service.gone:
        shown = Cell(f"{GONE} {text}", RED)
    elif silent:
        shown = Cell(f"{STALE} {text}", RED)
    elif has_failed(state):
        shown = Cell(text, RED)
    elif service.stopped:
        shown = Cell(text, YELLOW)
    host, pid, up = "", "", ""
    if process is not None:
        host, pid = process.host, str(process.pid)
        up = "" if silent or service.gone or service.stopped else span(now - process.since)
    error = Cell("")
    if service.error is not None and first:
        age = now - service.error.ts
        message = one_line(service.error.message)
        error = Cell(f"{span(age)} ago: {message}", YELLOW if age < RECENT_ERROR else DIM)
    doubled = RED if several and not _apart(service) else ()
    seen = Cell(span(now - state.ts), RED if silent else ())
    return [Cell(service.name), shown, Cell(host, doubled), Cell(pid, doubled), Cell(up), seen, error]


def _apart(service: ServiceNow) -> bool:
    """Return whether all processes of a service have homes of their own."""
    return len({(process.host, process.home) for process in service.running}) == len(service.running)


def _instruments(overview: Overview, now: int) -> list[list[Cell]]:
    return [
        [
            Cell(instrument.pid),
            _session(instrument, now),
            _files(instrument, now),
            _record(instrument, now),
            _error(instrument, now),
        ]
        for instrument in overview.instruments
    ]


def _session(instrument: InstrumentState, now: int) -> Cell:
    session = instrument.open
    if session is None:
        return Cell("none", DIM)
    return Cell(f"{session.user}, open for {span(now - session.start_ts)}", GREEN)


def _files(instrument: InstrumentState, now: int) -> Cell:
    files = instrument.files
    moving = sum(files.get(state, 0) for state in ON_THE_WAY)
    kept = (FileState.FAILED, FileState.DAMAGED, FileState.HELD)
    parts = [f"{files[state]:,} {state}" for state in kept if files.get(state)]
    if moving:
        oldest = f" ({span(now - instrument.oldest_ts)})" if instrument.oldest_ts is not None else ""
        parts.append(f"{moving:,} on their way{oldest}")
    bad = files.get(FileState.FAILED) or files.get(FileState.DAMAGED)
    return Cell(", ".join(parts), RED if bad else ())


def _record(instrument: InstrumentState, now: int) -> Cell:
    record = instrument.record
    return Cell("none", DIM) if record is None else Cell(f"{span(now - record.built_ts)} ago, {record.state}")


def _error(instrument: InstrumentState, now: int) -> Cell:
    session = instrument.failed
    if session is None:
        return Cell("")
    ago = span(now - (session.end_ts or session.start_ts))
    return Cell(
        f"{ago} ago: {one_line(session.last_error or 'no reason was given')}", RED if instrument.given_up else YELLOW
    )


def _partners(overview: Overview, now: int) -> list[list[Cell]]:
    return [_partner(report, overview, now) for report in overview.partners]


def _partner(report: PartnerReport, overview: Overview, now: int) -> list[Cell]:
    tally = overview.tallies.get(report.name) if report.kind.service == "Uploader" else None
    waiting = f"{counted(tally.waiting, 'record')}" if tally is not None and tally.waiting else ""
    old = is_old(report, overview, now)
    sentence = report.sentence if report.well and not old else f"{report.sentence} ({span(now - report.ts)} ago)"
    styles = YELLOW if old or report.slow else GREEN if report.well else RED
    kind = report.kind.what.removeprefix("The ").removesuffix(" of")
    return [Cell(f"{kind} {report.name}"), Cell(sentence, styles), Cell(waiting)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], room: int, paint: Paint) -> Iterator[str]:
    """Yield the lines of a table; columns without content are left out, and the widest are cut to fit."""
    used = [number for number in range(len(heads)) if any(row[number].text for row in rows)]
    texts = [[plain(row[number].text) for number in used] for row in rows]
    names = [heads[number] for number in used]
    widths = [max(map(width, column)) for column in zip(names, *texts, strict=True)]
    surplus = sum(widths) + len(GAP) * (len(widths) - 1) - room
    if surplus > 0:  # first the last column, where sentences are
        less = min(surplus, max(0, widths[-1] - LEAST_SENTENCE))
        widths[-1], surplus = widths[-1] - less, surplus - less
    while surplus > 0 and max(widths) > LEAST_CELL:
        widths[widths.index(max(widths))] -= 1
        surplus -= 1
    yield paint(cut(GAP.join(map(_fit, names, widths)).rstrip(), room), "bold")
    for row, line in zip(rows, texts, strict=True):
        cells = [
            paint(_fit(text, columns), *row[number].styles)
            for number, text, columns in zip(used, line, widths, strict=True)
        ]
        yield GAP.join(cells).rstrip()


def _fit(text: str, columns: int) -> str:
    short = cut(text, columns)
    return short + " " * (columns - width(short))
