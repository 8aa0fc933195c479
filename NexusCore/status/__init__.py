"""Status: values that show how a program is doing, kept in memory and stored when they change."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from NexusCore.errors import NoSuchElementException, StatusException
    from NexusCore.status.element import StatusElement
    from NexusCore.status.element2d import Status2DElement
    from NexusCore.status.holder import StatusHolder
    from NexusCore.status.reporters import OnChangeStatusReporter, PeriodicStatusReporter

__all__ = [
    "NoSuchElementException",
    "OnChangeStatusReporter",
    "PeriodicStatusReporter",
    "Status2DElement",
    "StatusElement",
    "StatusException",
    "StatusHolder",
]

if not TYPE_CHECKING:
    _ROOMS = {
        "NoSuchElementException": "NexusCore.errors",
        "OnChangeStatusReporter": "NexusCore.status.reporters",
        "PeriodicStatusReporter": "NexusCore.status.reporters",
        "Status2DElement": "NexusCore.status.element2d",
        "StatusElement": "NexusCore.status.element",
        "StatusException": "NexusCore.errors",
        "StatusHolder": "NexusCore.status.holder",
    }

    def __getattr__(name: str) -> object:
        """Import the classes at first use: a program that only reads status does not need them."""
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_ROOMS[name]), name)
