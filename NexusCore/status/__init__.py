"""Status: values that show how a program is doing, kept in memory and stored when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from NexusCore.errors import NoSuchElementException, StatusException

if TYPE_CHECKING:
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
    import lazy_loader

    # The classes are imported at first use: a program that only reads status does not need them.
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "element": ["StatusElement"],
            "element2d": ["Status2DElement"],
            "holder": ["StatusHolder"],
            "reporters": ["OnChangeStatusReporter", "PeriodicStatusReporter"],
        },
    )
