"""Configured destinations of log records besides the database: standard output, a file, e-mail.

The parameters are in the folder ``Log`` and take effect while the program runs. No destination can delay or break a log
call: mail has its own queue and thread, and a limit per hour.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any, Protocol

from NexusCore.clock import Clock
from NexusCore.forks import renew_in_children
from NexusCore.log.file import LogFile
from NexusCore.log.record import LineFormatter
from NexusCore.resources import complain
from NexusCore.text import escape, one_line

LOG_SETTINGS = "Log"
LINE_FORMAT = "%(asctime)s %(levelname)s: %(message)s [in %(module)s:%(lineno)d]"
MAIL = """\
Message type: %(levelname)s
Location: %(pathname)s:%(lineno)d
Module: %(module)s
Function: %(funcName)s
Time: %(asctime)s

%(message)s
"""
SMTP_SECONDS = 20.0
WAITING_MAILS = 200
HOUR_SECONDS = 3600.0

_LOG = logging.getLogger("NexusCore.log")


class LogSettings(Protocol):
    """What the destinations need of the configuration."""

    def __getitem__(self, path: str, /) -> Any:
        """Return the value of a parameter."""


class LimitedMail(logging.handlers.SMTPHandler):
    """Sends each record by mail, up to a limit per hour; the next mail says how many were held back.

    Parameters
    ----------
    host, sender, receivers, subject
        As in `logging.handlers.SMTPHandler`; `host` may end in ``:port``.
    per_hour
        Limit per hour.
    clock
        Source of time.
    """

    def __init__(self, host: str, sender: str, receivers: list[str], subject: str, per_hour: int, clock: Clock) -> None:
        name, _, port = host.partition(":")
        super().__init__((name, int(port)) if port else name, sender, receivers, subject, timeout=SMTP_SECONDS)
        self.setFormatter(_MailFormatter(MAIL))
        self._per_hour = per_hour
        self._clock = clock
        self._sent: deque[float] = deque()
        self._held_back = 0
        self._complained = False

    def createLock(self) -> None:  # noqa: N802  the standard library's name
        """Create no lock: only one thread sends, and the program would wait for the lock when it ends."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Send a record, or count it."""
        self.emit(record)
        return True

    def getSubject(self, record: logging.LogRecord) -> str:  # noqa: N802  the standard library's name
        """Return the subject, with the number of messages that were held back."""
        more = f" (and {self._held_back} messages that were held back)" if self._held_back else ""
        self._held_back = 0
        return one_line(super().getSubject(record)) + more  # a line end would end the header

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, or count it."""
        now = self._clock.monotonic()
        while self._sent and now - self._sent[0] > HOUR_SECONDS:
            self._sent.popleft()
        if len(self._sent) >= self._per_hour:
            self._held_back += 1
            return
        self._sent.append(now)
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the standard library's name
        """Report once on standard error that mail cannot be sent; the record is in the database."""
        if not self._complained:
            self._complained = True
            complain(f"NexusCore: mail cannot be sent by {self.mailhost}: {sys.exc_info()[1]}")


class _MailFormatter(logging.Formatter):
    """Formats a record as the text of a mail, with odd characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        return escape(super().format(record))


class Destinations:
    """Keeps the additional handlers of a logger in line with the configuration.

    Parameters
    ----------
    logger
        The root logger of the process.
    config
        The configuration from its absolute root.
    clock
        Source of time.
    program
        Name of this program, for ``{program}`` in the file name.
    """

    def __init__(self, logger: logging.Logger, config: LogSettings, clock: Clock, program: str) -> None:
        self._logger = logger
        self._program = program
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._handlers: list[logging.Handler] = []
        self._closed = False
        self._sender: _MailListener | None = None
        renew_in_children(self)

    def forked(self) -> None:
        """Replace the lock and the mail sender."""
        self._lock = threading.Lock()
        if self._sender is not None:
            self._sender = None
            self.configure()

    def close(self, seconds: float) -> None:
        """Remove the handlers; send waiting mail for at most `seconds`."""
        with self._lock:
            self._closed = True
            self._use([])
            if self._sender is not None:
                self._sender.end(seconds)

    def reopen(self) -> bool:
        """Reopen the log file at the next line; return whether there is one. Safe in a signal handler."""
        files = [handler for handler in self._handlers if isinstance(handler, LogFile)]
        for file in files:
            file.reopen()
        return bool(files)

    def configure(self) -> None:
        """Set up the handlers that the configuration names now; once closed, none."""
        with self._lock:
            if self._closed:
                return
            handlers: list[logging.Handler] = []
            for make in (self._stdout, self._file, self._by_mail):
                try:
                    handler = make()
                except (OSError, ValueError) as error:
                    _LOG.warning("A destination of the log cannot be used: %s", error)
                    continue
                if handler is not None:
                    handlers.append(handler)
            self._use(handlers)

    def _use(self, handlers: list[logging.Handler]) -> None:
        old, self._handlers = self._handlers, handlers
        # In one step, so that concurrent records go either to the old handlers or to the new ones.
        self._logger.handlers = [*(handler for handler in self._logger.handlers if handler not in old), *handlers]
        for handler in old:
            handler.close()

    def _stdout(self) -> logging.Handler | None:
        if not self._config[f"{LOG_SETTINGS}.stdout"]:
            return None
        level = self._level("stdout_level", "INFO")
        return _formatted(logging.StreamHandler(sys.stdout), level)

    def _file(self) -> logging.Handler | None:
        path = self._text("file")
        if not path:
            return None
        level = self._level("file_level", "DEBUG")
        file = LogFile(
            Path(path.replace("{program}", self._program)).expanduser(),
            self._whole("file_size", 5_000_000),
            self._whole("file_count", 10),
        )
        if (trouble := file.begin()) is not None:
            remedy = "Let this user write there, or name another file: ConfigTool Log.file=/FOLDER/{program}.log"
            _LOG.warning("A destination of the log cannot be used: Log.file, %s. %s", trouble, remedy)
        return _formatted(file, level)

    def _by_mail(self) -> logging.Handler | None:
        host, receivers = self._text("mail_host"), self._text("mail_to").replace(",", " ").split()
        if not host or not receivers:
            return None
        level = self._level("mail_level", "WARNING")
        sender = self._text("mail_from") or receivers[0]
        subject = self._text("mail_subject") or "NexusCore needs attention"
        mail = LimitedMail(host, sender, receivers, subject, self._whole("mail_per_hour", 20), self._clock)
        if self._sender is None:
            self._sender = _MailListener(queue.Queue(), mail)
            self._sender.start()
        self._sender.handlers = (mail,)  # waiting records are sent with it, too
        handler = _Waiting(self._sender.waiting)
        handler.setLevel(level)
        return handler

    def _level(self, name: str, default: str) -> int:
        text = self._text(name) or default
        level = logging.getLevelNamesMapping().get(text.upper())
        if level is None:
            raise ValueError(f"{LOG_SETTINGS}.{name} is '{text}', which is not a log level")
        return level

    def _text(self, name: str) -> str:
        return str(self._config[f"{LOG_SETTINGS}.{name}"] or "")

    def _whole(self, name: str, default: int) -> int:
        value = self._config[f"{LOG_SETTINGS}.{name}"]
        return int(value) if isinstance(value, (int, float)) else default


def _formatted(handler: logging.Handler, level: int) -> logging.Handler:
    handler.setFormatter(LineFormatter(LINE_FORMAT))
    handler.setLevel(level)
    return handler


class _MailListener(logging.handlers.QueueListener):
    """Sends waiting records, on a thread of its own."""

    def __init__(self, waiting: queue.Queue[logging.LogRecord], mail: LimitedMail) -> None:
        super().__init__(waiting, mail)
        self.waiting = waiting

    def end(self, seconds: float) -> None:
        """End after all waiting records are sent; wait for that at most `seconds`."""
        self.enqueue_sentinel()
        if self._thread is not None:
            self._thread.join(seconds)


class _Waiting(logging.handlers.QueueHandler):
    """Queues records for mail; if too many wait, new ones are dropped: they are in the database."""

    def __init__(self, waiting: queue.Queue[logging.LogRecord]) -> None:
        super().__init__(waiting)
        self._waiting = waiting

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a record. The queue itself has no limit, since the sentinel must always fit."""
        if self._waiting.qsize() < WAITING_MAILS:
            self._waiting.put_nowait(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the standard library's name
        """Drop the record."""
