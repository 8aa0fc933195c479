"""What the controller does about the files of its sessions: begins, renews and shows their transfer.

The sessions stand in the outbox; `Logger.transfer.engine` does the work. Without it, nothing is transferred.
"""

from __future__ import annotations

import logging

from Logger.facility import Booking, OpenSession, Station
from Logger.outbox import Outbox, OutboxError
from Logger.times import microseconds_of
from Logger.transfer.pending import PendingTransfers
from Logger.transfer.views import TransferDesk, TransferView

_LOG = logging.getLogger(__name__)


class SessionTransfers:
    """The transfer, as the controller sees it.

    Parameters
    ----------
    outbox
        Where the sessions are.
    desk
        What transfers.
    """

    def __init__(self, outbox: Outbox, desk: TransferDesk) -> None:
        self._pending = PendingTransfers(outbox)
        self.desk = desk

    def known(self, station: Station) -> None:
        """Take over the settings of this computer's instrument."""
        self.desk.watch_repairs(station.pid, station.transfer.folders if station.transfer.on else ())

    def take_up(self, session: OpenSession, station: Station, user: str) -> None:
        """Transfer the files of a session that goes on, if the facility wants that."""
        if station.transfer.on:
            start = microseconds_of(session.since)
            self._pending.take_up(session.identifier, station.pid, user, start, station.transfer)

    def renew(self, session: OpenSession, station: Station, user: str, booking: Booking | None) -> None:
        """Transfer the files of the session that runs as the facility wants it now."""
        identifier, settings = session.identifier, station.transfer
        try:
            if settings.on:
                self.take_up(session, station, user)
                self._pending.renew(identifier, settings)
                end = booking.end if settings.after_booked_end == "hold" and booking is not None else None
                self._pending.hold_from(identifier, None if end is None else microseconds_of(end))
            elif self._pending.is_known(identifier):
                self._pending.drop(identifier)
        except OutboxError as error:
            _LOG.warning("The settings of the transfer stay as they were. %s", error)
        self.desk.wake()

    def view(self, session: str) -> TransferView | None:
        """Return what can be shown of a session's files; None if they are not transferred."""
        view = self.desk.view(session)
        try:
            return view if view is not None or not self._pending.is_known(session) else TransferView(session)
        except OutboxError as error:
            _LOG.warning("Not known whether files are transferred. %s", error)
            return None
