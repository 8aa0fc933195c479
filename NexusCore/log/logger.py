"""What `get_log` returns: the standard library's logger, with a short way into the journal."""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Callable
from logging import CRITICAL, DEBUG, ERROR, INFO, WARNING
from typing import Any, Protocol, cast

Prefix = str | Callable[[], str]


class ShortWay(Protocol):
    """A way into the journal past the standard library's records: `NexusCore.log.direct.DirectWay`."""

    def write(self, log: Log, level: int, message: object, args: tuple[object, ...]) -> bool:
        """Write what the caller's caller logs; return whether that was done."""
        ...


class Manager(logging.Manager):
    """What the loggers of one process have in common.

    Parameters
    ----------
    root
        The logger at which all others end.
    way
        The short way into the journal.
    """

    def __init__(self, root: logging.Logger, way: ShortWay) -> None:
        super().__init__(cast(logging.RootLogger, root))  # any logger can be a root
        self.way = way
        self.setLoggerClass(Log)
        _managers.add(self)

    @property
    def disable(self) -> int:
        """The level up to which nothing is logged: that of `logging.disable` holds for these loggers, too."""
        return max(self._disable, logging.root.manager.disable)

    @disable.setter
    def disable(self, level: int) -> None:
        self._disable = level

    def getLogger(self, name: str) -> logging.Logger:  # noqa: N802  the standard library's name
        """Return the logger of a name."""
        log = super().getLogger(name)
        if isinstance(log, Log):
            log.way = self.way
        return log


_managers: weakref.WeakSet[Manager] = weakref.WeakSet()


class _Cache(dict[int, bool]):
    """What a logger of the standard library's remembers of levels; when it forgets that, so do the loggers of ours."""

    def clear(self) -> None:
        """Forget."""
        super().clear()
        for manager in list(_managers):
            manager._clear_cache()  # type: ignore[attr-defined]  # what logging calls itself


# `logging.disable` has the loggers that the standard library knows forget what is enabled, and says it nowhere else.
# To ask it at each call instead would cost every call.
logging.getLogger("NexusCore")._cache = _Cache()  # type: ignore[attr-defined]  # private to logging


class Log(logging.Logger):
    """A logger as `get_log` returns it; see `logging.Logger` for its methods.

    `logging.Logger.exception` also stores the stack trace.
    """

    prefix: Prefix = ""
    """Stands before each message."""
    way: ShortWay | None = None
    """The short way into the journal; none for a logger that was made by hand."""

    # Each method by itself: one that they share would be another call, and the caller's frame is counted from here.

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
        """Log at a level given by its number."""
        if type(level) is not int:
            super().log(level, msg, *args, **_for_the_caller(kwargs))
        elif self.isEnabledFor(level) and (kwargs or not self.way or not self.way.write(self, level, msg, args)):
            self._log(level, msg, args, **_for_the_caller(kwargs))


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
        self.parent, self.manager, self.way = log, log.manager, log.way
        self._log_of_name = log

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  the standard library's name
        """Tell whether a level is logged; nothing is remembered, since the manager does not know this logger."""
        if not self.level:
            return self._log_of_name.isEnabledFor(level)
        return not self.disabled and self.manager.disable < level >= self.level

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


def _for_the_caller(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Have the full way pass over the method of ours, which is one frame more than the standard library's."""
    return {**kwargs, "stacklevel": kwargs.get("stacklevel", 1) + 1}
