"""The interface between the session logger and the facility: data, errors and requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol

from Logger.transfer.settings import StationTransfer


class EventKind(str, Enum):
    """What can happen in a session."""

    START = "START"
    CONTINUE = "CONTINUE"
    """Goes on after an interruption; for the facility a RESUME, which returns the session's token."""
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    NOTE = "NOTE"
    PROBLEM = "PROBLEM"
    END = "END"


@dataclass(frozen=True)
class Station:
    """The instrument of this computer, and the settings of its logger."""

    pid: str
    """Persistent identifier of the instrument."""
    name: str
    """Display name."""
    close_delay: float = 3.0
    """Seconds that the window stays open after the end of a session."""
    support_address: str = ""
    """Address for the debug log; empty if the facility has none."""
    ask_user: bool = False
    """Whether the logger asks who works, since the account is shared."""
    reminder_minutes: float = 0.0
    """Minutes without input and files after which the user is reminded of the session; 0: never."""
    transfer: StationTransfer = field(default_factory=StationTransfer)
    """How the files of a session are transferred, if they are."""


@dataclass(frozen=True)
class Booking:
    """A reservation of the instrument; times are time zone aware."""

    user: str
    title: str
    begin: datetime
    end: datetime


@dataclass(frozen=True)
class OpenSession:
    """A session that has not ended; times are time zone aware, by this computer's clock."""

    identifier: str
    """Identifier, the same for START and END."""
    user: str
    """Who started it."""
    since: datetime
    last: datetime | None = None
    """When something last happened in it; None if unknown."""
    computer: str = ""
    """Where it was started; empty: at this computer."""


@dataclass(frozen=True)
class SessionEvent:
    """An event of a session, as the outbox keeps it."""

    number: int
    """Order in the outbox, from 1."""
    request: str
    """UUID of the request that delivers it: sent again it changes nothing."""
    session: str
    kind: EventKind
    pid: str
    user: str
    at: int
    """When it happened by this computer's clock, in microseconds since the epoch, UTC."""
    age: int
    """How long ago that was, in microseconds, also if the clock was set since."""
    text: str = ""
    ends: str = ""
    """With a START: the open session that ends with it."""
    ends_at: int = 0
    """When that one ends, in microseconds since the epoch; 0: when this one starts."""
    settle: bool = False
    """With a START: if another session is open, the facility decides which of the two ends, and when."""
    transfers: bool = False
    """With an END: files of the session are still to be transferred; its record is made after that."""


@dataclass(frozen=True)
class EventReceipt:
    """The facility has an event."""

    token: str = ""
    """With START and CONTINUE: what the other events of the session need."""
    ended: bool = False
    """Whether the session has ended there, for example because another one was started meanwhile."""


class FacilityError(Exception):
    """The facility could not do this; the text is a sentence for the user.

    Parameters
    ----------
    sentence
        For the user: no address, no number of an error.
    detail
        For the debug log.
    """

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.detail = detail


class Unreachable(FacilityError):
    """It does not answer, or not now: try again later.

    Parameters
    ----------
    sentence, detail
        As for `FacilityError`.
    wait
        Seconds that it asks to wait; 0: it did not say.
    """

    def __init__(self, sentence: str, detail: str = "", wait: float = 0.0) -> None:
        super().__init__(sentence, detail)
        self.wait = wait


class Refused(FacilityError):
    """It answers no. Someone must change something first: try again now and then."""


class NeverAccepted(Refused):
    """It will never take this: trying again is of no use."""


class AlreadyOpen(Refused):
    """Another session is open on the instrument."""


class FacilityLink(Protocol):
    """The facility, by its Gateway or its database. Every method may take seconds and may raise `FacilityError`."""

    def station(self, patience: float) -> Station:
        """Return the instrument of this computer; give up after `patience` seconds."""
        ...

    def open_session(self, pid: str) -> OpenSession | None:
        """Return the session that is open on an instrument, if any."""
        ...

    def bookings(self, pid: str) -> tuple[Booking | None, Booking | None]:
        """Return the present and the next reservation of an instrument."""
        ...

    def had_no_files(self, pid: str, besides: str) -> OpenSession | None:
        """Return the last session of an instrument, besides one, if no files of it were found: it has no record."""
        ...

    def deliver(self, event: SessionEvent, token: str) -> EventReceipt:
        """Store an event, unless it is stored already; `token` is the session's."""
        ...

    def release(self) -> None:
        """Close connections until the next call: a running session causes no traffic. Never raises."""
        ...
