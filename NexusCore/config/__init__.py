"""Configuration: a live, versioned tree of typed parameters.

`NamedConfiguration` is what programs use; `get_config` of `NexusCore.API` makes one.
"""

from NexusCore.config.named import NamedConfiguration
from NexusCore.config.parameter import ConfigParameter, Limits
from NexusCore.errors import (
    ConfigException,
    NoSuchParameterException,
    NoSuchVersionException,
    ValueRefused,
    VersionAlreadyExistsException,
)

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
