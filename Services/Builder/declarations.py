"""What the Builder reads from the configuration; see `NexusCore.config.catalogue`."""

from __future__ import annotations

from NexusCore.config.catalogue import Collected
from Services.Builder.settings import PARAMETERS, STRATEGIES

_PROFILE = {
    "rename": "Names of quantities on this microscope: Spot Size = Gun Lens; ...",
    "scale": "Factors for the values of quantities: Camera Length = 1.07; ...",
    "set": "Quantities that its files leave out or get wrong: Spherical Aberration = 1.2 mm; ...",
    "drop": "Names of quantities to leave out, with semicolons.",
    "warn": "Names of quantities that are marked as unreliable, with semicolons.",
}


def declare(config: Collected) -> None:
    """Declare the Builder's own parameters, and what it reads of an instrument."""
    own = config.at("Services.Builder")
    own.set_default("interval", 10.0, comment="Seconds between two passes.", minimum=0.1, maximum=86_400)
    for name, parameter in PARAMETERS.items():
        own.set_default(name, parameter.default, comment=parameter.comment, **parameter.limits)
    instrument = config.at("Instruments.*")
    instrument.may_have(
        "strategy", "", comment="Files that become datasets; empty: as Services.Builder.strategy says.",
        choices=("", *STRATEGIES),
    )  # fmt: skip
    hours = PARAMETERS["forgotten_hours"]
    instrument.may_have(
        "forgotten_hours", hours.default, **hours.limits,
        comment="Hours after which an open session counts as forgotten; none: Services.Builder.forgotten_hours.",
    )  # fmt: skip
    for name, comment in _PROFILE.items():
        instrument.may_have(f"profile.{name}", "", comment=comment)
