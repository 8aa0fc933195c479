"""The newest session logger, for the PCs that run it: what it is, and its file."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import FileResponse

from Services.Gateway.api.models import PROBLEMS
from Services.Gateway.context import context_of
from Services.Gateway.problems import Problem
from Services.Gateway.security import PCIdentity, pc_of

DOWNLOADS = "/v1/logger/"
"""Beginning of the paths whose answers are large, and may take long."""
ROUTER = APIRouter(prefix="/logger", responses=PROBLEMS)


class BuildAnswer(BaseModel):
    """A build of the session logger."""

    version: str
    file: str = Field(description="Name of the file; it is at /v1/logger/FILE.")
    size: int = Field(description="Bytes.")
    sha256: str


@ROUTER.get("")
async def newest(
    request: Request,
    _: Annotated[PCIdentity, Depends(pc_of)],
    system: Annotated[str, Query(pattern="^[a-z0-9]{1,20}$", description="Operating system of the PC.")] = "windows",
) -> BuildAnswer:
    """Return the newest build of the session logger that this Gateway has."""
    context = context_of(request)
    build = await context.calls.run(lambda: context.builds.newest(context.settings.logger_builds, system))
    if build is None:
        raise Problem(404, f"This Gateway has no session logger for {system}.", "no-build")
    return BuildAnswer(version=build.version, file=build.path.name, size=build.size, sha256=build.sha256)


@ROUTER.get("/{file}", response_class=FileResponse)
async def download(request: Request, file: str, _: Annotated[PCIdentity, Depends(pc_of)]) -> FileResponse:
    """Return the file of a build."""
    context = context_of(request)
    build = await context.calls.run(lambda: context.builds.named(context.settings.logger_builds, file))
    if build is None:
        raise Problem(404, "This Gateway has no session logger of this name.", "no-build")
    headers = {"NexusCore-SHA256": build.sha256}
    return FileResponse(build.path, media_type="application/octet-stream", filename=build.path.name, headers=headers)
