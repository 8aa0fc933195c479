"""Finding the session that the user means, and the databases for the commands."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from NexusCore import identity, settings
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import NexusError, NoOpenSession, NoSuchSession, NoSuchVersionException
from NexusCore.facility.sessions import Client, Session, Sessions
from NexusCore.storage import Database
from NexusCore.text import suggest

if TYPE_CHECKING:
    from NexusCore.facility.records import Records

SHOWN = 3
"""Sessions named in the message about an ambiguous identifier."""


class NotUnique(NexusError):
    """Several sessions begin with '{identifier}': {which}. Type more of the identifier."""


class NotASession(NexusError):
    """'{pid}' is an instrument, not a session{newest}; SessionTool list --instrument {pid} shows its sessions."""


class Desk:
    """The facility's databases, and the user of the tool."""

    def __init__(self) -> None:
        self._settings = settings.load()
        self._databases = {url: Database(url, create=False) for url in self._settings.databases}
        self.database = self._databases[self._settings.main]
        self.log = self._databases[self._settings.log]
        self.status = self._databases[self._settings.status]
        self.sessions = Sessions(self.database, SYSTEM_CLOCK)

    @cached_property
    def records(self) -> Records:
        """The records and their uploads."""
        from NexusCore.facility.records import Records

        return Records(self.database, SYSTEM_CLOCK)

    @staticmethod
    def client(account: str | None = None) -> Client:
        """Return who reports an event: the user of the tool, or the given account."""
        zone = datetime.now().astimezone().strftime("%z")
        return Client(user=account or identity.user(), host=identity.host(), zone=zone)

    def session(self, identifier: str) -> Session:
        """Return the session of an identifier, or of an unambiguous beginning of it.

        Raises
        ------
        NoSuchSession, NotUnique
            If no session, or more than one, begins with it.
        """
        matches = self.sessions.beginning(identifier, SHOWN + 1) if identifier else []
        if not matches:
            self._refuse_instrument(identifier)
            return self.sessions.get(identifier)
        if identifier == matches[0].identifier:  # an exact match sorts first
            return matches[0]
        if len(matches) > 1:
            which = ", ".join(session.identifier for session in matches[:SHOWN]) + (
                ", ..." if len(matches) > SHOWN else ""
            )
            raise NotUnique(identifier=identifier, which=which)
        return matches[0]

    def _refuse_instrument(self, identifier: str) -> None:
        from Tools.common.configuration import open_configuration

        with suppress(NoSuchVersionException):
            if identifier in open_configuration().instruments():
                sessions = self.sessions.newest(identifier, count=1)
                newest = f" (its newest one is {sessions[0].identifier})" if sessions else ""
                raise NotASession(pid=identifier, newest=newest)

    def newest_or_named(self, which: str) -> Session:
        """Return the open session of an instrument, else its newest one; or the session of an identifier.

        Raises
        ------
        NoSuchSession, NotASession, NotUnique
            If it is neither a session nor an instrument with sessions, or ambiguous.
        """
        try:
            return self.open_or_named(which)
        except NoOpenSession:
            newest = self.sessions.newest(which, count=1)
            if not newest:
                raise NotASession(pid=which, newest="") from None
            return newest[0]

    def open_or_named(self, which: str) -> Session:
        """Return the open session of an instrument, or the session of an identifier.

        Raises
        ------
        NoOpenSession
            If it is an instrument without an open session.
        NoSuchSession, NotUnique
            If it is neither an instrument nor a session, or ambiguous.
        """
        session = self.sessions.open_on(which)
        if session is not None:
            return session
        try:
            return self.session(which)
        except NotASession:
            raise NoOpenSession(instrument=which) from None
        except NoSuchSession as error:
            from Tools.common.configuration import open_configuration

            known = open_configuration().instruments()
            raise NoSuchSession(identifier=which, hint=error.facts["hint"] or suggest(which, known)) from None
