"""What the session logger needs from the facility, without saying where the facility keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Station:
    """The instrument that this computer belongs to, and what the facility has set for its logger."""

    pid: str
    """Persistent identifier of the instrument."""
    name: str
    """What people call it."""
    close_delay: float = 3.0
    """Seconds that the window stays open after the end of a session."""
    support_address: str = ""
    """Where to send the debug log; empty if the facility names none."""


@dataclass(frozen=True)
class OpenSession:
    """A session that has not ended."""

    identifier: str
    """The same for START and END."""
    user: str
    """Account that started it."""
    since: datetime
    """Its start, aware, as this computer's own clock showed it: what its user can compare."""


class BookError(Exception):
    """The facility could not do what was asked; the text is a sentence for the user."""


class AlreadyOpen(BookError):
    """Another session is open on the instrument; it may have begun a moment ago."""


class SessionBook(Protocol):
    """Where sessions are written down. Every method may take seconds, and may raise `BookError`.

    After an error it is not known whether the write took effect; asking for the same again, with the same identifier,
    leaves one START and one END.
    """

    def station(self) -> Station:
        """Return the instrument of this computer."""
        ...

    def open_session(self, pid: str) -> OpenSession | None:
        """Return the session that is open on an instrument, if any."""
        ...

    def start(self, pid: str, identifier: str) -> OpenSession:
        """Open a session; raise `AlreadyOpen` if another one is open."""
        ...

    def resume(self, identifier: str) -> None:
        """Note that a session goes on after an interruption."""
        ...

    def end(self, identifier: str) -> None:
        """End a session and release it for building; one that has ended stays as it is."""
        ...

    def has_ended(self, identifier: str) -> bool:
        """Read back what was written: START alone, or also END; raise `BookError` if neither is there."""
        ...

    def release(self) -> None:
        """Let go of connections until the next call: there is no traffic while a session runs; never raise."""
        ...
