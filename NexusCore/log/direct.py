"""The direct way of a log call into the journal, without creating a record of the standard library.

It is used only if the journal's handler alone would get the record and nothing else could read or change it: no further
handler, filter or record factory, default settings of logging about records, no `extra`, `stack_info`, `exc_info` or
`stacklevel`, no subclass. It writes the same as the handler. In all other cases, and if a message cannot be formatted
or encoded, `DirectWay.write` does nothing and returns False, and the call goes through the standard library.
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
"""Source files whose module names are cached; programs that create code at run time have ever new ones."""
_SINGLE = frozenset({int, str, float, bool, bytes, type(None)})
"""Types of a single argument that are not mappings."""
_SURE = LOG_TEXT // 4
"""Messages of up to this many characters always fit: one character is at most four bytes of UTF-8."""

_encode = msgspec.msgpack.Encoder().encode
_now = time.time_ns
_frame = sys._getframe
_this_thread = threading.current_thread
_pid = os.getpid
_session = CURRENT_SESSION.get
_factory = logging.getLogRecordFactory


class DirectWay:
    """Writes records to the journal when the standard library's logging would do nothing else.

    Parameters
    ----------
    handler
        The handler that writes to the journal.
    root
        The root of all loggers; `handler` must be its only handler.
    append
        Takes an encoded record; safe to call from all threads.
    kinds
        The logger classes whose records are those of the standard library.
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
        """Write what the caller's caller logs; return whether it was written.

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
            module = self._module_of(code.co_filename)
        prefix = log.prefix
        if module is None or type(message) is not str or type(prefix) is not str:
            return False
        if prefix:
            # With arguments the message is a format, in which a % of the prefix would be read as a placeholder.
            message = (prefix.replace("%", "%%") if args else prefix) + message
        ts = _now() // 1000
        if args:
            if len(args) == 1 and type(args[0]) not in _SINGLE and isinstance(args[0], Mapping):
                return False  # the standard library uses a mapping as named arguments
            try:
                message = message % args
            except Exception:  # noqa: BLE001  the standard way shows what does not fit
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
        """Return whether the journal's handler alone would get the unchanged record."""
        handler, root = self._handler, self._root
        logger: logging.Logger | None = log
        while logger is not root:
            if logger is None or logger.handlers or not logger.propagate:
                return False
            logger = logger.parent
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

    def _module_of(self, filename: str) -> str | None:
        """Return the module name of a source file; None if its frames do not count as callers."""
        if len(self._modules) >= _FILES_REMEMBERED:
            self._modules.clear()
        module: str | None = os.path.splitext(os.path.basename(filename))[0]  # noqa: PTH119, PTH122  as logging does
        # logging skips its own frames and those of imports.
        if os.path.normcase(filename) == logging._srcfile or ("importlib" in filename and "_bootstrap" in filename):
            module = None
        self._modules[filename] = module
        return module
