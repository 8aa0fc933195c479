"""The facility by way of its Gateway: an HTTP API, opened by the token of this computer (docs/gateway.md).

Promises
--------
* What `Logger.gateway_connection` promises: time limits, no redirects, and errors that are sentences.
* A session, and each of its events, is stored there once, however often it is sent.
"""

from __future__ import annotations

from datetime import datetime, timezone
from urllib.parse import quote

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
)
from Logger.gateway_connection import ANSWER_SECONDS, GatewayConnection, GatewayProblem, Json, Token
from Logger.times import text_of
from Logger.transfer.settings import StationTransfer
from Logger.uptime import Uptime

FINAL = frozenset({"invalid", "in-the-future", "too-old", "no-such-session", "session-exists", "wrong-session-token"})
"""Kinds of problems that trying again does not solve."""
LATE = frozenset({"session-ended"})
"""An event that comes after its session has ended: it has nothing to add."""


class GatewayFacility:
    """The facility behind a Gateway.

    Parameters
    ----------
    url
        Address of the Gateway: ``https://host:8470``.
    token
        The token of this computer, or what returns the present one.
    certificates
        Path of a file with the certificates to trust; empty: those that `requests` brings.
    computer
        Name of this computer.
    uptime
        Its clocks.
    named
        Whether somebody has named the computer: it must be that of an instrument then. Otherwise a token for one
        instrument says which.
    """

    def __init__(
        self, url: str, token: Token, certificates: str, computer: str, uptime: Uptime, *, named: bool = False
    ) -> None:
        self._connection = GatewayConnection(url, token, certificates)
        self._computer = computer
        self._named = named
        self._uptime = uptime

    def station(self, patience: float) -> Station:
        """Return the instrument of this computer, the one with its name if the token is for several."""
        found = self._ask("GET", "/v1/instruments", patience=patience)["instruments"]
        here = [instrument for instrument in found if _short(instrument["computer_name"]) == _short(self._computer)]
        chosen = here or ([] if self._named else found)
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
            reminder_minutes=float(settings.get("reminder_minutes", 0.0)),
            transfer=StationTransfer.of(chosen[0].get("transfer")),
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
                body["ends"] = {"identifier": event.ends, "at": text_of(at)}
        elif event.text:
            body["text"] = event.text
        if event.transfers:
            body["transfers"] = True
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
        self._connection.release()

    # -- private -------------------------------------------------------------------------------------------------------

    def _times(self, event: SessionEvent) -> Json:
        """Return when it happened and what time it is now, both as the clock showed it when it happened.

        So a clock that was set meanwhile makes no difference: what counts is the time in between.
        """
        zone = datetime.now().astimezone().strftime("%z")
        return {"at": text_of(event.at), "now": text_of(event.at + event.age), "zone": zone}

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
        try:
            return self._connection.ask(method, path, params=params, body=body, headers=headers, patience=patience)
        except GatewayProblem as problem:
            raise _error(problem) from problem


class _Late(Exception):
    """The session has ended: this event comes too late."""


def _error(problem: GatewayProblem) -> Exception:
    if problem.kind == "session-open":
        return AlreadyOpen(str(problem), problem.detail)
    if problem.kind in LATE:
        return _Late(str(problem))
    if problem.kind in FINAL:
        return NeverAccepted(str(problem), problem.detail)
    return problem


def _booking(found: Json | None) -> Booking | None:
    if found is None or found["start"] is None or found["end"] is None:
        return None
    return Booking(found["user"] or "", found["title"] or "", _time(found["start"]), _time(found["end"]))


def _short(host: str) -> str:
    return host.partition(".")[0].lower()


def _time(text: str | None) -> datetime:
    """Return a time of the API; Python 3.8 reads neither ``Z`` nor fractions of other lengths than three and six."""
    if text is None:
        return datetime.fromtimestamp(0, timezone.utc)
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone()
