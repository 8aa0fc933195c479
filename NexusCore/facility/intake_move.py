"""Files that Intake has filed, or is filing: a row of the table `intake_move`, and its columns."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from NexusCore.storage.rows import DUE, TEXT, TIME, WHOLE, Columns, Odd, choice, optional
from NexusCore.storage.transaction import Row


class MoveState(StrEnum):
    """State of a filing."""

    CLAIMED = "claimed"
    """An Intake is moving the file."""
    FILED = "filed"
    UNDOING = "undoing"
    """It is being moved back."""
    UNDONE = "undone"
    UNKNOWN = "UNKNOWN"
    """Read in place of an unknown stored value; never stored."""


class Method(StrEnum):
    """How a file was filed."""

    RENAME = "rename"
    COPY = "copy"
    """Copied to another file system, compared, and removed at its source."""
    SAME = "same"
    """Its target had the same content already; the source was removed."""
    NOTE = "note"
    """Written by the rule itself, beside the files of a folder; it has no source."""
    UNKNOWN = "UNKNOWN"
    """Read in place of an unknown stored value; never stored."""


INTAKE_MOVE = Columns(
    "intake_move",
    {
        "id": WHOLE,
        "inbox": TEXT,
        "rule": TEXT,
        "rule_sha256": TEXT,
        "instrument": optional(TEXT),
        "source": TEXT,
        "source_sha256": TEXT,
        "target": TEXT,
        "target_sha256": TEXT,
        "size": WHOLE,
        "modified_ts": TIME,
        "inode": TEXT,
        "copy_inode": optional(TEXT),
        "sha256": optional(TEXT),
        "method": choice(Method, "a way of filing"),
        "state": choice(MoveState, "a state of a filing"),
        "claim": optional(TEXT),
        "owner": optional(TEXT),
        "lease_until": optional(DUE),
        "claimed_ts": TIME,
        "filed_ts": optional(TIME),
        "undone_ts": optional(TIME),
    },
)


@dataclass(frozen=True, slots=True)
class IntakeMove:
    """A filing. Times are in microseconds since the epoch, UTC."""

    id: int
    inbox: str
    rule: str
    rule_sha256: str
    """Of the rule's settings at that time."""
    instrument: str | None
    """Pid, if the inbox belongs to an instrument."""
    source: str
    """Absolute path; empty for a note."""
    target: str
    """Absolute path."""
    size: int
    modified_ts: int
    """When the file was modified, by the clock of whoever wrote it."""
    inode: str
    """Number of the file in its file system."""
    copy_inode: str | None
    """The same of its copy on another file system."""
    sha256: str | None
    """Of its content; None until it was read."""
    method: Method
    state: MoveState
    owner: str | None
    """The Intake that is moving it."""
    lease_until: int | None
    claimed_ts: int
    filed_ts: int | None
    undone_ts: int | None
    odd: Odd = ()
    """Messages about fields that cannot be read."""


@dataclass(frozen=True, slots=True)
class NewMove:
    """A file that is to be filed; the fields are those of `IntakeMove`."""

    inbox: str
    rule: str
    rule_sha256: str
    instrument: str | None
    source: str
    target: str
    size: int
    modified_ts: int
    inode: str
    method: Method = Method.RENAME


_SELECTED = INTAKE_MOVE.only(
    "id", "inbox", "rule", "rule_sha256", "instrument", "source", "target", "size", "modified_ts", "inode",
    "copy_inode", "sha256", "method", "state", "owner", "lease_until", "claimed_ts", "filed_ts", "undone_ts",
)  # fmt: skip
SELECT_MOVES = """
    SELECT m.id, m.inbox, m.rule, m.rule_sha256, m.instrument, m.source, m.target, m.size, m.modified_ts, m.inode,
           m.copy_inode, m.sha256, m.method, m.state, m.owner, m.lease_until, m.claimed_ts, m.filed_ts, m.undone_ts
      FROM intake_move m
"""
"""Beginning of a query for filings; `move_of` reads its rows."""


def move_of(row: Row) -> IntakeMove:
    """Return the filing in a row of `SELECT_MOVES`."""
    return _SELECTED.make(IntakeMove, row)


def digest_of(path: str) -> str:
    """Return what identifies a path."""
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
