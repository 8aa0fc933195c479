"""Having the records of sessions built again: of one, of several, or of all in a state or a time."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from NexusCore.errors import EXIT_FAILURE, EXIT_OK, EXIT_REFUSED, NexusError
from NexusCore.facility.session import Session, State
from NexusCore.facility.session_search import SessionFilter, newest_sessions
from NexusCore.text import counted, one_line
from Tools.common import completion
from Tools.common.arguments import WrongUse
from Tools.common.asking import agreed
from Tools.common.sessions import described, next_step
from Tools.common.terminal import Screen
from Tools.common.time_parser import local
from Tools.sessiontool.finding import Desk

ASKED_FROM = 20
"""With more sessions than this, the user is asked."""
MOST = 100_000
"""Sessions that are queued at once at the most."""
NEVER_BUILT = (State.WAITING_FOR_END, State.TO_BE_BUILT, State.BUILDING)
"""States whose sessions are only queued again if they are named."""


class NotRequeued(NexusError):
    """Nothing was queued again. Answer yes, or use --yes without a terminal."""

    exit_code = EXIT_REFUSED


def rebuild(arguments: Namespace, screen: Screen) -> int:
    """Queue sessions again; those that are refused are reported, the others queued."""
    for option, given in (("--all", arguments.all), ("--destination", arguments.destination)):
        if given:
            raise WrongUse(mistake=f"{option} needs --upload.", tool="SessionTool requeue")
    desk = Desk()
    sessions = _chosen(desk, arguments)
    if not sessions:
        screen.fail("No matching sessions.")
        return EXIT_FAILURE
    if arguments.dry_run:
        for session in sessions:
            _show(session, f"Would be queued again: {_line(session)}", arguments, screen)
        screen.say(f"Dry run: nothing was changed. {counted(len(sessions), 'session')}.")
        return EXIT_OK
    question = f"Queue {counted(len(sessions), 'session')} again, so that their records are built again? [y/N] "
    if len(sessions) > ASKED_FROM and not arguments.yes and not agreed(question, screen):
        raise NotRequeued
    if len(sessions) == 1:
        queued = desk.sessions.requeue(sessions[0].identifier, desk.client())
        was = f"it was {sessions[0].state}"
        _show(queued, f"Session {queued.identifier} is queued again; {was}.", arguments, screen)
        if not arguments.json:
            screen.show(next_step(queued))
        completion.forget()
        return EXIT_OK
    return _queue_all(desk, sessions, arguments, screen)


def _queue_all(desk: Desk, sessions: Sequence[Session], arguments: Namespace, screen: Screen) -> int:
    refusals = 0
    named = bool(arguments.identifier)
    for session in sessions:
        try:
            # One whose state has changed since it was listed is not what the user chose by its state.
            queued = desk.sessions.requeue(session.identifier, desk.client(), None if named else session.state)
            _show(queued, f"Queued again: {_line(session)}", arguments, screen)
        except NexusError as error:
            if error.exit_code != EXIT_REFUSED:
                raise
            refusals += 1
            screen.fail(error)
    completion.forget()
    done = len(sessions) - refusals
    screen.say(f"{counted(done, 'session')} queued again. The Builder builds them in its next passes.")
    return EXIT_REFUSED if refusals else EXIT_OK


def _chosen(desk: Desk, arguments: Namespace) -> list[Session]:
    """Return the sessions of the arguments, the oldest first."""
    by_filter = bool(arguments.state or arguments.instrument) or (arguments.since, arguments.until) != (None, None)
    if bool(arguments.identifier) == by_filter:
        mistake = (
            "Give either IDENTIFIERs, or which: --state ERROR, --since TIME, --until TIME, --instrument INSTRUMENT."
        )
        raise WrongUse(mistake=mistake, tool="SessionTool requeue")
    if not by_filter:
        sessions = [desk.session(identifier) for identifier in arguments.identifier]
        return list({session.id: session for session in sessions}.values())
    states = tuple(map(State, arguments.state or ()))
    if not states:
        states = tuple(state for state in State if state not in (*NEVER_BUILT, State.UNKNOWN))
    wanted = SessionFilter(arguments.instrument, None, states, arguments.since, arguments.until)
    return desk.database.read(lambda reading: newest_sessions(reading, wanted, MOST))[::-1]


def _line(session: Session) -> str:
    return f"{session.identifier} at {session.instrument}, {local(session.start_ts)}, was {session.state}"


def _show(session: Session, text: str, arguments: Namespace, screen: Screen) -> None:
    if arguments.json:
        screen.show_json(**described(session))
    else:
        screen.show(one_line(text))
