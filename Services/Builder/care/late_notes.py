"""Notes that were added after a record was made: they have it made again.

Promises
--------
* A note or a problem that was reported after the record was made, by whatever program, stands in the record that is
  made next.
* The same note has a record made again once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from NexusCore.clock import Clock
from NexusCore.facility import Session, Sessions
from NexusCore.facility.record_booking import RecordBookings
from NexusCore.facility.session import Client
from NexusCore.facility.sessions import NotToBeBuilt
from NexusCore.log import in_session
from NexusCore.storage import Database

_WHY = "a note was added after its record was made"
_LOOKED_BACK = 10_000
"""Events that are looked at again: numbers become visible out of order."""


class LateNotes:
    """Looks after the notes of sessions that have a record.

    Parameters
    ----------
    database, clock
        The facility's own database, and the source of times.
    client
        The Builder: who queues the sessions.
    log
        Logs what is done.
    """

    def __init__(self, database: Database, clock: Clock, client: Client, log: logging.Logger) -> None:
        self._bookings = RecordBookings(database)
        self._sessions = Sessions(database, clock)
        self._client = client
        self._log = log
        self._after = 0

    def care(self, stop: Callable[[], bool]) -> int:
        """Queue the sessions whose records lack a note; return how many.

        Parameters
        ----------
        stop
            Whether to give up.
        """
        newest = self._bookings.newest_event()
        late: dict[int, tuple[int, Session]] = {}
        for event, session in self._bookings.late_notes(self._after, self._client.user):
            late[session.id] = (event.id, session)
        queued = 0
        for number, session in late.values():
            if stop():
                return queued
            with in_session(session.identifier):
                queued += self._queue(session, number)
        self._after = max(0, newest - _LOOKED_BACK)
        return queued

    def _queue(self, session: Session, number: int) -> bool:
        known = self._bookings.of_session(session.id)
        try:
            self._sessions.requeue(session.identifier, self._client, session.state, why=_WHY)
        except NotToBeBuilt:
            return False  # another process was faster
        if known is not None:
            self._bookings.put(replace(known, last_event=number))
        self._log.info("Session %s is built again: %s", session.identifier, _WHY)
        return True
