"""How much a client may ask for: requests in a minute, bytes of a body, seconds of a request."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Lock

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.log import Log
from Services.Gateway.problems import Problem, fault, head_too_large, too_large
from Services.Gateway.settings import GatewaySettings

MOST_KNOWN = 10_000
"""Tokens and addresses that are remembered; an attacker may have many addresses."""
CHUNKS_AT_ONCE = 16
"""Chunks of files that are in memory at a time; further ones wait before they are read."""
LONGEST_REPORT = 1024 * 1024
"""Bytes of a report about files, which names up to 500."""
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Allowance:
    """How often each of many may still do something: so many times at once, and so many in each minute.

    Parameters
    ----------
    clock
        Measures the time between two requests.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: OrderedDict[object, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def take(self, who: object, per_minute: int) -> float:
        """Use one of those that `who` has; return 0, or the seconds until there is one again."""
        now = self._clock.monotonic()
        with self._lock:
            left, then = self._left.pop(who, (float(per_minute), now))
            left = min(float(per_minute), left + (now - then) * per_minute / 60)
            allowed = left >= 1
            self._left[who] = (left - 1 if allowed else left, now)
            if len(self._left) > MOST_KNOWN:
                self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) * 60 / per_minute


class RequestGuard:
    """Reads each request within its limits before the application sees it, and answers each exception that it raises.

    Parameters
    ----------
    application
        What answers.
    settings
        Returns the present settings.
    log
        Gets the faults.
    counted
        Called with the status of each answer.
    admit
        Called before a chunk of a file is read; raises `Problem` if it is not to be.
    """

    def __init__(
        self,
        application: ASGIApp,
        settings: Callable[[], GatewaySettings],
        log: Log,
        counted: Callable[[int], None],
        admit: Callable[[Request], Awaitable[None]],
    ) -> None:
        self._application = application
        self._settings = settings
        self._log = log
        self._counted = counted
        self._admit = admit
        self._chunks = asyncio.Semaphore(CHUNKS_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        settings = self._settings()
        scope.setdefault("state", {})["arrived"] = SYSTEM_CLOCK.now()  # before anything waits for the database
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                self._counted(message["status"])
            await send(message)

        try:
            if _is_chunk(scope):
                await self._take_chunk(scope, receive, answer, settings)
            else:
                most = max(settings.max_body, LONGEST_REPORT if scope["path"].endswith("/files") else 0)
                async with asyncio.timeout(settings.request_seconds):
                    body = await _body(scope, receive, settings, most, settings.request_seconds)
                    await self._application(scope, _again(body, receive), answer)
            return
        except ConnectionError:
            return
        except asyncio.CancelledError:  # the web server ends; what was begun in the database ends by itself
            problem = Problem(503, "The Gateway is ending. Send the request again later, with the same id.", "ending")
        except Problem as error:
            problem = error
        except TimeoutError:
            problem = Problem(503, "It took too long. Send the request again, with the same id.", "took-too-long")
        except Exception as error:  # noqa: BLE001  the edge of the web server: no client sees a fault
            self._log.error("A request failed: %r", error, exc_info=error)
            problem = fault()
        if not begun:
            with suppress(ConnectionError):
                await problem.response()(scope, receive, answer)

    async def _take_chunk(self, scope: Scope, receive: Receive, send: Send, settings: GatewaySettings) -> None:
        """Answer a request with bytes of a file, which may be larger and take longer than others."""
        scope["app"] = self._application
        async with asyncio.timeout(settings.chunk_seconds):
            await self._admit(Request(scope))
            async with self._chunks:  # each is in memory
                body = await _body(scope, receive, settings, settings.chunk_size, settings.chunk_seconds)
                await self._application(scope, _again(body, receive), send)


def _is_chunk(scope: Scope) -> bool:
    path = str(scope["path"])
    return bool(scope["method"] == "PUT" and path.startswith("/v1/sessions/") and path.endswith("/chunk"))


async def _body(scope: Scope, receive: Receive, settings: GatewaySettings, most: int, seconds: float) -> bytes:
    """Return the body of a request, of `most` bytes, if it arrives within most of the time that the request may take.

    Raises
    ------
    Problem
        If it is too large, or takes too long to arrive.
    ConnectionError
        If the client has gone.
    """
    # The connection only limits a head that comes in several pieces.
    if sum(len(name) + len(value) for name, value in scope["headers"]) + len(scope["raw_path"]) > settings.max_header:
        raise head_too_large(settings.max_header)
    stated = Headers(scope=scope).get("content-length", "")
    if stated.isdecimal() and int(stated[:20]) > most:
        raise too_large(most)
    parts, size = [], 0
    try:
        # A little less than the whole request may take: the client gets an answer that says what was slow.
        async with asyncio.timeout(seconds * 0.8):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ConnectionError("the client has gone")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > most:
                    raise too_large(most)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise Problem(408, "The body of the request did not arrive in time.", headers={"Connection": "close"}) from None


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a function that hands out a body that was read, and then what comes behind it."""
    handed_out = False

    async def read() -> Message:
        nonlocal handed_out
        if handed_out:
            return await receive()
        handed_out = True
        return {"type": "http.request", "body": body, "more_body": False}

    return read
