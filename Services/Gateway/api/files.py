"""The files of a session: what its PC says of them, how their transfer ends, and which are to be repaired.

Promises
--------
* What a PC reports never makes a file verified; that is what the store says.
* When the transfer ends, each file that is not in the store is named in an event, in the same transaction in which the
  session is given to the Builder.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from NexusCore.facility import transfer_changes, transfer_end
from NexusCore.facility.answered import GivenAnswer
from NexusCore.facility.session_tokens import set_seen
from NexusCore.facility.transfer_file import FileState
from NexusCore.facility.transfers import repairs as damaged_files
from NexusCore.facility.transfers import session_names
from NexusCore.log import in_session
from NexusCore.storage import Transaction
from Services.Gateway.api.common import RequestId, SessionToken, TransferringPC, client_of, once
from Services.Gateway.api.event_times import event_time
from Services.Gateway.api.file_models import (
    MOST_FILES,
    FileList,
    RepairAnswer,
    RepairList,
    ReportAnswer,
    ReportRequest,
    TransferredAnswer,
    TransferredRequest,
    file_answer,
)
from Services.Gateway.api.models import PROBLEMS, session_answer
from Services.Gateway.api.refusals import check_transferring, storing
from Services.Gateway.context import GatewayContext, context_of
from Services.Gateway.manifest import write_manifest
from Services.Gateway.problems import Problem
from Services.Gateway.security import PCIdentity, authorized_session

MOST_REPAIRS = 200
"""Damaged files in one answer; the others come when these are right again."""
ROUTER = APIRouter(responses=PROBLEMS)


@ROUTER.post("/sessions/{identifier}/files")
async def report(
    request: Request, identifier: UUID, body: ReportRequest, pc: TransferringPC, token: SessionToken = None
) -> ReportAnswer:
    """Take what the PC says of files; the newest report of each counts, so that this can be sent again."""
    context = context_of(request)
    reports = [file.report() for file in body.files]

    def run() -> int:
        session = authorized_session(context, pc, str(identifier), token, own=True).session
        check_transferring(context, session)
        now = context.clock.now()

        def write(transaction: Transaction) -> int:
            set_seen(transaction, session, now)
            return transfer_changes.report(transaction, session.id, reports, now)

        return context.database.write(write)

    return ReportAnswer(taken=await context.transfer_calls.run(lambda: storing(context, run)))


@ROUTER.get("/sessions/{identifier}/files")
async def files(
    request: Request,
    identifier: UUID,
    pc: TransferringPC,
    state: Annotated[FileState | None, Query(description="Only files in this state.")] = None,
    after: Annotated[int, Query(ge=0, le=1 << 62, description="Only files behind the one with this id.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_FILES, description="How many.")] = MOST_FILES,
) -> FileList:
    """Return the files of a session."""
    context = context_of(request)

    def read() -> FileList:
        session = authorized_session(context, pc, str(identifier), own=False).session
        found = context.transfers.files(session.id, [] if state is None else [state], after, limit)
        counts = context.transfers.counts(session.id)
        return FileList(
            files=[file_answer(file) for file in found],
            counts={key.value.lower(): count for key, count in sorted(counts.items())},
            next=found[-1].id if len(found) == limit else None,
        )

    return await context.transfer_calls.run(read)


@ROUTER.post("/sessions/{identifier}/transferred")
async def transferred(
    request: Request,
    identifier: UUID,
    body: TransferredRequest,
    request_id: RequestId,
    pc: TransferringPC,
    token: SessionToken = None,
) -> TransferredAnswer:
    """End the transfer of a session that has ended; its record can be built. Missing files are named in its events."""
    context = context_of(request)
    when = event_time(body.at, body.now, request.state.arrived, context.settings)
    client = client_of(pc, body, when)

    def work(transaction: Transaction) -> GivenAnswer:
        try:
            ended = transfer_end.finish(transaction, str(identifier), client, when.ts, body.files)
        except transfer_end.TransferBeforeEnd:
            raise Problem(
                409, "The session is still open: it has to end before its transfer does.", "session-open-still"
            ) from None
        except transfer_end.NotAllReported as error:
            raise Problem(
                409, "The Gateway does not know as many files of this session as the PC.", "not-all-reported",
                known=error.facts["known"],
            ) from None  # fmt: skip
        answer = session_answer(ended.session, paused=False).model_dump()
        return GivenAnswer(
            200,
            TransferredAnswer(**answer, verified=ended.verified, missing=ended.missing).model_dump_json(),
        )

    def run() -> GivenAnswer:
        authorized_session(context, pc, str(identifier), token, own=True)
        _store_manifest(context, pc, identifier, body.files)
        return once(context, pc, request_id, f"TRANSFERRED {identifier}", body, work)

    given = await context.transfer_calls.run(run)
    answer = TransferredAnswer.model_validate_json(given.answer)
    if not given.again:
        with in_session(str(identifier)):
            context.log.info(
                "Transfer ended by %s: %d files verified, %d missing", pc.name, answer.verified, answer.missing
            )
    return answer


@ROUTER.get("/instruments/{pid}/repairs")
async def repairs(request: Request, pid: str, pc: TransferringPC) -> RepairList:
    """Return files whose copy in the store is damaged; the PC sends those again that it has with the same MD5."""
    pc.check_instrument(pid)
    context = context_of(request)

    def read() -> RepairList:
        def look(reading: Transaction) -> list[RepairAnswer]:
            return [
                RepairAnswer(
                    session=session_names(reading, file.session_id)[0],
                    folder=file.folder,
                    path=file.path,
                    size=file.size,
                    md5=file.md5,
                )
                for file in damaged_files(reading, pid, MOST_REPAIRS)
                if file.md5 is not None
            ]

        return RepairList(files=context.database.read(look))

    return await context.transfer_calls.run(read)


def _store_manifest(context: GatewayContext, pc: PCIdentity, identifier: UUID, files: int) -> None:
    """Store the list of a session's files, if its transfer can end now."""
    session = authorized_session(context, pc, str(identifier), own=False).session
    known = sum(context.transfers.counts(session.id).values())
    if session.awaits_files and known == files > 0:
        chunk = context.settings.chunk_size
        storing(context, lambda: write_manifest(context.transfers, context.stores, session, chunk))
