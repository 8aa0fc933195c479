"""The instruments of a PC, and their reservations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from NexusCore.clock import SECOND
from NexusCore.errors import NoSuchInstrument
from NexusCore.facility import Instrument
from Services.Gateway.api.models import (
    PROBLEMS,
    InstrumentAnswer,
    InstrumentList,
    LoggerSettings,
    ReservationPair,
    instrument_answer,
    reservation_answer,
)
from Services.Gateway.context import GatewayContext, context_of
from Services.Gateway.problems import Problem
from Services.Gateway.security import PCIdentity, pc_of

AHEAD = 14 * 86_400 * SECOND
"""How far ahead the next reservation is looked for, in microseconds."""
CLOSE_DELAY = 3.0
ROUTER = APIRouter(responses=PROBLEMS)


@ROUTER.get("/instruments")
async def instruments(
    request: Request,
    pc: Annotated[PCIdentity, Depends(pc_of)],
    computer: Annotated[str | None, Query(max_length=255, description="Only those of the PC with this name.")] = None,
) -> InstrumentList:
    """Return the instruments of the token, or those of one computer; case and domain of its name are ignored."""
    context = context_of(request)
    found = [
        instrument
        for instrument in _own(context, pc)
        if computer is None or _short(instrument.computer_name) == _short(computer)
    ]
    return InstrumentList(instruments=[_answer(context, instrument) for instrument in found])


@ROUTER.get("/instruments/{pid}")
async def instrument(request: Request, pid: str, pc: Annotated[PCIdentity, Depends(pc_of)]) -> InstrumentAnswer:
    """Return one instrument."""
    pc.check_instrument(pid)
    context = context_of(request)
    for instrument in _own(context, pc):
        if instrument.pid == pid:
            return _answer(context, instrument)
    raise Problem(404, "This instrument is not in the facility's configuration any more.", "no-such-instrument")


@ROUTER.get("/instruments/{pid}/reservations")
async def reservations(request: Request, pid: str, pc: Annotated[PCIdentity, Depends(pc_of)]) -> ReservationPair:
    """Return who has booked the instrument now, and who is next."""
    pc.check_instrument(pid)
    context = context_of(request)
    now = context.clock.now()
    present, following = await context.calls.run(lambda: context.reservations.now_and_next(pid, now, AHEAD))
    return ReservationPair(now=reservation_answer(present), next=reservation_answer(following))


def _own(context: GatewayContext, pc: PCIdentity) -> list[Instrument]:
    found = []
    for pid in pc.token.instruments:
        try:
            found.append(context.instruments.get(pid))
        except NoSuchInstrument:
            continue  # removed since the token was made
    return found


def _answer(context: GatewayContext, instrument: Instrument) -> InstrumentAnswer:
    transfer = context.stores.settings(instrument.pid)
    return instrument_answer(instrument, _logger(context), transfer, context.settings.chunk_size)


def _short(host: str) -> str:
    return host.partition(".")[0].lower()


def _logger(context: GatewayContext) -> LoggerSettings:
    delay = context.config["Logger.close_delay"]
    return LoggerSettings(
        close_delay=float(delay) if isinstance(delay, (int, float)) else CLOSE_DELAY,
        support_address=str(context.config["Logger.support_address"] or ""),
        ask_user=context.config["Logger.ask_user"] is True,
    )
