"""Finds users who changed their mind on consent after the Builder asked, for recent sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from NexusCore.facility import Records, Reservation, Reservations, Session, Sessions, State
from NexusCore.facility.records import UploadState
from NexusCore.facility.reservations import agreed

CONSENT_SESSIONS = 100
"""Newest sessions of an instrument, in each of the two states, that are looked at again."""


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """A session that the Builder would decide on differently now."""

    session: Session
    agrees: bool
    have: tuple[str, ...] = ()
    """Destinations that have its record already."""

    def in_words(self, *, would: bool) -> str:
        """Return a sentence on what is done about it, or would be."""
        be = "would be" if would else "is"
        if self.agrees:
            return f"the session {self.session.identifier} {be} built, since its user agrees now"
        sent = f"; it was sent already to: {', '.join(self.have)}" if self.have else ""
        no_longer = "its user does not agree any more"
        return f"the record of the session {self.session.identifier} {be} held back, since {no_longer}{sent}"


class Consents:
    """Compares sessions with the answers that their reservations hold now.

    Parameters
    ----------
    sessions, reservations, records
        The facility's.
    """

    def __init__(self, sessions: Sessions, reservations: Reservations, records: Records) -> None:
        self._sessions = sessions
        self._reservations = reservations
        self._records = records

    def changes(self, pid: str, since: int, *, required: bool) -> Iterator[ConsentChange]:
        """Yield the changes for the sessions of an instrument.

        A session without consent needs a yes: taking back a no is not agreement. A session whose record is not yet
        at all destinations is held back where the Builder would refuse it now.

        Parameters
        ----------
        pid
            The instrument.
        since
            Sessions that ended before this time are left alone; microseconds since the epoch, UTC.
        required
            Whether the Builder makes records only with consent.
        """
        for session, booking in self._young(pid, State.NO_CONSENT, since):
            if agreed(booking, required=True):
                yield ConsentChange(session, agrees=True)
        for session, booking in self._young(pid, State.BUILT, since):
            if not agreed(booking, required=required):
                yield ConsentChange(session, agrees=False, have=self._have(session))

    def _young(self, pid: str, state: State, since: int) -> Iterator[tuple[Session, Reservation | None]]:
        for session in self._sessions.newest(pid, state, CONSENT_SESSIONS):
            if session.end_ts is not None and session.end_ts >= since and not session.odd:
                booking = self._reservations.for_session(pid, session.start_ts, session.end_ts, session.user)
                if booking is None or not booking.odd:  # an unreadable answer does not count
                    yield session, booking

    def _have(self, session: Session) -> tuple[str, ...]:
        record = self._records.of_session(session.id)
        uploads = self._records.uploads(record) if record is not None else []
        return tuple(upload.destination for upload in uploads if upload.state is UploadState.DONE)
