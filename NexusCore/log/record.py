"""The record of a log call, from the statement to the reader."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import NamedTuple

from NexusCore.clock import EARLIEST, LATEST, SECOND
from NexusCore.sizes import LOG_TEXT, truncate
from NexusCore.storage.rows import Odd
from NexusCore.text import escape, one_line

CURRENT_SESSION: ContextVar[str | None] = ContextVar("session", default=None)
"""Identifier of the current session."""


class LogRecord(NamedTuple):
    """One log record, as stored and read; a tuple, since readers create thousands a second."""

    ts: int
    """Microseconds since the epoch, UTC, by the clock of the machine that logged."""
    level: int
    """Numeric level of the standard library's logging."""
    logger: str
    """Name given to `get_log`."""
    module: str
    """File name without suffix of the statement that logged."""
    line: int
    function: str
    host: str
    pid: int
    thread: str
    message: str
    traceback: str | None = None
    session: str | None = None
    """Session that the program worked on, if any."""
    id: int = 0
    """Number in the database; 0 until it is stored."""
    odd: Odd = ()
    """Messages about fields that cannot be read."""


@contextmanager
def in_session(identifier: str) -> Iterator[None]:
    """Attach a session's identifier to everything logged in the block, in this thread or task."""
    token = CURRENT_SESSION.set(identifier)
    try:
        yield
    finally:
        CURRENT_SESSION.reset(token)


def message_of(record: logging.LogRecord) -> str:
    """Return a record's message; never raises, even if the format does not fit its arguments."""
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001  arguments may be any objects, and a log call must not raise
        try:
            message = f"{record.msg} (arguments {record.args!r} do not fit: {error})"
        except Exception:  # noqa: BLE001  nor may their repr
            message = _shown(record.msg)
    return truncate(message, LOG_TEXT)


def _shown(message: object) -> str:
    try:
        return f"{message!s:.1000} (its arguments cannot be shown)"
    except Exception:  # noqa: BLE001  the message may be any object, too
        return f"(a message of type {type(message).__name__} that cannot be shown)"


def traceback_of(record: logging.LogRecord) -> str | None:
    """Return a record's traceback and stack, or None."""
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        try:
            parts.append("".join(traceback.format_exception(*record.exc_info)).rstrip())
        except Exception as error:  # noqa: BLE001  the given exception may be any object
            parts.append(f"(the exception cannot be shown: {error!r})")
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    return truncate("\n".join(parts), LOG_TEXT) if parts else None


def short_line(record: LogRecord) -> str:
    """Return a record as one line, in local time, odd characters escaped; only its message has line ends.

    ``Tue Aug  2 11:42:16 2016 [DEBUG][InternalDB( 294)][MySQLStatusReporter]Initializing tables``
    """
    return f"{second_text(record.ts // SECOND)} {untimed(record)}"


def second_text(second: int) -> str:
    """Return a time, in seconds since the epoch, as shown at the beginning of a line."""
    return time.ctime(second) if EARLIEST <= second * SECOND < LATEST else "unreadable time"


def untimed(record: LogRecord) -> str:
    """Return the line of a record without the time."""
    return _place(record.level, record.module, record.line, record.logger) + escape(record.message)


@lru_cache(maxsize=1024)
def _place(level: int, module: str, line: int, logger: str) -> str:
    """Return the part of a line before the message; cached, since a few statements make most lines."""
    return f"[{logging.getLevelName(level):>5}][{one_line(module):>7}({line:4d})][{one_line(logger)}]"


class LineFormatter(logging.Formatter):
    """Formats records as text that cannot control a terminal; further lines are indented.

    So no message can look like another log line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        return escape(super().format(record)).replace("\n", "\n    ")
