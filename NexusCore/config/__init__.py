"""Configuration: a live, versioned tree of typed parameters.

`NamedConfiguration` is what programs use; `get_config` of `NexusCore.API` makes one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from NexusCore.errors import (
    ConfigException,
    NoSuchParameterException,
    NoSuchVersionException,
    ValueRefused,
    VersionAlreadyExistsException,
)

if TYPE_CHECKING:
    from NexusCore.config.parameter import ConfigParameter
    from NexusCore.config.values import Limits
    from NexusCore.config.view import NamedConfiguration

__all__ = [
    "ConfigException",
    "ConfigParameter",
    "Limits",
    "NamedConfiguration",
    "NoSuchParameterException",
    "NoSuchVersionException",
    "ValueRefused",
    "VersionAlreadyExistsException",
]

if not TYPE_CHECKING:
    import lazy_loader

    # The live configuration is imported at first use: a tool that reads one parameter does without it.
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "parameter": ["ConfigParameter"],
            "values": ["Limits"],
            "view": ["NamedConfiguration"],
        },
    )
