"""The web application: its paths, and what stands around them."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from NexusCore import __version__
from Services.Gateway import metrics
from Services.Gateway.api import files, general, instruments, sessions, uploads
from Services.Gateway.context import GatewayContext
from Services.Gateway.limits import RequestGuard
from Services.Gateway.problems import add_handlers
from Services.Gateway.security import check_before_body, compatible


def application_of(context: GatewayContext) -> RequestGuard:
    """Return the application of a Gateway, within its limits."""
    return RequestGuard(paths_of(context), lambda: context.settings, context.log, context.count, check_before_body)


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
    for router in (general.ROUTER, instruments.ROUTER, sessions.ROUTER, files.ROUTER, uploads.ROUTER):
        application.include_router(router, prefix="/v1", dependencies=[Depends(compatible)])
    application.include_router(metrics.ROUTER)
    add_handlers(application, context.log)
    return application
