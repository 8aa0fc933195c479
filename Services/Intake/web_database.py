"""The project's database as Overwatch's functions see theirs: a mapping with users and a signing key.

Overwatch keeps both in an object database, below ``db["config"]``. Here they are in tables of their own
(`NexusCore.facility.web_users`); the mapping shows what is in them.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from NexusCore.clock import Clock
from NexusCore.config import NamedConfiguration
from NexusCore.errors import ConfigException
from NexusCore.facility.web_users import WebUsers, hash_password
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database, open_database

WEB = "Web"
"""Folder of the configuration of the web pages."""
USERS, SIGNING_KEY = "users", "signing_key"
CONFIG = "config"
"""The mapping's only key."""
KEY_BYTES = 32
"""Random bytes of a key that nobody has chosen."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WebParameters:
    """What the configuration says of the web pages' users and key."""

    passwords: Mapping[str, str] = field(repr=False)
    """Password of each user, or its Argon2 hash."""
    signing_key: str = field(repr=False)


class DatabaseRoot(Mapping[str, Mapping[str, Any]]):
    """The root of the database: ``root["config"]["users"]`` and ``root["config"]["secretKey"]``, as they are now.

    Parameters
    ----------
    users
        The tables behind it.
    """

    def __init__(self, users: WebUsers) -> None:
        self.users = users

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        if name != CONFIG or self.users.is_empty():
            raise KeyError(name)
        key = self.users.signing_key()
        users = {user.name: user.password_hash for user in self.users.all()}
        return {"users": users, **({"secretKey": key} if key is not None else {})}

    def __iter__(self) -> Iterator[str]:
        return iter([] if self.users.is_empty() else [CONFIG])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def update_from(self, parameters: WebParameters, *, overwrite_key: bool) -> None:
        """Set the users that the configuration names, and the key; other users stay.

        Parameters
        ----------
        parameters
            What the configuration says.
        overwrite_key
            Replace a stored key.
        """
        # First, and outside the transaction: it takes long, and a password may be refused.
        hashes = {name: hash_password(name, password) for name, password in parameters.passwords.items()}
        if self.users.is_empty():
            _LOG.warning("Needed to create the config!")
            _LOG.info("Created the users dict!")
        sets_key = self.users.update(hashes, parameters.signing_key, overwrite_key=overwrite_key)
        for name in hashes:
            _LOG.info("Adding user %s", name)
        if sets_key:
            _LOG.info("Adding secret key to db!")


def opened(url: str, clock: Clock) -> tuple[DatabaseRoot, Database]:
    """Open a database by its URL; return its root, and the database itself, to be closed.

    Raises
    ------
    BadDatabaseURL, DatabaseUnreachable, NoDatabaseFile, SchemaMissing, SchemaMismatch, DatabaseDenied
        If it cannot be used, with a sentence that says why.
    """
    database = open_database(DatabaseURL.parse(url, "getDB"))
    root = DatabaseRoot(WebUsers(database, clock))
    try:
        len(root)  # now, and not at the first use
    except BaseException:
        database.close()
        raise
    return root, database


def web_parameters(config: NamedConfiguration) -> WebParameters:
    """Read users and key from the configuration; without a key there, return a random one.

    Parameters
    ----------
    config
        The configuration from the folder `WEB` on.

    Raises
    ------
    ConfigException
        If a password is not a text.
    SecretWithheld
        If this program may not read secrets.
    """
    config.set_default(
        SIGNING_KEY, "", comment="Key that signs the cookies of the web pages; empty: a random one.", secret=True
    )
    prefix = f"{WEB}.{USERS}."
    passwords = {}
    for parameter in config.get_leaves(USERS):
        name, value = parameter.path.removeprefix(prefix), parameter.get_value()
        if not isinstance(value, str):
            raise ConfigException(reason=f"'{parameter.path}' must be a text, the password of the user")
        if not parameter.limits.secret:
            _LOG.warning("%s can be read by others. Hide it with: ConfigTool set %s --secret", *[parameter.path] * 2)
        passwords[name] = value
    return WebParameters(passwords, str(config[SIGNING_KEY] or "") or secrets.token_hex(KEY_BYTES))
