"""The interface of the session logger to the facility."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Station:
    """The instrument of this computer, and the settings of its logger."""

    pid: str
    """Persistent identifier of the instrument."""
    name: str
    """Display name."""
    close_delay: float = 3.0
    """Seconds that the window stays open after the end of a session."""
    support_address: str = ""
    """Address for the debug log; empty if the facility has none."""


@dataclass(frozen=True)
class OpenSession:
    """A session that has not ended."""

    identifier: str
    """Identifier, the same for START and END."""
    user: str
    """Account that started it."""
    since: datetime
    """Time zone aware start, by this computer's clock, which its user can compare."""


class BackendError(Exception):
    """The facility could not do this; the text is a sentence for the user."""


class AlreadyOpen(BackendError):
    """Another session is open on the instrument; it may have started just now."""


class SessionBackend(Protocol):
    """Stores sessions. Every method may take seconds and may raise `BackendError`.

    After an error, the write may or may not have taken effect. Repeating a call with the same identifier leaves one
    START and one END.
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
        """Return whether END is stored, read back from the facility; raise `BackendError` if not even START is."""
        ...

    def release(self) -> None:
        """Close connections until the next call: a running session causes no traffic. Never raises."""
        ...
