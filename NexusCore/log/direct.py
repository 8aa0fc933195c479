"""The short way of a log call into the journal: no record of the standard library is made, since nobody would see it.

It is taken only where the journal's handler alone would get the record and nothing else may look at it or change it: no
further handler, no filter, no record factory, none of logging's settings about records changed, no `extra`, no
`stack_info`, `exc_info` or `stacklevel`, no subclass. What it puts into the journal is what the handler would. In all
other cases, and where a message cannot be made or encoded, `DirectWay.write` does nothing and says so, and the call
goes the full way.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping

import msgspec

from NexusCore import identity
from NexusCore.log.logger import Log
from NexusCore.log.record import CURRENT_SESSION
from NexusCore.sizes import LOG_TEXT

_FILES_REMEMBERED = 4096
"""Names of source files whose modules are remembered; programs that make code at run time have ever new ones."""
_SINGLE = frozenset({int, str, float, bool, bytes, type(None)})
"""Types of an only argument that holds no named ones."""
_SURE = LOG_TEXT // 4
"""Characters that a message of any kind may have without being too long: one is at most four bytes of UTF-8."""

_encode = msgspec.msgpack.Encoder().encode
_now = time.time_ns
_frame = sys._getframe
_this_thread = threading.current_thread
_pid = os.getpid
_session = CURRENT_SESSION.get
_factory = logging.getLogRecordFactory


class DirectWay:
    """Writes records to the journal where the full way through the standard library's logging would do no more.

    Parameters
    ----------
    handler
        The handler that writes to the journal.
    root
        The logger at which all others end; `handler` is to be the only one it has.
    append
        Takes an encoded record; safe to call from all threads.
    kinds
        The classes of loggers whose records are made as the standard library makes them.
    """

    def __init__(
        self,
        handler: logging.Handler,
        root: logging.Logger,
        append: Callable[[bytes], None],
        kinds: frozenset[type[logging.Logger]],
    ) -> None:
        self._handler = handler
        self._root = root
        self._append = append
        self._kinds = kinds
        self._host = identity.host()
        self._modules: dict[str, str | None] = {}

    def write(self, log: Log, level: int, message: object, args: tuple[object, ...]) -> bool:
        """Write what the caller's caller logs; return whether that was done.

        Parameters
        ----------
        log
            The logger; the level is enabled for it.
        level, message, args
            As given to the logger.
        """
        if not self._is_open(log, level):
            return False
        try:
            frame = _frame(2)
        except ValueError:  # called by no Python code
            return False
        code = frame.f_code
        try:
            module = self._modules[code.co_filename]
        except KeyError:
            module = self._remember(code.co_filename)
        prefix = log.prefix
        if module is None or type(message) is not str or type(prefix) is not str:
            return False
        if prefix:
            # With arguments the message is a format, in which a % of the prefix would be read as a placeholder.
            message = (prefix.replace("%", "%%") if args else prefix) + message
        ts = _now() // 1000
        if args:
            if len(args) == 1 and type(args[0]) not in _SINGLE and isinstance(args[0], Mapping):
                return False  # the standard library takes them for named arguments
            try:
                message = message % args
            except Exception:  # noqa: BLE001  the full way shows what does not fit
                return False
        if len(message) > _SURE:
            return False
        fields = (
            ts, level, log.name, module, frame.f_lineno, code.co_name, self._host, _pid(), _this_thread().name, message,
            None, _session(),
        )  # fmt: skip
        try:
            payload = _encode(fields)
        except (UnicodeEncodeError, OverflowError, TypeError):
            return False
        self._append(payload)
        return True

    def _is_open(self, log: logging.Logger, level: int) -> bool:
        """Return whether the journal's handler alone would get the record as it was made."""
        handler, root = self._handler, self._root
        one: logging.Logger | None = log
        while one is not root:
            if one is None or one.handlers or not one.propagate:
                return False
            one = one.parent
        handlers = root.handlers
        return (
            len(handlers) == 1
            and handlers[0] is handler
            and not handler.filters
            and level >= handler.level
            and not log.filters
            and type(log) in self._kinds
            and _factory() is logging.LogRecord
            and logging.logThreads
            and logging.logProcesses
            and logging._srcfile is not None
        )

    def _remember(self, filename: str) -> str | None:
        """Return the module that a source file is; None if its frames are not those of callers."""
        if len(self._modules) >= _FILES_REMEMBERED:
            self._modules.clear()
        module: str | None = os.path.splitext(os.path.basename(filename))[0]  # noqa: PTH119, PTH122  as logging does
        # logging passes over its own frames, and over those of imports.
        if os.path.normcase(filename) == logging._srcfile or ("importlib" in filename and "_bootstrap" in filename):
            module = None
        self._modules[filename] = module
        return module
