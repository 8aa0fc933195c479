"""HTTP connections: the head of a request within limits of size and time, and clear answers to what is not HTTP."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from Services.Gateway.problems import MEDIA_TYPE, RETRY_SECONDS, Problem, head_too_large
from Services.Gateway.settings import GatewaySettings


class ListenerConfig(uvicorn.Config):
    """Settings of the web server, with those of `HeadGuard`.

    Parameters
    ----------
    settings
        Of the Gateway.
    application, **more
        As for `uvicorn.Config`.
    """

    def __init__(self, settings: GatewaySettings, application: Any, **more: Any) -> None:
        self.gateway = settings
        super().__init__(application, http=HeadGuard, **more)


class HeadGuard(H11Protocol):
    """One connection; it is closed if the head of a request does not arrive in time."""

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        retry = {"Retry-After": str(RETRY_SECONDS)}
        if len(self.connections) > self._gateway.max_connections:
            self._refuse(Problem(503, "The Gateway has too many connections.", "too-many-connections", headers=retry))
            return
        if self._from_here > self._gateway.connections_per_address:
            sentence = "The Gateway has too many connections from this address."
            self._refuse(Problem(503, sentence, "too-many-connections", headers=retry))
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._stop_waiting()
        elif self._head is None:  # a part of the next head
            self._wait_for_head()

    def shutdown(self) -> None:
        """End the connection once its request is answered; one that is still arriving does not count."""
        super().shutdown()
        if self.cycle is not None and self.cycle.more_body and not self.cycle.response_started:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, or has too long a head."""
        hint = getattr(sys.exc_info()[1], "error_status_hint", 400)
        if hint == 431:
            self._refuse(head_too_large(self._gateway.max_header))
        else:
            self._refuse(Problem(400, "This is not a valid HTTP request."))

    @property
    def _gateway(self) -> GatewaySettings:
        assert isinstance(self.config, ListenerConfig)  # noqa: S101  nothing else makes these
        return self.config.gateway

    @property
    def _from_here(self) -> int:
        """How many connections its address has; 0 if they are not limited."""
        if self.client is None or not self._gateway.limits_connections_of(self.client[0]):
            return 0
        others = [other.client for other in self.connections if isinstance(other, HeadGuard)]
        return sum(1 for other in others if other is not None and other[0] == self.client[0])

    def _wait_for_head(self) -> None:
        self._head = self.loop.call_later(self._gateway.header_seconds, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _too_slow(self) -> None:
        self._head = None
        if not self.transport.is_closing():
            self._refuse(Problem(408, "The head of the request did not arrive in time."))

    def _refuse(self, problem: Problem) -> None:
        headers = [("content-type", MEDIA_TYPE), ("content-length", str(len(problem.body))), ("connection", "close")]
        headers += problem.headers.items()
        # Nothing can be said any more if an answer has begun.
        with suppress(h11.LocalProtocolError):
            events = (
                h11.Response(status_code=problem.status, headers=headers, reason=b""),
                h11.Data(data=problem.body),
                h11.EndOfMessage(),
            )
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        self.transport.close()
