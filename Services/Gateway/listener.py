"""The web server, on a thread of its own."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event
from typing import Any

import uvicorn

from NexusCore.clock import Clock
from NexusCore.errors import EXIT_FAILURE, NexusError
from NexusCore.threads import start_thread
from Services.Gateway.certificate import checked
from Services.Gateway.protocol import ListenerConfig
from Services.Gateway.settings import GatewaySettings

GRACEFUL_SECONDS = 2
"""How long the web server waits for requests that are under way when it ends."""
STOP_SECONDS, FORCED_SECONDS = 1.4, 0.3
"""How long the service waits for that: its last records have to be delivered within three seconds, too."""
START_SECONDS = 10.0
BACKLOG = 512


class CannotListen(NexusError):
    """The Gateway cannot listen at {where}: {reason}."""

    exit_code = EXIT_FAILURE


class Listener:
    """A web server that listens as the settings say.

    Parameters
    ----------
    application
        What answers.
    settings
        Where to listen.
    clock
        Measures waits.
    """

    def __init__(self, application: Any, settings: GatewaySettings, clock: Clock) -> None:
        self._clock = clock
        self._settings = settings
        self._thread: Future[None] | None = None
        self._socket: socket.socket | None = None
        # Requests that are not HTTP are not worth a line of log each: a scan of the network sends thousands.
        logging.getLogger("uvicorn").setLevel(logging.ERROR)
        config = ListenerConfig(
            settings,
            application,
            log_config=None,
            access_log=False,
            ws="none",
            lifespan="off",
            loop="asyncio",
            server_header=False,
            proxy_headers=bool(settings.proxies),
            forwarded_allow_ips=settings.proxies,
            timeout_keep_alive=max(1, round(settings.idle_seconds)),
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            h11_max_incomplete_event_size=settings.max_header,
            ssl_certfile=settings.tls_certificate or None,
            ssl_keyfile=settings.tls_key or None,
        )
        self.certificate = checked(settings.tls_certificate, settings.tls_key) if settings.has_tls else None
        """When its certificate is valid; None without one."""
        try:
            config.load()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise CannotListen(where=self.url, reason=f"the certificate: {_reason(error)}") from error
        self._server = uvicorn.Server(config)

    @property
    def url(self) -> str:
        """Where it listens, or is to listen."""
        scheme = "https" if self._settings.has_tls else "http"
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        port = self._settings.port if self._socket is None else self._socket.getsockname()[1]
        return f"{scheme}://{host}:{port}"

    def bind(self) -> socket.socket:
        """Take the address; requests wait from now on.

        Raises
        ------
        CannotListen
            If it cannot be had.
        """
        family = socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
        # With the protocol named, asyncio switches Nagle's algorithm off, which would cost 40 ms for each answer.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self._settings.host, self._settings.port))
            bound.listen(BACKLOG)
        except OSError as error:
            bound.close()
            raise CannotListen(where=self.url, reason=_reason(error)) from error
        self._socket = bound
        return bound

    def shares_port_with(self, other: Listener) -> bool:
        """Return whether both cannot listen at the same time."""
        return self._settings.port == other._settings.port

    def start(self, stopping: Callable[[], bool]) -> None:
        """Begin to answer; return when it does.

        Raises
        ------
        CannotListen
            If it cannot.
        """
        bound = self._socket or self.bind()
        self._thread = start_thread(lambda: self._server.run(sockets=[bound]), "web server")
        until = self._clock.monotonic() + START_SECONDS
        while not self._server.started and not stopping():
            if self._thread.done() or self._clock.monotonic() > until:
                error = self._thread.exception() if self._thread.done() else None
                where = self.url
                bound.close()
                raise CannotListen(where=where, reason=error or "the web server did not start")
            self._wait(0.01)

    @property
    def is_alive(self) -> bool:
        """Whether it answers."""
        return self._thread is not None and not self._thread.done()

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._server.server_state.connections)

    def stop(self) -> None:
        """End: requests under way get a moment, and idle connections are closed."""
        self._server.should_exit = True
        if not self._ended(STOP_SECONDS):
            self._server.force_exit = True
            self._ended(FORCED_SECONDS)
        if self._socket is not None:
            self._socket.close()

    def _ended(self, seconds: float) -> bool:
        until = self._clock.monotonic() + seconds
        while self.is_alive and self._clock.monotonic() < until:
            self._wait(0.02)
        return not self.is_alive

    def _wait(self, seconds: float) -> None:
        self._clock.wait(Event(), seconds)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
