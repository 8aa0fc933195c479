"""The debug log, kept in memory for its window."""

from __future__ import annotations

import logging
import platform
from collections import deque

from Logger.version import VERSION

LINES_KEPT = 5000
"""A session logs about twenty lines; more come from a repeated fault, and its newest lines are enough."""


class DebugLog(logging.Handler):
    """Keeps the messages of this program in memory only."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(asctime)s  %(levelname)-7s  %(message)s"))
        first = f"Session logger {VERSION}, Python {platform.python_version()}, {platform.platform()}"
        self._lines = deque([first], LINES_KEPT)
        self.count = 0
        """Number of messages so far."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message with its traceback."""
        self._lines.append(self.format(record))
        self.count += 1

    def text(self) -> str:
        """Return the whole log."""
        self.acquire()
        try:
            return "\n".join(self._lines) + "\n"
        finally:
            self.release()


def collect() -> DebugLog:
    """Start keeping the messages of this program and of NexusCore."""
    log = DebugLog()
    for name in ("Logger", "NexusCore"):
        logging.getLogger(name).addHandler(log)
    logging.getLogger("Logger").setLevel(logging.DEBUG)
    return log
