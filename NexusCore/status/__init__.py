"""Status: values that tell how a program is doing, held in memory and stored as they change."""

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
