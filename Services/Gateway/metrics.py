"""The figures for the facility's monitoring: ``GET /metrics``, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import PlainTextResponse

from NexusCore.clock import SECOND
from NexusCore.facility.figures import QueueFigures, figures_of
from NexusCore.status.names import Channels
from NexusCore.status.store import latest
from Services.Gateway.context import GatewayContext, context_of
from Services.Gateway.security import reader_of_metrics

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SERVICES = ("Builder", "Gateway", "Harvester", "Intake", "Uploader")
"""Services whose heartbeat is shown."""
ROUTER = APIRouter()


@ROUTER.get("/metrics", include_in_schema=False)
async def metrics(request: Request, _: Annotated[None, Depends(reader_of_metrics)]) -> PlainTextResponse:
    """Return the present figures."""
    context = context_of(request)
    return PlainTextResponse(await context.calls.run(lambda: "\n".join(_lines(context)) + "\n"), media_type=MEDIA_TYPE)


def _lines(context: GatewayContext) -> Iterator[str]:
    now = context.clock.now()
    figures = figures_of(context.database)
    yield from _series("nexuscore_sessions", "gauge", "Number of sessions by state.")
    yield from (f'nexuscore_sessions{{state="{state.value}"}} {count}' for state, count in figures.sessions.items())
    yield from _queue(
        "nexuscore_build_queue", "Sessions that wait for their record to be built", figures.to_be_built, now
    )
    yield from _queue("nexuscore_upload_queue", "Records that are not at all destinations yet", figures.to_be_sent, now)
    yield from _transfers(context, now)
    name = "nexuscore_service_heartbeat_age_seconds"
    yield from _series(name, "gauge", "Seconds since a service last reported its state.")
    samples = latest(context.app.database(context.app.settings.status), Channels(SERVICES))
    for sample in samples:
        if sample.name == "state" and sample.channel in SERVICES:
            yield f'{name}{{service="{sample.channel}"}} {_age(sample.ts, now):.3f}'
    yield from _series("nexuscore_journal_bytes", "gauge", "Bytes of the journals on the Gateway's machine.")
    for role, size in context.app.journal_sizes().items():
        yield f'nexuscore_journal_bytes{{role="{role}"}} {size}'
    yield from _series("nexuscore_gateway_answers_total", "counter", "Answers of this Gateway, by the kind of status.")
    for kind in range(1, 6):
        yield f'nexuscore_gateway_answers_total{{status="{kind}xx"}} {context.answers.get(kind, 0)}'


def _transfers(context: GatewayContext, now: int) -> Iterator[str]:
    figures = context.transfers.figures()
    yield from _series("nexuscore_transfer_files", "gauge", "Files of all sessions by the state of their transfer.")
    for state, count in figures.states.items():
        yield f'nexuscore_transfer_files{{state="{state.value.lower()}"}} {count}'
    name = "nexuscore_transfer_oldest_seconds"
    yield from _series(name, "gauge", "Seconds for which the file that waits longest has not changed, 0 if none waits.")
    yield f"{name} {0.0 if figures.oldest_ts is None else _age(figures.oldest_ts, now):.3f}"


def _series(name: str, kind: str, what: str) -> Iterator[str]:
    yield f"# HELP {name} {what}"
    yield f"# TYPE {name} {kind}"


def _queue(name: str, what: str, queue: QueueFigures, now: int) -> Iterator[str]:
    yield from _series(name, "gauge", f"{what}.")
    yield f"{name} {queue.length}"
    yield from _series(f"{name}_oldest_seconds", "gauge", f"{what}: age of the oldest, 0 if there is none.")
    yield f"{name}_oldest_seconds {0.0 if queue.oldest_ts is None else _age(queue.oldest_ts, now):.3f}"


def _age(ts: int, now: int) -> float:
    return max(0.0, (now - ts) / SECOND)
