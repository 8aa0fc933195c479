"""The Gateway: a small web API through which microscope PCs report their sessions; they have no database account.

Promises
--------
* Without a certificate it listens on this machine only, unless `plain_http` says otherwise.
* A change of the settings takes effect at the next pass; one of address or certificate restarts the web server.
* SIGTERM ends it within three seconds, however many connections are open.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from NexusCore.API import App
from NexusCore.clock import SECOND, to_datetime
from NexusCore.facility.transfers import has_objects
from NexusCore.service import Example, Pass, RunOptions, Service
from NexusCore.status.element import fitting
from NexusCore.text import one_line
from Services.Gateway import settings as gateway_settings
from Services.Gateway.application import application_of
from Services.Gateway.certificate import WrongCertificate
from Services.Gateway.context import GatewayContext
from Services.Gateway.listener import Listener
from Services.Gateway.settings import GatewaySettings
from Services.Gateway.verifying import Verifier

DAY = 86_400 * SECOND
_ELEMENT_NAME_LIMIT = 128
"""Characters that the name of a status element may have."""


class Gateway(Service):
    """Runs the web server, on a thread of its own; a pass looks after it.

    Parameters
    ----------
    app
        Configuration, status and logs.
    """

    name: ClassVar[str] = "Gateway"
    watched: ClassVar[tuple[str, ...]] = ()
    cleans_up: ClassVar[bool] = False
    examples: ClassVar[tuple[Example, ...]] = (
        ("", "run until stopped"),
        ("--once", "check the settings, the certificate and the stores, and end"),
    )

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._listener: Listener | None = None
        self._listens_as: Hashable = None
        self._context: GatewayContext | None = None
        self._verifier: Verifier | None = None
        self._stores_shown: set[str] = set()
        self._by_hand = False
        self._looked_at = 0

    def take_options(self, options: RunOptions) -> None:
        """Take over whether a person only checks the settings."""
        self._by_hand = options.once

    def once(self) -> Pass:
        """Listen as the settings say now, and forget old answers."""
        settings = gateway_settings.read(self.config)
        if self._by_hand:
            self._check(settings)
            return Pass(done=1)
        signature = _signature(settings)
        if self._listener is None or not self._listener.is_alive or signature != self._listens_as:
            self._restart(settings, signature)
        assert self._context is not None and self._listener is not None  # noqa: S101  just made
        self._context.settings = settings
        self._look_at_certificate(self._listener)
        self.status["connections"] = self._listener.connections
        self.status["answers"] = sum(self._context.answers.values())
        assert self._verifier is not None  # noqa: S101  made with the context
        self._verifier.start(settings, lambda: self.stopping)
        self._show_stores(self._verifier.health)
        before = self.clock.now() - int(settings.keep_answers_days * DAY)
        while self._context.answered.forget(before) and not self.stopping:
            pass
        return Pass(done=1)

    def close(self) -> None:
        """End the web server."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
            self.status["listening"] = "no"

    def _show_stores(self, health: Mapping[str, str]) -> None:
        """Show whether each store can be used, and those that are not in use any more as such."""
        for name in self._stores_shown - health.keys():
            self.status[_store_element(name)] = "not in use"
        for name, sentence in health.items():
            self.status[_store_element(name)] = fitting(sentence)
        self._stores_shown = set(health)

    def _restart(self, settings: GatewaySettings, signature: Hashable) -> None:
        """Begin to listen, or listen again where the settings have changed."""
        # A new context: its calls belong to the loop of one web server.
        context = GatewayContext(self.app, self.log, settings)
        if self._context is not None:
            context.answers = self._context.answers
        listener = Listener(application_of(context), settings, self.clock)  # a bad certificate is noticed here,
        if self._listener is not None and not listener.shares_port_with(self._listener):
            listener.bind()  # and a port that is taken here: the former one stays in use
        self.close()
        listener.start(lambda: self.stopping)
        self._context, self._listener, self._listens_as = context, listener, signature
        self._looked_at = 0
        self._verifier = self._verifier or Verifier(context.database, self.clock, context.stores, self.log)
        self.status["listening"] = fitting(listener.url)
        self.status["tls"] = _protection(settings)
        self.log.info("Listening on %s", listener.url)
        self._look_at_certificate(listener)
        if settings.kept_here:
            self.log.warning(
                "The Gateway has no certificate, so it listens on this machine only (%s), not on %s. Set"
                " Services.Gateway.tls_certificate and tls_key, or have a reverse proxy on this machine forward to it",
                listener.url,
                settings.address,
            )
        elif not settings.has_tls and settings.plain_http:
            self.log.warning("The Gateway has no certificate: tokens cross the network unencrypted (plain_http)")

    def _look_at_certificate(self, listener: Listener) -> None:
        """Warn of a certificate that is not valid, or not for long; once a day."""
        now = self.clock.now()
        if listener.certificate is None or now < self._looked_at + DAY:
            return
        self._looked_at = now
        complaint = listener.certificate.complaint(to_datetime(now))
        if complaint:
            self.log.warning("The certificate %s", complaint)

    def _check(self, settings: GatewaySettings) -> None:
        """Check what a run would need, and that the stores answer; on any free port: a running Gateway has its own."""
        free = replace(settings, port=0)
        context = GatewayContext(self.app, self.log, free)
        listener = Listener(application_of(context), free, self.clock)
        listener.bind()
        listener.stop()
        now = to_datetime(self.clock.now())
        if listener.certificate is not None and not listener.certificate.is_valid(now):
            raise WrongCertificate(reason=listener.certificate.complaint(now))
        self._look_at_certificate(listener)
        database = context.database
        context.stores.check(
            settings.chunk_size, lambda store, pid: database.read(lambda reading: has_objects(reading, store, pid))
        )
        self.log.info("The settings are right: the Gateway would listen on %s port %d", settings.host, settings.port)


def _store_element(name: str) -> str:
    return one_line(f"store {name}")[:_ELEMENT_NAME_LIMIT]


def _protection(settings: GatewaySettings) -> str:
    if settings.has_tls:
        return "its own certificate"
    return "none: this machine only" if settings.host != settings.address else "none"


def _signature(settings: GatewaySettings) -> Hashable:
    """Return what a running web server cannot change, with the times of its certificate, which is renewed."""
    files = [Path(path) for path in (settings.tls_certificate, settings.tls_key) if path]
    return (
        settings.host,
        settings.port,
        settings.trusted_proxies,
        settings.header_seconds,
        settings.idle_seconds,
        settings.max_header,
        settings.max_connections,
        settings.connections_per_address,
        tuple((str(path), path.stat().st_mtime_ns) for path in files),
    )
