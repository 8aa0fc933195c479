"""Requests to web servers that may be slow, gone or wrong; for all destinations that make any.

Time-outs on every call, a limit on the size of answers, no redirects (a client that follows one loses what it wants to
write). Only reading is repeated. After writing whose answer is lost, the destination has to look what became
of it. Messages quote the server, never a credential.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from NexusCore.config import NamedConfiguration
from NexusCore.errors import NexusError
from NexusCore.http import HttpLimits, content_of, fault_of
from NexusCore.text import shortened
from Services.Uploader.destinations import DestinationAway
from Services.Uploader.destinations.credentials import Authorise, without_credentials

if TYPE_CHECKING:
    import requests

_SESSIONS: ContextVar[Mapping[int, requests.Session]] = ContextVar("sessions")
"""Connections that are kept, by the `id` of the site."""
_SENTENCE = 400
"""Characters of what a server says that go into a sentence."""
_RETRIED_STATUSES = (408, 425, 429, 502, 503, 504)
"""Answers of a server, or a gateway before it, that is restarting or overloaded."""


class Unexpected(NexusError):
    """{destination} answered {status} to {what}: {said}."""

    @property
    def status(self) -> int:
        """Number of the answer."""
        return int(str(self.facts["status"]))


class FellSilent(DestinationAway):
    """{destination} cannot be used now: it fell silent for {seconds:g} s."""


def upload_limits_of(config: NamedConfiguration) -> HttpLimits:
    """Return the limits that the settings of a destination ask for; those that are missing get their defaults."""
    return HttpLimits.of(config, read_seconds=60.0, megabytes=64.0)


def address_fault(url: str) -> str:
    """Return what is wrong with the address of a server, or an empty text."""
    if not url:
        return "it is not set"
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if good and parts.username is not None:
        return "it contains a user's name, which belongs into the credentials"
    return "" if good else "it is not an http or https address"


@dataclass(frozen=True, slots=True)
class ServerResponse:
    """What a server answered."""

    status: int
    reason: str
    content: bytes
    location: str = ""
    """Of what was made, or where it would send us."""

    def json(self) -> Any:
        """Return the content as JSON; None if it is not JSON."""
        try:
            return json.loads(self.content)
        except ValueError:
            return None

    @property
    def said(self) -> str:
        """The server's message, for a sentence."""
        response = self.json()
        if isinstance(response, dict):
            parts = [response[name] for name in ("detail", "message", "description") if response.get(name)]
            text = "; ".join(part if isinstance(part, str) else json.dumps(part, ensure_ascii=False) for part in parts)
        else:
            text = response if isinstance(response, str) else ""
        if not text and 300 <= self.status < 400:
            text = f"it redirects to {self.location or 'another address'}, so the address in the settings is wrong"
        text = re.sub(r"\s+", " ", text or self.reason or "no reason given").strip().rstrip(".")
        return shortened(text, _SENTENCE)


@dataclass(frozen=True, slots=True)
class Site:
    """A web server.

    Parameters
    ----------
    destination
        Name of the destination, for sentences.
    url
        What all addresses begin with.
    limits
        Limits.
    authorise
        Puts the credentials into a request.
    """

    destination: str
    url: str
    limits: HttpLimits
    authorise: Authorise | None

    def get(self, path: str, what: str, **more: Any) -> ServerResponse:
        """Read something, several times if need be; `what` stands in sentences (``the list of templates``).

        Parameters
        ----------
        path
            Below the server's address.
        what
            What is read, for messages (``the list of templates``).
        more
            As for `requests.Session.request`.
        """
        # A server that is silent has cost much time already, and would again.
        attempts = self.limits.retrying(lambda error: type(error) is DestinationAway)
        return attempts(self.ask, "GET", path, what, (200,), **more)

    def ask(self, method: str, path: str, what: str, expected: tuple[int, ...], **more: Any) -> ServerResponse:
        """Make one request, once.

        Parameters
        ----------
        method, path, what, more
            As for `get`.
        expected
            Status codes of good answers.

        Raises
        ------
        DestinationAway
            If it does not answer, or cannot at the moment: the request may still have been carried out.
        Unexpected
            If the answer is not one of those `expected`.
        """
        answer = self._answer(method, path, **more)
        # A server that fails has no JSON to give; one that refuses what it was sent has (CDCS says 500 to both).
        if answer.status in _RETRIED_STATUSES or (answer.status >= 500 and answer.json() is None):
            raise DestinationAway(destination=self.destination, reason=f"it answered {answer.status} {answer.reason}")
        if answer.status not in expected:
            raise Unexpected(destination=self.destination, status=answer.status, what=what, said=answer.said)
        return answer

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Have all requests that this thread makes in the block share a connection, where the server keeps it open."""
        import requests

        with requests.Session() as session:
            session.auth = self.authorise or without_credentials
            before = _SESSIONS.set({**_SESSIONS.get({}), id(self): session})
            try:
                yield
            finally:
                _SESSIONS.reset(before)

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        shared = _SESSIONS.get({}).get(id(self))
        if shared is not None:
            shared.cookies.clear()  # each request stands alone: a login in a cookie is none of ours
            yield shared
            return
        with self.connected():
            yield _SESSIONS.get()[id(self)]

    def _answer(self, method: str, path: str, **more: Any) -> ServerResponse:
        import requests

        try:
            with self._session() as session:
                url = f"{self.url}/{path}"
                with session.request(
                    method, url, timeout=self.limits.timeouts, allow_redirects=False, stream=True, **more
                ) as response:
                    content = self._content(response)
                    location = response.headers.get("Location", "")
                    return ServerResponse(response.status_code, response.reason or "", content, location)
        except requests.RequestException as error:
            raise self._translated(error) from None
        except (ValueError, HTTPException) as error:
            # What these say may be the header that they found wrong, credentials and all.
            reason = f"a request to it cannot be made ({type(error).__name__})"
            raise DestinationAway(destination=self.destination, reason=reason) from None

    def _content(self, response: requests.Response) -> bytes:
        content = content_of(response, self.limits.most_bytes)
        if content is None:
            reason = f"its answer has more than {self.limits.most}"
            raise DestinationAway(destination=self.destination, reason=reason)
        return content

    def _translated(self, error: requests.RequestException) -> DestinationAway:
        fault = fault_of(error, self.limits)
        if fault.silent:
            return FellSilent(destination=self.destination, seconds=self.limits.read_seconds)
        return DestinationAway(destination=self.destination, reason=fault.reason)
