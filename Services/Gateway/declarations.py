"""What the Gateway reads from the configuration; see `NexusCore.config.catalogue`."""

from __future__ import annotations

from NexusCore.config.catalogue import Collected
from NexusCore.facility import stores, transfer_settings
from Services.Gateway import settings


def declare(config: Collected) -> None:
    """Declare the Gateway's own parameters, and those of the file transfer, which it reads for the PCs."""
    own = config.at(settings.FOLDER)
    own.set_default("interval", 10.0, comment="Seconds between two passes.", minimum=0.1, maximum=86_400)
    settings.declare(own)
    transfer_settings.declare(config)
    stores.declare(config)
