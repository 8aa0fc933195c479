"""The version of the API, the health of the Gateway, and heartbeats of PCs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from NexusCore import __version__
from NexusCore.clock import to_datetime
from NexusCore.facility.session_tokens import set_seen
from Services.Gateway.api.models import PROBLEMS, HealthAnswer, HeartbeatAnswer, HeartbeatRequest, VersionAnswer
from Services.Gateway.context import context_of
from Services.Gateway.security import (
    API_LEVEL,
    OLDEST_API_LEVEL,
    PCIdentity,
    authorized_session,
    open_to_all,
    pc_of,
)

ROUTER = APIRouter(responses=PROBLEMS)


@ROUTER.get("/version", dependencies=[Depends(open_to_all)])
async def version(request: Request) -> VersionAnswer:
    """Return what this Gateway is. A client that it does not understand is refused, like everywhere."""
    context = context_of(request)
    return VersionAnswer(
        server="NexusCore Gateway",
        version=__version__,
        api=API_LEVEL,
        oldest_api=OLDEST_API_LEVEL,
        oldest_client=context.settings.oldest_client,
        now=to_datetime(context.clock.now()),
    )


@ROUTER.get("/health", dependencies=[Depends(open_to_all)])
async def health(request: Request) -> HealthAnswer:
    """Return whether the Gateway can work; 503 if its database does not answer."""
    context = context_of(request)
    await context.calls.run(lambda: context.database.read(lambda reading: reading.one("SELECT 1")))
    return HealthAnswer(status="ok")


@ROUTER.post("/heartbeat")
async def heartbeat(
    request: Request, body: HeartbeatRequest, pc: Annotated[PCIdentity, Depends(pc_of)]
) -> HeartbeatAnswer:
    """Note that the PC is at work. Sent again it only notes that again, so it needs no id."""
    context = context_of(request)

    def note() -> int:
        now = context.clock.now()
        if body.session is not None:
            session = authorized_session(context, pc, str(body.session), own=False).session
            context.database.write(lambda transaction: set_seen(transaction, session, now))
        return now

    return HeartbeatAnswer(computer=pc.name, now=to_datetime(await context.calls.run(note)))
