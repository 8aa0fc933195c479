"""What the logger did, line by line, kept in memory for the window that shows it."""

from __future__ import annotations

import logging
import platform
import sys
from collections import deque
from importlib import metadata

LINES_KEPT = 5000
"""A session's log has some twenty lines; more is a fault that repeats itself, of which the newest lines tell most."""


class DebugLog(logging.Handler):
    """Keeps the messages of this program; nothing of it is written to a disk."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(asctime)s  %(levelname)-7s  %(message)s"))
        first = f"Session logger {_version()}, Python {platform.python_version()}, {platform.platform()}"
        self._lines = deque([first], LINES_KEPT)
        self.count = 0
        """How many messages there have been."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message, with its traceback."""
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
    """Begin to keep what this program and the core below it have to say."""
    log = DebugLog()
    for name in ("Logger", "NexusCore"):
        logging.getLogger(name).addHandler(log)
    logging.getLogger("Logger").setLevel(logging.DEBUG)
    return log


def _version() -> str:
    try:
        return metadata.version("NexusCore")
    except metadata.PackageNotFoundError:  # a copy of the folder, or a packed executable
        return "(unpacked)" if not getattr(sys, "frozen", False) else "(packed)"
