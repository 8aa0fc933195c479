"""Records and the state of their uploads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from NexusCore.errors import EXIT_REFUSED, NexusError
from NexusCore.storage.rows import DUE, TEXT, TIME, WHOLE, Columns, Odd, choice, optional


class NotToBeSent(NexusError):
    """The record of session {identifier} cannot be sent again: {reason}."""

    exit_code = EXIT_REFUSED


class UploadState(StrEnum):
    """State of a record's upload to one destination."""

    WAITING = "WAITING"
    DONE = "DONE"
    ERROR = "ERROR"
    UNKNOWN = "UNKNOWN"
    """Read in place of an unknown stored value; never stored."""


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
        "pid": optional(TEXT),
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
    """Messages about fields that cannot be read."""


@dataclass(frozen=True, slots=True)
class Upload:
    """The upload of a record to a destination."""

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
    """When it is due for an attempt, or once uploaded, for another check; `NEVER` for not automatically."""
    unanswered_ts: int | None = None
    """When the last attempt without an answer was given up, which may still take effect; None if that is settled."""
    pid: str | None = None
    """The persistent identifier that the destination gave the record, which stays when it is sent again."""
    odd: Odd = ()
    """Messages about fields that cannot be read."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Number of records that a destination lacks."""

    waiting: int = 0
    refused: int = 0
    """Failed, and not retried automatically."""


NEVER = 1 << 62
"""`next_attempt_ts` of what is not retried automatically."""
