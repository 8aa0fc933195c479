"""Reads documents from web servers that may be slow, gone, wrong or hostile; for all sources that do.

Time-outs on every call, a limit on size and redirects, more attempts where a fault passes by itself. The user and
password of the environment go only to the configured host, and only when it asks for them. Messages name the host
alone, since the address of a private calendar is a secret. Nor do they repeat what an error of the layers below says
of an address or a header, which may hold a token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from NexusCore.config import NamedConfiguration
from NexusCore.facility import Instrument
from NexusCore.http import HttpLimits, Login, content_of, fault_of
from NexusCore.text import counted
from Services.Harvester.sources import SourceFailed

if TYPE_CHECKING:
    import requests

    Proof = Callable[[requests.PreparedRequest], requests.PreparedRequest]
    """Adds the user's authentication to a request."""

_RETRIED_GATEWAY_STATUSES = (502, 503, 504)
"""Answers of a gateway whose server is restarting or overloaded."""
_UNUSABLE = "its address, or one it redirects to, cannot be used"
_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Line breaks, other control characters, and bytes of the environment that are not UTF-8."""


class SourceAway(SourceFailed):
    """The calendar at {where} does not answer: {reason}."""


def fetch_limits_of(config: NamedConfiguration, megabytes: float = 16.0) -> HttpLimits:
    """Return the limits that the settings of a kind of source ask for; those that are missing get their defaults."""
    return HttpLimits.of(config, read_seconds=30.0, megabytes=megabytes, redirects=5)


def most_bookings_of(config: NamedConfiguration) -> int:
    """Return how many bookings the settings of a kind of source allow a calendar, by default 10,000."""
    config.set_default(
        "most_bookings", 10_000, comment="Bookings that one calendar may have in the time asked for.", minimum=1
    )
    return int(config.number("most_bookings"))


def too_many(where: str, most: int) -> SourceFailed:
    """Return the error for a calendar with more than `most` bookings."""
    return SourceFailed(where=where, reason=f"it has more than {counted(most, 'booking')} in the time asked for")


@dataclass(frozen=True, slots=True)
class Token:
    """A key that a server has given to a program. The text of it doesn't show it."""

    value: str

    def __repr__(self) -> str:
        return "<Token>"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request; asking it again is safe."""

    method: str
    url: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes | None = None
    wanted: int = 200
    """Status of a good answer."""


class _TokenAuth:
    """Shows a token with each request, as the REST framework of Django wants it."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Token {self._token.value}"
        return request


def host_of(url: str) -> str:
    """Return the host of a URL, for a sentence."""
    try:
        return urlsplit(url).hostname or "its address"
    except ValueError:
        return "its address"


class Visit:
    """A visit to one server: requests one after the other, as one user, with limits on each and on all together.

    Parameters
    ----------
    limits
        The limits; that on size is for all answers of the visit together.
    login
        The user. A token is sent at once, a password only if the server asks for it.
    kind
        The kind of calendar, after which the variables of its user and password are named.
    """

    def __init__(self, limits: HttpLimits, login: Login | Token | None = None, kind: str = "ical") -> None:
        import requests

        self._limits = limits
        self._login = login
        self._kind = kind
        self._session = requests.Session()
        self._session.max_redirects = limits.redirects
        # With a token, a .netrc must not be used.
        self._auth: Proof | None = _TokenAuth(login) if isinstance(login, Token) else None
        self._server: str | None = None
        self._left = limits.most_bytes

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def get(self, url: str, params: Mapping[str, str] | None = None, accept: str = "*/*") -> bytes:
        """Return what is at a URL.

        Raises
        ------
        SourceFailed
            With a sentence that names the host.
        """
        return self._with_retries(HttpRequest("GET", url, params or {}, {"Accept": accept}))

    def dav(self, method: str, url: str, body: bytes, depth: int) -> bytes:
        """Return what a WebDAV server answers to a method that changes nothing there; raise as `get` does."""
        headers = {"Content-Type": "application/xml; charset=utf-8", "Depth": str(depth)}
        return self._with_retries(HttpRequest(method, url, {}, headers, body, wanted=207))

    def _with_retries(self, request: HttpRequest) -> bytes:
        content = self._limits.retrying(lambda error: isinstance(error, SourceAway))(self._ask, request)
        self._left -= len(content)
        return content

    def _ask(self, request: HttpRequest) -> bytes:
        import requests

        where = host_of(request.url)
        if isinstance(self._login, Token) and not (self._login.value.isascii() and self._login.value.isprintable()):
            reason = "the token for it has a character that is not printable ASCII, perhaps a line break"
            raise SourceFailed(where=where, reason=reason)
        try:
            server = urlsplit(request.url).netloc
            self._server = self._server or server
            auth = self._auth if server == self._server else None
            with self._request(request, auth) as response:
                challenge = response.headers.get("WWW-Authenticate", "")
                own = urlsplit(response.url).netloc == self._server
                if response.status_code != 401 or not isinstance(self._login, Login) or self._auth or not own:
                    return self._content(response, request)
            auth = _auth(challenge, self._login, where)
            with self._request_with_login(request, auth) as response:
                content = self._content(response, request, asked_again=True)
            self._auth = auth
        except requests.RequestException as error:
            raise _source_error(error, where, self._limits) from None
        except ValueError:  # addresses that the layers below cannot take apart
            raise SourceFailed(where=where, reason=_UNUSABLE) from None
        return content

    def _request_with_login(self, request: HttpRequest, auth: Proof) -> requests.Response:
        import requests

        try:
            return self._request(request, auth)
        except requests.RequestException:
            raise
        except Exception as error:  # noqa: BLE001  untrusted challenges in foreign readers, which fail in many ways
            reason = f"its authentication request cannot be understood ({type(error).__name__})"
            raise SourceFailed(where=host_of(request.url), reason=reason) from None

    def _request(self, request: HttpRequest, auth: Proof | None) -> requests.Response:
        from requests.auth import HTTPBasicAuth

        return self._session.request(
            request.method,
            request.url,
            params=request.params,
            headers=request.headers,
            data=request.body,
            stream=True,
            timeout=self._limits.timeouts,
            # Other proofs would be given to the server that a redirect leads to.
            allow_redirects=request.method == "GET" and isinstance(auth, (NoneType, _TokenAuth, HTTPBasicAuth)),
            auth=auth,
        )

    def _content(self, response: requests.Response, request: HttpRequest, asked_again: bool = False) -> bytes:
        where, status = host_of(request.url), response.status_code
        answer = f"it answered {status} {response.reason}".rstrip()
        if status in _RETRIED_GATEWAY_STATUSES:
            raise SourceAway(where=where, reason=answer)
        if status == 401:
            raise SourceFailed(where=where, reason=self._login_refused(asked_again))
        if status == 403 and isinstance(self._login, Token):
            raise SourceFailed(where=where, reason=f"{answer}; the token's user has no right to view this")
        if status != request.wanted:
            raise SourceFailed(where=where, reason=answer)
        content = content_of(response, self._left)
        if content is None:
            raise too_big(where, self._limits)
        return content

    def _login_refused(self, asked_again: bool) -> str:
        if isinstance(self._login, Token):
            return "it does not accept the token (401)"
        if self._login is not None and (asked_again or self._auth):
            return f"it refuses the user '{self._login.user}' (401)"
        own = f"NEXUSCORE_{self._kind.upper()}"
        return f"it requires a login (401); {own}_USER and {own}_PASSWORD are not set, or for another host"


def address_of(instrument: Instrument) -> str:
    """Return the `api_url` of an instrument.

    Raises
    ------
    SourceFailed
        If it is not set.
    """
    address = instrument.api_url.strip()
    if not address:
        raise SourceFailed(where="no address", reason=f"Instruments.{instrument.pid}.api_url is not set")
    return address


def web_address(instrument: Instrument) -> str:
    """Return the `api_url` of an instrument whose calendar is on a web server.

    Raises
    ------
    SourceFailed
        If it is not set, or not the address of a web server.
    """
    address = address_of(instrument)
    scheme = address.partition("://")[0].lower()
    if scheme not in ("http", "https"):
        raise SourceFailed(where=host_of(address), reason="its address is not one of http or https")
    return address


def download(url: str, limits: HttpLimits, login: Login | None = None) -> bytes:
    """Return what is at a URL; raise as `Visit.get` does."""
    with Visit(limits, login) as visit:
        return visit.get(url)


def _auth(challenge: str, login: Login, where: str) -> Proof:
    """Return the best of the authentication methods that a server offers."""
    from requests.auth import HTTPBasicAuth, HTTPDigestAuth

    if _UNSENDABLE.search(login.user + login.password):
        reason = "the user or the password for it has a character that cannot be sent, perhaps a line break"
        raise SourceFailed(where=where, reason=reason)
    offered = challenge.lower()
    if "ntlm" in offered or ("negotiate" in offered and "basic" not in offered):
        from requests_ntlm import HttpNtlmAuth

        proof: Proof = HttpNtlmAuth(login.user, login.password)
        return proof
    if "digest" in offered:
        return HTTPDigestAuth(login.user, login.password)
    return HTTPBasicAuth(login.user.encode(), login.password.encode())  # as text, they could be Latin-1 alone


def too_big(where: str, limits: HttpLimits) -> SourceFailed:
    """Return the error for a document that is larger than the limits allow."""
    return SourceFailed(where=where, reason=f"it has more than {limits.most}")


def _source_error(error: requests.RequestException, where: str, limits: HttpLimits) -> SourceFailed:
    fault = fault_of(error, limits)
    return (SourceAway if fault.passing else SourceFailed)(where=where, reason=fault.reason)
