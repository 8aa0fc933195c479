"""What the window of the session logger can show: one class for each of its pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Union

from Logger.delivery import DeliveryState
from Logger.facility import Booking, OpenSession, Station
from Logger.transfer.views import TransferView

INCOMPLETE_DELAY = 15.0
"""Least seconds for which the last page stays if files are missing: their names are to be read."""


@dataclass(frozen=True)
class Working:
    """A step is in progress."""

    step: str
    number: int
    """Number of this step, from 1."""
    of: int
    """Number of steps."""


@dataclass(frozen=True)
class UserQuestion:
    """The account is shared: the user is asked who works."""

    station: Station
    names: tuple[str, ...]
    """Who has booked the instrument now, and next."""


@dataclass(frozen=True)
class OpenSessionQuestion:
    """A session is still open; the user decides whether to continue it or to start a new one."""

    station: Station
    session: OpenSession


@dataclass(frozen=True)
class Running:
    """The session is running, until `end`."""

    station: Station
    session: OpenSession
    paused: bool = False
    delivery: DeliveryState = field(default_factory=DeliveryState)
    booking: Booking | None = None
    notice: str = ""
    """About an earlier session, or the last thing that was done, as a sentence."""
    following: Booking | None = None
    by_itself: bool = False
    """Whether this is not the answer to a command: something became known about the session."""
    transfer: TransferView | None = None
    """The transfer of its files; None if they are not transferred."""
    earlier: int = 0
    """How many files of earlier sessions are still to be sent."""


@dataclass(frozen=True)
class Failed:
    """A step failed; it can be tried again."""

    sentence: str
    """The effect on the session."""
    detail: str
    """The message of the error."""
    station: Station | None
    """None if the instrument is not known yet."""
    session: OpenSession | None
    """The session that could not be ended and is still running, if any."""
    can_go_on: bool = False
    """Whether the session can start without the facility."""


@dataclass(frozen=True)
class Ended:
    """The session has ended; the window closes by itself when its files are transferred."""

    station: Station
    session: OpenSession
    delivery: DeliveryState = field(default_factory=DeliveryState)
    transfer: TransferView | None = None
    """As for `Running`."""
    by_itself: bool = False

    @property
    def is_last(self) -> bool:
        """Whether nothing more is to be waited for."""
        return self.transfer is None or self.transfer.finished

    @property
    def close_delay(self) -> float:
        """Seconds that the window stays open."""
        if self.transfer is not None and self.transfer.missing:
            return max(self.station.close_delay, INCOMPLETE_DELAY)
        return self.station.close_delay


@dataclass(frozen=True)
class Overtaken:
    """The session has ended at the facility, since another one was started there."""

    station: Station
    session: OpenSession


@dataclass(frozen=True)
class Closed:
    """The window can close; what waits is still to be delivered."""

    waiting: bool = False
    by_itself: bool = False
    """Whether it closes at the end of the countdown."""


ControllerState = Union[
    Working, UserQuestion, OpenSessionQuestion, Running, Failed, Ended, Overtaken, Closed,
]  # fmt: skip
