"""What the parts of the Gateway share: the facility's stores, the settings, and how much each client has asked for."""

from __future__ import annotations

from typing import cast

from fastapi import Request

from NexusCore.API import App
from NexusCore.facility import Instruments, Reservations, Sessions
from NexusCore.facility.answered import AnsweredRequests
from NexusCore.facility.tokens import AccessTokens
from NexusCore.facility.transfers import Transfers
from NexusCore.log import Log
from Services.Gateway.calls import BlockingCalls
from Services.Gateway.limits import Allowance
from Services.Gateway.settings import GatewaySettings
from Services.Gateway.store_room import StoreRoom
from Services.Gateway.uploads import Uploads

TRANSFERS_AT_ONCE = 8
"""Calls about files at a time."""


class GatewayContext:
    """One for each running Gateway.

    Parameters
    ----------
    app, log
        Configuration and databases; the Gateway's log.
    settings
        The settings to begin with; `settings` may be replaced at any time.
    """

    def __init__(self, app: App, log: Log, settings: GatewaySettings) -> None:
        self.app = app
        self.log = log
        self.settings = settings
        self.clock = app.clock
        self.config = app.get_config()
        self.database = app.database()
        self.sessions = Sessions(self.database, self.clock)
        self.reservations = Reservations(self.database, self.clock)
        self.instruments = Instruments(self.config)
        self.tokens = AccessTokens(self.database, self.clock)
        self.answered = AnsweredRequests(self.database, self.clock)
        self.requests = Allowance(self.clock)
        """Of each token."""
        self.transfers = Transfers(self.database, self.clock)
        self.stores = StoreRoom(self.config, self.instruments, log, self.clock)
        self.uploads = Uploads(self.database, self.clock, self.stores, lambda: self.settings.chunk_size)
        self.failures = Allowance(self.clock)
        """Of each address: requests without a valid token."""
        self.calls = BlockingCalls()
        self.transfer_calls = BlockingCalls(TRANSFERS_AT_ONCE)
        """About files: a store that hangs does not hold up the rest."""
        self.answers: dict[int, int] = {}
        """Number of answers by the first digit of their status."""

    def count(self, status: int) -> None:
        """Count an answer."""
        self.answers[status // 100] = self.answers.get(status // 100, 0) + 1


def context_of(request: Request) -> GatewayContext:
    """Return the context of the Gateway that a request came to."""
    return cast("GatewayContext", request.app.state.gateway)
