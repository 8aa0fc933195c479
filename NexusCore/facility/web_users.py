"""Users of the web pages, and the key that signs their cookies: the tables `web_user` and `web_setting`.

Promises
--------
* A password is stored as its Argon2 hash alone: who reads the table cannot log in with what is there.
* Users and key change in one transaction: pages never see some of the new users with the old key.
* A name that nobody has takes as long to refuse as a wrong password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from NexusCore import sizes
from NexusCore.clock import Clock
from NexusCore.errors import EXIT_REFUSED, NexusError
from NexusCore.storage import Database, Transaction
from NexusCore.storage.rows import TEXT, TIME, WHOLE, Columns, Odd

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SIGNING_KEY = "signing_key"
"""Name of the setting with the key that signs cookies."""

WEB_USER = Columns("web_user", {"id": WHOLE, "name": TEXT, "password_hash": TEXT, "changed_ts": TIME})
WEB_SETTING = Columns("web_setting", {"name": TEXT, "value": TEXT, "changed_ts": TIME})
_SELECTED = WEB_USER.only("name", "password_hash", "changed_ts")
_VALUE = WEB_SETTING.only("value")

_SELECT_USERS = "SELECT name, password_hash, changed_ts FROM web_user"
_SELECT_SETTING = "SELECT value FROM web_setting WHERE name = :name"
_UPDATE_HASH = """
    -- unless the password has just been changed
    UPDATE web_user SET password_hash = :new WHERE name = :name AND password_hash = :old
"""
_HASH = re.compile(r"\$argon2(?:id|i|d)\$")


class PasswordRefused(NexusError):
    """The password of '{name}' cannot be used: {reason}."""

    exit_code = EXIT_REFUSED


@dataclass(frozen=True, slots=True)
class WebUser:
    """A user of the web pages."""

    name: str
    password_hash: str
    """In Argon2's own form, with its parameters: ``$argon2id$v=19$...``."""
    changed_ts: int
    """When it was last set, in microseconds since the epoch, UTC."""
    odd: Odd = ()
    """Messages about fields that cannot be read; such a user cannot log in."""


class WebUsers:
    """The tables `web_user` and `web_setting`.

    Parameters
    ----------
    database, clock
        The facility's own database; the clock says when something changed.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> list[WebUser]:
        """Return all users, ordered by name."""
        with self._database.reading() as reading:
            return [_SELECTED.make(WebUser, row) for row in reading.all(f"{_SELECT_USERS} ORDER BY name")]

    def signing_key(self) -> str | None:
        """Return the key that signs cookies; None if none is stored."""
        return self._database.read(_stored_key)

    def is_empty(self) -> bool:
        """Return whether there is neither a user nor a key."""

        def work(reading: Transaction) -> bool:
            return _stored_key(reading) is None and reading.one(f"{_SELECT_USERS} LIMIT 1") is None

        return self._database.read(work)

    def update(self, hashes: Mapping[str, str], signing_key: str, *, overwrite_key: bool = True) -> bool:
        """Set users and the key in one transaction; other users stay. Return whether the key was set.

        Parameters
        ----------
        hashes
            Hash of each user's password, by name; see `hash_password`.
        signing_key, overwrite_key
            The key, and whether it replaces a stored one.

        Raises
        ------
        TooLong
            If a name cannot be stored whole.
        """
        for name in hashes:
            sizes.check_length("The name of the user", name, sizes.NAME)

        def work(transaction: Transaction) -> bool:
            now = self._clock.now()
            users = [(name, password_hash, now) for name, password_hash in hashes.items()]
            if users:
                transaction.upsert("web_user", ("name", "password_hash", "changed_ts"), ("name",), users)
            sets_key = overwrite_key or _stored_key(transaction) is None
            if sets_key:
                setting = (SIGNING_KEY, signing_key, now)
                transaction.upsert("web_setting", ("name", "value", "changed_ts"), ("name",), [setting])
            return sets_key

        return self._database.write(work)

    def check(self, name: str, password: str) -> bool:
        """Return whether a user has a password; store its hash again if it was made with weaker parameters."""
        from argon2.exceptions import Argon2Error, InvalidHashError

        def find(reading: Transaction) -> WebUser | None:
            row = reading.one(f"{_SELECT_USERS} WHERE name = :name", name=name)
            return None if row is None else _SELECTED.make(WebUser, row)

        if not sizes.fits(password, sizes.PASSWORD):
            return False
        user = self._database.read(find)
        known = user is not None and not user.odd
        stored = user.password_hash if user is not None and known else _unknown_hash()
        try:
            _hasher().verify(stored, password.encode("utf-8", "surrogatepass"))
        except (Argon2Error, InvalidHashError):
            return False
        if known and _hasher().check_needs_rehash(stored):
            new = hash_password(name, password)
            self._database.write(lambda transaction: transaction.run(_UPDATE_HASH, new=new, name=name, old=stored))
        return known


def hash_password(name: str, password: str) -> str:
    """Return the Argon2 hash of a user's password; a text that is one already is returned as it is.

    Raises
    ------
    PasswordRefused
        If the password is empty or too long, or looks like a hash but is none.
    """
    from argon2 import extract_parameters
    from argon2.exceptions import InvalidHashError

    if not password:
        raise PasswordRefused(name=name, reason="it is empty")
    if not sizes.fits(password, sizes.PASSWORD):
        raise PasswordRefused(name=name, reason=f"it has more than {sizes.PASSWORD:,} bytes")
    if not _HASH.match(password):
        return _hasher().hash(password.encode("utf-8", "surrogatepass"))
    try:
        extract_parameters(password)
    except InvalidHashError:
        raise PasswordRefused(name=name, reason="it begins like an Argon2 hash, but is not a valid one") from None
    return password


def _stored_key(reading: Transaction) -> str | None:
    row = reading.one(_SELECT_SETTING, name=SIGNING_KEY)
    if row is None:
        return None
    (value,), odd = _VALUE.read(row)
    # With a key that is empty, or only what could be read of one, anybody could sign: it counts as none.
    return None if odd or not value else str(value)


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # its library belongs to the services that check passwords

    return PasswordHasher()


@lru_cache(maxsize=1)
def _unknown_hash() -> str:
    """Return the hash that a password is compared with if nobody has the name."""
    import secrets

    return _hasher().hash(secrets.token_bytes(32))
