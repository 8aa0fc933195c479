"""The sessions of a PC: START, END and what happens between them.

Promises
--------
* Each request that changes something has an id, the header ``Idempotency-Key``. Sent again it changes nothing and gets
  the same answer.
* Each change is one transaction; an instrument has one open session, and a session one START and one END.
* A session that has ended stays ended: END again is answered like the first.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from NexusCore.clock import to_ts
from NexusCore.errors import SessionOpen
from NexusCore.facility import Session, State, transitions
from NexusCore.facility.answered import GivenAnswer
from NexusCore.facility.forgotten import note_late_end
from NexusCore.facility.session import Client, EventType
from NexusCore.facility.session_tokens import guarded, is_paused, set_digest, set_seen
from NexusCore.facility.tokens import digest_of
from NexusCore.log import in_session
from NexusCore.storage import Transaction
from Services.Gateway.api.common import PC, RequestId, SessionToken, client_of, once
from Services.Gateway.api.event_times import EventTime, event_time
from Services.Gateway.api.models import (
    PROBLEMS,
    BreakRequest,
    EndRequest,
    EventRequest,
    LastSession,
    Name,
    RemarkRequest,
    SessionAnswer,
    SessionDetails,
    SessionList,
    StartAnswer,
    StartRequest,
    event_answer,
    session_answer,
)
from Services.Gateway.context import GatewayContext, context_of
from Services.Gateway.problems import Problem
from Services.Gateway.security import PCIdentity, authorized_session, session_token_of

CREATED, OK = 201, 200
LISTED_SESSIONS = 100
"""Most sessions in one answer."""
ROUTER = APIRouter(prefix="/sessions", responses=PROBLEMS)


# -- reading -----------------------------------------------------------------------------------------------------------


@ROUTER.get("")
async def newest(
    request: Request,
    pc: PC,
    instrument: Annotated[Name | None, Query(description="Pid; may be left out if the token is for one only.")] = None,
    state: Annotated[State | None, Query(description="Only sessions in this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=LISTED_SESSIONS, description="How many.")] = 20,
) -> SessionList:
    """Return the newest sessions of an instrument, newest first."""
    context, pid = context_of(request), _instrument(pc, instrument)

    def read() -> list[SessionAnswer]:
        return [_shown(context, session) for session in context.sessions.newest(pid, state, limit)]

    return SessionList(sessions=await context.calls.run(read))


@ROUTER.get("/last")
async def last(
    request: Request,
    pc: PC,
    instrument: Annotated[Name | None, Query(description="Pid; may be left out if the token is for one only.")] = None,
) -> LastSession:
    """Return the newest session of an instrument, open or not; null if there is none."""
    context, pid = context_of(request), _instrument(pc, instrument)

    def read() -> SessionAnswer | None:
        session = context.sessions.open_on(pid) or next(iter(context.sessions.newest(pid, count=1)), None)
        return None if session is None else _shown(context, session)

    return LastSession(session=await context.calls.run(read))


@ROUTER.get("/{identifier}")
async def details(request: Request, identifier: UUID, pc: PC) -> SessionDetails:
    """Return a session and its events."""
    context = context_of(request)

    def read() -> SessionDetails:
        session = authorized_session(context, pc, str(identifier), own=False).session
        events = [event_answer(event) for event in context.sessions.events(session)]
        return SessionDetails(session=_shown(context, session), events=events)

    return await context.calls.run(read)


# -- changing ----------------------------------------------------------------------------------------------------------


@ROUTER.post("", status_code=CREATED)
async def start(request: Request, body: StartRequest, request_id: RequestId, pc: PC) -> StartAnswer:
    """Start a session. 409 if another one is open on the instrument; the answer says whose."""
    context, identifier = context_of(request), str(body.identifier)
    pc.check_instrument(body.instrument)
    when = event_time(body.at, body.now, request.state.arrived, context.settings)

    ends = None
    if body.ends is not None:
        before = max(0, to_ts(body.at) - to_ts(body.ends.at))
        ends = (str(body.ends.identifier), when.ts - before)

    def work(transaction: Transaction) -> GivenAnswer:
        if guarded(transaction, identifier) is not None:
            raise Problem(409, "A session with this identifier exists already.", "session-exists")
        try:
            session = transitions.start(
                transaction,
                body.instrument,
                client_of(pc, body, when),
                identifier,
                when.ts,
                ends=ends,
                settle=body.settle,
                # A session that ends by this may have files on their way.
                transfers=context.stores.settings(body.instrument).on,
            )
        except SessionOpen:
            other = transitions.open_on(transaction, body.instrument)
            raise _in_the_way(other) from None
        return _with_token(context, pc, transaction, session, CREATED)

    given = await context.calls.run(lambda: once(context, pc, request_id, "START", body, work))
    if not given.again:
        with in_session(identifier):
            context.log.info("START at %s by %s", body.instrument, pc.name)
    return StartAnswer(
        session=SessionAnswer.model_validate_json(given.answer),
        session_token=session_token_of(pc, given.nonce or "", identifier),
    )


@ROUTER.post("/{identifier}/continue")
async def go_on(request: Request, identifier: UUID, body: EventRequest, request_id: RequestId, pc: PC) -> StartAnswer:
    """Continue an open session of this PC's instrument whose token is lost: with a RESUME, and a new token."""
    context = context_of(request)
    when = event_time(body.at, body.now, request.state.arrived, context.settings)

    def work(transaction: Transaction) -> GivenAnswer:
        session = transitions.find(transaction, str(identifier), lock=True)
        if session.end_ts is not None:
            raise Problem(409, "This session has ended.", "session-ended")
        transitions.add_event(
            transaction, session.id, EventType.RESUME, client_of(pc, body, when), when.ts, transitions.CONTINUED
        )
        return _with_token(context, pc, transaction, session, OK)

    def run() -> GivenAnswer:
        authorized_session(context, pc, str(identifier), own=False)
        return once(context, pc, request_id, f"CONTINUE {identifier}", body, work)

    given = await context.calls.run(run)
    if not given.again:
        with in_session(str(identifier)):
            context.log.info("CONTINUE by %s", pc.name)
    return StartAnswer(
        session=SessionAnswer.model_validate_json(given.answer),
        session_token=session_token_of(pc, given.nonce or "", str(identifier)),
    )


@ROUTER.post("/{identifier}/end")
async def end(
    request: Request, identifier: UUID, body: EndRequest, request_id: RequestId, pc: PC, token: SessionToken = None
) -> SessionAnswer:
    """End a session; its record can be built then, or when its files are there. One that has ended stays as it is.

    If that was because it seemed to be forgotten, a note keeps when it ended by this request.
    """
    context = context_of(request)

    def work(transaction: Transaction, session: Session, client: Client, when: EventTime) -> Session:
        note_late_end(transaction, session, client, when.ts)
        transfers = body.transfers and context.stores.settings(session.instrument).on
        return transitions.end(transaction, session.identifier, client, when.ts, transfers=transfers)

    return await _change(request, identifier, "END", body, request_id, pc, token, work)


@ROUTER.post("/{identifier}/pause")
async def pause(
    request: Request, identifier: UUID, body: BreakRequest, request_id: RequestId, pc: PC, token: SessionToken = None
) -> SessionAnswer:
    """Note that the work is interrupted; the session stays open."""
    return await _add(request, identifier, EventType.PAUSE, body, request_id, pc, token)


@ROUTER.post("/{identifier}/resume")
async def resume(
    request: Request, identifier: UUID, body: BreakRequest, request_id: RequestId, pc: PC, token: SessionToken = None
) -> SessionAnswer:
    """Note that the work goes on, after a pause or after a crash of the PC."""
    return await _add(request, identifier, EventType.RESUME, body, request_id, pc, token)


@ROUTER.post("/{identifier}/note")
async def note(
    request: Request, identifier: UUID, body: RemarkRequest, request_id: RequestId, pc: PC, token: SessionToken = None
) -> SessionAnswer:
    """Add a remark of the user, also after the end."""
    return await _add(request, identifier, EventType.NOTE, body, request_id, pc, token)


@ROUTER.post("/{identifier}/problem")
async def problem(
    request: Request, identifier: UUID, body: RemarkRequest, request_id: RequestId, pc: PC, token: SessionToken = None
) -> SessionAnswer:
    """Report a problem with the instrument, also after the end."""
    return await _add(request, identifier, EventType.PROBLEM, body, request_id, pc, token)


# -- private -----------------------------------------------------------------------------------------------------------


def _with_token(
    context: GatewayContext, pc: PCIdentity, transaction: Transaction, session: Session, status: int
) -> GivenAnswer:
    """Give a session a new token; return the answer, from which the token can be made again."""
    nonce = secrets.token_hex(32)
    set_digest(transaction, session, digest_of(session_token_of(pc, nonce, session.identifier)))
    set_seen(transaction, session, context.clock.now())
    return GivenAnswer(status, session_answer(session, paused=False).model_dump_json(), nonce)


Change = Callable[[Transaction, Session, Client, EventTime], Session]


async def _add(
    request: Request,
    identifier: UUID,
    event: EventType,
    body: BreakRequest | RemarkRequest,
    request_id: UUID,
    pc: PCIdentity,
    token: str | None,
) -> SessionAnswer:
    """Add an event to a session."""

    def work(transaction: Transaction, session: Session, client: Client, when: EventTime) -> Session:
        # Locked, so that no END comes between this look and the event.
        session = transitions.find(transaction, session.identifier, lock=True)
        if event in (EventType.PAUSE, EventType.RESUME) and session.end_ts is not None:
            raise Problem(409, "This session has ended.", "session-ended")
        transitions.add_event(transaction, session.id, event, client, when.ts, body.text)
        return session

    return await _change(request, identifier, event.value, body, request_id, pc, token, work)


async def _change(
    request: Request,
    identifier: UUID,
    what: str,
    body: EventRequest,
    request_id: UUID,
    pc: PCIdentity,
    token: str | None,
    change: Change,
) -> SessionAnswer:
    """Change a session, once for each request id."""
    context = context_of(request)
    when = event_time(body.at, body.now, request.state.arrived, context.settings)

    def work(transaction: Transaction) -> GivenAnswer:
        session = transitions.find(transaction, str(identifier))
        session = change(transaction, session, client_of(pc, body, when), when)
        set_seen(transaction, session, context.clock.now())
        answer = session_answer(session, paused=is_paused(transaction, session))
        return GivenAnswer(OK, answer.model_dump_json())

    def run() -> GivenAnswer:
        authorized_session(context, pc, str(identifier), token, own=True)
        return once(context, pc, request_id, f"{what} {identifier}", body, work)

    given = await context.calls.run(run)
    if not given.again:
        with in_session(str(identifier)):
            context.log.info("%s by %s", what, pc.name)
    return SessionAnswer.model_validate_json(given.answer)


def _shown(context: GatewayContext, session: Session) -> SessionAnswer:
    paused = session.end_ts is None and context.database.read(lambda reading: is_paused(reading, session))
    return session_answer(session, paused=paused)


def _instrument(pc: PCIdentity, instrument: str | None) -> str:
    if instrument is None:
        if len(pc.token.instruments) != 1:
            raise Problem(422, "This token is for several instruments: say which, with instrument=<pid>.")
        return pc.token.instruments[0]
    pc.check_instrument(instrument)
    return instrument


def _in_the_way(other: Session | None) -> Problem:
    more = {} if other is None else {"session": session_answer(other, paused=False).model_dump(mode="json")}
    sentence = "Another session is open on this instrument."
    if other is not None and other.user:
        sentence = f"Another session is open on this instrument; {other.user} started it."
    return Problem(409, f"{sentence} It has to end first.", "session-open", "Another session is open", **more)
