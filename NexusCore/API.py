"""The façade: configuration, status and logs of this process, and their clean end.

    from NexusCore import API

    cfg = API.get_config("Camera")
    log = API.get_log("Camera")
    status = API.get_status("Camera")
    try:
        ...
    finally:
        API.shutdown()

The functions of this module act on one `App` for the process, made from the settings at first use. What only the
configuration, the status or the logs need is imported when a program first asks for them.
"""

from __future__ import annotations

import atexit
import contextlib
import copyreg
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from NexusCore import identity
from NexusCore import settings as _settings
from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.errors import WrongArgument
from NexusCore.forks import renew_in_children
from NexusCore.signals import HandlerEvent

if TYPE_CHECKING:
    from NexusCore.config.view import NamedConfiguration
    from NexusCore.config.watch import LiveConfiguration
    from NexusCore.delivery import Folders, Journal, Report
    from NexusCore.log.destinations import Destinations
    from NexusCore.log.handler import Logs
    from NexusCore.log.logger import Log, Prefix, PrefixedLog
    from NexusCore.settings import DatabaseURL, Settings
    from NexusCore.status.holder import StatusHolder
    from NexusCore.storage import Database

SHUTDOWN_SECONDS = 3.0
"""How long `shutdown` tries to deliver before it leaves the rest to the journal."""


class StopEvent(HandlerEvent):
    """An event that a signal's handler may set; it also answers to the name its method had in older programs."""

    def isSet(self) -> bool:  # noqa: N802  that name
        """Return whether it is set."""
        return self.is_set()


class App:
    """Configuration, status and logs of one process, in the databases that the settings name.

    Parameters
    ----------
    settings
        Where the databases are; read from the usual places if not given.
    clock
        Source of time, also for waiting.
    tool
        Program name in the history of the configuration; by default that of this program.
    """

    def __init__(self, settings: Settings | None = None, clock: Clock = SYSTEM_CLOCK, tool: str | None = None) -> None:
        from NexusCore.delivery import Shipper
        from NexusCore.wakeup import Wakeups

        self.settings = settings if settings is not None else _settings.load()
        self.clock = clock
        self.stop_event = StopEvent()
        self._tool = tool or _program()
        self._lock = threading.RLock()
        self._databases: dict[DatabaseURL, Database] = {}
        self._wakeups = Wakeups(self.settings.home)
        self._shipper = Shipper(clock, self.settings.journal_size)
        self._live: LiveConfiguration | None = None
        self._logs: Logs | None = None
        self._destinations: Destinations | None = None
        self._follows_log_settings = False
        self._journals: dict[str, Journal] = {}
        self._channels: dict[str, StatusHolder] = {}
        renew_in_children(self)

    def forked(self) -> None:
        """Replace the lock."""
        self._lock = threading.RLock()

    def database(self, url: DatabaseURL | None = None) -> Database:
        """Return the database at a URL, by default the facility's own; the same object each time."""
        from NexusCore.storage import Database

        with self._lock:
            url = url if url is not None else self.settings.main
            if url not in self._databases:
                self._databases[url] = Database(url, wakeups=self._wakeups)
            return self._databases[url]

    @property
    def live(self) -> LiveConfiguration:
        """The live configuration of this process."""
        from NexusCore.config import snapshot
        from NexusCore.config.store import ConfigStore, Origin
        from NexusCore.config.watch import LiveConfiguration

        with self._lock:
            if self._live is None:
                self.logs  # noqa: B018  created first, so that messages of the configuration are logged
                origin = Origin(identity.user(), identity.host(), self._tool)
                store = ConfigStore(self.database(self.settings.config), self.clock)
                file = snapshot.file_of(self.settings.home, self.settings.config, take_over=True)
                self._live = LiveConfiguration(store, origin, self.clock, file, source_reported=self._report_source)
            return self._live

    def get_config(self, root: str | None = None, version: str | None = None) -> NamedConfiguration:
        """Return the configuration from a folder down; see `NamedConfiguration`.

        Parameters
        ----------
        root
            Path of the folder, which need not exist; None for all.
        version
            Name of the version, which the first change creates if needed; None for the default one.

        Raises
        ------
        DatabaseUnreachable, SchemaMissing, DatabaseDenied
            If the configuration cannot be read.
        """
        from NexusCore.config.view import NamedConfiguration

        config = NamedConfiguration(self.live, "" if root is None else root, version)
        if not self._follows_log_settings:
            self._follow_log_settings(NamedConfiguration(self.live))
        return config

    def _follow_log_settings(self, config: NamedConfiguration) -> None:
        """Send the log to the destinations in the folder ``Log`` of the configuration, now and when it changes."""
        self._follows_log_settings = True
        config.add_callback("Log", lambda parameter: self._redirect(config))
        if config.keys("Log"):
            self._redirect(config)

    def _redirect(self, config: NamedConfiguration) -> None:
        from NexusCore.log.destinations import Destinations

        with self._lock:
            if self.stop_event.is_set():  # a late change must not open log and destinations again
                return
            if self._destinations is None:
                self._destinations = Destinations(self.logs.root, config, self.clock, self._tool)
            destinations = self._destinations
        destinations.configure()

    def reopen_log_file(self) -> bool:
        """Reopen the log file at the next line; return whether there is one. Safe in a signal handler."""
        destinations = self._destinations
        return destinations is not None and destinations.reopen()

    def get_status(self, channel: str) -> StatusHolder:
        """Return the status channel with a name; the same object each time."""
        from NexusCore.status.holder import StatusHolder

        with self._lock:
            if not isinstance(channel, str) or channel not in self._channels:  # the holder refuses what is not text
                self._channels[channel] = StatusHolder(
                    channel, append=self._journal("status").append, now=self.clock.now
                )
                if self._live is not None and self._live.source != "database":
                    self._channels[channel]["configuration"] = self._live.source
            return self._channels[channel]

    def _report_source(self, source: str) -> None:
        """Show on each channel whether the configuration is from the database or from the snapshot."""
        # Without the lock: its holder may be waiting for the configuration, whose lock is held here.
        for channel in list(self._channels.values()):
            channel["configuration"] = source

    @property
    def logs(self) -> Logs:
        """All loggers of this process."""
        from NexusCore.log.handler import Logs

        with self._lock:
            if self._logs is None:
                opened = self._open("log")
                self._logs = Logs(self._journals["log"].append)
                if opened:
                    self._deliver("log")  # only now, so that messages of delivery are logged, too
                _let_loggers_travel()
            return self._logs

    def get_log(self, name: str, prefix: Prefix | None = None) -> Log:
        """Return the logger with a name.

        Parameters
        ----------
        name
            Dots separate the levels of its hierarchy.
        prefix
            Text, or a function that returns one, to put before each message.
        """
        return self.logs.get(name, prefix)

    def journal_sizes(self) -> dict[str, int]:
        """Return the bytes of all journals below this home, for ``log`` and for ``status``."""
        from NexusCore.delivery import inspection

        sizes = {"log": 0, "status": 0}
        with contextlib.suppress(OSError):  # one has just been delivered and removed
            for journal in inspection.journals(self.settings.home):
                if journal.role in sizes:
                    sizes[journal.role] += journal.size
        return sizes

    def shutdown(self, seconds: float = SHUTDOWN_SECONDS) -> Report:
        """Stop the threads and deliver what was accepted, for at most `seconds`; the journal keeps the rest.

        Returns
        -------
        Report
            How many records were delivered, left in the journal, dropped.
        """
        if not isinstance(seconds, (int, float)):
            raise WrongArgument(function="shutdown", what="a number of seconds", value=repr(seconds))
        deadline = self.clock.monotonic() + seconds
        self.stop_event.set()
        with self._lock:
            live, self._live = self._live, None
            logs, self._logs = self._logs, None
            destinations, self._destinations = self._destinations, None
        if live is not None:
            live.close(seconds / 4)
        if destinations is not None:
            destinations.close(seconds / 4)
        if self._channels:
            from NexusCore.status.element import callbacks

            callbacks.close(seconds / 4)
        if self._journals:
            self._open_left_behind()  # by children of this process, for one
        report = self._shipper.stop(max(0.0, deadline - self.clock.monotonic()))
        if logs is not None:
            logs.close()
        for database in self._databases.values():
            database.close()
        return report

    def _journal(self, role: str) -> Journal:
        """Return the journal for a role, ``log`` or ``status``, and deliver it."""
        if self._open(role):
            self._deliver(role)
        return self._journals[role]

    def _open_left_behind(self) -> None:
        """Also deliver what dead processes left for destinations that this process does not write to."""
        from NexusCore.delivery.adoption import has_journals

        for role in ("log", "status"):
            if role not in self._journals and any(map(has_journals, self._folders(role).adoptable())):
                self._open(role)
                self._ship(role)

    def _open(self, role: str) -> bool:
        """Open the journal for a role, unless it is open; return whether it was opened."""
        from NexusCore.delivery import Journal

        if role in self._journals:
            return False
        folder, size, sync = self._folders(role).own(), self.settings.journal_size, self.settings.journal_sync
        self._journals[role] = Journal(folder, self.clock, self._shipper.wake, limit=size, sync=sync)
        return True

    def _deliver(self, role: str) -> None:
        self._ship(role)
        self._open_left_behind()

    def _ship(self, role: str) -> None:
        from NexusCore.log.store import LogSink
        from NexusCore.status.store import StatusSink

        sink = LogSink() if role == "log" else StatusSink()
        database = self.database(getattr(self.settings, role))
        self._shipper.add(self._journals[role], database, sink, self._folders(role))

    def _folders(self, role: str) -> Folders:
        from NexusCore.delivery import Folders

        return Folders(self.settings.home, role, getattr(self.settings, role))


def _program() -> str:
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    name = spec.name.removesuffix(".__main__") if spec is not None else Path(sys.argv[0] or "python").stem
    return str(name).removeprefix("Tools.") or "python"


_app: App | None = None
_app_lock = threading.Lock()
api_stop_event = StopEvent()
"""Set by `shutdown`; loops of the application watch it."""


def app() -> App:
    """Return the process's `App`, made at first use."""
    global _app
    with _app_lock:
        if _app is None:
            _app = App()
            _app.stop_event = api_stop_event
        return _app


def get_config(root: str | None = None, version: str | None = None) -> NamedConfiguration:
    """Return the configuration from the folder `root` down; see `App.get_config`."""
    return app().get_config(root, version)


def get_status(channel: str) -> StatusHolder:
    """Return a status channel; see `App.get_status`."""
    return app().get_status(channel)


def get_log(name: str, prefix: Prefix | None = None) -> Log:
    """Return a logger; see `App.get_log`."""
    return app().get_log(name, prefix)


def _get_prefixed(name: str, prefix: Prefix) -> PrefixedLog:
    return cast("PrefixedLog", get_log(name, prefix))


def _let_loggers_travel() -> None:
    """Pickle a logger as its name, as the standard library does."""
    from NexusCore.log.logger import Log, PrefixedLog

    copyreg.pickle(Log, lambda log: (get_log, (log.name,)))
    copyreg.pickle(PrefixedLog, lambda log: (_get_prefixed, (log.name, log.prefix)))


def route_log(name: str, level: int = 0) -> None:
    """Also store what a library logs with the standard library's logging.

    Parameters
    ----------
    name
        Logger of the library; those below it are included.
    level
        Lowest level to store; 0 keeps that of the logger.
    """
    app().logs.route(name, level)


def shutdown(seconds: float = SHUTDOWN_SECONDS) -> Report:
    """Stop all services of the API and deliver what was accepted; see `App.shutdown`. Sets `api_stop_event`."""
    from NexusCore.delivery import Report

    report = _app.shutdown(seconds) if _app is not None else Report(0, 0, 0)
    api_stop_event.set()  # also without an App
    return report


def reset() -> None:
    """Shut down and forget everything, so that the next call reads the settings again."""
    global _app
    shutdown()
    with _app_lock:
        _app = None
    api_stop_event.clear()


def _at_exit(end: Callable[[], object]) -> None:
    """Deliver what a program that did not call `shutdown` has accepted; briefly, since it is ending."""
    if _app is not None and not api_stop_event.is_set():
        end()


def _after_the_end() -> None:
    """Deliver what exit functions have logged after `shutdown`."""
    shipper = sys.modules.get("NexusCore.delivery.shipper")
    if shipper is not None:
        shipper.deliver_at_exit()


# Called in reverse order. What delivery registers itself is called too early for this: it is imported at first use, so
# after what the program has registered by then.
atexit.register(_after_the_end)
atexit.register(_at_exit, lambda: shutdown(2.0))
