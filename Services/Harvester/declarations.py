"""What the Harvester reads from the configuration; see `NexusCore.config.catalogue`."""

from __future__ import annotations

from typing import cast

from NexusCore import plugins
from NexusCore.config import NamedConfiguration
from NexusCore.config.catalogue import Collected

FOLDER = "Services.Harvester"


def declare(config: Collected) -> None:
    """Declare the Harvester's own parameters, those of each kind of calendar, and what it reads of an instrument."""
    default = config.at(FOLDER).set_default
    # Other people's servers are not asked every ten seconds.
    default("interval", 300.0, comment="Seconds between two fetches of the calendars.", minimum=0.1, maximum=86_400)
    default("days_back", 7, comment="Days before now whose reservations are kept fresh.", minimum=0, maximum=3660)
    default("days_ahead", 14, comment="Days from now whose reservations are fetched.", minimum=1, maximum=3660)
    default(
        "consent_days", 14, minimum=0, maximum=3660,
        comment="Days after a session's end in which its user can still change the consent.",
    )  # fmt: skip
    default(
        "late_days", 30, minimum=0, maximum=3660,
        comment="Days after a session's end in which a reservation that comes late is put into its record.",
    )  # fmt: skip
    default("parallel", 4, comment="Calendars that are read at the same time.", minimum=1, maximum=64)
    default(
        "slow_after", 5.0, minimum=0.1, maximum=3600,
        comment="Seconds after which a calendar without an answer counts as slow and frees its slot.",
    )  # fmt: skip
    default(
        "parallel_slow", 12, minimum=1, maximum=64,
        comment="Further calendars that are waited for: slow ones, and those whose last fetch failed.",
    )  # fmt: skip
    default("time_limit", 60.0, comment="Seconds after which a calendar is given up.", minimum=0.5, maximum=3600)
    default("memory_limit", 1024, comment="MB of memory that reading one calendar may take.", minimum=128)
    for kind, module in plugins.kinds(plugins.SOURCES).items():
        own = config.at(f"{FOLDER}.{kind}")
        module.make(cast("NamedConfiguration", own))  # it declares what it reads
        if hasattr(module, "declare"):
            module.declare(own)
    instrument = config.at("Instruments.*")
    instrument.may_have(
        "harvester", "", comment="Kind of its calendar; empty for none.",
        choices=("", *plugins.names(plugins.SOURCES)),
    )  # fmt: skip
    instrument.may_have(
        "sessions_from_usage", False,
        comment="Start and end sessions by the calendar's usage events, for an instrument without a session logger.",
    )  # fmt: skip
