"""The loggers that `get_log` returns: those of the standard library with a direct way into the journal."""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Callable
from logging import CRITICAL, DEBUG, ERROR, INFO, WARNING
from typing import Any, Protocol, cast

Prefix = str | Callable[[], str]


class ShortWay(Protocol):
    """A way into the journal without the standard library's records: `NexusCore.log.direct.DirectWay`."""

    def write(self, log: Log, level: int, message: object, args: tuple[object, ...]) -> bool:
        """Write what the caller's caller logs; return whether it was written."""
        ...


class Manager(logging.Manager):
    """The shared state of the loggers of one process.

    Parameters
    ----------
    root
        The root of all loggers.
    way
        The direct way into the journal.
    """

    def __init__(self, root: logging.Logger, way: ShortWay) -> None:
        super().__init__(cast(logging.RootLogger, root))  # any logger can be a root
        self.way = way
        self.setLoggerClass(Log)
        _managers.add(self)

    @property
    def disable(self) -> int:
        """The level up to which nothing is logged; `logging.disable` applies to these loggers, too."""
        return max(self._disable, logging.root.manager.disable)

    @disable.setter
    def disable(self, level: int) -> None:
        self._disable = level

    def getLogger(self, name: str) -> logging.Logger:  # noqa: N802  the standard library's name
        """Return the logger with a name."""
        log = super().getLogger(name)
        if isinstance(log, Log):
            log.way = self.way
        return log


_managers: weakref.WeakSet[Manager] = weakref.WeakSet()


class _Cache(dict[int, bool]):
    """Cache of enabled levels in a logger of the standard library; clearing it also clears those of our loggers."""

    def clear(self) -> None:
        """Clear the caches."""
        super().clear()
        for manager in list(_managers):
            manager._clear_cache()  # type: ignore[attr-defined]  # what logging calls itself


# `logging.disable` clears the caches of the loggers in the standard library's hierarchy, and notifies nothing else.
# Checking its level at every call would be slow.
logging.getLogger("NexusCore")._cache = _Cache()  # type: ignore[attr-defined]  # private to logging


class Log(logging.Logger):
    """A logger as `get_log` returns it; see `logging.Logger` for its methods.

    `logging.Logger.exception` also stores the stack trace.
    """

    prefix: Prefix = ""
    """Put before each message."""
    way: ShortWay | None = None
    """The direct way into the journal; None for a logger that was created by hand."""

    # No shared helper: that would be another call, and the caller's frame is counted from here.

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at level DEBUG."""
        if self.isEnabledFor(DEBUG) and (kwargs or not self.way or not self.way.write(self, DEBUG, msg, args)):
            self._log(DEBUG, msg, args, **_for_the_caller(kwargs))

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at level INFO."""
        if self.isEnabledFor(INFO) and (kwargs or not self.way or not self.way.write(self, INFO, msg, args)):
            self._log(INFO, msg, args, **_for_the_caller(kwargs))

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at level WARNING."""
        if self.isEnabledFor(WARNING) and (kwargs or not self.way or not self.way.write(self, WARNING, msg, args)):
            self._log(WARNING, msg, args, **_for_the_caller(kwargs))

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at level ERROR."""
        if self.isEnabledFor(ERROR) and (kwargs or not self.way or not self.way.write(self, ERROR, msg, args)):
            self._log(ERROR, msg, args, **_for_the_caller(kwargs))

    def critical(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at level CRITICAL."""
        if self.isEnabledFor(CRITICAL) and (kwargs or not self.way or not self.way.write(self, CRITICAL, msg, args)):
            self._log(CRITICAL, msg, args, **_for_the_caller(kwargs))

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at a numeric level."""
        if type(level) is not int:
            super().log(level, msg, *args, **_for_the_caller(kwargs))
        elif self.isEnabledFor(level) and (kwargs or not self.way or not self.way.write(self, level, msg, args)):
            self._log(level, msg, args, **_for_the_caller(kwargs))


class PrefixedLog(Log):
    """A logger that puts a text before each message.

    Parameters
    ----------
    log
        The logger whose level, filters and handlers are used.
    prefix
        The text, or a function that returns it.
    """

    def __init__(self, log: Log, prefix: Prefix) -> None:
        super().__init__(log.name)
        self.prefix = prefix
        self.parent, self.manager, self.way = log, log.manager, log.way
        self._log_of_name = log

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  the standard library's name
        """Return whether a level is logged; not cached, since the manager does not know this logger."""
        if not self.level:
            return self._log_of_name.isEnabledFor(level)
        return not self.disabled and self.manager.disable < level >= self.level

    def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802  the standard library's name
        """Create the record, with the prefix before the message."""
        record = super().makeRecord(*args, **kwargs)
        try:
            prefix = self.prefix() if callable(self.prefix) else self.prefix
            # With arguments the message is a format, in which a % of the prefix would be read as a placeholder.
            record.msg = (prefix.replace("%", "%%") if record.args else prefix) + str(record.msg)
        except Exception:  # noqa: BLE001  prefix and message may be foreign code, and a log call must not raise
            record.exc_info = record.exc_info or sys.exc_info()  # the record shows it as its traceback
        return record


def _for_the_caller(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Add the frame of our method to the stack level."""
    return {**kwargs, "stacklevel": kwargs.get("stacklevel", 1) + 1}
