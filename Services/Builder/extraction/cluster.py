"""Extraction on a Dask cluster: its machines mount the file store and the records folder where this one does.

Each of the cluster's workers reads a file in a process of its own, as `workers` does here: a hang, a crash
or lack of memory costs one dataset, and no worker. A cluster that does not answer, has no workers or falls silent is
`ClusterAway`. TLS and the like are set in Dask's own configuration (``distributed.comm``), on every machine.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from NexusCore.errors import NexusError
from Services.Builder.extraction.fingerprints import size
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.reader import START_SECONDS
from Services.Builder.extraction.workers import EXTRACT, Workers
from Services.Builder.model import Extraction

SCHEDULER_SECONDS = 5.0
"""Time limit for an answer of the scheduler."""
IMPORT_SECONDS = 5.0
"""Additional time for loading the package for the first time."""
SLOWEST = 5e6
"""Bytes per second at which a file is hashed at least."""
SCHEMES = ("tcp", "tls")
"""How a scheduler may be addressed."""
_STOP_CHECK_SECONDS = 0.1
"""Interval of checks whether to stop."""


_stuck: list[threading.Thread] = []
"""Attempts to connect that timed out; the next one is made when they have ended."""


class ClusterAway(NexusError):
    """The Dask cluster at {scheduler} cannot be used: {reason}. Services.Builder.dask_scheduler names it."""


class Cluster:
    """A Dask cluster, while one session's files are read on it.

    Parameters
    ----------
    scheduler
        Address, such as ``tcp://host:8786``.
    seconds_per_file
        After that long a file is given up.
    memory_mb
        Memory that reading one file may take, in MB.
    function
        What reads a file, as for `Workers`.
    patience
        Seconds without any news after which the cluster is taken to be away; by default more than a file can take.
    """

    def __init__(
        self,
        scheduler: str,
        seconds_per_file: float,
        memory_mb: int,
        function: str = EXTRACT,
        patience: float | None = None,
    ) -> None:
        self._scheduler, self._limits = scheduler, (seconds_per_file, memory_mb, function)
        self._patience = patience
        self._client: Any = None

    def __enter__(self) -> Cluster:
        """Connect.

        Raises
        ------
        ClusterAway
            If it does not answer, or has no workers.
        """
        self._check_port()
        self._client, workers = self._open_client()
        if not workers:
            self.close()
            raise ClusterAway(scheduler=self._scheduler, reason="it has no workers")
        return self

    def _open_client(self) -> tuple[Any, Any]:
        """Connect on a thread of its own: one a server that accepts and stays silent would block for ever."""
        if any(thread.is_alive() for thread in _stuck):
            raise ClusterAway(scheduler=self._scheduler, reason="it has not answered an earlier call yet")
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        given_up = threading.Event()

        def connect() -> None:
            try:
                from distributed import Client

                make: Callable[..., Any] = Client  # which has no type hints
                client = make(self._scheduler, timeout=SCHEDULER_SECONDS, set_as_default=False)
                workers = client.scheduler_info(n_workers=-1)["workers"]
            except Exception as error:  # noqa: BLE001 - a thread's edge: handed to the caller, who records it
                answers.put(error)
                return
            answers.put((client, workers))
            if given_up.is_set():
                client.close(timeout=SCHEDULER_SECONDS)

        thread = threading.Thread(target=connect, name="Dask connection", daemon=True)
        thread.start()
        try:
            answer = answers.get(timeout=2 * SCHEDULER_SECONDS + IMPORT_SECONDS)
        except queue.Empty:
            given_up.set()
            _stuck.append(thread)
            raise ClusterAway(scheduler=self._scheduler, reason="it does not answer") from None
        if isinstance(answer, Exception):
            raise ClusterAway(scheduler=self._scheduler, reason=_reason(answer)) from answer
        client, workers = answer
        return client, workers

    def _check_port(self) -> None:
        """Check that a server listens there: a client that fails to connect leaves a thread behind for good."""
        try:
            address = urlsplit(self._scheduler)
            if address.scheme not in SCHEMES or not address.hostname or not address.port:
                raise ValueError(f"an address looks like {SCHEMES[0]}://host:8786")
            with socket.create_connection((address.hostname, address.port), timeout=SCHEDULER_SECONDS):
                pass
        except (OSError, ValueError) as error:
            raise ClusterAway(scheduler=self._scheduler, reason=str(error)) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; tasks that have not been done are dropped."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(OSError, TimeoutError):
                client.close(timeout=SCHEDULER_SECONDS)

    def extract_all(self, jobs: Sequence[Job], stop: Callable[[], bool]) -> Generator[Extraction, None, None]:
        """Yield what the files yield, in the order in which they get done; nothing more when `stop` returns true.

        Raises
        ------
        ClusterAway
            If the connection is lost, or no result comes for longer than a file may take.
        """
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Not pure: the same files read a second time have changed, or were lost the first time.
        # The numbers that identify a file are this machine's.
        known = [replace(job, identities=()) for job in jobs]
        futures = self._client.map(extract_on_worker, known, limits=self._limits, pure=False, retries=1)
        for future in futures:
            future.add_done_callback(done.put)
        patience = self._limits[0] + START_SECONDS + _hashing(jobs) if self._patience is None else self._patience
        left, until = len(futures), time.monotonic() + patience
        while left and not stop():
            try:
                future = done.get(timeout=_STOP_CHECK_SECONDS)
            except queue.Empty:
                self._look(until, patience)
                continue
            left, until = left - 1, time.monotonic() + patience
            yield self._result(future)

    def _look(self, until: float, patience: float) -> None:
        if self._client.status != "running":
            raise ClusterAway(scheduler=self._scheduler, reason="the connection to it was lost")
        if time.monotonic() > until:
            raise ClusterAway(scheduler=self._scheduler, reason=f"no result came for {patience:g} s")

    def _result(self, future: Any) -> Extraction:
        if future.status != "finished":
            error = future.exception(timeout=SCHEDULER_SECONDS) if future.status == "error" else None
            reason = _reason(error) if error is not None else f"a file's task was {future.status}"
            raise ClusterAway(scheduler=self._scheduler, reason=reason)
        extraction: Extraction = future.result(timeout=SCHEDULER_SECONDS)
        return extraction


def _hashing(jobs: Sequence[Job]) -> float:
    """Return the seconds that hashing the largest of the files may take on a slow disk."""
    sizes = (sum(size(path) or 0 for path in (job.path, *job.companions)) for job in jobs)
    allowed = max((job.hash_seconds for job in jobs), default=0.0)
    return min(allowed, max(sizes, default=0) / SLOWEST)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": .").replace("\n", " ")


# -- on the cluster's machines -------------------------------------------------------------------------------------


_mine = threading.local()


def extract_on_worker(job: Job, limits: tuple[float, int, str]) -> Extraction:
    """Read one file in a process of its own, which is kept for this thread's next file."""
    if getattr(_mine, "limits", None) != limits:
        if hasattr(_mine, "workers"):
            _mine.workers.close()
        _mine.workers, _mine.limits = Workers(1, *limits), limits
    (extraction,) = _mine.workers.extract_all([job])
    return extraction  # type: ignore[no-any-return]
