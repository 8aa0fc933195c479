"""Stores sessions in the facility's database, through NexusCore; this module needs Python 3.11."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from NexusCore import identity, settings
from NexusCore.clock import SYSTEM_CLOCK, Clock, to_datetime
from NexusCore.config.loaded import LoadedConfiguration, load_configuration
from NexusCore.config.store import ConfigStore
from NexusCore.errors import ConfigException, NexusError, SessionOpen
from NexusCore.facility.instruments import Instruments
from NexusCore.facility.sessions import Client, EventType, Session, Sessions, State
from NexusCore.storage import Database

from Logger.session_backend import AlreadyOpen, BackendError, OpenSession, Station


class NoDatabaseNamed(NexusError):
    """This computer does not know the facility's database: set it in the variable NEXUSCORE_DATABASE or in a settings
    file nexuscore.toml.
    """  # noqa: D205, D404  the docstring is the message


class DatabaseBackend:
    """The `SessionBackend` of a PC with access to the facility's database.

    Parameters
    ----------
    host
        Name of the computer; this computer by default.
    clock
        This computer's clock. It is compared with that of the database server, which sets the times of START and END.
    """

    def __init__(self, host: str | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self._host = host or identity.host()
        self._clock = clock
        self._database: Database | None = None
        self._ahead: int | None = None

    # -- SessionBackend ----------------------------------------------------------------------------------------------

    def station(self) -> Station:
        """Return the instrument of this computer, with the settings `Logger.*` of the configuration."""
        with _failures_reported():
            database = Database(_settings().config)
            try:
                config = load_configuration(ConfigStore(database, self._clock))
            finally:
                database.close()
            instrument = Instruments(config).of_host(self._host)
            return Station(
                pid=instrument.pid,
                name=instrument.name,
                close_delay=_seconds(config, "Logger.close_delay", Station.close_delay),
                support_address=str(config["Logger.support_address"] or ""),
            )

    def open_session(self, pid: str) -> OpenSession | None:
        """Return the session that is open on an instrument, if any."""
        with _failures_reported():
            session = self._sessions().open_on(pid)
            return None if session is None else self._as_seen_here(session)

    def start(self, pid: str, identifier: str) -> OpenSession:
        """Open a session."""
        with _failures_reported():
            return self._as_seen_here(self._sessions().start(pid, self._client(), identifier))

    def resume(self, identifier: str) -> None:
        """Write a RESUME event."""
        with _failures_reported():
            self._sessions().note(identifier, self._client(), "continued after an interruption", EventType.RESUME)

    def end(self, identifier: str) -> None:
        """Write END and the state TO_BE_BUILT, in one transaction."""
        with _failures_reported():
            self._sessions().end(identifier, self._client())

    def has_ended(self, identifier: str) -> bool:
        """Read the session and its events back."""
        with _failures_reported():
            sessions = self._sessions()
            session = sessions.get(identifier)
            events = {event.type for event in sessions.events(session)}
            ended = session.state is not State.WAITING_FOR_END
            if EventType.START not in events or ended is not (EventType.END in events):
                raise BackendError(f"Session {identifier} has inconsistent events: {', '.join(sorted(events))}.")
            return ended

    def release(self) -> None:
        """Close the connection."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    # -- private -----------------------------------------------------------------------------------------------------

    def _sessions(self) -> Sessions:
        if self._database is None:
            database = Database(_settings().main)
            self._ahead = _ahead(database, self._clock)
            self._database = database
        return Sessions(self._database, _FacilityTime(self._clock, self._ahead or 0))

    def _client(self) -> Client:
        return Client(identity.user(), self._host, self._local_zone(), self._ahead)

    def _local_zone(self) -> str:
        """Return the offset of this computer's local time, as in ``+0100``."""
        return to_datetime(self._clock.now()).astimezone().strftime("%z")

    def _as_seen_here(self, session: Session) -> OpenSession:
        since = to_datetime(session.start_ts + (self._ahead or 0)).astimezone()
        return OpenSession(session.identifier, session.user, since)


class _FacilityTime:
    """The computer's clock, corrected to that of the server."""

    def __init__(self, clock: Clock, ahead: int) -> None:
        self._clock = clock
        self._ahead = ahead

    def now(self) -> int:
        return self._clock.now() - self._ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return self._clock.wait(event, seconds)


@contextmanager
def _failures_reported() -> Iterator[None]:
    """Raise errors of NexusCore as `BackendError`, with the same sentences."""
    try:
        yield
    except SessionOpen as error:
        raise AlreadyOpen(str(error)) from error
    except NexusError as error:
        raise BackendError(str(error)) from error


def _settings() -> settings.Settings:
    loaded = settings.load()
    if loaded.main.embedded and not Path(loaded.main.name).exists():
        # Other programs create it on first use; here, an empty database would hide that the PC was never set up.
        raise NoDatabaseNamed()
    return loaded


def _seconds(config: LoadedConfiguration, path: str, default: float) -> float:
    value = config[path]
    try:
        seconds = default if value is None else float(str(value))
    except ValueError:
        raise ConfigException(reason=f"{path} is '{value}', but must be a number of seconds") from None
    return max(0.0, seconds)


def _ahead(database: Database, clock: Clock) -> int | None:
    """Return the microseconds that this computer's clock is ahead of the server's; None without a server."""
    if not database.dialect.server_time:
        return None
    with database.reading() as reading:
        before = clock.now()
        row = reading.one(database.dialect.server_time)
        after = clock.now()
    return None if row is None else (before + after) // 2 - int(row[0])
