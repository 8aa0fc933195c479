"""`get_log`: loggers of the standard library, in a hierarchy of their own, whose records go to the journal.

Nothing of the application's own logging is touched: no global logger class, no handler on the root logger.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, cast

import msgspec

from NexusCore import identity
from NexusCore.log.record import SESSION, message_of, traceback_of

Prefix = str | Callable[[], str]

_LARGEST = 2**31 - 1

_encode = msgspec.msgpack.Encoder().encode


class Log(logging.Logger):
    """A logger as `get_log` returns it; see `logging.Logger` for its methods.

    `logging.Logger.exception` also stores the stack trace (003-55).
    """


class PrefixedLog(Log):
    """A logger that puts a text before each message.

    Parameters
    ----------
    log
        The logger of that name: its level, filters and handlers hold here too.
    prefix
        The text, or a function that returns it.
    """

    def __init__(self, log: Log, prefix: Prefix) -> None:
        super().__init__(log.name)
        self.prefix = prefix
        self.parent, self.manager = log, log.manager
        self._log_of_name = log

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  the standard library's name
        """Tell whether a level is logged; asked anew each time, since the manager does not know this logger."""
        return super().isEnabledFor(level) if self.level else self._log_of_name.isEnabledFor(level)

    def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802  the standard library's name
        """Make the record, with the logger's prefix before the message."""
        record = super().makeRecord(*args, **kwargs)
        try:
            prefix = self.prefix() if callable(self.prefix) else self.prefix
            # With arguments the message is a format, in which a % of the prefix would be read as a placeholder.
            record.msg = (prefix.replace("%", "%%") if record.args else prefix) + str(record.msg)
        except Exception:  # noqa: BLE001  prefix and message are a stranger's code, and a log call must not raise
            record.exc_info = record.exc_info or sys.exc_info()  # the record tells, in the place of a traceback
        return record


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
        """Do without the handler's lock: the journal has its own."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Write one record, if no filter objects; this is the hot path, and there is no lock to take."""
        if self.filters and not self.filter(record):
            return False
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. Never raises: what cannot be encoded is written with its odd characters escaped."""
        tb = traceback_of(record) if record.exc_info or record.stack_info or record.exc_text else None
        fields = (
            int(record.created * 1_000_000),
            record.levelno,
            record.name,
            record.module,
            record.lineno,
            record.funcName,
            self._host,
            record.process,
            record.threadName,
            message_of(record),
            tb,
            SESSION.get(),
        )
        try:
            payload = _encode(fields)
        except (UnicodeEncodeError, OverflowError, TypeError):  # such as file names of unknown encoding
            payload = _encode((fields[0], *map(_plain, fields[1:])))
        self._append(payload)


def _plain(field: object) -> object:
    """Return a field so that it can be stored: lone surrogates escaped, numbers within 32 bits, text as text."""
    if field is None:
        return None
    if isinstance(field, int):
        return max(-_LARGEST, min(field, _LARGEST))
    return str(field).encode("utf-8", "backslashreplace").decode("utf-8")


class _Onward(logging.Handler):
    """Hands the records of a library's logger to the handlers of ours."""

    def __init__(self, root: logging.Logger) -> None:
        super().__init__()
        self._root = root

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on a record, once, though it may come by several loggers that are routed."""
        seen = record.__dict__.setdefault("nexuscore_seen", [])
        if self not in seen:
            seen.append(self)
            self._root.callHandlers(record)


class Logs:
    """All loggers of a process.

    Parameters
    ----------
    append
        Where encoded records go.
    """

    def __init__(self, append: Callable[[bytes], None]) -> None:
        self.root = Log("root", logging.DEBUG)
        self.handler = JournalHandler(append)
        self.root.addHandler(self.handler)
        self._manager = logging.Manager(cast(logging.RootLogger, self.root))  # any logger can be a root
        self._manager.setLoggerClass(Log)
        self._onward = _Onward(self.root)
        self._routed: list[logging.Logger] = []
        # Otherwise the level of whatever program this is would hold, and that the database is back would go unsaid.
        self.route("NexusCore", logging.getLogger("NexusCore").level or logging.INFO)

    def get(self, name: str, prefix: Prefix | None = None) -> Log:
        """Return the logger of a name; with a prefix, one whose messages begin with it."""
        log = self._manager.getLogger(name)
        if prefix is not None:
            return PrefixedLog(cast(Log, log), prefix)
        return cast(Log, log)  # the manager makes them of our class

    def route(self, name: str, level: int = logging.NOTSET) -> None:
        """Have the records of a library's logger, and of those below it, go where ours go."""
        logger = logging.getLogger(name)
        if self._onward not in logger.handlers:
            logger.addHandler(self._onward)
            self._routed.append(logger)
        if level:
            logger.setLevel(level)

    def close(self) -> None:
        """Take the handler back from the libraries' loggers."""
        for logger in self._routed:
            logger.removeHandler(self._onward)
        self._routed.clear()
