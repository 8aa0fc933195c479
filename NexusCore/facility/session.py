"""Sessions: their states, their events and who reports them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from NexusCore import sizes
from NexusCore.clock import to_datetime
from NexusCore.storage.rows import DUE, TEXT, TIME, WHOLE, Columns, Odd, choice, optional


class State(StrEnum):
    """State of a session."""

    WAITING_FOR_END = "WAITING_FOR_END"
    """It is open; or it has ended, and its files are on their way: see `Session.awaits_files`."""
    TO_BE_BUILT = "TO_BE_BUILT"
    BUILDING = "BUILDING"
    BUILT = "BUILT"
    COMPLETED = "COMPLETED"
    NO_FILES_FOUND = "NO_FILES_FOUND"
    NO_CONSENT = "NO_CONSENT"
    ERROR = "ERROR"
    UNKNOWN = "UNKNOWN"
    """Read in place of an unknown stored value; never stored."""


class EventType(StrEnum):
    """Kind of an event in a session."""

    START = "START"
    END = "END"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    RECORD_GENERATION = "RECORD_GENERATION"
    NOTE = "NOTE"
    PROBLEM = "PROBLEM"
    UNKNOWN = "UNKNOWN"
    """Read in place of an unknown stored value; never stored."""


SESSION_TABLE = Columns(
    "session",
    {
        "id": WHOLE,
        "identifier": TEXT,
        "instrument": TEXT,
        "user": TEXT,
        "state": choice(State, "a state of a session"),
        "start_ts": TIME,
        "end_ts": optional(TIME),
        "open_on": optional(TEXT),
        "lease_owner": optional(TEXT),
        "lease_until": optional(DUE),
        "attempts": WHOLE,
        "next_attempt_ts": optional(DUE),
        "last_error": optional(TEXT),
        "token_sha256": optional(TEXT),
        "seen_ts": optional(TIME),
    },
)

SESSION_EVENT = Columns(
    "session_event",
    {
        "id": WHOLE,
        "session_id": WHOLE,
        "event_type": choice(EventType, "a type of event"),
        "ts": TIME,
        "user": TEXT,
        "host": TEXT,
        "zone": TEXT,
        "clock_offset": optional(WHOLE),
        "detail": optional(TEXT),
        "unique_type": optional(TEXT),
    },
)


@dataclass(frozen=True, slots=True)
class Session:
    """A session in its current state."""

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
    odd: Odd = ()
    """Messages about fields that cannot be read."""

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state is State.WAITING_FOR_END and self.end_ts is None

    @property
    def awaits_files(self) -> bool:
        """Whether it has ended, and its files are on their way from its PC; its record is built afterwards."""
        return self.state is State.WAITING_FOR_END and self.end_ts is not None

    @property
    def start(self) -> datetime:
        """Start, aware, UTC; raises ValueError if it cannot be read (see `odd`)."""
        return to_datetime(self.start_ts)

    @property
    def end(self) -> datetime | None:
        """End, aware, UTC; None while the session is open."""
        return None if self.end_ts is None else to_datetime(self.end_ts)


@dataclass(frozen=True, slots=True)
class Event:
    """An event in a session."""

    id: int
    type: EventType
    ts: int
    user: str
    host: str
    detail: str | None
    odd: Odd = ()
    """Messages about fields that cannot be read."""


@dataclass(frozen=True, slots=True)
class Client:
    """User and host that report an event; the clock of that host is measured, not trusted."""

    user: str
    host: str
    zone: str = ""
    """IANA name or offset of the client's time zone."""
    clock_offset: int | None = None
    """Microseconds that its clock is ahead of ours, where it was measured."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the waiting sessions a Builder takes."""

    identifier: str | None = None
    """The only one; None for any."""
    from_ts: int = -(1 << 62)
    """Started at this time or later; microseconds since the epoch, UTC."""
    to_ts: int = 1 << 62
    """Started before this time."""

    def includes(self, session: Session) -> bool:
        """Return whether a session is selected."""
        return self.identifier in (None, session.identifier) and self.from_ts <= session.start_ts < self.to_ts


ALL = Selection()
"""All sessions."""


def check_names(identifier: str, instrument: str, client: Client) -> None:
    """Raise `TooLong` if a name of a new session cannot be stored whole."""
    sizes.check_length("The identifier of the session", identifier, sizes.IDENTIFIER)
    sizes.check_length("The name of the instrument", instrument, sizes.NAME)
    sizes.check_length("The name of the user", client.user, sizes.NAME)
