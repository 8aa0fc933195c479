"""`get_log`: loggers in a hierarchy of their own, whose records go to the journal.

The application's own logging is not changed: no global logger class, no handler on the root logger.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

import msgspec

from NexusCore import identity
from NexusCore.errors import WrongArgument
from NexusCore.log.direct import DirectWay
from NexusCore.log.logger import Log, Manager, Prefix, PrefixedLog
from NexusCore.log.record import CURRENT_SESSION, message_of, traceback_of
from NexusCore.sizes import LOG_TEXT, truncate
from NexusCore.text import shortened

_LARGEST_LEVEL = 2**31 - 1

_encode = msgspec.msgpack.Encoder().encode


class JournalHandler(logging.Handler):
    """Writes each record to the journal, in the thread that logs.

    Parameters
    ----------
    append
        Takes an encoded record; safe to call from all threads.
    """

    def __init__(self, append: Callable[[bytes], None]) -> None:
        super().__init__()
        self._append = append
        self._host = identity.host()

    def createLock(self) -> None:  # noqa: N802  the standard library's name
        """Create no lock: the journal has its own."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Write one record that passes the filters; without a lock, since this is the hot path."""
        if self.filters and not self.filter(record):
            return False
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; never raises. Characters that cannot be encoded are escaped."""
        tb = traceback_of(record) if record.exc_info or record.stack_info or record.exc_text else None
        fields = (
            int(record.created * 1_000_000),
            record.levelno,
            # Any of these may be missing in records created by hand, or by settings of logging.
            str(record.name or ""),
            record.module or "",
            record.lineno or 0,
            record.funcName or "",
            self._host,
            record.process or 0,
            record.threadName or "",
            message_of(record),
            tb,
            CURRENT_SESSION.get(),
        )
        try:
            payload = _encode(fields)
        except (UnicodeEncodeError, OverflowError, TypeError):  # such as file names of unknown encoding
            payload = _encode((fields[0], *map(_plain, fields[1:])))
        self._append(payload)


def _plain(field: object) -> object:
    """Return a field in a form that can be stored: lone surrogates escaped, numbers within 32 bits."""
    if field is None:
        return None
    if isinstance(field, int):
        return max(-_LARGEST_LEVEL, min(field, _LARGEST_LEVEL))
    return truncate(str(field).encode("utf-8", "backslashreplace").decode("utf-8"), LOG_TEXT)


class _Onward(logging.Handler):
    """Passes the records of a library's logger to the handlers of ours."""

    def __init__(self, onward: logging.Logger) -> None:
        super().__init__()
        self.onward = onward
        """The logger whose handlers get the records."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on a record once, even if it comes through several routed loggers."""
        visited = record.__dict__.setdefault("nexuscore_seen", [])
        if self not in visited:
            visited.append(self)
            self.onward.callHandlers(record)


class Logs:
    """All loggers of a process.

    Parameters
    ----------
    append
        Called with each encoded record.
    """

    def __init__(self, append: Callable[[bytes], None]) -> None:
        self.root = Log("root", logging.DEBUG)
        self.handler = JournalHandler(append)
        self.root.addHandler(self.handler)
        direct = DirectWay(self.handler, self.root, append, frozenset({Log, PrefixedLog}))
        self._manager = self.root.manager = Manager(self.root, direct)
        self._onward = _Onward(self.root)
        self._routed: list[logging.Logger] = []
        # Otherwise the application's level would apply, and "the database is back" might not be logged.
        self.route("NexusCore", logging.getLogger("NexusCore").level or logging.INFO)

    def get(self, name: str, prefix: Prefix | None = None) -> Log:
        """Return the logger with a name; with a prefix, one whose messages begin with it."""
        log = self._manager.getLogger(name)
        if prefix is not None:
            return PrefixedLog(cast(Log, log), prefix)
        return cast(Log, log)  # the manager creates our class

    def route(self, name: str, level: int = logging.NOTSET) -> None:
        """Send the records of a library's logger, and of those below it, to our handlers."""
        if not isinstance(name, str):
            raise WrongArgument(function="route_log", what="the name of a logger", value=shortened(repr(name), 40))
        if not isinstance(level, int) or isinstance(level, bool):
            what = "the number of a level, such as logging.DEBUG"
            raise WrongArgument(function="route_log", what=what, value=shortened(repr(level), 40))
        logger = logging.getLogger(name)
        if self._onward not in logger.handlers:
            logger.addHandler(self._onward)
            self._routed.append(logger)
        if level:
            logger.setLevel(level)

    def close(self) -> None:
        """Remove the handler from the libraries' loggers."""
        for logger in self._routed:
            logger.removeHandler(self._onward)
        self._routed.clear()
