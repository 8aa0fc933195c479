"""What a line of log is, from the statement to the reader."""

from __future__ import annotations

import logging
import re
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from NexusCore.clock import SECOND

LONGEST = 1_000_000
"""Characters of a message or traceback that are kept; the rest is cut, and the text says so."""

SESSION: ContextVar[str | None] = ContextVar("session", default=None)
"""Identifier of the session that is being worked on."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line of log, as stored and as handed to a reader."""

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
    """Session that was being worked on, where one was."""
    id: int = 0
    """Number in the database; 0 before it is there."""


@contextmanager
def in_session(identifier: str) -> Iterator[None]:
    """Attach a session's identifier to all that is logged inside the block, in this thread or task."""
    token = SESSION.set(identifier)
    try:
        yield
    finally:
        SESSION.reset(token)


def message_of(record: logging.LogRecord) -> str:
    """Return a record's message; a format that does not fit its arguments is shown, never raised."""
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001  arguments are strangers' objects, and a log call must not raise
        try:
            message = f"{record.msg} (arguments {record.args!r} do not fit: {error})"
        except Exception:  # noqa: BLE001  nor may their repr
            message = _shown(record.msg)
    return message if len(message) <= LONGEST else cut(message)


def _shown(message: object) -> str:
    try:
        return f"{message!s:.1000} (its arguments cannot be shown)"
    except Exception:  # noqa: BLE001  the message is a stranger's object too
        return f"(a message of type {type(message).__name__} that cannot be shown)"


def traceback_of(record: logging.LogRecord) -> str | None:
    """Return a record's traceback and stack, or None."""
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        try:
            parts.append("".join(traceback.format_exception(*record.exc_info)).rstrip())
        except Exception as error:  # noqa: BLE001  what was given as an exception may be anything
            parts.append(f"(the exception cannot be shown: {error!r})")
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    return cut("\n".join(parts)) if parts else None


def short_line(record: LogRecord) -> str:
    """Return a record as one line, in local time (003-58), control characters escaped.

    ``Tue Aug  2 11:42:16 2016 [DEBUG][InternalDB( 294)][MySQLStatusReporter]Initializing tables``
    """
    when = time.ctime(record.ts // SECOND)
    level = logging.getLevelName(record.level)
    return f"{when} [{level:>5}][{record.module:>7}({record.line:4d})][{record.logger}]{printable(record.message)}"


def printable(text: str) -> str:
    """Return `text` so that it cannot command a terminal; line ends and tabs stay."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def cut(text: str) -> str:
    """Return `text`, shortened if it is longer than `LONGEST`."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... [{len(text) - LONGEST} characters cut]"
