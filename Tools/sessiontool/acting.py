"""Commands that change sessions: start, end, close, note and requeue."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import EXIT_OK, NexusError
from NexusCore.facility import transfer_end
from NexusCore.facility.records import NotToBeSent, Upload
from NexusCore.facility.sessions import SENT_AGAIN, Session
from NexusCore.facility.transfer_file import FileState
from NexusCore.facility.transfers import Transfers
from NexusCore.text import counted, one_line, shell_quote
from Tools.common import completion
from Tools.common.configuration import open_configuration, view
from Tools.common.sessions import described, next_step
from Tools.common.terminal import Screen
from Tools.common.time_parser import local, rfc3339
from Tools.sessiontool import requeueing, resending
from Tools.sessiontool.finding import Desk

MISSING_SHOWN = 20
"""Missing files that are listed."""


class NoFileSince(NexusError):
    """{folder} has no files since the session started, {start}. Give the end of the session with --at TIME or --now."""


class NoLastFile(NexusError):
    """{reason} Or give the end of the session with --at TIME or --now."""


class EndRefused(NexusError):
    """The session {identifier} cannot have ended {end}: {reason}."""

    exit_code = 4


def start(arguments: Namespace, screen: Screen) -> int:
    """Open a session."""
    instrument = open_configuration().instrument(arguments.instrument)
    desk = Desk()
    session = desk.sessions.start(instrument, desk.client(arguments.user))
    return _done(f"Session {session.identifier} of {session.user} started at {instrument}.", session, arguments, screen)


def end(arguments: Namespace, screen: Screen) -> int:
    """End a session, given by its identifier or its instrument."""
    desk = Desk()
    session = desk.open_or_named(arguments.which)
    if session.end_ts is not None:
        return _ended_already(session, arguments, screen)
    session = desk.sessions.end(session.identifier, desk.client(), transfers=_sends_files(desk, session))
    return _done(f"Session {session.identifier} at {session.instrument} ended.", session, arguments, screen)


def close(arguments: Namespace, screen: Screen) -> int:
    """End a forgotten session: with its last file, at a given time, or now; or do not wait for its files any more."""
    desk = Desk()
    session = desk.open_or_named(arguments.which)
    if session.awaits_files:
        return _release(desk, session, arguments, screen)
    if session.end_ts is not None:
        return _ended_already(session, arguments, screen)
    ts, remark = _end_of(session, arguments, desk)
    message = f"Session {session.identifier} at {session.instrument} closed; it ended {local(ts)}, {remark}."
    if arguments.dry_run:
        if not arguments.json:
            screen.show(one_line(message))
        else:
            screen.show_json(**{**described(session), "end": rfc3339(ts)}, dry_run=True)
        screen.say("Dry run: nothing was changed.")
        return EXIT_OK
    client = desk.client()
    session = desk.sessions.end(session.identifier, client, ts, transfers=_sends_files(desk, session))
    desk.sessions.note(session.identifier, client, f"closed afterwards; it ended {local(ts)}, {remark}")
    return _done(message, session, arguments, screen)


def _sends_files(desk: Desk, session: Session) -> bool:
    """Return whether files of a session are on their way, which its record waits for."""
    return (
        set(Transfers(desk.database, SYSTEM_CLOCK).counts(session.id)) - {FileState.VERIFIED, FileState.GONE} != set()
    )


def _release(desk: Desk, session: Session, arguments: Namespace, screen: Screen) -> int:
    """Have the record of a session built without the files that are missing, which its events name then."""
    with desk.database.reading() as reading:
        missing = transfer_end.missing_files(reading, session.id, MISSING_SHOWN + 1)
    for file in [] if arguments.json else missing[:MISSING_SHOWN]:
        screen.show(one_line(f"Missing: {file.name} ({transfer_end.why(file)})"))
    if len(missing) > MISSING_SHOWN:
        screen.say(f"Missing: more files; to see them: SessionTool transfer {shell_quote(session.identifier)}")
    if arguments.dry_run:
        if arguments.json:
            screen.show_json(**described(session), dry_run=True)
        screen.say("Dry run: nothing was changed.")
        return EXIT_OK
    client, now = desk.client(), SYSTEM_CLOCK.now()
    ended = desk.database.write(lambda transaction: transfer_end.finish(transaction, session.identifier, client, now))
    what = f"without {counted(ended.missing, 'missing file')}" if ended.missing else "with all of its files"
    text = f"Session {session.identifier} at {session.instrument} does not wait for files any more: it is built {what}."
    return _done(text, ended.session, arguments, screen)


def note(arguments: Namespace, screen: Screen) -> int:
    """Add a remark to a session, given by its identifier or its instrument."""
    desk = Desk()
    session = desk.open_or_named(arguments.which)
    desk.sessions.note(session.identifier, desk.client(), " ".join(arguments.text))
    if arguments.json:
        screen.show_json(**described(session))
    screen.say(f"Noted. To see it among the events: SessionTool show {shell_quote(session.identifier)}")
    return EXIT_OK


def requeue(arguments: Namespace, screen: Screen) -> int:
    """Have the records of sessions rebuilt, or sent again."""
    if not arguments.upload:
        return requeueing.rebuild(arguments, screen)
    resending.check(arguments)
    if not arguments.identifier:
        return resending.resend_many(arguments, screen)
    desk = Desk()
    session = desk.session(arguments.identifier[0])
    state = session.state
    record = desk.records.of_session(session.id)
    if record is None:
        raise NotToBeSent(identifier=session.identifier, reason="it has no record")
    name = resending.destination(arguments)
    where = f" to {name}" if name else ""
    text = f"The record of session {session.identifier} is queued to be sent again{where}."
    if arguments.dry_run:
        screen.say("Dry run: nothing was changed.")
        return EXIT_OK
    note = f"{SENT_AGAIN}{where}, was {state}"
    desk.sessions.note(session.identifier, desk.client(), note, also=desk.records.resend(record, name))
    return _done(text, desk.sessions.get(session.identifier), arguments, screen, desk.records.uploads(record))


def _end_of(session: Session, arguments: Namespace, desk: Desk) -> tuple[int, str]:
    """Return the end of a forgotten session, and how it is known."""
    now = SYSTEM_CLOCK.now()
    if arguments.now:
        return now, "when it was closed"
    if arguments.at is not None:
        ts: int = arguments.at
        if ts < session.start_ts:
            reason = f"it began {local(session.start_ts)}"
            raise EndRefused(identifier=session.identifier, end=local(ts), reason=reason)
        if ts > now:
            raise EndRefused(identifier=session.identifier, end=local(ts), reason="that is in the future")
        return ts, "as given with --at"
    # Imported here: the other commands need none of it.
    from NexusCore.facility.file_walk import FileStoreUnreadable, SearchTimedOut
    from NexusCore.facility.instruments import Instruments
    from NexusCore.facility.last_file import last_file
    from NexusCore.facility.transfers import Transfers

    config = view(open_configuration())
    files = Transfers(desk.database, SYSTEM_CLOCK).all(session.id)
    try:
        last = last_file(config, session, desk.sessions.events, files, now)
    except (FileStoreUnreadable, SearchTimedOut) as error:
        raise NoLastFile(reason=error) from error
    if last is None:
        instruments = Instruments(config)
        folder = instruments.folder(instruments.get(session.instrument))
        raise NoFileSince(folder=folder, start=local(session.start_ts))
    return last.ts, f"with its last file, {last.name}"


def _ended_already(session: Session, arguments: Namespace, screen: Screen) -> int:
    when = local(session.end_ts or 0)
    return _done(f"Session {session.identifier} has ended already, at {when}.", session, arguments, screen)


def _done(text: str, session: Session, arguments: Namespace, screen: Screen, uploads: Sequence[Upload] = ()) -> int:
    """Report what was done, and the next step."""
    completion.forget()
    if arguments.json:
        screen.show_json(**described(session))
    else:
        screen.show(one_line(text))
        screen.show(next_step(session, uploads))
    return EXIT_OK
