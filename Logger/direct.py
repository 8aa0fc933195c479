"""Storing an event on this computer or, because its disk is full, at the facility alone."""

from __future__ import annotations

import logging
import threading
import uuid
from typing import Callable

from Logger.facility import EventKind, FacilityError, FacilityLink, SessionEvent
from Logger.outbox import Outbox, OutboxError
from Logger.uptime import Uptime

RETRY_SECONDS = 2.0
"""Between two attempts to store an END that the facility has."""

_LOG = logging.getLogger(__name__)


def store(
    outbox: Outbox,
    facility: FacilityLink,
    kind: EventKind,
    session: str,
    pid: str,
    user: str,
    text: str = "",
    later: Callable[[], object] = lambda: None,
    closed: threading.Event | None = None,
) -> None:
    """Store an event in the outbox or, if this computer cannot, have the facility store it at once.

    What waits in the outbox is not overtaken: a session whose START has not been delivered is unknown there.

    Parameters
    ----------
    outbox, facility
        Where it is stored, and what stores it otherwise.
    kind, session, pid, user, text
        What happened, in which session, at which instrument, and who did it.
    later
        Called, on a thread, when an END that only the facility had is stored here, too.
    closed
        Set when the logger ends, and the thread with it; by default it ends with the process.

    Raises
    ------
    OutboxError
        If neither has stored it.
    """
    try:
        outbox.add(kind, session, pid, user, text)
    except OutboxError as error:
        _LOG.warning("%s Trying to tell the facility at once.", error)
        event = _store_there(outbox, facility, kind, session, pid, user, text)
        if event is None:
            raise
        if kind is EventKind.END:
            arguments = (outbox, event, later, closed or threading.Event())
            threading.Thread(target=_store_when_possible, args=arguments, name="end", daemon=True).start()


def _store_there(
    outbox: Outbox, facility: FacilityLink, kind: EventKind, session: str, pid: str, user: str, text: str
) -> SessionEvent | None:
    """Return the event that the facility has stored; None if it has not."""
    now, request = Uptime().now(), str(uuid.uuid4())
    try:
        sends = kind is EventKind.END and outbox.transfers(session)
        event = SessionEvent(0, request, session, kind, pid, user, now, 0, text, transfers=sends)
        facility.deliver(event, outbox.token(session))
    except (FacilityError, OutboxError) as error:
        _LOG.warning("The facility could not store it either. %s", error)
        return None
    _LOG.info("%s of session %s is stored at the facility.", kind.value, session)
    return event


def _store_when_possible(
    outbox: Outbox, event: SessionEvent, later: Callable[[], object], closed: threading.Event
) -> None:
    """Store an END here as soon as there is room: it is sent again then, which changes nothing, and its files go on."""
    while not closed.is_set():
        if _stored(outbox, event):
            later()
            return
        closed.wait(RETRY_SECONDS)


def _stored(outbox: Outbox, event: SessionEvent) -> bool:
    try:
        outbox.add(event.kind, event.session, event.pid, event.user, at=event.at)
    except OutboxError:
        return False
    return True
