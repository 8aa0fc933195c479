"""Work on uploads that may take longer than a request: reading what is stored, and giving it its name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Lock

from NexusCore.threads import start_thread

PLACES = 2
"""Large files that are read at a time, and as many small ones: these do not wait for the large ones."""
SMALL = 64 * 1024 * 1024
"""Bytes of a file that is small."""
FAILURES_KEPT = 1000
"""Errors that wait for being asked for."""


class Jobs:
    """Runs one job at a time for each upload, on threads."""

    def __init__(self) -> None:
        self._running: dict[str, Future[None]] = {}
        self._failed: OrderedDict[str, Exception] = OrderedDict()
        self._lock = Lock()
        self._small, self._large = BoundedSemaphore(PLACES), BoundedSemaphore(PLACES)

    def start(self, upload: str, size: int, work: Callable[[], None]) -> Future[None]:
        """Start a job, unless the upload has one; return it.

        Parameters
        ----------
        upload, size
            UUID of the upload, and bytes of the file.
        work
            What is to be done. An exception that it raises is kept for `failure`.
        """
        places = self._small if size <= SMALL else self._large

        def run() -> None:
            try:
                with places:
                    work()
            except Exception as error:  # noqa: BLE001  the edge of the thread: it is answered to who asks for the upload
                with self._lock:
                    self._failed[upload] = error
                    if len(self._failed) > FAILURES_KEPT:
                        self._failed.popitem(last=False)
            finally:
                with self._lock:
                    self._running.pop(upload, None)

        with self._lock:
            if upload not in self._running:
                self._failed.pop(upload, None)
                self._running[upload] = start_thread(run, "upload")
            return self._running[upload]

    def running(self, upload: str) -> Future[None] | None:
        """Return the job of an upload, if it has one."""
        with self._lock:
            return self._running.get(upload)

    def failure(self, upload: str) -> Exception | None:
        """Return why the last job of an upload failed, once."""
        with self._lock:
            return self._failed.pop(upload, None)
