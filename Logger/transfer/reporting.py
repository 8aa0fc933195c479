"""Tells the Gateway what becomes of files, ends a session's transfer there, and asks what is to be repaired.

Promises
--------
* A change is reported within two seconds while the Gateway answers; nothing is sent while nothing changes.
* A session's transfer ends only after all its files are reported.
* A file that the Gateway cannot take a report of keeps no other one from being reported.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass
from typing import Callable, Sequence

from Logger.facility import FacilityError, Unreachable
from Logger.gateway_connection import GatewayProblem, Json
from Logger.times import text_of
from Logger.transfer.book import FileBook
from Logger.transfer.link import TransferLink, Wanted
from Logger.transfer.names import reported_path
from Logger.transfer.pending import PendingTransfer
from Logger.transfer.priority import lower_priority
from Logger.transfer.sending import CLOSED
from Logger.transfer.tracked import FileKey, TrackedFile

BATCH = 500
REPORT_SECONDS = 0.7
"""Least seconds between two reports."""
REPAIR_SECONDS = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between attempts while the Gateway does not answer."""
FAULT = "The session logger cannot report the files; the debug log says why."
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReportingHooks:
    """What the reporter asks of the engine, and tells it; called on its thread."""

    sessions: Callable[[], Sequence[PendingTransfer]]
    """Returns the sessions whose START the Gateway knows."""
    to_finish: Callable[[], Sequence[PendingTransfer]]
    """Returns those that are done here, with the request that ends them."""
    finish: Callable[[PendingTransfer], None]
    """Called with one whose files are all reported; ends its transfer at the Gateway; may raise `FacilityError`."""
    closed: Callable[[str, str, str], None]
    """Called with a session, its token and a sentence, if the Gateway takes nothing more of it."""
    repair: Callable[[Sequence[Wanted]], None]
    """Called with what the Gateway wants repaired."""
    repairs_of: Callable[[], str]
    """Returns the instrument to ask about repairs; empty: none."""
    trouble: Callable[[str], None]
    """Called with a sentence why the Gateway cannot be told; empty when it can be again."""


class FileReporter:
    """The thread that reports.

    Parameters
    ----------
    book
        The files.
    link
        The Gateway; used by no other thread.
    hooks
        The engine.
    stopped
        Ends it.
    chance
        Gives numbers from 0 to 1, for the pauses.
    """

    def __init__(
        self,
        book: FileBook,
        link: TransferLink,
        hooks: ReportingHooks,
        stopped: threading.Event,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._book = book
        self._link = link
        self._hooks = hooks
        self._stopped = stopped
        self._chance = chance
        self._wake = threading.Event()
        self._begin_lock = threading.Lock()
        self._unreportable: set[FileKey] = set()
        self.threads: list[threading.Thread] = []
        self._next_repairs = 0.0

    def wake(self) -> None:
        """Report what has changed, soon."""
        with self._begin_lock:
            if not self.threads and not self._stopped.is_set():
                self.threads.append(threading.Thread(target=self._run, name="transfer reports", daemon=True))
                self.threads[0].start()
        self._wake.set()

    def wake_to_stop(self) -> None:
        """Have the thread see that `stopped` is set."""
        self._wake.set()

    def known_files(self, session: str) -> int:
        """Return how many files of a session the Gateway knows, once all are reported."""
        names = {
            (file.key.folder, reported_path(file.key.path))
            for file in self._book.of(session)
            if file.key not in self._unreportable
        }
        return len(names)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        lower_priority()
        failures = 0
        while not self._stopped.is_set():
            self._wake.wait(self._idle_seconds())
            self._wake.clear()
            if self._stopped.is_set():
                break
            pause = REPORT_SECONDS
            try:
                self._report_all()
                self._finish_all()
                self._ask_for_repairs()
                failures = 0
                self._hooks.trouble("")
            except FacilityError as error:
                failures += 1
                asked = error.wait if isinstance(error, Unreachable) else 0.0
                pause = self._failed(str(error), error.detail, failures, asked)
            except Exception as error:  # noqa: BLE001  the edge of the thread: the next attempt may succeed
                _LOG.exception("A fault while files were reported")
                failures += 1
                pause = self._failed(FAULT, type(error).__name__, failures, 0.0)
            if not self._wake.is_set():
                self._link.release()
            self._stopped.wait(pause)
        self._link.release()

    def _idle_seconds(self) -> float | None:
        if not self._hooks.repairs_of():
            return None
        return max(0.0, self._next_repairs - time.monotonic())

    def _failed(self, sentence: str, detail: str, failures: int, asked: float) -> float:
        _LOG.info("Not reported: %s %s", sentence, detail)
        self._hooks.trouble(sentence)
        self._wake.set()  # try again after the pause
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 10))
        return max(asked, pause * (0.5 + self._chance() / 2))

    def _report_all(self) -> None:
        self._for_each(self._hooks.sessions(), self._report_session)

    def _finish_all(self) -> None:
        self._for_each(self._hooks.to_finish(), self._finish)

    @staticmethod
    def _for_each(sessions: Sequence[PendingTransfer], work: Callable[[PendingTransfer], None]) -> None:
        """Do something for each session: one that is refused keeps no other one waiting."""

        def refusal(pending: PendingTransfer) -> GatewayProblem | None:
            try:
                work(pending)
            except GatewayProblem as problem:
                return problem
            return None

        refused = [problem for problem in map(refusal, sessions) if problem is not None]
        if refused:
            raise refused[0]

    def _report_session(self, pending: PendingTransfer) -> None:
        while not self._stopped.is_set():
            files = self._book.unreported(pending.session, BATCH)
            if not files or not self._report(pending, files) or len(files) < BATCH:
                break

    def _report(self, pending: PendingTransfer, files: Sequence[TrackedFile]) -> bool:
        """Report files; return False if the Gateway takes nothing more of the session."""
        told = [file for file in files if file.key not in self._unreportable]
        try:
            if told:
                self._link.report(pending.session, pending.token, [_body(file) for file in told])
        except GatewayProblem as problem:
            if problem.kind in CLOSED:
                self._hooks.closed(pending.session, pending.token, str(problem))
                return False
            if problem.status not in (413, 422):
                raise
            if len(told) > 1:  # one of them cannot be taken; it is found by halving
                middle = len(told) // 2
                return self._report(pending, told[:middle]) and self._report(pending, told[middle:])
            _LOG.warning("The Gateway takes no report of %s: %s", told[0].key.path, problem.detail)
            self._unreportable.add(told[0].key)
        for file in files:
            self._book.reported(file)
        return True

    def _finish(self, pending: PendingTransfer) -> None:
        if self._book.unreported(pending.session, 1):
            self._wake.set()
            return
        try:
            self._hooks.finish(pending)
        except GatewayProblem as problem:
            if problem.kind in CLOSED:
                self._hooks.closed(pending.session, pending.token, str(problem))
                return
            if problem.kind == "not-all-reported":
                self._book.report_again(pending.session)
            raise

    def _ask_for_repairs(self) -> None:
        pid = self._hooks.repairs_of()
        if not pid or time.monotonic() < self._next_repairs:
            return
        self._next_repairs = time.monotonic() + REPAIR_SECONDS
        wanted = self._link.repairs(pid)
        if wanted:
            self._hooks.repair(wanted)


def _body(file: TrackedFile) -> Json:
    return {
        "folder": file.key.folder,
        "path": reported_path(file.key.path),
        "size": file.signature.size,
        "modified": text_of(file.signature.mtime_ns // 1000),
        "state": file.stage.value,
        "sent": min(file.sent, file.signature.size),
        "reason": file.reason or None,
        "next_try": text_of(file.next_try) if file.next_try else None,
        "md5": file.md5 or None,
    }
