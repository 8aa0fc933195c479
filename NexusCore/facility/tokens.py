"""Tokens: what lets a microscope PC use the Gateway, and only for its own instruments.

Promises
--------
* A token has 256 random bits; the database holds its SHA-256, so that a reader of the table cannot use it.
* A PC, by name, has one token that is valid; a new one is made after the old one was revoked or has expired.
* A revoked or expired token is refused from that moment on.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from NexusCore import sizes
from NexusCore.clock import Clock
from NexusCore.errors import EXIT_REFUSED, DatabaseRefused, NexusError
from NexusCore.storage import Database, Transaction
from NexusCore.storage.rows import DUE, TEXT, TIME, WHOLE, Column, Columns, Odd, choice, optional
from NexusCore.storage.transaction import Row
from NexusCore.text import suggest

TOKEN_BYTES = 32
"""Random bytes of a token."""


class TokenTaken(NexusError):
    """{name} already has a token. Revoke it first with: SessionTool token revoke {name}"""  # noqa: D400

    exit_code = EXIT_REFUSED


class NoSuchToken(NexusError):
    """There is no valid token with the name or number '{which}'.{hint}"""  # noqa: D400


class TokenKind(StrEnum):
    """What a token is for."""

    PC = "PC"
    """Sessions at the instruments of a microscope PC."""
    METRICS = "METRICS"
    """The figures of `GET /metrics`, and nothing else."""
    UNKNOWN = "UNKNOWN"
    """Read in place of an unknown stored value; never stored."""


def _names(value: Any) -> tuple[str, ...]:
    try:
        names = json.loads(value)
    except (TypeError, RecursionError) as error:
        raise ValueError(value) from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(value)
    return tuple(names)


NAMES = Column("a JSON list of names", _names, lambda value: ())

TOKEN = Columns(
    "token",
    {
        "id": WHOLE,
        "name": TEXT,
        "kind": choice(TokenKind, "a kind of token"),
        "sha256": TEXT,
        "instruments": NAMES,
        "made_by": TEXT,
        "made_ts": TIME,
        "until_ts": optional(DUE),
        "revoked_ts": optional(TIME),
        "seen_ts": optional(TIME),
        "active_name": optional(TEXT),
    },
)
_SELECTED = TOKEN.only(
    "id", "name", "kind", "sha256", "instruments", "made_by", "made_ts", "until_ts", "revoked_ts", "seen_ts"
)

_SELECT_TOKENS = """
    SELECT id, name, kind, sha256, instruments, made_by, made_ts, until_ts, revoked_ts, seen_ts FROM token
"""
_REVOKE = """
    -- the name is free for a new token then
    UPDATE token SET revoked_ts = :now, active_name = NULL WHERE id = :id AND revoked_ts IS NULL
"""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token, without the secret itself."""

    id: int
    name: str
    """Name of the PC that has it."""
    kind: TokenKind
    sha256: str
    instruments: tuple[str, ...]
    """Pids of the instruments that it is for."""
    made_by: str
    made_ts: int
    """Microseconds since the epoch, UTC, like the other times."""
    until_ts: int | None
    """When it expires; None for never."""
    revoked_ts: int | None
    seen_ts: int | None
    """When it was last used, to about a minute."""
    odd: Odd = ()
    """Messages about fields that cannot be read; such a token is refused."""

    def is_valid(self, now: int) -> bool:
        """Return whether it may be used at a time."""
        return not self.odd and self.revoked_ts is None and (self.until_ts is None or now < self.until_ts)


class AccessTokens:
    """The table `token`.

    Parameters
    ----------
    database, clock
        The facility's own database; the clock decides what has expired.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def make(
        self,
        name: str,
        instruments: Sequence[str],
        made_by: str,
        *,
        until_ts: int | None = None,
        kind: TokenKind = TokenKind.PC,
    ) -> tuple[AccessToken, str]:
        """Make a token; return it, and the secret, which cannot be read again.

        Parameters
        ----------
        name, instruments, made_by
            Name of the PC, pids of its instruments, and who made it.
        until_ts, kind
            When it expires (None for never), and what it is for.

        Raises
        ------
        TokenTaken
            If the PC has a valid token.
        TooLong
            If a name cannot be stored whole.
        """
        sizes.check_length("The name of the computer", name, sizes.NAME)
        secret = secrets.token_urlsafe(TOKEN_BYTES)

        def make(transaction: Transaction) -> AccessToken:
            now = self._clock.now()
            row = transaction.one(f"{_SELECT_TOKENS} WHERE active_name = :name", name=_short(name))
            if row is not None:
                if _token(row).is_valid(now):
                    raise TokenTaken(name=name)
                transaction.run(_REVOKE, now=now, id=_token(row).id)
            number = transaction.insert(
                "token",
                name=name,
                kind=kind.value,
                sha256=digest_of(secret),
                instruments=json.dumps(list(instruments), ensure_ascii=False),
                made_by=made_by[: sizes.NAME],
                made_ts=now,
                until_ts=until_ts,
                active_name=_short(name),
            )
            row = transaction.one(f"{_SELECT_TOKENS} WHERE id = :id", id=number)
            assert row is not None  # noqa: S101  it was inserted in this transaction
            return _token(row)

        try:
            return self._database.write(make), secret
        except DatabaseRefused:  # two were made for one PC at the same time
            if any(_short(token.name) == _short(name) for token in self.all()):
                raise TokenTaken(name=name) from None
            raise

    def all(self, *, revoked: bool = False) -> list[AccessToken]:
        """Return the tokens in the order in which they were made; with `revoked`, revoked ones, too."""
        condition = "" if revoked else "WHERE revoked_ts IS NULL"
        with self._database.reading() as reading:
            return [_token(row) for row in reading.all(f"{_SELECT_TOKENS} {condition} ORDER BY id")]

    def revoke(self, which: str) -> AccessToken:
        """Revoke a token, given by the name of its PC or by its number; return it.

        Raises
        ------
        NoSuchToken
            If there is none that is not revoked.
        """

        def revoke(transaction: Transaction) -> AccessToken:
            rows = transaction.all(f"{_SELECT_TOKENS} WHERE revoked_ts IS NULL ORDER BY id")
            tokens = [_token(row) for row in rows]
            token = next((token for token in tokens if _short(token.name) == _short(which)), None)
            token = token or next((token for token in tokens if str(token.id) == which), None)
            if token is None:
                raise NoSuchToken(which=which, hint=suggest(which, [token.name for token in tokens]))
            transaction.run(_REVOKE, now=self._clock.now(), id=token.id)
            return token

        return self._database.write(revoke)

    def of(self, secret: str) -> AccessToken | None:
        """Return the valid token with a secret; None if there is none."""
        digest = digest_of(secret)

        def find(reading: Transaction) -> AccessToken | None:
            row = reading.one(f"{_SELECT_TOKENS} WHERE sha256 = :digest", digest=digest)
            return None if row is None else _token(row)

        token = self._database.read(find)
        # SQLite compares texts by their bytes, and so does the server; this does not depend on where they differ.
        if token is None or not hmac.compare_digest(token.sha256, digest) or not token.is_valid(self._clock.now()):
            return None
        return token

    def seen(self, token: AccessToken) -> None:
        """Note that a token was used just now."""
        sql = "UPDATE token SET seen_ts = :now WHERE id = :id"
        self._database.write(lambda transaction: transaction.run(sql, now=self._clock.now(), id=token.id))


def _short(name: str) -> str:
    """Return a computer's name without its domain, in lower case: a PC has one valid token, however it is written."""
    return name.partition(".")[0].lower()


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a token, in hexadecimal digits; any text has one."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _token(row: Row) -> AccessToken:
    return _SELECTED.make(AccessToken, row)
