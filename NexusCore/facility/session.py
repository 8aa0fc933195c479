"""What a session is: its states, its events and who reports them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from NexusCore.clock import to_datetime


class State(StrEnum):
    """What is to be done with a session, or was."""

    WAITING_FOR_END = "WAITING_FOR_END"
    TO_BE_BUILT = "TO_BE_BUILT"
    BUILDING = "BUILDING"
    BUILT = "BUILT"
    COMPLETED = "COMPLETED"
    NO_FILES_FOUND = "NO_FILES_FOUND"
    NO_CONSENT = "NO_CONSENT"
    ERROR = "ERROR"


class EventType(StrEnum):
    """What can happen in a session."""

    START = "START"
    END = "END"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    RECORD_GENERATION = "RECORD_GENERATION"
    NOTE = "NOTE"


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it is now."""

    id: int
    identifier: str
    """UUID4 from the logger, or what another system calls it; at most 255 characters."""
    instrument: str
    """Pid."""
    user: str
    """Account at the instrument's PC; often a shared one."""
    state: State
    start_ts: int
    """Microseconds since the epoch, UTC."""
    end_ts: int | None
    attempts: int
    """How often a Builder has tried to make the record."""
    last_error: str | None

    @property
    def start(self) -> datetime:
        """Start, aware, UTC."""
        return to_datetime(self.start_ts)

    @property
    def end(self) -> datetime | None:
        """End, aware, UTC; None while the session is open."""
        return None if self.end_ts is None else to_datetime(self.end_ts)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a session."""

    id: int
    type: EventType
    ts: int
    user: str
    host: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class Client:
    """Who reports an event, from where; the clock of that machine is not trusted, only measured (000-46)."""

    user: str
    host: str
    zone: str = ""
    """IANA name or offset of the client's time zone."""
    clock_offset: int | None = None
    """Microseconds that its clock is ahead of ours, where it was measured."""
