"""Requests to the Gateway: HTTP with the token of this computer (docs/gateway.md).

Promises
--------
* Every request has a time limit, and sends the token to the address in the settings only: redirects are not followed.
* An error is one sentence for the user, without address or number; those are its `detail`, for the debug log. The
  token is in neither.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Mapping, Union

import requests

from Logger.facility import Refused, Unreachable
from Logger.version import API_LEVEL, VERSION

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 25.0
MOST_BYTES = 1024 * 1024
"""Bytes of an answer that are read."""
AWAY = "The facility's server cannot be reached."
BUSY = "The facility's server is busy or being serviced."
STRANGE = "What answers at the address of the facility's server is not a NexusCore Gateway."
UNTRUSTED = "The certificate of the facility's server is not trusted by this computer."
STORE_FULL = 507
"""Status of HTTP: no room is left."""
LONGEST_WAIT = 600.0
"""Seconds that a server can ask us to wait."""

Json = Dict[str, Any]
Token = Union[str, Callable[[], str]]
"""A token, or what returns the present one: it is renewed while a session logger runs."""


class GatewayProblem(Refused):
    """The Gateway answers with a problem (RFC 9457).

    Parameters
    ----------
    sentence, detail
        As for `FacilityError`.
    status
        That of HTTP.
    kind
        What kind of problem it is, such as ``session-open``.
    content
        The whole answer.
    """

    def __init__(self, sentence: str, detail: str, status: int, kind: str, content: Json) -> None:
        super().__init__(sentence, detail)
        self.status = status
        self.kind = kind
        self.content = content


class GatewayConnection:
    """A connection to the Gateway; used by one thread at a time.

    Parameters
    ----------
    url
        Address of the Gateway: ``https://host:8470``.
    token
        The token of this computer, or what returns the present one.
    certificates
        Path of a file with the certificates to trust; empty: those that `requests` brings.
    """

    def __init__(self, url: str, token: Token, certificates: str) -> None:
        self.url = url.rstrip("/")
        self._certificates = certificates
        self._token = token
        self._headers = {
            "NexusCore-API": str(API_LEVEL),
            "NexusCore-Client": VERSION,
        }
        self._session: requests.Session | None = None

    def _authorization(self) -> dict[str, str]:
        token = self._token if isinstance(self._token, str) else self._token()
        return {"Authorization": f"Bearer {token}"}

    def release(self) -> None:
        """Close connections until the next call."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        patience: float = ANSWER_SECONDS,
    ) -> Json:
        """Send a request and return the answer's JSON object.

        Parameters
        ----------
        method, path, params, headers
            The request, besides the headers that all have.
        body
            An object to send as JSON.
        data
            Bytes, or a stream that knows its length, to send as they are.
        patience
            Seconds to wait for an answer.

        Raises
        ------
        Unreachable
            If there is no answer, or none of a Gateway, or it is busy.
        GatewayProblem
            If it refuses.
        """
        if self._session is None:
            self._session = new_session()
        try:
            with self._session.request(
                method,
                self.url + path,
                params=params,
                json=body,
                data=data,
                headers={**self._headers, **self._authorization(), **(headers or {})},
                timeout=(min(patience, CONNECT_SECONDS), patience),
                verify=self._certificates or True,
                allow_redirects=False,
                stream=True,
            ) as answer:
                content = answer.raw.read(MOST_BYTES, decode_content=True)
                status, kind = answer.status_code, answer.headers.get("Content-Type", "")
                wait = seconds_of(answer.headers.get("Retry-After", ""))
        except requests.exceptions.SSLError as error:
            raise Unreachable(UNTRUSTED, f"{method} {path}: {error}") from error
        except (requests.exceptions.RequestException, OSError) as error:
            raise Unreachable(AWAY, f"{method} {path}: {error}") from error
        except Exception as error:  # urllib3's own, while the body is read
            raise Unreachable(AWAY, f"{method} {path}: {type(error).__name__}: {error}") from error
        found = _json(content) if "json" in kind else None
        if found is None or (status < 400 and status not in (200, 201)):
            # A proxy in between says in its own words that the server is busy.
            sentence = BUSY if status in (408, 429) or status >= 500 else STRANGE
            raise Unreachable(sentence, f"{method} {path}: status {status}, {kind or 'no type'}", wait)
        if status >= 400:
            raise _error(status, found, f"{method} {path}: status {status}", wait)
        return found


def new_session() -> requests.Session:
    """Return a session of `requests` that does not use what a user has set: neither proxies nor .netrc."""
    session = requests.Session()
    session.trust_env = False
    session.headers["User-Agent"] = f"NexusCore-SessionLogger/{VERSION}"
    return session


def seconds_of(text: str) -> float:
    """Return the seconds of a header ``Retry-After``; 0 if it has none."""
    return min(LONGEST_WAIT, float(text)) if text.isdigit() else 0.0


def _error(status: int, problem: Json, detail: str, wait: float) -> Exception:
    kind = str(problem.get("type", "")).rpartition("/")[2].rpartition(":")[2]
    sentence = str(problem.get("detail") or problem.get("title") or "The facility's server refused this.")
    detail = f"{detail}, {kind}: {sentence} {problem.get('errors', '')}".rstrip()
    if status in (408, 429) or status >= 500:
        # What is wrong with the store, the Gateway says in its own words; what else goes wrong there is for the log.
        about_store = status == STORE_FULL or kind == "store-away"
        return Unreachable(sentence if about_store else BUSY, detail, wait)
    return GatewayProblem(sentence, detail, status, kind, problem)


def _json(content: bytes) -> Json | None:
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
