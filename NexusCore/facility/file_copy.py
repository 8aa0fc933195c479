"""Copies of filed files in mirrors: a row of the table `file_copy`, and its columns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from NexusCore.storage.rows import TEXT, TIME, WHOLE, Columns, Odd, choice, optional
from NexusCore.storage.transaction import Row


class CopyState(StrEnum):
    """State of a copy."""

    WAITING = "waiting"
    """It is to be made."""
    GOOD = "good"
    """It was read again, and has the file's checksum."""
    DAMAGED = "damaged"
    """It is missing or not what it was: to be made again."""
    LOST = "lost"
    """No good copy of the file is left to make it from."""
    LEFT = "left"
    """The filing was undone; the copy stays, and is not looked at any more."""
    UNKNOWN = "UNKNOWN"
    """Read in place of an unknown stored value; never stored."""


FILE_COPY = Columns(
    "file_copy",
    {
        "id": WHOLE,
        "move_id": WHOLE,
        "mirror": TEXT,
        "path": TEXT,
        "size": WHOLE,
        "sha256": TEXT,
        "state": choice(CopyState, "a state of a copy"),
        "attempts": WHOLE,
        "next_try_ts": optional(TIME),
        "reason": optional(TEXT),
        "created_ts": TIME,
        "verified_ts": optional(TIME),
        "checked_ts": optional(TIME),
    },
)


@dataclass(frozen=True, slots=True)
class FileCopy:
    """A copy of a filed file. Times are in microseconds since the epoch, UTC."""

    id: int
    move_id: int
    mirror: str
    path: str
    """Below the mirror, with forward slashes."""
    size: int
    sha256: str
    state: CopyState
    attempts: int
    """How often it could not be made."""
    next_try_ts: int | None
    reason: str | None
    created_ts: int
    verified_ts: int | None
    """When it was last found to be right."""
    checked_ts: int | None
    """When it was last looked at."""
    target: str
    """Absolute path of the file that it is a copy of."""
    odd: Odd = ()
    """Messages about fields that cannot be read."""


_SELECTED = Columns(
    "file_copy",
    {
        **FILE_COPY.only(
            "id", "move_id", "mirror", "path", "size", "sha256", "state", "attempts", "next_try_ts", "reason",
            "created_ts", "verified_ts", "checked_ts",
        ).columns,
        "target": TEXT,
    },
)  # fmt: skip
SELECT_COPIES = """
    SELECT c.id, c.move_id, c.mirror, c.path, c.size, c.sha256, c.state, c.attempts, c.next_try_ts, c.reason,
           c.created_ts, c.verified_ts, c.checked_ts, m.target
      FROM file_copy c
      JOIN intake_move m ON m.id = c.move_id
"""
"""Beginning of a query for copies; `copy_of` reads its rows."""


def copy_of(row: Row) -> FileCopy:
    """Return the copy in a row of `SELECT_COPIES`."""
    return _SELECTED.make(FileCopy, row)
