"""The command that lists sessions."""

from __future__ import annotations

from argparse import Namespace

from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from NexusCore.facility import forgotten
from NexusCore.facility.record_booking import BookingState, RecordBookings
from NexusCore.facility.sessions import State
from Tools.common.quantities import counted
from Tools.common.sessions import described, rows
from Tools.common.terminal import Screen
from Tools.sessiontool.finding import Desk

_MARKS = {BookingState.UNREAD: "calendar unread", BookingState.LATE: "came late"}
"""What a record lacks, or lacked; it is named only where there is such a one."""
STATE_STYLES: dict[str, str] = {State.ERROR: "bold red", State.UNKNOWN: "bold red", State.WAITING_FOR_END: "green"}


def list_(arguments: Namespace, screen: Screen) -> int:
    """Show the newest sessions."""
    state = State(arguments.state) if arguments.state else None
    desk = Desk()
    sessions = desk.sessions.newest(arguments.instrument, state, arguments.lines)
    if not sessions and arguments.lines:
        if arguments.instrument:
            from Tools.common.configuration import open_configuration

            open_configuration().instrument(arguments.instrument)
        screen.fail("No matching sessions." if arguments.instrument or state else "No sessions yet.")
        return EXIT_FAILURE
    enders = desk.database.read(lambda reading: forgotten.enders(reading, sessions))
    bookings = RecordBookings(desk.database).of_sessions([session.id for session in sessions])
    if arguments.json:
        for session in sessions:
            known = bookings.get(session.id)
            calendar = None if known is None else known.calendar
            screen.show_json(**described(session), ended_by=enders.get(session.id), calendar=calendar)
    elif sessions:
        headers = ("session", "instrument", "user", "state", "start", "length")
        # Most are ended by their users, which needs no column.
        remarkable = {number: _short(ender) for number, ender in enders.items()}
        if not any(map(forgotten.by_nexuscore, enders.values())):
            remarkable = {}
        marks = {number: _MARKS[known.calendar] for number, known in bookings.items() if known.calendar in _MARKS}
        columns = {"ended by": remarkable, "reservation": marks}
        shown = {name: column for name, column in columns.items() if column}
        screen.table((*headers, *shown), rows(sessions, screen.columns, *shown.values()), STATE_STYLES)
    odd = sum(bool(session.odd) for session in sessions)
    if odd:
        screen.fail(f"{counted(odd, 'session has', 'sessions have')} unreadable values. To see them: Doctor --rows")
    return EXIT_OK


def _short(ender: str) -> str:
    return "NexusCore" if forgotten.by_nexuscore(ender) else ender.rpartition("@")[0]
