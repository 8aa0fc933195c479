"""Logs: Python's logging underneath, the journal and the database behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from NexusCore.log.record import LogRecord, in_session

if TYPE_CHECKING:
    from NexusCore.log.handler import Logs
    from NexusCore.log.logger import Log

__all__ = ["Log", "LogRecord", "Logs", "in_session"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import the loggers at first use: a program that only reads the log does not need them."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from NexusCore.log import handler, logger

        return getattr(handler if name == "Logs" else logger, name)
