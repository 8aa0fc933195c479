"""Old log records and status values are deleted, if the configuration says after how many days.

Promises
--------
* Without a setting, nothing is deleted. The newest value of each status element always stays.
* Transactions are short and pause in between: no writer waits for more than one of them.
* On each machine, one service at a time does it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from filelock import FileLock, Timeout

from NexusCore.API import App
from NexusCore.clock import SECOND, Clock
from NexusCore.errors import NexusError
from NexusCore.log import Log
from NexusCore.log import store as log_store
from NexusCore.log.store import LogFilter
from NexusCore.status import store as status_store
from NexusCore.text import counted

LOG_DAYS = "Facility.log_days"
STATUS_DAYS = "Facility.status_days"
RETENTION_SECONDS = 3600.0
"""Seconds between two rounds."""
FIRST_SECONDS = 60.0
"""Seconds from the start of a service to its first round."""
PAUSES = 2.0
"""Pause after a transaction, as a multiple of the time that it took."""
LEAST_PAUSE = 0.05
LONGEST_PAUSE = 5.0
DAY = 86_400 * SECOND
LOCK_FILE = "retention.lock"


class Retention:
    """Deletes what is older than the configuration says.

    Parameters
    ----------
    app
        Configuration and databases.
    log
        Where deletions are logged.
    """

    def __init__(self, app: App, log: Log) -> None:
        self._app = app
        self._log = log
        self._trouble = ""

    def start(self) -> None:
        """Begin to run rounds on a thread, until the application stops."""
        threading.Thread(target=self._run, name="retention", daemon=True).start()

    def _run(self) -> None:
        wait = FIRST_SECONDS
        while not self._app.clock.wait(self._app.stop_event, wait):
            wait = RETENTION_SECONDS
            try:
                self.once()
            except (NexusError, OSError) as error:  # the edge of the thread: tried again in the next round
                if str(error) != self._trouble:
                    self._log.warning("Old log records and status values could not be deleted: %s", error)
                self._trouble = str(error)

    def once(self) -> tuple[int, int]:
        """Make one round; return how many log records and status values were deleted."""
        config = self._app.get_config()
        log_days, status_days = (config.number(path) if config[path] else 0.0 for path in (LOG_DAYS, STATUS_DAYS))
        if not log_days and not status_days:
            return 0, 0
        try:
            with FileLock(self._app.settings.home / LOCK_FILE, timeout=0):
                return self._log_records(log_days), self._status_values(status_days)
        except Timeout:  # another service of this machine is at it
            return 0, 0

    def _log_records(self, days: float) -> int:
        before = self._app.clock.now() - round(days * DAY)
        database = self._app.database(self._app.settings.log)
        return self._delete(days, "log record", lambda: log_store.remove(database, LogFilter(until=before)))

    def _status_values(self, days: float) -> int:
        before = self._app.clock.now() - round(days * DAY)
        database = self._app.database(self._app.settings.status)
        return self._delete(days, "status value", lambda: status_store.remove(database, before))

    def _delete(self, days: float, what: str, steps: Callable[[], Iterator[int]]) -> int:
        if not days:
            return 0
        gone = 0
        for gone in paced(steps(), self._app.clock, self._app.stop_event):  # noqa: B007  the last one is the sum
            pass
        if gone:
            self._log.info("Deleted %s older than %s", counted(gone, what), f"{days:g} day{'s' * (days != 1)}")
        return gone


def paced(steps: Iterator[int], clock: Clock, stop: threading.Event) -> Iterator[int]:
    """Yield the steps of a deletion, with a pause after each in which writers have the database for themselves.

    Parameters
    ----------
    steps
        The steps, each a transaction.
    clock
        Clock for the pauses.
    stop
        Ends it.
    """
    begin = clock.monotonic()
    for gone in steps:
        yield gone
        took = clock.monotonic() - begin
        if clock.wait(stop, min(LONGEST_PAUSE, max(LEAST_PAUSE, PAUSES * took))):
            return
        begin = clock.monotonic()
