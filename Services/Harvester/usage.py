"""Sessions from usage events: where no logger runs, the facility's system knows when an instrument was used.

Promises
--------
* A session is named after its event: following the same events again changes nothing.
* An instrument has one open session. While another one is open on it (a logger's), and for the time that such a one
  has covered, an event begins none: that session finds the event by its time.
* An event that is gone ends the session that it has begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from NexusCore.clock import to_datetime
from NexusCore.errors import NoSuchSession, SessionOpen
from NexusCore.facility import Reservation, Reservations, Session, Sessions
from NexusCore.facility.session import Client

USAGE_SESSIONS = 1000
"""Newest sessions of an instrument that are compared with its events."""
ANYBODY = "unknown"
"""User of a session whose event names none."""


@dataclass(frozen=True, slots=True)
class SessionStep:
    """Start or end of a session."""

    identifier: str
    user: str
    start: bool
    """START; else END."""
    ts: int | None
    """When; None for now."""

    def __str__(self) -> str:
        when = "now" if self.ts is None else f"{to_datetime(self.ts).astimezone():%Y-%m-%d %H:%M}"
        return f"{'start' if self.start else 'end'} the session {self.identifier} of {self.user} at {when}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about the events of an instrument."""

    steps: tuple[SessionStep, ...]
    blocked: str | None
    """Why an ongoing event begins no session."""


class UsageSessions:
    """Starts and ends sessions as usage events say.

    Parameters
    ----------
    sessions, reservations
        The facility's.
    host
        Who reports the events: this machine.
    """

    def __init__(self, sessions: Sessions, reservations: Reservations, host: str) -> None:
        self._sessions = sessions
        self._reservations = reservations
        self._host = host

    def unfinished(self, pid: str, source: str) -> set[str]:
        """Return the event that an instrument's open session is from, if it is from one: it is fetched again."""
        session = self._sessions.open_on(pid)
        return {session.identifier} if session and self._reservations.has(source, session.identifier) else set()

    def plan(self, pid: str, source: str, reservations: Sequence[Reservation]) -> Plan:
        """Return the plan for an instrument.

        Parameters
        ----------
        pid, source
            The instrument and its calendar.
        reservations
            All that the calendar has, and the `unfinished` events.
        """
        uses = (event for event in reservations if event.usage and not event.cancelled)
        events = sorted(uses, key=lambda event: event.start_ts)
        named = {event.uid for event in events}
        sessions = {session.identifier: session for session in self._sessions.newest(pid, count=USAGE_SESSIONS)}
        others = [session for session in sessions.values() if session.identifier not in named]
        running = [session for session in others if session.end_ts is None]
        gone = [session for session in running if self._reservations.has(source, session.identifier)]
        steps = [SessionStep(session.identifier, session.user, start=False, ts=None) for session in gone]
        others = [session for session in others if session not in gone]
        unended = (uid for uid, session in sessions.items() if session.end_ts is None and session not in gone)
        is_open = next(unended, None)
        blocked = None
        for event in events:
            session, user = sessions.get(event.uid), event.user_id or event.user or ANYBODY
            if session is None:
                other = next((candidate for candidate in others if _meet(candidate, event)), None)
                if other is not None and event.ongoing:
                    blocked = _blocked(event, other)
                if other is not None or is_open is not None:  # what only has to wait begins at a later pass
                    continue
                steps.append(SessionStep(event.uid, user, start=True, ts=event.start_ts))
                is_open = event.uid
            if not event.ongoing and is_open == event.uid:
                steps.append(SessionStep(event.uid, user, start=False, ts=event.end_ts))
                is_open = None
        return Plan(tuple(steps), blocked)

    def carry_out(self, pid: str, plan: Plan) -> list[SessionStep]:
        """Carry out a plan; return the steps that were done."""
        done = []
        for step in plan.steps:
            client = Client(user=step.user[:128], host=self._host)
            try:
                if step.start:
                    self._sessions.start(pid, client, step.identifier, step.ts)
                else:
                    self._sessions.end(step.identifier, client, step.ts)
            except (SessionOpen, NoSuchSession):
                continue  # a logger was faster; the next plan takes this into account
            done.append(step)
        return done


def _meet(session: Session, event: Reservation) -> bool:
    return session.start_ts < event.end_ts and (session.end_ts is None or session.end_ts > event.start_ts)


def _blocked(event: Reservation, other: Session) -> str:
    return (
        f"{event.user or ANYBODY} uses it, but the session {other.identifier} was not started from its calendar: "
        "it is left alone"
    )
