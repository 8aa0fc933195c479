"""A file of a session, as this computer keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from Logger.transfer.scanning import Signature


class FileStage(str, Enum):
    """How far a file has come; the values are those of the Gateway's API."""

    WAITING = "waiting"
    """Until it is stable, or its turn comes."""
    GROWING = "growing"
    """It has changed while it was looked at."""
    LOCKED = "locked"
    """Another program writes it."""
    SENDING = "sending"
    CHECKING = "checking"
    """All is sent; the store compares."""
    VERIFIED = "verified"
    """The store has it."""
    HELD = "held"
    """It waits for a click: it came after the end."""
    FAILED = "failed"
    """It is tried again later."""
    GONE = "gone"
    """It vanished before it was sent."""


class Blame(str, Enum):
    """Whose fault it is that a file does not come forward."""

    NONE = ""
    FILE = "file"
    """The file's own, or the facility refuses it: time alone does not help."""
    AWAY = "away"
    """Server, store or network: it is sent when they are back."""
    LINE = "line"
    """What arrived was not what was sent: it is sent again, and the other files go on meanwhile."""


SETTLED = frozenset({FileStage.VERIFIED, FileStage.GONE})
"""Stages in which nothing more is to be done."""
IDLE = frozenset({*SETTLED, FileStage.HELD})
"""Stages in which nothing is done by itself."""


class FileKey(NamedTuple):
    """Which file it is, of which session."""

    session: str
    folder: str
    """Name of the watched folder."""
    path: str
    """Relative, with forward slashes."""


@dataclass(frozen=True)
class TrackedFile:
    """A file of a session."""

    key: FileKey
    signature: Signature
    """Of the version that is sent, or was."""
    stage: FileStage = FileStage.WAITING
    md5: str = ""
    """Of that version, in hexadecimal digits; empty until it is known."""
    reason: str = ""
    """Why it waits or has failed, as a part of a sentence."""
    sent: int = 0
    """Bytes that have arrived."""
    attempts: int = 0
    """How often it has failed in sequence."""
    next_try: int = 0
    """When it is tried again by this computer's clock, in microseconds since the epoch; 0: as soon as possible."""
    released: bool = False
    """Whether a user has released it, although it came after the end."""
    upload: str = ""
    """The upload that the store is checking; known while the logger runs."""
    blame: Blame = Blame.NONE
    distorted: int = 0
    """How often in sequence the store has received something else than was sent."""
    distorted_md5: str = ""
    """The MD5 of what was sent when that happened last."""
