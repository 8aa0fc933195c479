"""The web application: its paths, and what stands around them."""

from __future__ import annotations

from fastapi import Depends, FastAPI, Request

from NexusCore import __version__
from Services.Gateway import metrics
from Services.Gateway.api import builds, files, general, instruments, sessions, uploads
from Services.Gateway.context import GatewayContext
from Services.Gateway.limits import RequestGuard
from Services.Gateway.problems import Problem, add_handlers
from Services.Gateway.security import address_of, check_before_body, compatible


def application_of(context: GatewayContext) -> RequestGuard:
    """Return the application of a Gateway, within its limits."""
    return RequestGuard(
        paths_of(context),
        lambda: context.settings,
        context.log,
        context.count,
        admit=check_before_body,
        note=lambda request, problem: _note(context, request, problem),
        slow=(builds.DOWNLOADS,),
    )


def paths_of(context: GatewayContext) -> FastAPI:
    """Return the application alone; its `openapi` describes it."""
    application = FastAPI(
        title="NexusCore Gateway",
        version=__version__,
        openapi_url="/v1/openapi.json",
        # Their pages would fetch scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    application.state.gateway = context
    routers = (general.ROUTER, instruments.ROUTER, sessions.ROUTER, files.ROUTER, uploads.ROUTER, builds.ROUTER)
    for router in routers:
        application.include_router(router, prefix="/v1", dependencies=[Depends(compatible)])
    application.include_router(metrics.ROUTER)
    add_handlers(application, context.log, lambda request, problem: _note(context, request, problem))
    return application


def _note(context: GatewayContext, request: Request, problem: Problem) -> None:
    context.refusals.add(address_of(request), request.method, request.url.path, problem.status, problem.kind)
