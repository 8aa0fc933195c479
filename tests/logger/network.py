"""The facility behind a network that fails as a test says."""

from __future__ import annotations

from Logger.database_facility import DatabaseFacility
from Logger.facility import Booking, EventReceipt, OpenSession, SessionEvent, Station, Unreachable

AWAY = "The facility's server cannot be reached."


class Network(DatabaseFacility):
    """The database, behind a network that fails as the test says."""

    cut = False
    """Nothing gets through."""
    lost = 0
    """So many answers are lost, of events that were stored."""

    def station(self, patience: float) -> Station:
        self._pass()
        return super().station(patience)

    def open_session(self, pid: str) -> OpenSession | None:
        self._pass()
        return super().open_session(pid)

    def bookings(self, pid: str) -> tuple[Booking | None, Booking | None]:
        self._pass()
        return super().bookings(pid)

    def deliver(self, event: SessionEvent, token: str) -> EventReceipt:
        self._pass()
        receipt = super().deliver(event, token)
        if type(self).lost:
            type(self).lost -= 1
            raise Unreachable(AWAY)
        return receipt

    def _pass(self) -> None:
        if type(self).cut:
            raise Unreachable(AWAY)
