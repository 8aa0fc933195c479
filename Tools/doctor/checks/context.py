"""What the checks share: the settings, the databases and the configuration, each read once.

Promises
--------
* Nothing is changed, and no database is created.
* A database silent for longer than the limit counts as not answering; no check waits for it again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Self

from NexusCore import settings as _settings
from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.errors import DatabaseUnreachable, NexusError, SchemaMissing
from NexusCore.settings import DatabaseURL, Settings
from NexusCore.threads import start_thread

if TYPE_CHECKING:
    from NexusCore.config.loaded import LoadedConfiguration
    from NexusCore.storage import Database

CHECKS_SECONDS = 20.0
"""Seconds that all checks may take together: on a busy machine, they are slow without anything being wrong."""
ANSWER_SECONDS = 6.0
"""Seconds of those after which a database or disk that is silent does not answer; a driver gives up after five."""
REPORT_SECONDS = 0.5
"""Seconds after the limit for checks that waited for a silent database to report it."""
UNFINISHED = ""
"""Stands for the revision of tables that do not say theirs."""
ROLES = ("configuration", "status", "log", "sessions")


class CheckSkipped(NexusError):
    """Not checked: {reason}."""


class NoDatabaseYet(NexusError):
    """The embedded database {path} does not exist yet."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A database that answers."""

    database: Database
    revision: str | None
    """Revision of its tables; None without tables, empty while they are being created."""


class Case:
    """One run of the checks.

    Parameters
    ----------
    environment
        Variables of this process.
    clock
        Clock for the limit.
    limit
        Seconds that the run may take.
    """

    def __init__(
        self, environment: Mapping[str, str] = os.environ, clock: Clock = SYSTEM_CLOCK, limit: float = CHECKS_SECONDS
    ) -> None:
        self.environment = environment
        self.clock = clock
        self.limit = limit
        begin = clock.monotonic()
        self._end = begin + limit
        self._answers_by = begin + min(limit, ANSWER_SECONDS)
        self._lock = Lock()
        self._contacts: dict[DatabaseURL, Future[Contact]] = {}
        self._configuration: Future[LoadedConfiguration] | None = None
        self._settings: Settings | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections: servers count those that just vanish."""
        for contact in list(self._contacts.values()):
            if contact.done() and contact.exception() is None:
                contact.result().database.close()

    @property
    def left(self) -> float:
        """Seconds that are left until the limit."""
        return max(0.0, self._end - self.clock.monotonic())

    @property
    def left_to_answer(self) -> float:
        """Seconds that are left for a database or disk to answer."""
        return max(0.0, self._answers_by - self.clock.monotonic())

    @property
    def left_to_report(self) -> float:
        """Seconds that are left for a check to yield its results."""
        return max(0.0, self._end + REPORT_SECONDS - self.clock.monotonic())

    @property
    def settings(self) -> Settings:
        """The settings.

        Raises
        ------
        SettingsRefused, SettingsUnreadable, BadDatabaseURL
            If they cannot be used.
        """
        with self._lock:
            if self._settings is None:
                self._settings = _settings.load(self.environment)
            return self._settings

    def roles(self, url: DatabaseURL) -> list[str]:
        """Return the roles that a database has in the settings."""
        of_roles = (self.settings.config, self.settings.status, self.settings.log, self.settings.main)
        return [role for role, role_url in zip(ROLES, of_roles, strict=True) if role_url == url]

    def contact(self, url: DatabaseURL) -> Contact:
        """Return the connection to a database.

        Raises
        ------
        NexusError
            If the database does not answer.
        """
        with self._lock:
            future = self._contacts.get(url) or start_thread(lambda: _connect(url))
            self._contacts[url] = future
        try:
            return future.result(self.left_to_answer)
        except TimeoutError:
            if future.done():
                raise
            waited = min(self.limit, ANSWER_SECONDS)
            raise DatabaseUnreachable(where=url, reason=f"no answer within {waited:g} s") from None

    def database(self, url: DatabaseURL) -> Database:
        """Return a database whose tables this program can read.

        Raises
        ------
        CheckSkipped
            If it does not answer, or has tables of another revision; the check of the databases says why.
        """
        from NexusCore.storage.revision import SCHEMA_REVISION

        try:
            contact = self.contact(url)
        except NoDatabaseYet:
            raise CheckSkipped(reason="the database does not exist yet") from None
        except DatabaseUnreachable:
            raise CheckSkipped(reason=f"{url} does not answer") from None
        except NexusError:
            raise CheckSkipped(reason=f"{url} cannot be used") from None
        if contact.revision == UNFINISHED:
            raise CheckSkipped(reason=f"the tables of {url} are not complete")
        if contact.revision != SCHEMA_REVISION:
            raise CheckSkipped(reason=f"the tables of {url} are not of revision {SCHEMA_REVISION}")
        return contact.database

    def configuration(self) -> LoadedConfiguration:
        """Return the configuration, or its snapshot where the database cannot be read.

        Raises
        ------
        CheckSkipped
            If neither can be read.
        """
        with self._lock:
            future = self._configuration = self._configuration or start_thread(self._read_configuration)
        try:
            return future.result(self.left)
        except TimeoutError:
            raise CheckSkipped(reason=f"the configuration was not read within {self.limit:g} s") from None

    def _read_configuration(self) -> LoadedConfiguration:
        from NexusCore.config.loaded import load_configuration, load_snapshot
        from NexusCore.config.store import ConfigStore

        try:
            database = self.database(self.settings.config)
        except CheckSkipped:
            saved = load_snapshot(self.snapshot_file())
            if saved is None:
                raise
            return saved
        return load_configuration(ConfigStore(database, self.clock))

    def snapshot_file(self) -> Path:
        """Return the file in which programs save the configuration that they read last."""
        from NexusCore.config import snapshot

        return snapshot.file_of(self.settings.home, self.settings.config)


def _connect(url: DatabaseURL) -> Contact:
    from NexusCore.storage import Database
    from NexusCore.storage.engine import stored_revision

    if url.kind == "sqlite" and url.embedded and not Path(url.name).exists():
        raise NoDatabaseYet(path=url.name)
    # Other programs refuse tables of another revision here; Doctor reports them in detail.
    database = Database(url, check_schema=False, create=False)
    try:
        with database.reading() as reading:
            return Contact(database, stored_revision(reading) or UNFINISHED)
    except SchemaMissing:
        return Contact(database, None)
