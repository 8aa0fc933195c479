"""Where a logger of the standard library writes, by the folder ``Log`` of the configuration; for `setupLogging`.

Promises
--------
* A logger that is set up again gets no second handler of a kind: no line is doubled.
* Mail is queued and limited per hour; a mail server that is away delays nothing.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
from logging.handlers import QueueHandler
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from NexusCore.clock import Clock
from NexusCore.log.destinations import LINE_FORMAT, LOG_SETTINGS, Destinations, LogSettings
from NexusCore.log.record import LineFormatter

LOG_FOLDER = Path("exec/logs")
"""Folder below the working directory for whoever runs the program, such as a supervisor, to put its output into."""
MAIL_SECONDS = 2.0
"""How long waiting mail is sent when the program ends."""

_lock = threading.Lock()
_outputs: WeakKeyDictionary[logging.Logger, LoggerOutputs] = WeakKeyDictionary()


class LoggerOutputs:
    """The handlers of one logger.

    Parameters
    ----------
    logger
        Its handlers of other origin stay.
    config
        The configuration from its absolute root.
    clock
        Source of time.
    level
        Least level for the standard output.
    console_only
        Neither a file nor mail, whatever the configuration says.
    """

    def __init__(
        self, logger: logging.Logger, config: LogSettings, clock: Clock, level: int, *, console_only: bool
    ) -> None:
        self._logger = logger
        self._stdout = logging.StreamHandler(sys.stdout)
        self._stdout.setLevel(level)
        self._stdout.setFormatter(LineFormatter(LINE_FORMAT))
        self._others = Destinations(logger, _OutputSettings(config, console_only), clock, logger.name)

    def add_standard_output(self) -> None:
        """Write to the standard output."""
        self._logger.addHandler(self._stdout)

    def add_others(self) -> bool:
        """Write to the file and send the mail that the configuration asks for; return whether mail is sent."""
        before = list(self._logger.handlers)
        self._others.configure()
        return any(isinstance(each, QueueHandler) for each in self._logger.handlers if each not in before)

    def close(self, seconds: float) -> None:
        """Remove the handlers; send waiting mail for at most `seconds`."""
        self._logger.removeHandler(self._stdout)
        self._others.close(seconds)


class _OutputSettings:
    """The settings of the log, without those that do not hold for this logger."""

    def __init__(self, config: LogSettings, console_only: bool) -> None:
        # The standard output has a handler of its own, whose level the program chooses.
        names = ("stdout", "file", "mail_host") if console_only else ("stdout",)
        self._config = config
        self._left_out = {f"{LOG_SETTINGS}.{name}" for name in names}

    def __getitem__(self, path: str, /) -> Any:
        return None if path in self._left_out else self._config[path]


def replace_outputs(logger: logging.Logger, outputs: LoggerOutputs) -> None:
    """Remove the handlers that an earlier set-up gave a logger, and close the new ones when the program ends."""
    with _lock:
        if not _outputs:
            atexit.register(close_all)
        former = _outputs.pop(logger, None)
        _outputs[logger] = outputs
    if former is not None:
        former.close(MAIL_SECONDS)


def close_all() -> None:
    """Remove the handlers of all loggers; send waiting mail for a bounded time."""
    with _lock:
        closing = list(_outputs.values())
        _outputs.clear()
    for outputs in closing:
        outputs.close(MAIL_SECONDS / len(closing))
