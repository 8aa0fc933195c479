"""The threads that send files: few, with low priority, and none of them held up by one file for long.

Promises
--------
* Files take turns, see `Logger.transfer.turns`; a large one lets others pass after `SLICE_SECONDS`.
* While server or store does not answer, the files that wait do not fail one after the other: they go on waiting.
* An exception becomes a reason of its file, and no thread ends by it.
* While nothing is to be sent, no connection is open.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import replace
from typing import Callable

from Logger.transfer.bandwidth import Bandwidth
from Logger.transfer.hashing import Stopped
from Logger.transfer.link import TransferLink
from Logger.transfer.priority import lower_priority
from Logger.transfer.sending import Attempt, Sender, SendJob, SessionClosed
from Logger.transfer.source import Yielded
from Logger.transfer.tracked import Blame, FileKey, FileStage, TrackedFile
from Logger.transfer.turns import Turns

WORKERS = 2
SLICE_SECONDS = 20.0
"""After so long a file that is sent lets others pass, if any wait."""
IDLE_SECONDS = 2.0
"""After so long without work connections are closed."""
FAULT = "the session logger cannot send it; the debug log says why"
_LOG = logging.getLogger(__name__)


class SendingThreads:
    """The threads; they are started with the first file.

    Parameters
    ----------
    make_link
        Makes the link to the Gateway; called once by each thread.
    bandwidth
        What all of them may send.
    done
        Called with a job and what became of it, on the thread.
    closed
        Called with a session, its token and a sentence, if the facility takes no more files of it.
    progress
        Called with a file while it is sent.
    stopped
        Ends them.
    count
        How many threads.
    """

    def __init__(
        self,
        make_link: Callable[[], TransferLink],
        bandwidth: Bandwidth,
        done: Callable[[SendJob, Attempt], None],
        closed: Callable[[str, str, str], None],
        progress: Callable[[TrackedFile], None],
        stopped: threading.Event,
        count: int = WORKERS,
    ) -> None:
        self._make_link = make_link
        self._bandwidth = bandwidth
        self._done = done
        self._closed = closed
        self._progress = progress
        self._stopped = stopped
        self._count = count
        self._turns = Turns()
        self.threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._busy: set[FileKey] = set()

    @property
    def obstacle(self) -> str:
        """Why files wait for server or store, as a sentence; empty while they do not."""
        return self._turns.obstacle

    def set_running(self, session: str) -> None:
        """Send the files of a session first; empty: of none."""
        self._turns.set_running(session)

    def add(self, job: SendJob) -> None:
        """Have a file brought forward, unless it is being done."""
        with self._lock:
            if job.file.key in self._busy or self._stopped.is_set():
                return
            self._busy.add(job.file.key)
            if not self.threads:
                for number in range(self._count):
                    name = f"transfer {number + 1}"
                    self.threads.append(threading.Thread(target=self._work, name=name, daemon=True))
                    self.threads[-1].start()
        self._turns.put(job)

    def is_busy(self, key: FileKey) -> bool:
        """Return whether a file waits for a thread, or has one."""
        with self._lock:
            return key in self._busy

    def wake_to_stop(self) -> None:
        """Have the threads see that `stopped` is set."""
        self._turns.end()

    # -- the threads ---------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        lower_priority()
        link = self._make_link()
        sender = Sender(link, self._bandwidth, self._stopped.is_set)
        while not self._stopped.is_set():
            try:
                job = self._turns.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                link.release()
                job = self._turns.get()
            if job is None:
                break
            try:
                self._run(sender, job)
            except Exception:  # noqa: BLE001  the edge of the thread: the file is tried again, the others go on
                _LOG.exception("A fault after %s was sent", job.file.key.path)
        link.release()

    def _run(self, sender: Sender, job: SendJob) -> None:
        begin, last = time.monotonic(), job.file

        def progress(file: TrackedFile) -> None:
            nonlocal last
            if file.sent > last.sent and last.stage is FileStage.SENDING:
                self._turns.go_on()
            last = file
            self._progress(file)
            if time.monotonic() - begin > SLICE_SECONDS and self._turns.is_awaited():
                raise Yielded

        def advance() -> Attempt:
            try:
                return sender.advance(job, progress)
            finally:
                self._turns.used(job.file.key, time.monotonic() - begin)

        try:
            attempt = advance()
        except Stopped:
            return
        except Yielded:
            self._turns.put(replace(job, file=last), begun=True)
            return
        except SessionClosed as reason:
            self._free(job)
            self._closed(job.file.key.session, job.token, str(reason))
            return
        except Exception as error:  # noqa: BLE001  the edge of the thread: the file waits, the others go on
            _LOG.exception("A fault while %s was sent", job.file.key.path)
            failed = replace(job.file, stage=FileStage.FAILED, reason=FAULT, upload="", blame=Blame.FILE)
            attempt = Attempt(failed, failed=True, detail=f"{type(error).__name__}: {error}")
        if attempt.failed and attempt.file.blame is Blame.AWAY:
            self._turns.hold(attempt.file.reason, attempt.wait)
        elif attempt.file.stage in (FileStage.VERIFIED, FileStage.CHECKING):
            self._turns.go_on()
        self._free(job)
        self._done(job, attempt)

    def _free(self, job: SendJob) -> None:
        with self._lock:
            self._busy.discard(job.file.key)
