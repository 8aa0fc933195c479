"""Which session is meant, and what the commands work with."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from NexusCore import identity, settings
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import NexusError, NoOpenSession, NoSuchSession
from NexusCore.facility.sessions import Client, Session, Sessions
from NexusCore.storage import Database
from NexusCore.text import suggest

if TYPE_CHECKING:
    from NexusCore.facility.records import Records

SHOWN = 3
"""Sessions that the sentence about an ambiguous beginning names."""


class NotUnique(NexusError):
    """More than one session begins with '{identifier}': {which}. Type more of it."""


class Desk:
    """The facility's databases, and who asks."""

    def __init__(self) -> None:
        self._settings = settings.load()
        self._databases = {url: Database(url) for url in self._settings.databases}
        self.database = self._databases[self._settings.main]
        self.log = self._databases[self._settings.log]
        self.status = self._databases[self._settings.status]
        self.sessions = Sessions(self.database, SYSTEM_CLOCK)

    @cached_property
    def records(self) -> Records:
        """The records, and what became of them."""
        from NexusCore.facility.records import Records

        return Records(self.database, SYSTEM_CLOCK)

    @staticmethod
    def client(account: str | None = None) -> Client:
        """Return who reports an event: the user of the tool, or an account that is named."""
        zone = datetime.now().astimezone().strftime("%z")
        return Client(user=account or identity.user(), host=identity.host(), zone=zone)

    def session(self, identifier: str) -> Session:
        """Return the session of an identifier, or of the beginning of one if only one begins so.

        Raises
        ------
        NoSuchSession, NotUnique
            If it is none, or several.
        """
        alike = self.sessions.beginning(identifier, SHOWN + 1) if identifier else []
        if not alike or identifier == alike[0].identifier:  # which comes before all that are longer
            return alike[0] if alike else self.sessions.get(identifier)
        if len(alike) > 1:
            which = ", ".join(session.identifier for session in alike[:SHOWN]) + (", ..." if len(alike) > SHOWN else "")
            raise NotUnique(identifier=identifier, which=which)
        return alike[0]

    def open_or_named(self, which: str) -> Session:
        """Return the session that is open on an instrument, or the one of an identifier.

        Raises
        ------
        NoOpenSession
            If it is an instrument, and none is open there.
        NoSuchSession, NotUnique
            If it is neither.
        """
        found = self.sessions.open_on(which)
        if found is not None:
            return found
        try:
            return self.session(which)
        except NoSuchSession as error:
            from Tools.common.configuration import open_configuration

            known = open_configuration().instruments()
            if which in known:
                raise NoOpenSession(instrument=which) from None
            raise NoSuchSession(identifier=which, hint=error.facts["hint"] or suggest(which, known)) from None
