"""Who sends a request, and what that token is for.

Promises
--------
* A token opens its own instruments only; answers do not show whether another one, or a session there, exists.
* The events of a session need its own token besides. It is made from the PC's token and a random number that only the
  database has, so that the answer to a START can be given again although no token is stored.
* Tokens are compared in constant time, by their digests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import math
import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from NexusCore.clock import SECOND
from NexusCore.facility.session_tokens import GuardedSession, guarded
from NexusCore.facility.tokens import AccessToken, TokenKind, digest_of
from Services.Gateway.context import GatewayContext, context_of
from Services.Gateway.problems import Problem
from Services.Gateway.settings import LOOPBACK_ONLY

API_LEVEL = 1
"""Level of this API; raised when clients of the former one would misunderstand it."""
OLDEST_API_LEVEL = 1
"""The oldest level that is answered, too."""
SEEN_SECONDS = 60
"""A token's last use is stored to within this time: a write for each request would be too much."""
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,3}")
_BEARER = HTTPBearer(
    auto_error=False, description="The token of the PC: SessionTool token make", scheme_name="PC token"
)


@dataclass(frozen=True, slots=True)
class PCIdentity:
    """The PC that sends a request."""

    token: AccessToken
    secret: str
    """The token itself."""

    @property
    def name(self) -> str:
        """Name of the PC."""
        return self.token.name

    def check_instrument(self, pid: str) -> None:
        """Raise `Problem` if an instrument is not this PC's."""
        if pid not in self.token.instruments:
            raise Problem(403, "This token is not for that instrument.", "wrong-instrument")


def address_of(request: Request) -> str:
    """Return the address that a request came from."""
    return request.client.host if request.client is not None else ""


async def compatible(
    request: Request,
    nexuscore_api: Annotated[
        str | None, Header(alias="NexusCore-API", description="API level of the client; refused if it is not known.")
    ] = None,
    nexuscore_client: Annotated[
        str | None, Header(alias="NexusCore-Client", description="Version of the client, such as 1.2.0.")
    ] = None,
) -> None:
    """Refuse a client that would not understand the answers, or that the facility no longer accepts."""
    levels: dict[str, Any] = {"api": API_LEVEL, "oldest_api": OLDEST_API_LEVEL}
    if nexuscore_api is not None:
        level = int(nexuscore_api) if re.fullmatch(r"[0-9]{1,9}", nexuscore_api) else -1
        if not OLDEST_API_LEVEL <= level <= API_LEVEL:
            newer = "Update the session logger on this computer." if level < OLDEST_API_LEVEL else "Update the Gateway."
            sentence = f"This client speaks another API level than this Gateway, which has level {API_LEVEL}. {newer}"
            raise Problem(400, sentence, "incompatible-client", "Incompatible client", **levels)
    oldest = context_of(request).settings.oldest_client
    if nexuscore_client is not None and _is_older(nexuscore_client, oldest):
        sentence = f"This facility needs version {oldest} of the session logger or a newer one. Update this computer."
        raise Problem(400, sentence, "incompatible-client", "Incompatible client", oldest_client=oldest, **levels)


async def open_to_all(request: Request) -> None:
    """Limit the requests that need no token, for each address."""
    context = context_of(request)
    _not_too_often(context.failures.take((address_of(request), "open"), context.settings.requests_per_minute))


async def pc_of(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> PCIdentity:
    """Return the PC whose token a request has.

    Raises
    ------
    Problem
        If it has no valid token, or has asked too often.
    """
    identity = await _identity(request, credentials)
    if identity is None or identity.token.kind is not TokenKind.PC:
        raise _no_token(request)
    return identity


async def transferring_pc(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> PCIdentity:
    """Return the PC that sends a request about files: they have an allowance of their own.

    Raises
    ------
    Problem
        As `pc_of`.
    """
    identity = await _identity(request, credentials, files=True)
    if identity is None or identity.token.kind is not TokenKind.PC:
        raise _no_token(request)
    return identity


async def check_before_body(request: Request) -> None:
    """Refuse a request with a large body before that is read, unless it has a valid token."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    context = context_of(request)
    valid = scheme.lower() == "bearer" and secret.isascii() and secret != ""
    if not valid or await context.transfer_calls.run(lambda: context.tokens.of(secret.strip())) is None:
        raise _no_token(request)


async def reader_of_metrics(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> None:
    """Refuse who may not read the figures."""
    if context_of(request).settings.metrics == LOOPBACK_ONLY:
        try:
            here = ipaddress.ip_address(address_of(request)).is_loopback
        except ValueError:
            here = False
        if not here:
            raise Problem(403, "The figures are for programs on the Gateway's machine only.")
        return
    identity = await _identity(request, credentials)
    if identity is None or identity.token.kind is not TokenKind.METRICS:
        raise _no_token(request)


def authorized_session(
    context: GatewayContext, identity: PCIdentity, identifier: str, session_token: str | None = None, *, own: bool
) -> GuardedSession:
    """Return a session that a PC may see; with `own`, change.

    Parameters
    ----------
    context, identity
        The Gateway and the PC.
    identifier, session_token, own
        The session; its token; whether it is needed.

    Raises
    ------
    Problem
        If there is no such session on an instrument of this PC, or the session's token is missing or wrong.
    """
    found = context.database.read(lambda reading: guarded(reading, identifier))
    if found is None or found.session.instrument not in identity.token.instruments:
        raise Problem(404, "This computer has no such session.", "no-such-session")
    if own:
        if session_token is None:
            raise Problem(403, "This needs the session's own token, which START returned.", "no-session-token")
        if not hmac.compare_digest(found.token_sha256 or "-", digest_of(session_token)):
            raise Problem(403, "This is not the token of that session.", "wrong-session-token")
    return found


def session_token_of(identity: PCIdentity, nonce: str, identifier: str) -> str:
    """Return the token of a session: 256 bits that neither the PC's token nor the database alone can tell."""
    message = f"{nonce}:{identifier}".encode()
    return base64.urlsafe_b64encode(hmac.digest(identity.secret.encode(), message, hashlib.sha256)).decode().rstrip("=")


async def _identity(
    request: Request, credentials: HTTPAuthorizationCredentials | None, *, files: bool = False
) -> PCIdentity | None:
    context = context_of(request)
    secret = credentials.credentials if credentials is not None else ""
    if not secret or not secret.isascii():
        return None
    calls = context.transfer_calls if files else context.calls
    token = await calls.run(lambda: _look_up(context, secret))
    if token is None:
        return None
    if files:
        _not_too_often(context.requests.take(("files", token.id), context.settings.transfer_requests_per_minute))
    else:
        _not_too_often(context.requests.take(token.id, context.settings.requests_per_minute))
    return PCIdentity(token, secret)


def _look_up(context: GatewayContext, secret: str) -> AccessToken | None:
    token = context.tokens.of(secret)
    if token is not None and (token.seen_ts or 0) < context.clock.now() - SEEN_SECONDS * SECOND:
        context.tokens.seen(token)
    return token


def _no_token(request: Request) -> Problem:
    context = context_of(request)
    _not_too_often(context.failures.take(address_of(request), context.settings.failures_per_minute))
    return Problem(
        401,
        "This needs a valid token of this facility: none was sent, or it is not known, revoked or expired.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _not_too_often(seconds: float) -> None:
    if seconds:
        after = math.ceil(seconds)
        raise Problem(429, f"Too many requests. Try again in {after} s.", headers={"Retry-After": str(after)})


def _is_older(version: str, oldest: str) -> bool:
    """Return whether a version is older than `oldest`; text in another form is. Without a valid `oldest`, none is."""
    if not _VERSION.fullmatch(oldest):
        return False
    return _VERSION.fullmatch(version) is None or _numbers(version) < _numbers(oldest)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
