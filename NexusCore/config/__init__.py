"""Configuration: a live, versioned tree of typed parameters.

`NamedConfiguration` is what programs use; `get_config` of `NexusCore.API` makes one.
"""

from __future__ import annotations

from importlib import import_module
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

    def __getattr__(name: str) -> object:
        """Import the live configuration when it is first asked for: a tool that reads one parameter does without it."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        room = {"NamedConfiguration": "view", "Limits": "values"}.get(name, "parameter")
        return getattr(import_module(f"NexusCore.config.{room}"), name)
