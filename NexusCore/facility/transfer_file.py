"""Files that a session's PC transfers: what is known of each, and what the PC says of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from NexusCore.storage.rows import OBJECT, TEXT, TIME, WHOLE, Columns, Odd, choice, optional
from NexusCore.storage.transaction import Row

PATH_LENGTH = 1024
"""Most characters of a file's path below its folder."""
REASON_LENGTH = 500
"""Most characters of the reason for a state."""
MOST_ROWS = 1000
"""Most files that are returned together."""


class FileState(StrEnum):
    """State of a file."""

    WAITING = "waiting"
    GROWING = "growing"
    """It still changes."""
    LOCKED = "locked"
    """Another program has it open."""
    SENDING = "sending"
    CHECKING = "checking"
    """All of it has arrived; the store's copy is read."""
    VERIFIED = "verified"
    """The store's copy has the MD5 of the file."""
    HELD = "held"
    """It appeared after the end, and waits for its user."""
    FAILED = "failed"
    GONE = "gone"
    """It was removed before it was sent."""
    DAMAGED = "damaged"
    """The store's copy is missing, or not what it was."""
    UNKNOWN = "UNKNOWN"
    """Read in place of an unknown stored value; never stored."""


REPORTED = frozenset(FileState) - {FileState.DAMAGED, FileState.UNKNOWN}
"""States that a PC may report."""

TRANSFER_FILE = Columns(
    "transfer_file",
    {
        "id": WHOLE,
        "session_id": WHOLE,
        "folder": TEXT,
        "path": TEXT,
        "path_sha256": TEXT,
        "size": WHOLE,
        "modified_ts": TIME,
        "md5": optional(TEXT),
        "state": choice(FileState, "a state of a file"),
        "sent": WHOLE,
        "reason": optional(TEXT),
        "next_try_ts": optional(TIME),
        "attempts": WHOLE,
        "store": TEXT,
        "object": optional(TEXT),
        "object_sha256": optional(TEXT),
        "object_md5": optional(TEXT),
        "upload": optional(TEXT),
        "upload_kind": optional(TEXT),
        "upload_ref": optional(OBJECT),
        "verified_ts": optional(TIME),
        "checked_ts": optional(TIME),
        "changed_ts": TIME,
    },
)


@dataclass(frozen=True, slots=True)
class TransferFile:
    """A file of a session. Times are in microseconds since the epoch, UTC."""

    id: int
    session_id: int
    folder: str
    """Name of the watched folder on the PC."""
    path: str
    """Below that folder, with forward slashes."""
    size: int
    modified_ts: int
    """When the PC's file was modified, by the PC's clock."""
    md5: str | None
    """Of the PC's file; None until it has read it."""
    state: FileState
    sent: int
    """Bytes."""
    reason: str | None
    """A sentence on the state, if there is one."""
    next_try_ts: int | None
    attempts: int
    store: str
    """Name of the store; empty for the instrument's own folder."""
    object: str | None
    """Its name in the store; None until it has one."""
    object_md5: str | None
    """Of what was last verified there."""
    upload: str | None
    """UUID of its latest upload."""
    upload_kind: str | None
    upload_ref: Mapping[str, Any] | None
    """What the Gateway needs to go on with that upload; None once it is finished."""
    verified_ts: int | None
    """When the store's copy was first found to be right; None unless it has been since."""
    checked_ts: int | None
    """When the store's copy was last looked at."""
    changed_ts: int
    odd: Odd = ()
    """Messages about fields that cannot be read."""

    @property
    def name(self) -> str:
        """Folder and path, as they are shown."""
        return f"{self.folder}/{self.path}"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What a PC says of a file."""

    folder: str
    path: str
    size: int
    modified_ts: int
    state: FileState = FileState.WAITING
    sent: int = 0
    reason: str | None = None
    next_try_ts: int | None = None
    md5: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """A file of a session, as its PC has read it."""

    folder: str
    path: str
    size: int
    modified_ts: int
    md5: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is, or is to be."""

    store: str
    """Name of the store; empty for the instrument's own folder."""
    pid: str
    object: str
    """Name within the store."""


_SELECTED = TRANSFER_FILE.only(
    "id", "session_id", "folder", "path", "size", "modified_ts", "md5", "state", "sent", "reason", "next_try_ts",
    "attempts", "store", "object", "object_md5", "upload", "upload_kind", "upload_ref", "verified_ts", "checked_ts",
    "changed_ts",
)  # fmt: skip
SELECT_FILES = """
    SELECT f.id, f.session_id, f.folder, f.path, f.size, f.modified_ts, f.md5, f.state, f.sent, f.reason,
           f.next_try_ts, f.attempts, f.store, f.object, f.object_md5, f.upload, f.upload_kind, f.upload_ref,
           f.verified_ts, f.checked_ts, f.changed_ts
      FROM transfer_file f
"""
"""Beginning of a query for files; `file_of` reads its rows."""


def file_of(row: Row) -> TransferFile:
    """Return the file in a row of `SELECT_FILES`."""
    return _SELECTED.make(TransferFile, row)


def path_digest(folder: str, path: str) -> str:
    """Return what identifies a file within its session."""
    return _digest(f"{folder}/{path}")


def object_digest(store: str, pid: str, name: str) -> str:
    """Return what identifies an object: under the name of its store, or of the instrument whose folder it is in."""
    return _digest(json.dumps([store, "" if store else pid, name]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
