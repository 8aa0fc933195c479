"""Logs: Python's logging underneath, the journal and the database behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from NexusCore.log.record import LogRecord, in_session

if TYPE_CHECKING:
    from NexusCore.log.handler import Logs
    from NexusCore.log.logger import Log

__all__ = ["Log", "LogRecord", "Logs", "in_session"]

if not TYPE_CHECKING:
    import lazy_loader

    # The loggers are imported at first use: a program that only reads the log does not need them.
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "handler": ["Logs"],
            "logger": ["Log"],
        },
    )
