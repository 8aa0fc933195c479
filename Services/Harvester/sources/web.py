"""Reading a document from a web server that may be slow, gone, wrong or hostile; for all sources that do.

Time-outs on every call, a limit on size and redirects, more attempts where a fault passes by itself. The user and
password of the environment go only to the configured host, and only when it asks for them. Sentences name the host
alone: the address of a private calendar is a secret, and what stands in a log line is not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from Services.Harvester.sources import SourceFailed

if TYPE_CHECKING:
    import requests
    from requests.auth import AuthBase

MEGABYTE = 1024 * 1024
_CHUNK = 64 * 1024
_PASSING = (502, 503, 504)
"""Answers of a gateway whose server is restarting or overloaded."""


class SourceAway(SourceFailed):
    """The calendar at {where} does not answer: {reason}."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, how much and how often."""

    connect_seconds: float
    read_seconds: float
    """Longest silence of a server that answers."""
    most_bytes: int
    redirects: int
    attempts: int
    first_wait: float
    """Seconds before the second attempt; doubled before each further one."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user and password. The text of it doesn't show the password."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"<Login {self.user}>"


def login_of(kind: str, environment: Mapping[str, str] = os.environ) -> Login | None:
    """Return the user and password for a kind of source from the environment, or None (001-07).

    ``NEXUSCORE_<KIND>_USER`` and ``_PASSWORD`` go before ``nexusLIMS_user`` and ``nexusLIMS_pass``.
    """
    own = f"NEXUSCORE_{kind.upper()}"
    for user, password in ((f"{own}_USER", f"{own}_PASSWORD"), ("nexusLIMS_user", "nexusLIMS_pass")):
        if environment.get(user) and environment.get(password):
            return Login(environment[user], environment[password])
    return None


def host_of(url: str) -> str:
    """Return the host of a URL, for a sentence."""
    try:
        return urlsplit(url).hostname or "its address"
    except ValueError:
        return "its address"


def download(url: str, patience: Patience, login: Login | None = None) -> bytes:
    """Return what is at a URL.

    Raises
    ------
    SourceFailed
        With a sentence that names the host.
    """
    import requests
    import tenacity

    attempts = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(patience.attempts),
        wait=tenacity.wait_exponential(multiplier=patience.first_wait),
        retry=tenacity.retry_if_exception_type(SourceAway),
        reraise=True,
    )
    with requests.Session() as session:
        session.max_redirects = patience.redirects
        return attempts(_get, session, url, patience, login)


def _get(session: requests.Session, url: str, patience: Patience, login: Login | None) -> bytes:
    import requests

    where = host_of(url)
    try:
        with _asked(session, url, patience) as response:
            challenge = response.headers.get("WWW-Authenticate", "")
            if response.status_code != 401 or login is None or urlsplit(response.url).netloc != urlsplit(url).netloc:
                return _content(response, where, patience.most_bytes)
        with _asked(session, url, patience, _auth(challenge, login)) as response:
            if response.status_code == 401:
                raise SourceFailed(where=where, reason=f"it does not let the user '{login.user}' in (401)")
            return _content(response, where, patience.most_bytes)
    except requests.RequestException as error:
        raise _translated(error, where, patience) from None
    except ValueError as error:  # addresses that the layers below cannot take apart
        raise SourceFailed(where=where, reason=f"its address cannot be used ({error})") from None


def _asked(session: requests.Session, url: str, patience: Patience, auth: AuthBase | None = None) -> requests.Response:
    return session.get(url, stream=True, timeout=(patience.connect_seconds, patience.read_seconds), auth=auth)


def _auth(challenge: str, login: Login) -> AuthBase:
    from requests.auth import HTTPBasicAuth, HTTPDigestAuth

    kind = HTTPDigestAuth if "digest" in challenge.lower() else HTTPBasicAuth
    return kind(login.user, login.password)


def _content(response: requests.Response, where: str, most: int) -> bytes:
    if response.status_code in _PASSING:
        raise SourceAway(where=where, reason=f"it says {response.status_code} {response.reason}".rstrip())
    if response.status_code == 401:
        raise SourceFailed(
            where=where,
            reason="it wants a user and a password (401); "
            "the environment has no nexusLIMS_user and nexusLIMS_pass for it",
        )
    if response.status_code != 200:
        raise SourceFailed(where=where, reason=f"it says {response.status_code} {response.reason}".rstrip())
    content = bytearray()
    announced = response.headers.get("Content-Length", "")
    if not announced.isdecimal() or int(announced) <= most:
        for chunk in response.iter_content(_CHUNK):
            content += chunk
            if len(content) > most:
                break
        else:
            return bytes(content)
    raise too_big(where, most)


def too_big(where: str, most: int) -> SourceFailed:
    """Return the error for a document of more than `most` bytes."""
    return SourceFailed(where=where, reason=f"it has more than {most / MEGABYTE:g} MB, the limit in the settings")


def _translated(error: requests.RequestException, where: str, patience: Patience) -> SourceFailed:
    from requests import exceptions
    from urllib3.exceptions import ReadTimeoutError

    passing = False
    if isinstance(error, exceptions.TooManyRedirects):
        reason = f"it redirects more than {patience.redirects} times"
    elif isinstance(error, exceptions.SSLError):
        reason = f"its certificate is not accepted ({_cause(error)})"
    elif isinstance(error, exceptions.ConnectTimeout):
        reason, passing = f"no connection within {patience.connect_seconds:g} s", True
    elif isinstance(error, exceptions.ReadTimeout) or any(isinstance(one, ReadTimeoutError) for one in error.args):
        reason = f"it fell silent for {patience.read_seconds:g} s"
    elif isinstance(error, (exceptions.ConnectionError, exceptions.ChunkedEncodingError)):
        reason, passing = f"the connection failed ({_cause(error)})", True
    elif isinstance(error, (exceptions.InvalidURL, exceptions.InvalidSchema, exceptions.MissingSchema)):
        reason = "its address, or one it redirects to, cannot be used"
    else:
        reason = f"what it sends cannot be understood ({type(error).__name__})"
    return (SourceAway if passing else SourceFailed)(where=where, reason=reason)


def _cause(error: BaseException) -> str:
    """Return what the innermost error says: those around it repeat the address."""
    seen: BaseException = error
    for _ in range(20):
        inner = seen.__cause__ or seen.__context__ or getattr(seen, "reason", None)
        inner = inner or next((argument for argument in seen.args if isinstance(argument, Exception)), None)
        if not isinstance(inner, BaseException):
            break
        seen = inner
    said = getattr(seen, "verify_message", None) or getattr(seen, "strerror", None)
    return said or (str(seen) if isinstance(seen, (OSError, HTTPException)) else type(seen).__name__)
