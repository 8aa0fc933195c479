"""Logs: Python's logging underneath, the journal and the database behind it."""

from NexusCore.log.handler import Log, Logs
from NexusCore.log.record import LogRecord, in_session

__all__ = ["Log", "LogRecord", "Logs", "in_session"]
