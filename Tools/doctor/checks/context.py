"""What the checks look at: the settings, the databases and the configuration, each asked once for all of them.

Promises
--------
* Nothing is changed, and no database is made.
* Whatever does not answer within the limit counts as not answering; no check waits for it again.
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
from Tools.doctor.checks.timeouts import begun

if TYPE_CHECKING:
    from NexusCore.storage import Database
    from Tools.doctor.checks.config_view import ReadOnlyConfiguration

CHECKS_SECONDS = 6.0
"""Seconds that all looking may take together; a driver gives up after five."""
ROLES = ("configuration", "status", "log", "sessions")


class NotLookedAt(NexusError):
    """Not looked at, since {reason}."""


class NoDatabaseYet(NexusError):
    """The embedded database {path} does not exist yet."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A database that answers."""

    database: Database
    revision: str | None
    """Of its tables; None if it has none."""


class Case:
    """One examination.

    Parameters
    ----------
    environment
        Variables of this process.
    clock
        Tells the time.
    limit
        Seconds that it may take.
    """

    def __init__(
        self, environment: Mapping[str, str] = os.environ, clock: Clock = SYSTEM_CLOCK, limit: float = CHECKS_SECONDS
    ) -> None:
        self.environment = environment
        self.clock = clock
        self.limit = limit
        self._end = clock.monotonic() + limit
        self._lock = Lock()
        self._contacts: dict[DatabaseURL, Future[Contact]] = {}
        self._configuration: Future[ReadOnlyConfiguration] | None = None
        self._settings: Settings | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Say goodbye to the databases that answered: servers count who does not."""
        for asked in list(self._contacts.values()):
            if asked.done() and asked.exception() is None:
                asked.result().database.close()

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._end - self.clock.monotonic())

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
        """Return what a database is used for."""
        of_roles = (self.settings.config, self.settings.status, self.settings.log, self.settings.main)
        return [role for role, role_url in zip(ROLES, of_roles, strict=True) if role_url == url]

    def contact(self, url: DatabaseURL) -> Contact:
        """Return a database that answers.

        Raises
        ------
        NexusError
            If it does not.
        """
        with self._lock:
            asked = self._contacts.get(url) or begun(lambda: _reach(url))
            self._contacts[url] = asked
        try:
            return asked.result(self.left)
        except TimeoutError:
            if asked.done():
                raise
            raise DatabaseUnreachable(where=url, reason=f"no answer within {self.limit:g} s") from None

    def database(self, url: DatabaseURL) -> Database:
        """Return a database with tables that can be read.

        Raises
        ------
        NotLookedAt
            If it does not answer, or has other tables; the check of the databases says why.
        """
        from NexusCore.storage.engine import SCHEMA_REVISION

        try:
            found = self.contact(url)
        except NoDatabaseYet:
            raise NotLookedAt(reason="there is no database yet") from None
        except DatabaseUnreachable:
            raise NotLookedAt(reason=f"{url} does not answer") from None
        except NexusError:
            raise NotLookedAt(reason=f"{url} cannot be used") from None
        if found.revision != SCHEMA_REVISION:
            raise NotLookedAt(reason=f"{url} does not have the tables that this program knows")
        return found.database

    def configuration(self) -> ReadOnlyConfiguration:
        """Return the configuration, or its snapshot where the database cannot be read.

        Raises
        ------
        NotLookedAt
            If there is neither.
        """
        with self._lock:
            future = self._configuration = self._configuration or begun(self._read_configuration)
        try:
            return future.result(self.left)
        except TimeoutError:
            raise NotLookedAt(reason=f"the configuration was not read within {self.limit:g} s") from None

    def _read_configuration(self) -> ReadOnlyConfiguration:
        from NexusCore.config.store import ConfigStore
        from Tools.doctor.checks.config_view import read_snapshot, read_stored

        try:
            database = self.database(self.settings.config)
        except NotLookedAt:
            saved = read_snapshot(self.settings)
            if saved is None:
                raise
            return saved
        return read_stored(ConfigStore(database, self.clock))


def _reach(url: DatabaseURL) -> Contact:
    from NexusCore.storage import Database

    if url.kind == "sqlite" and url.embedded and not Path(url.name).exists():
        raise NoDatabaseYet(path=url.name)
    # Without the comparison that all other programs make: what is wrong is told in detail, and all at once.
    database = Database(url, check_schema=False)
    try:
        with database.reading() as reading:
            row = reading.one("SELECT version_num FROM alembic_version")
    except SchemaMissing:
        return Contact(database, None)
    return Contact(database, str(row[0]) if row else None)
