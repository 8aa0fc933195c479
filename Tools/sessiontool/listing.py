"""The command that lists sessions."""

from __future__ import annotations

import io
import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, NexusError
from NexusCore.facility import forgotten
from NexusCore.facility.record_booking import BookingState, RecordBooking, RecordBookings
from NexusCore.facility.reservations import Reservation, Reservations
from NexusCore.facility.session_search import SessionFilter, newest_sessions
from NexusCore.facility.sessions import Session, State
from NexusCore.text import suggest
from Tools.common.arguments import WrongUse
from Tools.common.cells import cut, plain, wrapped
from Tools.common.csv_lines import csv_line
from Tools.common.quantities import counted
from Tools.common.sessions import described, rows
from Tools.common.terminal import Screen
from Tools.common.time_parser import local
from Tools.sessiontool.finding import Desk

_MARKS = {BookingState.UNREAD: "calendar unread", BookingState.LATE: "came late"}
"""What a record lacks, or lacked; it is named only where there is such a one."""
STATE_STYLES: dict[str, str] = {State.ERROR: "bold red", State.UNKNOWN: "bold red", State.WAITING_FOR_END: "green"}
WATCH_SECONDS = 2.0
"""Seconds between two reads with --watch."""
AWAY_LINES = 3
"""Most lines of the message that the database is away."""
CSV_FIELDS = ("identifier", "instrument", "user", "state", "start", "end", "attempts", "last_error")


class NotAnInstrument(NexusError):
    """There is no instrument '{pid}'.{hint}"""  # noqa: D400  the hint ends it


@dataclass(frozen=True, slots=True)
class ListedSessions:
    """Sessions, and what is known about each, by their ids."""

    sessions: list[Session]
    enders: Mapping[int, str]
    """Who ended them."""
    reservations: Mapping[int, Reservation]
    """What was booked."""
    records: Mapping[int, RecordBooking]
    """What the record of each says of its reservation."""


def list_(arguments: Namespace, screen: Screen) -> int:
    """Show the newest sessions."""
    if sum((arguments.watch, arguments.csv, arguments.json)) > 1:
        raise WrongUse(mistake="Only one of --watch, --csv and --json can be used.", tool="SessionTool list")
    desk = Desk()
    wanted = SessionFilter(
        arguments.instrument,
        arguments.user,
        tuple(map(State, arguments.state or ())),
        arguments.since,
        arguments.until,
    )
    if arguments.watch:
        return _watch(desk, wanted, arguments, screen)
    listed = _read(desk, wanted, arguments.lines)
    if not listed.sessions and arguments.lines:
        if arguments.instrument:
            from Tools.common.configuration import open_configuration

            pids = open_configuration().instruments()
            if arguments.instrument not in pids:
                raise NotAnInstrument(pid=arguments.instrument, hint=suggest(arguments.instrument, pids))
        screen.fail("No matching sessions." if wanted != SessionFilter() else "No sessions yet.")
        return EXIT_FAILURE
    if arguments.json:
        for session in listed.sessions:
            ender = listed.enders.get(session.id)
            known = listed.records.get(session.id)
            calendar = None if known is None else known.calendar
            booked = _booked(session, listed)
            screen.show_json(**described(session), ended_by=ender, calendar=calendar, reservation=booked)
    elif arguments.csv:
        _csv(listed, screen)
    elif listed.sessions:
        _table(listed, screen, screen.columns)
    odd = sum(bool(session.odd) for session in listed.sessions)
    if odd:
        screen.fail(f"{counted(odd, 'session has', 'sessions have')} unreadable values. To see them: Doctor --rows")
    return EXIT_OK


def _read(desk: Desk, wanted: SessionFilter, count: int) -> ListedSessions:
    sessions = desk.database.read(lambda reading: newest_sessions(reading, wanted, count))
    enders = desk.database.read(lambda reading: forgotten.enders(reading, sessions))
    bookings = Reservations(desk.database, SYSTEM_CLOCK)
    booked = {}
    for session in sessions:
        end = SYSTEM_CLOCK.now() if session.end_ts is None else session.end_ts
        reservation = bookings.for_session(session.instrument, session.start_ts, end, session.user)
        if reservation is not None:
            booked[session.id] = reservation
    records = RecordBookings(desk.database).of_sessions([session.id for session in sessions])
    return ListedSessions(sessions, enders, booked, records)


def _table(listed: ListedSessions, screen: Screen, columns: int | None) -> None:
    headers = ("session", "instrument", "user", "state", "start", "length")
    # Most are ended by their users, which needs no column.
    remarkable = {number: _short(ender) for number, ender in listed.enders.items()}
    if not any(map(forgotten.by_nexuscore, listed.enders.values())):
        remarkable = {}
    booked = {number: _title(reservation) for number, reservation in listed.reservations.items()}
    records = listed.records.items()
    marks = {number: _MARKS[known.calendar] for number, known in records if known.calendar in _MARKS}
    optional = {"ended by": remarkable, "booked": booked, "reservation": marks}
    further = {name: cells for name, cells in optional.items() if cells}
    screen.table((*headers, *further), rows(listed.sessions, columns, *further.values()), STATE_STYLES)


def _title(reservation: Reservation) -> str:
    parts = (reservation.title, reservation.user or reservation.user_id)
    return ", ".join(part for part in parts if part) or reservation.uid


def _booked(session: Session, listed: ListedSessions) -> dict[str, object] | None:
    reservation = listed.reservations.get(session.id)
    if reservation is None:
        return None
    names = ("source", "uid", "title", "user", "user_id", "project", "url")
    return {name: getattr(reservation, name) for name in names}


def _csv(listed: ListedSessions, screen: Screen) -> None:
    screen.show(csv_line((*CSV_FIELDS, "ended_by", "reservation", "booked_by")))
    for session in listed.sessions:
        fields = described(session)
        reservation = listed.reservations.get(session.id)
        booked = (reservation.title, reservation.user or reservation.user_id) if reservation is not None else ("", "")
        cells = (*(fields[name] for name in CSV_FIELDS), listed.enders.get(session.id), *booked)
        screen.show(csv_line(cells))


def _watch(desk: Desk, wanted: SessionFilter, arguments: Namespace, screen: Screen) -> int:
    """Draw the table until Ctrl-C."""
    from Tools.common.drawing import Poller, draw

    if not screen.terminal or os.environ.get("TERM", "dumb") == "dumb":
        raise WrongUse(mistake="--watch needs a terminal.", tool="SessionTool list")
    reader = Poller(desk.database, lambda: _read(desk, wanted, arguments.lines), SYSTEM_CLOCK, WATCH_SECONDS)

    def lines(listed: ListedSessions | None, now: int, size: tuple[int, int], away: str) -> list[str]:
        columns, height = size
        title = [screen.paint(cut(f"{local(now)}  Ctrl-C ends", columns), "bold")]
        if away:
            title = [screen.paint(line, "bold", "red") for line in wrapped(plain(away), columns, AWAY_LINES)]
        out = io.StringIO()
        if listed is not None and listed.sessions:
            _table(listed, Screen(screen.name, out, None), columns)
        table = out.getvalue().splitlines() or ["No matching sessions."]
        return [*title, *(_painted(cut(plain(line), columns), screen) for line in table)][:height]

    return draw(reader, lines, screen)


def _painted(line: str, screen: Screen) -> str:
    words = line.split()
    style = next((STATE_STYLES[word] for word in words if word in STATE_STYLES), "")
    return screen.paint(line, *style.split()) if style else line


def _short(ender: str) -> str:
    return "NexusCore" if forgotten.by_nexuscore(ender) else ender.rpartition("@")[0]
