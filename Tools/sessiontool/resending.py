"""Sending the records of many sessions again: after an outage, a change of layout, or for a destination added later."""

from __future__ import annotations

from argparse import Namespace

from NexusCore.config.store import near_miss
from NexusCore.errors import EXIT_OK, EXIT_REFUSED, NexusError
from NexusCore.facility.record import NotToBeSent, Record
from NexusCore.facility.sessions import SENT_AGAIN
from NexusCore.text import counted, one_line
from Tools.common import completion
from Tools.common.arguments import WrongUse
from Tools.common.configuration import open_configuration, view
from Tools.common.terminal import Screen
from Tools.sessiontool.finding import Desk

_DESTINATIONS = "Services.Uploader.destinations"


class NotADestination(NexusError):
    """'{name}' is not among the destinations in use, {known}.{hint}"""  # noqa: D400

    exit_code = EXIT_REFUSED


def check(arguments: Namespace) -> None:
    """Raise `WrongUse` if the arguments do not go together."""
    many = [
        option
        for option, given in (
            ("--all", arguments.all),
            ("--since", arguments.since is not None),
            ("--state", arguments.state is not None),
        )
        if given
    ]
    mistake = ""
    if arguments.until is not None or arguments.instrument:
        mistake = f"--upload cannot be combined with {'--instrument' if arguments.instrument else '--until'}."
    elif arguments.state not in (None, ["ERROR"]):
        mistake = "--upload knows only --state ERROR, for what could not be sent."
    elif arguments.identifier and many:
        mistake = f"{many[0]} cannot be combined with IDENTIFIER."
    elif len(arguments.identifier) != 1 and not many:
        mistake = "Give the IDENTIFIER of one session; or --since TIME, --state ERROR or --all."
    if mistake:
        raise WrongUse(mistake=mistake, tool="SessionTool requeue")


def destination(arguments: Namespace) -> str:
    """Return the destination that is meant; an empty text for all.

    Raises
    ------
    NotADestination
        If the Uploader does not use it.
    """
    name = str(arguments.destination or "")
    known = [word.strip() for word in str(view(open_configuration())[_DESTINATIONS] or "").split(",") if word.strip()]
    if name and name not in known:
        raise NotADestination(name=name, known=", ".join(known) or "none", hint=near_miss(name, known))
    return name


def resend_many(arguments: Namespace, screen: Screen) -> int:
    """Queue the records of many sessions to be sent again."""
    from NexusCore.facility.resending import finished_records

    desk, name, failed = Desk(), destination(arguments), arguments.state is not None
    records = finished_records(desk.database, arguments.since or 0, name, failed=failed)
    queued, refused = [], []
    for record in records:
        try:
            if not arguments.dry_run:
                _resend(desk, record, name, failed)
            queued.append(record)
        except NotToBeSent as error:
            refused.append(error)
    completion.forget()
    where = f" to {name}" if name else ""
    for record in queued:
        if arguments.json:
            screen.show_json(identifier=record.session, title=record.title, destination=name or None)
        elif arguments.dry_run:
            screen.show(one_line(f"Would send again{where}: {record.title} (session {record.session})"))
    for refusal in refused:
        screen.say(str(refusal))
    screen.say(_summary(len(queued), where, dry_run=arguments.dry_run))
    return EXIT_REFUSED if refused else EXIT_OK


def _resend(desk: Desk, record: Record, name: str, failed: bool) -> None:
    text = f"{SENT_AGAIN}{f' to {name}' if name else ''}"
    also = desk.records.resend(record, name, failed=failed)
    desk.sessions.note(record.session, desk.client(), text, also=also)


def _summary(count: int, where: str, *, dry_run: bool) -> str:
    if not count:
        return "No record is to be sent again."
    if dry_run:
        return f"{counted(count, 'record')} would be sent again{where}. Dry run: nothing was changed."
    verb = "is" if count == 1 else "are"
    return f"{counted(count, 'record')} {verb} queued to be sent again{where}; the Uploader begins at its next pass."
