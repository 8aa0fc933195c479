"""Sessions whose files do not come any more: after a while, their records are made without these.

Promises
--------
* A session is released only if neither its PC nor any of its files has shown life for `transfer.deadline_hours` of its
  instrument.
* What is missing is named in events, which stand in the record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from NexusCore.clock import SECOND
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.errors import DatabaseUnreachable, NexusError
from NexusCore.facility import Session, forgotten, transfer_end, transitions
from NexusCore.facility.forgotten import moment
from NexusCore.facility.session import Client, EventType
from NexusCore.facility.transfer_end import TransferEnd
from NexusCore.facility.transfer_settings import transfer_settings
from NexusCore.log import in_session
from NexusCore.resources import sentence_of
from NexusCore.storage import Database, Transaction
from NexusCore.text import counted, shell_quote

HOUR = 3600 * SECOND
_UNREPORTED = (
    "not transferred: what its PC has not reported; NexusCore has waited for it, without a sign of life since {}"
)


class AwaitedFiles:
    """Looks after the sessions that have ended and whose files are on their way.

    Parameters
    ----------
    database, config
        The facility's own database, and the configuration from its absolute root.
    client
        The Builder: who releases them.
    log
        Logs what is done, and why something cannot be.
    """

    def __init__(self, database: Database, config: ReadOnlyConfiguration, client: Client, log: logging.Logger) -> None:
        self._database = database
        self._config = config
        self._client = client
        self._log = log
        self._complaints: dict[int, str] = {}

    def care(self, stop: Callable[[], bool]) -> int:
        """Release the sessions whose files have not come; return how many still wait.

        Parameters
        ----------
        stop
            Whether to give up.
        """
        with self._database.reading() as reading:
            sessions = forgotten.awaiting_files(reading)
        released = 0
        for session in sessions:
            if stop():
                break
            try:
                with in_session(session.identifier):
                    released += self._released(session)
                self._complaints.pop(session.id, None)
            except DatabaseUnreachable:
                raise
            except NexusError as error:  # of this one, such as a setting of its instrument: the others go on
                self._complain(session, sentence_of(error))
        for gone in self._complaints.keys() - {session.id for session in sessions}:
            del self._complaints[gone]
        return len(sessions) - released

    def _released(self, session: Session) -> bool:
        hours = transfer_settings(self._config, session.instrument).deadline_hours

        def release(transaction: Transaction) -> TransferEnd | None:
            transitions.find(transaction, session.identifier, lock=True)  # so that no sign of life comes after the look
            now = transaction.now()
            signs = forgotten.signs_of_life(transaction, session, self._client.user, now)
            if session.odd or now - signs.last_ts < hours * HOUR:
                return None
            end = transfer_end.finish(transaction, session.identifier, self._client, now)
            if end.released:
                text = _UNREPORTED.format(moment(signs.last_ts))
                transitions.add_event(transaction, session.id, EventType.PROBLEM, self._client, now, text)
            return end

        end = self._database.write(release)
        if end is None or not end.released:
            return False
        files = f"without {counted(end.missing, 'file')}" if end.missing else "with all files that it has reported"
        self._log.warning(
            "Session %s of %s at %s: its PC has shown no sign of life for %g hours, so its record is made now, %s. "
            "To see more: SessionTool show %s",
            *(session.identifier, session.user, session.instrument, hours, files, shell_quote(session.identifier)),
        )
        return True

    def _complain(self, session: Session, reason: str) -> None:
        if self._complaints.get(session.id) != reason:
            self._complaints[session.id] = reason
            self._log.warning(
                "How long session %s at %s is to wait for its files is not known; it waits: %s",
                *(session.identifier, session.instrument, reason),
            )
