"""What a record is, and how far it is on its way to where it is to be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from NexusCore.storage.rows import DUE, TEXT, TIME, WHOLE, Columns, Odd, choice, optional


class UploadState(StrEnum):
    """How far a record is on its way to one destination."""

    WAITING = "WAITING"
    DONE = "DONE"
    ERROR = "ERROR"
    UNKNOWN = "UNKNOWN"
    """Read where none of these is stored; never stored itself."""


RECORD = Columns(
    "record",
    {
        "id": WHOLE,
        "session_id": WHOLE,
        "path": TEXT,
        "title": TEXT,
        "sha256": TEXT,
        "config_revision": WHOLE,
        "software": TEXT,
        "files": WHOLE,
        "activities": WHOLE,
        "built_ts": TIME,
    },
)

UPLOAD = Columns(
    "upload",
    {
        "id": WHOLE,
        "record_id": WHOLE,
        "destination": TEXT,
        "state": choice(UploadState, "a state of an upload"),
        "attempts": WHOLE,
        "next_attempt_ts": optional(DUE),
        "remote_id": optional(TEXT),
        "url": optional(TEXT),
        "last_error": optional(TEXT),
        "updated_ts": TIME,
        "lease_owner": optional(TEXT),
        "lease_until": optional(DUE),
        "unanswered_ts": optional(TIME),
    },
)


@dataclass(frozen=True, slots=True)
class Record:
    """A record that was built."""

    id: int
    session_id: int
    path: str
    """Absolute path of the XML file."""
    title: str
    sha256: str
    config_revision: int
    """Revision of the configuration it was built under."""
    software: str
    files: int
    activities: int
    built_ts: int
    session: str
    """Identifier of its session."""
    odd: Odd = ()
    """Sentences about what of it cannot be read."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A record on its way to a destination."""

    record_id: int
    destination: str
    state: UploadState
    attempts: int
    remote_id: str | None
    """What the destination calls it."""
    url: str | None
    last_error: str | None
    updated_ts: int = 0
    """When its state last changed; this and the following by the database's clock."""
    next_attempt_ts: int | None = None
    """When it is due: to be tried, or, once it is there, to be looked at again; `NEVER` for not by itself."""
    unanswered_ts: int | None = None
    """When an attempt was last broken off that may be carried out all the same, or later; None if that is settled."""
    odd: Odd = ()
    """Sentences about what of it cannot be read."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many records a destination does not have that it is to have."""

    waiting: int = 0
    refused: int = 0
    """Failed, and not tried again by itself."""


NEVER = 1 << 62
"""When to try again what is not to be tried again by itself."""
