"""Status: values that tell how a program is doing, held in memory and stored as they change."""

from NexusCore.errors import NoSuchElementException, StatusException
from NexusCore.status.element import StatusElement
from NexusCore.status.holder import StatusHolder

__all__ = ["NoSuchElementException", "StatusElement", "StatusException", "StatusHolder"]
