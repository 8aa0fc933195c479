"""Storing an event on this computer or, because its disk is full, at the facility alone."""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress

from Logger.facility import EventKind, FacilityError, FacilityLink, SessionEvent
from Logger.outbox import Outbox, OutboxError
from Logger.uptime import Uptime

_LOG = logging.getLogger(__name__)


def store(
    outbox: Outbox, facility: FacilityLink, kind: EventKind, session: str, pid: str, user: str, text: str = ""
) -> None:
    """Store an event in the outbox or, if this computer cannot, have the facility store it at once.

    What waits in the outbox is not overtaken: a session whose START has not been delivered is unknown there.

    Parameters
    ----------
    outbox, facility
        Where it is stored, and what stores it otherwise.
    kind, session, pid, user, text
        What happened, in which session, at which instrument, and who did it.

    Raises
    ------
    OutboxError
        If neither has stored it.
    """
    try:
        outbox.add(kind, session, pid, user, text)
    except OutboxError as error:
        _LOG.warning("%s Trying to tell the facility at once.", error)
        if not _store_there(outbox, facility, kind, session, pid, user, text):
            raise


def _store_there(
    outbox: Outbox, facility: FacilityLink, kind: EventKind, session: str, pid: str, user: str, text: str
) -> bool:
    now, request = Uptime().now(), str(uuid.uuid4())
    try:
        sends = outbox.transfers(session)
        event = SessionEvent(0, request, session, kind, pid, user, now, 0, text, transfers=sends)
        facility.deliver(event, outbox.token(session))
    except (FacilityError, OutboxError) as error:
        _LOG.warning("The facility could not store it either. %s", error)
        return False
    _LOG.info("%s of session %s is stored at the facility.", kind.value, session)
    if kind is EventKind.END:
        with suppress(OutboxError):  # else the next start asks about it, and the facility says that it has ended
            outbox.ended_there(session)
    return True
