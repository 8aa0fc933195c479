"""Answers to what cannot be done: RFC 9457, ``application/problem+json``.

They go to the client: they contain no path, no SQL and no message of a library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from NexusCore.errors import (
    DatabaseBusy,
    DatabaseUnreachable,
    NexusError,
    NoDatabaseFile,
    SchemaMismatch,
    SchemaMissing,
    SchemaUnfinished,
)
from NexusCore.log import Log

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
"""When to try again what failed for a moment."""
MOST_ERRORS = 20
"""Mistakes in a request that are listed."""
_KINDS = {
    400: ("bad-request", "The request cannot be read"),
    401: ("no-valid-token", "No valid token"),
    403: ("forbidden", "This token does not allow it"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "This method is not allowed here"),
    408: ("too-slow", "The request took too long to arrive"),
    409: ("conflict", "It conflicts with the present state"),
    413: ("too-large", "The request is too large"),
    422: ("invalid", "The request has mistakes"),
    429: ("too-many-requests", "Too many requests"),
    431: ("head-too-large", "The head of the request is too large"),
    500: ("fault", "A fault of the Gateway"),
    503: ("unavailable", "Not possible at the moment"),
    507: ("store-full", "The store is full"),
}
_AWAY = (DatabaseUnreachable, DatabaseBusy, NoDatabaseFile, SchemaMissing, SchemaMismatch, SchemaUnfinished)
"""What is wrong with the facility's database, not with the request."""


class Problem(Exception):
    """Why a request is not fulfilled.

    Parameters
    ----------
    status
        HTTP status.
    detail
        A sentence for the user of the client.
    kind
        Name of the problem, for programs; by default the usual one of the status.
    title
        What all problems of this kind have in common.
    headers
        More headers of the answer.
    more
        More members of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        kind: str | None = None,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        usual = _KINDS.get(status, ("problem", "The request was refused"))
        self.status = status
        self.headers = dict(headers or {})
        self.content = {
            "type": f"urn:nexuscore:problem:{kind or usual[0]}",
            "title": title or usual[1],
            "status": status,
            "detail": detail,
            **more,
        }

    @property
    def body(self) -> bytes:
        """The answer as JSON."""
        return json.dumps(self.content).encode()

    def response(self) -> Response:
        """Return the answer."""
        return Response(self.body, self.status, headers=self.headers, media_type=MEDIA_TYPE)


def away() -> Problem:
    """Return the problem that the database does not answer."""
    return Problem(
        503,
        "The facility's database does not answer at the moment. Send the request again later, with the same id.",
        "database-away",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


def too_large(most: int) -> Problem:
    """Return the problem that a body has more than `most` bytes."""
    return Problem(413, f"The body of the request has more than {most:,} bytes.")


def head_too_large(most: int) -> Problem:
    """Return the problem that the head of a request has more than `most` bytes."""
    return Problem(431, f"The head of the request has more than {most:,} bytes.")


def fault() -> Problem:
    """Return the problem that the Gateway made a mistake; its log says which."""
    return Problem(500, "The Gateway could not do this; the log of the facility says why.")


def add_handlers(application: FastAPI, log: Log) -> None:
    """Have every error of an application answered as a problem."""

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101  it is the handler of this class
        return error.response()

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return _invalid(error).response()

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        problem = _http(error)
        if problem.status == 405:
            problem.headers["Allow"] = ", ".join(_methods(application, request))
        return problem.response()

    async def failed(_: Request, error: Exception) -> Response:
        if isinstance(error, _AWAY):  # the service's next pass reports it, once
            return away().response()
        log.error("A request failed: %s", error, exc_info=error)
        return fault().response()

    application.add_exception_handler(Problem, refused)
    application.add_exception_handler(RequestValidationError, invalid)
    application.add_exception_handler(HTTPException, http)
    application.add_exception_handler(NexusError, failed)


def _methods(application: FastAPI, request: Request) -> list[str]:
    """Return the methods that a path has; the framework states only those of its first entry."""
    return [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in application.routes)
    ]


def _invalid(error: RequestValidationError) -> Problem:
    mistakes = [
        {"where": "/".join(map(str, mistake["loc"])), "what": str(mistake["msg"])[:200]}
        for mistake in error.errors()[:MOST_ERRORS]
    ]
    if any(mistake["type"] == "json_invalid" for mistake in error.errors()):
        return Problem(400, "The body of the request is not valid JSON.")
    first = mistakes[0] if mistakes else {"where": "request", "what": "it cannot be read"}
    return Problem(422, f"{first['where']}: {first['what']}.", errors=mistakes)


def _http(error: HTTPException) -> Problem:
    sentences = {
        404: "There is nothing at this path.",
        405: "This path does not have this method.",
        400: "The body of the request cannot be read as JSON.",
    }
    return Problem(
        error.status_code, sentences.get(error.status_code, "The request was refused."), headers=error.headers
    )
