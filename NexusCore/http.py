"""What all that talks with web servers shares: limits, more attempts, who logs in, and what went wrong.

Time-outs on every call, a limit on the size of an answer, more attempts where a fault passes by itself. What a sentence
says of a fault names no address, header or credential: what the layers below say of them may hold a token.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Protocol

from NexusCore.text import counted

if TYPE_CHECKING:
    import requests
    import tenacity

MEGABYTE = 1024 * 1024
_CHUNK = 64 * 1024


class HttpSettings(Protocol):
    """What the limits need of the configuration: the folder of a kind of source or destination."""

    root: str

    def set_default(
        self, name: str, value: Any, datatype: str | None = None, comment: str | None = None, **limits: Any
    ) -> None:
        """Create a parameter that is missing."""

    def number(self, name: str) -> float:
        """Return a number."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """How long, how much and how often."""

    connect_seconds: float
    read_seconds: float
    """Longest silence of a server that answers."""
    most_bytes: int
    attempts: int
    """How often something is read from a server that is away."""
    first_wait: float
    """Seconds before the second attempt; doubled before each further one."""
    redirects: int = 0
    size_setting: str = "size_limit"
    """Path of the parameter that has `most_bytes`, for a sentence."""

    @classmethod
    def of(cls, config: HttpSettings, *, read_seconds: float, megabytes: float, redirects: int = 0) -> HttpLimits:
        """Return what the settings say; those that are missing get their defaults.

        Parameters
        ----------
        config
            Where ``connect_timeout``, ``read_timeout``, ``size_limit``, ``attempts`` and ``first_wait`` stand, and
            ``redirects`` where any are allowed.
        read_seconds, megabytes, redirects
            Defaults.
        """
        default = config.set_default
        default("connect_timeout", 10.0, comment="Seconds that a connection may take.", minimum=0.05, maximum=600)
        default("read_timeout", read_seconds, comment="Seconds that it may stay silent.", minimum=0.05, maximum=600)
        default("size_limit", megabytes, comment="The largest answer that is read, in MB.", minimum=0.001, maximum=4096)
        default("attempts", 3, comment="How often a server that is away is asked in one pass.", minimum=1, maximum=20)
        default(
            "first_wait",
            1.0,
            comment="Seconds before the second time; then twice as long.",
            minimum=0,
            maximum=60,
        )
        if redirects:
            default("redirects", redirects, comment="How often a server may redirect.", minimum=0, maximum=30)
        return cls(
            connect_seconds=config.number("connect_timeout"),
            read_seconds=config.number("read_timeout"),
            most_bytes=int(config.number("size_limit") * MEGABYTE),
            attempts=int(config.number("attempts")),
            first_wait=config.number("first_wait"),
            redirects=int(config.number("redirects")) if redirects else 0,
            size_setting=f"{config.root}.size_limit" if config.root else "size_limit",
        )

    @property
    def timeouts(self) -> tuple[float, float]:
        """Seconds for a connection and for an answer, as `requests` wants them."""
        return self.connect_seconds, self.read_seconds

    @property
    def most(self) -> str:
        """The limit on an answer's size, for a sentence."""
        return f"{self.most_bytes / MEGABYTE:g} MB, the limit in {self.size_setting}"

    def retrying(self, again: Callable[[BaseException], bool]) -> tenacity.Retrying:
        """Return what calls a function, and calls it again after an error for which `again` is true."""
        import tenacity

        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=tenacity.wait_exponential(multiplier=self.first_wait),
            retry=tenacity.retry_if_exception(again),
            reraise=True,
        )


@dataclass(frozen=True, slots=True)
class HttpFault:
    """Why a request has no answer."""

    reason: str
    """For a sentence that names the server."""
    passing: bool = False
    """The next attempt may succeed."""
    silent: bool = False
    """It has cost the whole `read_seconds`, and would again."""


def fault_of(error: requests.RequestException, limits: HttpLimits) -> HttpFault:
    """Return what an error of `requests` means.

    Parameters
    ----------
    error
        As it was raised.
    limits
        Those of the request, for the sentence.
    """
    from requests import exceptions
    from urllib3.exceptions import ReadTimeoutError

    if isinstance(error, exceptions.TooManyRedirects):
        return HttpFault(f"it redirects more than {counted(limits.redirects, 'time')}")
    if isinstance(error, exceptions.SSLError):
        return HttpFault(f"its certificate is not accepted ({cause_of(error)})")
    if isinstance(error, exceptions.ConnectTimeout):
        return HttpFault(f"no connection within {limits.connect_seconds:g} s", passing=True)
    if isinstance(error, exceptions.ReadTimeout) or any(isinstance(cause, ReadTimeoutError) for cause in error.args):
        return HttpFault(f"it fell silent for {limits.read_seconds:g} s", silent=True)
    if isinstance(error, (exceptions.ConnectionError, exceptions.ChunkedEncodingError)):
        return HttpFault(f"the connection failed ({cause_of(error)})", passing=True)
    if isinstance(error, (exceptions.InvalidURL, exceptions.InvalidSchema, exceptions.MissingSchema)):
        return HttpFault("its address, or one it redirects to, cannot be used")
    return HttpFault(f"its answer cannot be understood ({type(error).__name__})")


def content_of(response: requests.Response, most_bytes: int) -> bytes | None:
    """Read an answer that is streamed; return None if it has more than `most_bytes`, by its own account or in fact."""
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) > most_bytes:
        return None
    content = bytearray()
    for chunk in response.iter_content(_CHUNK):
        content += chunk
        if len(content) > most_bytes:
            return None
    return bytes(content)


@dataclass(frozen=True, slots=True)
class Login:
    """A user and password. The text of it doesn't show the password."""

    user: str
    password: str = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Log in to a request (basic authentication)."""
        from requests.auth import HTTPBasicAuth

        HTTPBasicAuth(self.user.encode(), self.password.encode())(request)
        return request


def login_of(kind: str, environment: Mapping[str, str] = os.environ) -> Login | None:
    """Return the login for a kind of source or destination, or None.

    Parameters
    ----------
    kind
        Such as ``nemo``.
    environment
        Variables: ``NEXUSCORE_<KIND>_USER`` and ``_PASSWORD``, or else ``nexusLIMS_user`` and ``nexusLIMS_pass``.
    """
    own = f"NEXUSCORE_{kind.upper()}"
    for user, password in ((f"{own}_USER", f"{own}_PASSWORD"), ("nexusLIMS_user", "nexusLIMS_pass")):
        if environment.get(user) and environment.get(password):
            return Login(environment[user], environment[password])
    return None


def cause_of(error: BaseException) -> str:
    """Return the message of the innermost error of a connection: those around it repeat the address."""
    cause: BaseException = error
    for _ in range(20):
        inner = cause.__cause__ or cause.__context__ or getattr(cause, "reason", None)
        inner = inner or next((argument for argument in cause.args if isinstance(argument, Exception)), None)
        if not isinstance(inner, BaseException):
            break
        cause = inner
    message = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None)
    return message or (str(cause) if isinstance(cause, (OSError, HTTPException)) else type(cause).__name__)
