"""The command that lists sessions."""

from __future__ import annotations

from argparse import Namespace

from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from NexusCore.facility.sessions import State
from Tools.common.quantities import counted
from Tools.common.sessions import described, rows
from Tools.common.terminal import Screen
from Tools.sessiontool.finding import Desk

STATE_STYLES: dict[str, str] = {State.ERROR: "bold red", State.UNKNOWN: "bold red", State.WAITING_FOR_END: "green"}


def list_(arguments: Namespace, screen: Screen) -> int:
    """Show the newest sessions."""
    state = State(arguments.state) if arguments.state else None
    found = Desk().sessions.newest(arguments.instrument, state, arguments.lines)
    if not found and arguments.lines:
        if arguments.instrument:
            from Tools.common.configuration import open_configuration

            open_configuration().instrument(arguments.instrument)
        screen.fail("There is no such session." if arguments.instrument or state else "There is no session yet.")
        return EXIT_FAILURE
    if arguments.json:
        for session in found:
            screen.show_json(**described(session))
    elif found:
        headers = ("session", "instrument", "user", "state", "start", "length")
        screen.table(headers, rows(found, screen.columns), STATE_STYLES)
    odd = sum(bool(session.odd) for session in found)
    if odd:
        verb = "holds a value" if odd == 1 else "hold values"
        screen.fail(f"{counted(odd, 'session')} {verb} that cannot be read. To see which: Doctor --rows")
    return EXIT_OK
