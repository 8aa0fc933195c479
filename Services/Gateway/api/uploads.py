"""The uploads of a session's files.

Promises
--------
* Every request can be sent again: the same file with the same MD5 has the same upload, and bytes that are there stay.
* MD5 decides, of the object in the store.
* A repair needs no token of the session, but the MD5 that the damaged object had.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request

from NexusCore.facility import Session
from NexusCore.facility.stores.model import Incomplete, SignedPart
from Services.Gateway.api.common import SessionToken, TransferringPC
from Services.Gateway.api.file_models import (
    LARGEST,
    ChunkAnswer,
    CompleteRequest,
    EmptyAnswer,
    PartRequest,
    SignedPartAnswer,
    UploadAnswer,
    UploadRequest,
    upload_answer,
)
from Services.Gateway.api.models import PROBLEMS
from Services.Gateway.api.refusals import check_folder, check_transferring, storing
from Services.Gateway.context import GatewayContext, context_of
from Services.Gateway.problems import Problem
from Services.Gateway.security import PCIdentity, authorized_session
from Services.Gateway.uploads import UploadView

WAIT_SECONDS = 3.0
"""How long an answer waits for what is being done; "checking" is answered then."""
FIRST_LOOK, LONGEST_LOOK = 0.005, 0.1
"""Seconds between two looks whether it is done."""
ROUNDS = 3
_OCTETS = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
ROUTER = APIRouter(prefix="/sessions/{identifier}/uploads", responses=PROBLEMS)


@ROUTER.post("")
async def begin(
    request: Request, identifier: UUID, body: UploadRequest, pc: TransferringPC, token: SessionToken = None
) -> UploadAnswer:
    """Begin an upload, or return the one that this file has with this MD5."""
    context, content = context_of(request), body.content()
    session = await context.transfer_calls.run(
        lambda: authorized_session(context, pc, str(identifier), own=False).session
    )

    def run() -> UploadView:
        repair = context.uploads.damaged(session, content)
        if not repair:
            authorized_session(context, pc, str(identifier), token, own=True)
            check_transferring(context, session)
            check_folder(context, session, content.folder)
        return context.uploads.begin(session, content, repair=repair)

    return await _settled(context, session, run)


@ROUTER.get("/{upload}")
async def look(
    request: Request, identifier: UUID, upload: UUID, pc: TransferringPC, token: SessionToken = None
) -> UploadAnswer:
    """Return an upload, with what has arrived by now."""
    context = context_of(request)
    session = await context.transfer_calls.run(lambda: _session(context, pc, identifier, upload, token, changes=False))
    return await _settled(context, session, lambda: context.uploads.look(session, str(upload)))


@ROUTER.put("/{upload}/chunk", openapi_extra=_OCTETS)
async def chunk(
    request: Request,
    identifier: UUID,
    upload: UUID,
    pc: TransferringPC,
    offset: Annotated[int, Query(ge=0, le=LARGEST, description="Of the first byte in the file.")],
    content_md5: Annotated[str, Header(alias="Content-MD5", max_length=24, description="Of these bytes, in base64.")],
    token: SessionToken = None,
) -> ChunkAnswer:
    """Take bytes of a file. They are on the store's disk when this is answered; bytes that are there already stay."""
    context = context_of(request)
    data = await request.body()

    def run() -> int:
        session = _session(context, pc, identifier, upload, token, changes=True)
        digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest())
        if not hmac.compare_digest(digest, content_md5.encode("utf-8", "replace")):
            raise Problem(
                422, "These bytes do not have the MD5 that was stated. Send them again.", "damaged-in-transit"
            )
        try:
            return context.uploads.append(session, str(upload), offset, data)
        except Incomplete as error:
            sentence = f"The store has {error.received:,} bytes; go on with those behind them."
            raise Problem(409, sentence, "wrong-offset", "Wrong offset", received=error.received) from None

    return ChunkAnswer(received=await context.transfer_calls.run(lambda: storing(context, run), _share(context, pc)))


@ROUTER.post("/{upload}/parts")
async def part(
    request: Request, identifier: UUID, upload: UUID, body: PartRequest, pc: TransferringPC, token: SessionToken = None
) -> SignedPartAnswer:
    """Return the permission to send one part straight to the store, if the upload is of the kind s3."""
    context = context_of(request)

    def run() -> SignedPart:
        session = _session(context, pc, identifier, upload, token, changes=True)
        return context.uploads.sign(session, str(upload), body.number, body.size, body.md5)

    signed = await context.transfer_calls.run(lambda: storing(context, run), _share(context, pc))
    return SignedPartAnswer(url=signed.url, headers=dict(signed.headers), seconds=signed.seconds)


@ROUTER.post("/{upload}/complete")
async def complete(
    request: Request,
    identifier: UUID,
    upload: UUID,
    body: CompleteRequest,
    pc: TransferringPC,
    token: SessionToken = None,
) -> UploadAnswer:
    """Have the object checked and named. If it is still "checking", ask for the upload again."""
    context = context_of(request)
    session = await context.transfer_calls.run(lambda: _session(context, pc, identifier, upload, token, changes=True))
    return await _settled(context, session, lambda: context.uploads.complete(session, str(upload)))


@ROUTER.delete("/{upload}")
async def abandon(
    request: Request, identifier: UUID, upload: UUID, pc: TransferringPC, token: SessionToken = None
) -> EmptyAnswer:
    """Give an upload up; what has arrived of it is removed."""
    context = context_of(request)

    def run() -> None:
        session = _session(context, pc, identifier, upload, token, changes=False)
        context.uploads.abandon(session, str(upload))

    await context.transfer_calls.run(lambda: storing(context, run), _share(context, pc))
    return EmptyAnswer()


def _session(
    context: GatewayContext, pc: PCIdentity, identifier: UUID, upload: UUID, token: str | None, *, changes: bool
) -> Session:
    """Return the session of an upload, if the PC may use that; with `changes`, go on with it."""
    session = authorized_session(context, pc, str(identifier), own=False).session
    try:
        ref = context.uploads.file(session, str(upload)).upload_ref
    except Problem:
        return session  # there is no such upload, which is answered then
    if ref is not None and ref.get("repair") is not True:
        authorized_session(context, pc, str(identifier), token, own=True)
        if changes:
            check_transferring(context, session)
    return session


def _share(context: GatewayContext, pc: PCIdentity) -> str:
    """Return what calls about the files of a PC wait for."""
    return context.stores.share(next(iter(pc.token.instruments), ""))


async def _settled(context: GatewayContext, session: Session, work: Callable[[], UploadView]) -> UploadAnswer:
    """Return an upload once nothing is being done with it, or as it is after some seconds."""
    share = context.stores.share(session.instrument)
    view = await context.transfer_calls.run(lambda: storing(context, work), share)
    for _ in range(ROUNDS):
        until, pause = context.clock.monotonic() + WAIT_SECONDS, FIRST_LOOK
        # The job's future belongs to its thread: cancelling the request must not cancel it.
        while view.job is not None and not view.job.done() and context.clock.monotonic() < until:
            await asyncio.sleep(pause)
            pause = min(LONGEST_LOOK, pause * 1.5)
        if view.job is None or not view.job.done():
            break
        upload = view.upload
        view = await context.transfer_calls.run(
            lambda upload=upload: storing(context, lambda: context.uploads.look(session, upload)),  # type: ignore[misc]
            share,
        )
    return upload_answer(view)
