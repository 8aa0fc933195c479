"""What the paths about sessions share: what each request has, and that it takes effect once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header

from NexusCore.errors import SessionElsewhere
from NexusCore.facility.answered import GivenAnswer, RequestKey, RequestReused
from NexusCore.facility.session import Client
from NexusCore.storage import Transaction
from Services.Gateway.api.event_times import EventTime
from Services.Gateway.api.models import EventRequest
from Services.Gateway.context import GatewayContext
from Services.Gateway.problems import Problem
from Services.Gateway.security import PCIdentity, pc_of, transferring_pc

PC = Annotated[PCIdentity, Depends(pc_of)]
TransferringPC = Annotated[PCIdentity, Depends(transferring_pc)]
RequestId = Annotated[
    UUID, Header(alias="Idempotency-Key", description="A new random UUID for each request; the same when sent again.")
]
SessionToken = Annotated[
    str | None, Header(alias="NexusCore-Session-Token", max_length=200, description="The token that START returned.")
]


def once(
    context: GatewayContext,
    pc: PCIdentity,
    request_id: UUID,
    what: str,
    body: EventRequest,
    work: Callable[[Transaction], GivenAnswer],
) -> GivenAnswer:
    """Do what a request asks for, once for each id, and return the answer.

    Parameters
    ----------
    context, pc
        The Gateway, and who asks.
    request_id, what, body
        The id of the request, and what it asks for.
    work
        Makes the changes in the transaction.

    Raises
    ------
    Problem
        If another request had the id.
    """
    digest = hashlib.sha256(json.dumps([what, body.content()], sort_keys=True).encode()).hexdigest()
    try:
        return context.answered.once(RequestKey(pc.token.id, str(request_id), digest), work)
    except RequestReused:
        raise Problem(422, "Another request had this id; each request needs a new one.", "request-id-reused") from None
    except SessionElsewhere:
        raise Problem(409, "A session with this identifier exists already.", "session-exists") from None


def client_of(pc: PCIdentity, body: EventRequest, when: EventTime) -> Client:
    """Return who reports an event; the name of the PC is that of its token."""
    return Client(user=body.user, host=pc.name, zone=body.zone, clock_offset=when.clock_offset)
