"""The facility by way of its Gateway: an HTTP API, opened by the token of this computer (docs/gateway.md).

Promises
--------
* Every request has a time limit, and sends the token to the address in the settings only: redirects are not followed.
* An error is one sentence for the user, without address or number; those are its `detail`, for the debug log. The
  token is in neither.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import Any, Dict
from urllib.parse import quote

import requests

from Logger.facility import (
    AlreadyOpen,
    Booking,
    EventKind,
    EventReceipt,
    NeverAccepted,
    OpenSession,
    Refused,
    SessionEvent,
    Station,
    Unreachable,
)
from Logger.uptime import Uptime
from Logger.version import API_LEVEL, VERSION

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 25.0
MOST_BYTES = 1024 * 1024
"""Bytes of an answer that are read."""
AWAY = "The facility's server cannot be reached."
BUSY = "The facility's server is busy or being serviced."
STRANGE = "What answers at the address of the facility's server is not a NexusCore Gateway."
UNTRUSTED = "The certificate of the facility's server is not trusted by this computer."
FINAL = frozenset({"invalid", "in-the-future", "too-old", "no-such-session", "session-exists", "wrong-session-token"})
"""Kinds of problems that trying again does not solve."""
LATE = frozenset({"session-ended"})
"""An event that comes after its session has ended: it has nothing to add."""

Json = Dict[str, Any]
_LOG = logging.getLogger(__name__)


class GatewayFacility:
    """The facility behind a Gateway.

    Parameters
    ----------
    url
        Address of the Gateway: ``https://host:8470``.
    token
        The token of this computer.
    certificates
        Path of a file with the certificates to trust; empty: those that `requests` brings.
    computer
        Name of this computer.
    uptime
        Its clocks.
    """

    def __init__(self, url: str, token: str, certificates: str, computer: str, uptime: Uptime) -> None:
        self._url = url.rstrip("/")
        self._computer = computer
        self._uptime = uptime
        self._certificates = certificates
        self._headers = {
            "Authorization": f"Bearer {token}",
            "NexusCore-API": str(API_LEVEL),
            "NexusCore-Client": VERSION,
            "User-Agent": f"NexusCore-SessionLogger/{VERSION}",
        }
        self._session: requests.Session | None = None

    def station(self, patience: float) -> Station:
        """Return the instrument of this computer, the one with its name if the token is for several."""
        found = self._ask("GET", "/v1/instruments", patience=patience)["instruments"]
        here = [instrument for instrument in found if _short(instrument["computer_name"]) == _short(self._computer)]
        chosen = here or found
        if len(chosen) != 1:
            names = ", ".join(instrument["pid"] for instrument in found) or "none"
            raise Refused(
                f"The facility's configuration does not say which instrument belongs to the computer {self._computer}.",
                f"Instruments of its token: {names}. Set Instruments.<pid>.computer_name.",
            )
        settings = chosen[0]["logger"]
        return Station(
            pid=chosen[0]["pid"],
            name=chosen[0]["name"] or chosen[0]["pid"],
            close_delay=float(settings["close_delay"]),
            support_address=settings["support_address"],
            ask_user=bool(settings.get("ask_user", False)),
        )

    def open_session(self, pid: str) -> OpenSession | None:
        """Return the session that is open on an instrument, if any."""
        session = self._ask("GET", "/v1/sessions/last", params={"instrument": pid})["session"]
        if session is None or session["end"] is not None:
            return None
        return self._open(session)

    def bookings(self, pid: str) -> tuple[Booking | None, Booking | None]:
        """Return the present and the next reservation of an instrument."""
        pair = self._ask("GET", f"/v1/instruments/{quote(pid, safe='')}/reservations")
        return _booking(pair["now"]), _booking(pair["next"])

    def had_no_files(self, pid: str, besides: str) -> OpenSession | None:
        """Return the last session of an instrument, besides one, if no files of it were found."""
        found = self._ask("GET", "/v1/sessions", params={"instrument": pid, "limit": "2"})["sessions"]
        last = next((session for session in found if session["identifier"] != besides), None)
        if last is None or last["state"] != "NO_FILES_FOUND":
            return None
        return OpenSession(last["identifier"], last["user"], _time(last["start"]))

    def deliver(self, event: SessionEvent, token: str) -> EventReceipt:
        """Store an event, unless it is stored already."""
        body: Json = {"user": event.user, **self._times(event)}
        path = f"/v1/sessions/{event.session}/{event.kind.value.lower()}"
        if event.kind is EventKind.START:
            path = "/v1/sessions"
            body.update(identifier=event.session, instrument=event.pid, settle=event.settle)
            if event.ends:
                at = event.ends_at or event.at
                body["ends"] = {"identifier": event.ends, "at": _text(at)}
        elif event.text:
            body["text"] = event.text
        headers = {"Idempotency-Key": event.request}
        if token:
            headers["NexusCore-Session-Token"] = token
        try:
            answer = self._ask("POST", path, body=body, headers=headers)
        except _Late:
            return EventReceipt(ended=True)
        session = answer.get("session", answer)
        return EventReceipt(str(answer.get("session_token", "")), session["end"] is not None)

    def release(self) -> None:
        """Close connections until the next call."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    # -- private -------------------------------------------------------------------------------------------------------

    def _times(self, event: SessionEvent) -> Json:
        """Return when it happened and what time it is now, both as the clock showed it when it happened.

        So a clock that was set meanwhile makes no difference: what counts is the time in between.
        """
        zone = datetime.now().astimezone().strftime("%z")
        return {"at": _text(event.at), "now": _text(event.at + event.age), "zone": zone}

    def _open(self, session: Json) -> OpenSession:
        details = self._ask("GET", f"/v1/sessions/{session['identifier']}")["events"]
        times = [_time(event["at"]) for event in details if event["at"] is not None]
        computer = details[0]["computer"] if details else ""
        return OpenSession(
            session["identifier"],
            session["user"],
            _time(session["start"]),
            max(times, default=None),
            "" if _short(computer) == _short(self._computer) else computer,
        )

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Json | None = None,
        headers: dict[str, str] | None = None,
        patience: float = ANSWER_SECONDS,
    ) -> Json:
        """Send a request and return the answer's JSON object."""
        if self._session is None:
            self._session = requests.Session()
            self._session.trust_env = False  # no proxy, no .netrc: what this computer's users set is not the facility's
        try:
            with self._session.request(
                method,
                self._url + path,
                params=params,
                json=body,
                headers={**self._headers, **(headers or {})},
                timeout=(min(patience, CONNECT_SECONDS), patience),
                verify=self._certificates or True,
                allow_redirects=False,
                stream=True,
            ) as answer:
                content = answer.raw.read(MOST_BYTES, decode_content=True)
                status, kind = answer.status_code, answer.headers.get("Content-Type", "")
                wait = _seconds(answer.headers.get("Retry-After", ""))
        except requests.exceptions.SSLError as error:
            raise Unreachable(UNTRUSTED, f"{method} {path}: {error}") from error
        except (requests.exceptions.RequestException, OSError) as error:
            raise Unreachable(AWAY, f"{method} {path}: {error}") from error
        except Exception as error:  # urllib3's own, while the body is read
            raise Unreachable(AWAY, f"{method} {path}: {type(error).__name__}: {error}") from error
        found = _json(content) if "json" in kind else None
        if found is None or (status < 400 and status not in (200, 201)):
            raise Unreachable(STRANGE, f"{method} {path}: status {status}, {kind or 'no type'}", wait)
        if status >= 400:
            raise _error(status, found, f"{method} {path}: status {status}", wait)
        return found


class _Late(Exception):
    """The session has ended: this event comes too late."""


def _error(status: int, problem: Json, detail: str, wait: float) -> Exception:
    kind = str(problem.get("type", "")).rpartition("/")[2].rpartition(":")[2]
    sentence = str(problem.get("detail") or problem.get("title") or "The facility's server refused this.")
    detail = f"{detail}, {kind}: {sentence} {problem.get('errors', '')}".rstrip()
    if status in (408, 429) or status >= 500:
        return Unreachable(BUSY, detail, wait)
    if kind == "session-open":
        return AlreadyOpen(sentence, detail)
    if kind in LATE:
        return _Late(sentence)
    if kind in FINAL:
        return NeverAccepted(sentence, detail)
    return Refused(sentence, detail)


def _json(content: bytes) -> Json | None:
    import json

    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _booking(found: Json | None) -> Booking | None:
    if found is None or found["start"] is None or found["end"] is None:
        return None
    return Booking(found["user"] or "", found["title"] or "", _time(found["start"]), _time(found["end"]))


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() else 0.0


def _short(host: str) -> str:
    return host.partition(".")[0].lower()


def _text(microseconds: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=microseconds)
    return moment.isoformat()


def _time(text: str | None) -> datetime:
    """Return a time of the API; Python 3.8 reads neither ``Z`` nor fractions of other lengths than three and six."""
    if text is None:
        return datetime.fromtimestamp(0, timezone.utc)
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone()
