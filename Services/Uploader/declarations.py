"""What the Uploader reads from the configuration; see `NexusCore.config.catalogue`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import cast

from NexusCore import plugins
from NexusCore.config import NamedConfiguration
from NexusCore.config.catalogue import Collected
from Services.Uploader.destinations.credentials import TokenUnusable

FOLDER = "Services.Uploader"
ALL, ANY_ONE = "all", "any"
_NO_HOME = Path("/")
"""No default depends on the home of the service: these declarations are made for services on any machine."""


def declare(config: Collected) -> None:
    """Declare the Uploader's own parameters, and those of each kind of destination."""
    default = config.at(FOLDER).set_default
    default("interval", 10.0, comment="Seconds between two passes.", minimum=0.1, maximum=86_400)
    default(
        "destinations", "directory", choices=plugins.names(plugins.DESTINATIONS), many=True,
        comment="Where records go, with commas; each has a folder of settings.",
    )  # fmt: skip
    default(
        "strategy", ALL, choices=(ALL, ANY_ONE),
        comment="Whether a session is complete when all destinations have its record, or any of them.",
    )  # fmt: skip
    default("retry_first", 60.0, comment="Seconds before a failed upload is tried again.", minimum=0.1)
    default("retry_longest", 3600.0, comment="The longest such wait; each is twice the last.", minimum=0.1)
    default("retry_away", 300.0, comment="The same where the destination went away meanwhile.", minimum=0.1)
    default("time_limit", 600.0, comment="Seconds that a destination may take for one record.", minimum=1.0)
    default(
        "look_again", 3600.0, minimum=0.0,
        comment="Seconds over which a record is checked again after a lost answer; 0: not at all.",
    )  # fmt: skip
    for kind, module in plugins.kinds(plugins.DESTINATIONS).items():
        own = config.at(f"{FOLDER}.{kind}")
        with suppress(TokenUnusable):  # said by the Uploader, if it needs the token; here all is declared by then
            module.make(cast("NamedConfiguration", own), _NO_HOME)  # it declares what it reads
        if hasattr(module, "declare"):
            module.declare(own)
