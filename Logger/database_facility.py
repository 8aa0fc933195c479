"""The facility by way of its database, through NexusCore; this module needs Python 3.11.

For a machine that is trusted like a server: the embedded database, or the settings that the services there use. A
microscope's PC has no account of the database; it uses `Logger.gateway_facility`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from NexusCore import settings
from NexusCore.clock import SECOND, SYSTEM_CLOCK, Clock, to_datetime
from NexusCore.config.loaded import LoadedConfiguration, load_configuration
from NexusCore.config.store import ConfigStore
from NexusCore.errors import (
    ConfigException,
    DatabaseBusy,
    DatabaseRefused,
    DatabaseUnreachable,
    NexusError,
    NoDatabaseFile,
    NoSuchSession,
    SessionOpen,
)
from NexusCore.facility import transitions
from NexusCore.facility.instruments import Instruments
from NexusCore.facility.reservations import Reservation, Reservations
from NexusCore.facility.session import Client, EventType, Session, State
from NexusCore.facility.sessions import Sessions
from NexusCore.storage import Database, Transaction

from Logger.facility import (
    AlreadyOpen,
    Booking,
    EventKind,
    EventReceipt,
    NeverAccepted,
    OpenSession,
    Refused,
    SessionEvent,
    Station,
    Unreachable,
)

AHEAD = 14 * 86_400 * SECOND
"""How far ahead the next reservation is looked for, in microseconds."""


class NoDatabaseNamed(NexusError):
    """This computer knows neither a Gateway nor a database. Set the Gateway in logger.ini, or on a trusted machine the
    database in NEXUSCORE_DATABASE or nexuscore.toml.
    """  # noqa: D205, D404  the docstring is the message


class DatabaseFacility:
    """The facility of a machine with access to its database.

    Parameters
    ----------
    host
        Name of the computer.
    clock
        This computer's clock. It is compared with that of the database server, which sets the times of events.
    """

    def __init__(self, host: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self._host = host
        self._clock = clock
        self._database: Database | None = None
        self._ahead: int | None = None

    def station(self, patience: float) -> Station:
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
                ask_user=config["Logger.ask_user"] is True,
                reminder_minutes=_seconds(config, "Logger.reminder_minutes", Station.reminder_minutes),
            )

    def open_session(self, pid: str) -> OpenSession | None:
        """Return the session that is open on an instrument, if any."""
        with _failures_reported():
            sessions = self._sessions()
            session = sessions.open_on(pid)
            if session is None:
                return None
            events = sessions.events(session)
            last = max((event.ts for event in events), default=session.start_ts)
            computer = events[0].host if events else ""
            elsewhere = computer.partition(".")[0].lower() != self._host.partition(".")[0].lower()
            return OpenSession(
                session.identifier,
                session.user,
                to_datetime(self._here(session.start_ts)).astimezone(),
                to_datetime(self._here(last)).astimezone(),
                computer if elsewhere else "",
            )

    def bookings(self, pid: str) -> tuple[Booking | None, Booking | None]:
        """Return the present and the next reservation of an instrument."""
        with _failures_reported():
            self._sessions()
            assert self._database is not None  # noqa: S101  the line before opens it
            reservations = Reservations(self._database, self._clock)
            pair = reservations.now_and_next(pid, self._clock.now() - (self._ahead or 0), AHEAD)
        now, following = map(_booking, pair)
        return now, following

    def had_no_files(self, pid: str, besides: str) -> OpenSession | None:
        """Return the last session of an instrument, besides one, if no files of it were found."""
        with _failures_reported():
            newest = self._sessions().newest(pid, count=2)
            last = next((session for session in newest if session.identifier != besides), None)
            if last is None or last.state is not State.NO_FILES_FOUND:
                return None
            return OpenSession(last.identifier, last.user, to_datetime(self._here(last.start_ts)).astimezone())

    def deliver(self, event: SessionEvent, token: str) -> EventReceipt:
        """Store an event in one transaction, unless it is stored already."""
        with _failures_reported():
            self._sessions()
            assert self._database is not None  # noqa: S101  the line before opens it
            try:
                session = self._database.write(lambda transaction: self._store(transaction, event))
            except DatabaseRefused:
                # Another session was started at the same moment: the database allows one open on an instrument.
                other = self._sessions().open_on(event.pid) if event.kind is EventKind.START else None
                if other is None or other.identifier == event.session:
                    raise
                raise transitions.still_open(other) from None
            return EventReceipt(ended=session.end_ts is not None)

    def release(self) -> None:
        """Close the connection."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    # -- private -------------------------------------------------------------------------------------------------------

    def _store(self, transaction: Transaction, event: SessionEvent) -> Session:
        ts = self._clock.now() - (self._ahead or 0) - event.age
        client = Client(event.user, self._host, self._local_zone(), self._ahead)
        if event.kind is EventKind.START:
            ended = (event.ends, ts - (event.at - event.ends_at) if event.ends_at else ts) if event.ends else None
            return transitions.start(transaction, event.pid, client, event.session, ts, ends=ended, settle=event.settle)
        if event.kind is EventKind.END:
            return transitions.end(transaction, event.session, client, ts)
        session = transitions.find(transaction, event.session, lock=True)
        open_only = event.kind not in (EventKind.NOTE, EventKind.PROBLEM)
        if open_only and session.end_ts is not None:
            return session
        continued = event.kind is EventKind.CONTINUE
        kind = EventType.RESUME if continued else EventType(event.kind.value)
        text = transitions.CONTINUED if continued else event.text or None
        # Sent again after an answer was lost; two events of a kind are never from the same microsecond.
        if not transitions.has_event(transaction, session.id, kind, self._host, text, ts, SECOND):
            transitions.add_event(transaction, session.id, kind, client, ts, text)
        return session

    def _sessions(self) -> Sessions:
        if self._database is None:
            database = Database(_settings().main)
            self._ahead = _ahead(database, self._clock)
            self._database = database
        return Sessions(self._database, self._clock)

    def _local_zone(self) -> str:
        """Return the offset of this computer's local time, as in ``+0100``."""
        return to_datetime(self._clock.now()).astimezone().strftime("%z")

    def _here(self, ts: int) -> int:
        """Return a time of the server by this computer's clock."""
        return ts + (self._ahead or 0)


@contextmanager
def _failures_reported() -> Iterator[None]:
    """Raise errors of NexusCore as those of `Logger.facility`, with the same sentences."""
    try:
        yield
    except (DatabaseUnreachable, DatabaseBusy, NoDatabaseFile) as error:
        raise Unreachable("The facility's database cannot be reached.", str(error)) from error
    except SessionOpen as error:
        raise AlreadyOpen(str(error)) from error
    except NoSuchSession as error:
        raise NeverAccepted(str(error)) from error
    except NexusError as error:
        raise Refused(str(error)) from error


def _booking(found: Reservation | None) -> Booking | None:
    if found is None:
        return None
    return Booking(found.user or "", found.title or "", to_datetime(found.start_ts), to_datetime(found.end_ts))


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
