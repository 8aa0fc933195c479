"""The transfer: one thread that scans, decides and gives work to others.

Promises
--------
* Nothing is ever created, renamed or deleted in a watched folder.
* While nothing changes there, a pass is a scan: no hashing, no write to the disk, no request.
* A fault in one of its threads is shown with the file or the session, and ends none of them.
* What is not finished is taken up by the next logger on this computer, whoever starts it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass, replace
from typing import Callable, Sequence

from Logger.local_file import LocalFileError
from Logger.transfer.bandwidth import Bandwidth
from Logger.transfer.book import FileBook
from Logger.transfer.ending import PATIENCE, EndWatch
from Logger.transfer.finishing import Finisher
from Logger.transfer.link import TransferLink, Wanted
from Logger.transfer.pending import PendingTransfer, PendingTransfers
from Logger.transfer.priority import lower_priority
from Logger.transfer.repairs import Repairs
from Logger.transfer.reporting import FileReporter, ReportingHooks
from Logger.transfer.retrying import pause_after
from Logger.transfer.scanning import same
from Logger.transfer.sending import Attempt, SendJob
from Logger.transfer.stability import Watches
from Logger.transfer.state import TransferState
from Logger.transfer.tracked import IDLE, SETTLED, Blame, FileKey, FileStage, TrackedFile
from Logger.transfer.views import TransferView, view_of
from Logger.transfer.watching import FolderWatch, PassResult
from Logger.transfer.workers import WORKERS, SendingThreads
from Logger.uptime import Uptime

BEAT = 0.2
"""Seconds between two looks while files are on their way."""
SHOW_SECONDS = 0.5
"""Least seconds between two views."""
SAVE_SECONDS = 1.0
"""Least seconds between two writes of what workers have reached."""
STOP_SECONDS = 2.0
"""Longest wait for all threads; the system may not wait longer for this program."""
RETRY_SECONDS = 5.0
"""Seconds until what has failed here is tried again."""
FAULT = "The transfer has a fault; the debug log says why. It goes on."
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineClocks:
    """Time and chance, as the engine uses them."""

    uptime: Uptime
    monotonic: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    """Gives numbers from 0 to 1, for the pauses."""


class TransferEngine:
    """The transfer of this computer's sessions.

    Parameters
    ----------
    pending
        The sessions.
    state
        What is known about files.
    make_link
        Makes a link to the Gateway; each thread has its own.
    clocks
        Time and chance.
    workers
        How many threads send files.
    patience
        Seconds after an END that files with trouble have.
    """

    def __init__(
        self,
        pending: PendingTransfers,
        state: TransferState,
        make_link: Callable[[], TransferLink],
        clocks: EngineClocks,
        workers: int = WORKERS,
        patience: float = PATIENCE,
    ) -> None:
        self.changed: Callable[[], None] = lambda: None
        """Called when there is something new to show, on a thread of the engine."""
        self._pending = pending
        self._clocks = clocks
        self._patience = patience
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._book = FileBook(state)
        self._watches = Watches()
        self._watch = FolderWatch(self._book, self._watches, clocks.uptime.now, clocks.monotonic)
        self._bandwidth = Bandwidth(self._stopped)
        self._workers = SendingThreads(
            make_link, self._bandwidth, self._done, self._closed, self._progress, self._stopped, workers
        )
        hooks = ReportingHooks(
            self._with_token, self._to_finish, self._finish, self._closed, self._repair, self.repairs_of, self._trouble
        )
        self._report_link = make_link()
        self._reporter = FileReporter(self._book, self._report_link, hooks, self._stopped, clocks.chance)
        self._finisher = Finisher(self._book, pending, self._reporter.known_files, clocks.uptime)
        self._repairs = Repairs(make_link, self._bandwidth, self._stopped)
        self._sessions: tuple[PendingTransfer, ...] = ()
        self._ends: dict[str, EndWatch] = {}
        self._over: set[str] = set()
        self._last: dict[str, TransferView] = {}
        """Views of sessions whose transfer has come to an end."""
        self._views: dict[str, TransferView] = {}
        self._repairs_pid = ""
        self._repair_roots: dict[str, str] = {}
        self._unread: tuple[str, ...] = ()
        self._problem = ""
        self._obstacle = ""
        self._asked_to_look = True
        self._next_scan = self._next_show = self._next_save = self._next_look = 0.0
        self._shown_version = -1
        self._loaded = False
        self._thread: threading.Thread | None = None
        self._begin_lock = threading.Lock()

    # -- commands, from any thread -------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look at the sessions: one was begun, ended, or is known better."""
        self._asked_to_look = True
        with self._begin_lock:
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._run, name="transfer", daemon=True)
                self._thread.start()
        self._wake.set()

    def watch_repairs(self, pid: str, folders: Sequence[tuple[str, str]]) -> None:
        """Ask each minute what is to be repaired of an instrument, from folders by name; without folders, do not."""
        self._repair_roots = dict(folders)
        self._repairs_pid = pid if folders else ""
        if self._repairs_pid:
            self._reporter.wake()

    def release(self, key: FileKey) -> None:
        """Send a file that is held back."""
        with self._book.lock:
            file = self._book.get(key)
            if file is not None and file.stage is FileStage.HELD:
                self._book.put(replace(file, stage=FileStage.WAITING, reason="", released=True))
        self._wake.set()

    def finish_without(self, session: str) -> None:
        """End the transfer of a session without the files that have trouble."""
        self._ends.setdefault(session, EndWatch()).without = True
        self._wake.set()

    def view(self, session: str) -> TransferView | None:
        """Return what can be shown of a session; None if its files are not transferred."""
        return self._last.get(session) or self._views.get(session)

    def earlier(self, besides: str) -> int:
        """Return how many files of other sessions are still to be sent."""
        views = [view for session, view in self._views.items() if session not in self._last and session != besides]
        return sum(view.total - view.verified - view.gone for view in views)

    def stop(self) -> None:
        """End all threads; what is not finished is taken up by the next logger."""
        self._stopped.set()
        self._wake.set()
        self._workers.wake_to_stop()
        self._reporter.wake_to_stop()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in (self._thread, *self._workers.threads, *self._reporter.threads, *self._repairs.threads):
            if thread is not threading.current_thread() and thread is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def repairs_of(self) -> str:
        """Return the instrument whose repairs are asked for; empty: none."""
        return self._repairs_pid

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        lower_priority()
        while not self._stopped.is_set():
            try:
                wait = self._step()
            except Exception:  # noqa: BLE001  the edge of the thread: the next pass may succeed
                _LOG.exception("A fault in the transfer")
                self._trouble(FAULT)
                wait = RETRY_SECONDS
            self._wake.wait(wait)
            self._wake.clear()
        self._book.save()

    def _step(self) -> float | None:
        """Do what is due; return the seconds until something is again, None: not before a wake."""
        now = self._clocks.monotonic()
        asked = self._asked_to_look and now >= self._next_look
        if asked or (now >= self._next_scan and any(map(_is_undelivered, self._sessions))):
            self._asked_to_look = False
            self._read_sessions()
        if self._sessions:
            if now >= self._next_scan:
                self._scan()
            self._dispatch()
            self._look_at_ends()
        self._save(now)
        if self._obstacle != self._workers.obstacle:
            self._obstacle, self._shown_version = self._workers.obstacle, -1
        self._show(now)
        return self._next_wait()

    def _next_wait(self) -> float | None:
        if not self._sessions:
            if self._asked_to_look:
                return RETRY_SECONDS
            return None if self._shown_version == self._book.version else BEAT
        now = self._clocks.monotonic()
        if self._shown_version != self._book.version or not self._is_quiet():
            return BEAT
        return max(0.0, self._next_scan - now)

    def _is_quiet(self) -> bool:
        """Return whether no file is on its way, so that only the next scan can bring something."""
        return all(file.stage in IDLE for session in self._sessions for file in self._book.of(session.session))

    def _read_sessions(self) -> None:
        try:
            sessions = tuple(self._pending.all())
        except LocalFileError as error:
            _LOG.error("%s", error)
            self._trouble(str(error))
            self._asked_to_look, self._next_look = True, self._clocks.monotonic() + RETRY_SECONDS
            return
        if sessions and not self._loaded:  # without a session to transfer, the file is not made
            self._book.load()
            self._loaded = True
        known = {pending.session: pending for pending in self._sessions}
        for pending in sessions:
            former = known.get(pending.session)
            if former is None or (former.end is None and pending.end is not None):
                self._next_scan = 0.0  # the first scan of a session, and the one after its END, are made at once
        for gone in self._book.sessions() - {pending.session for pending in sessions}:
            # Taken back: nothing of it was sent, so its files are new to the next session. Finished: known as before.
            self._book.forget(gone, unsee=not self._pending.is_known(gone))
        self._sessions = sessions
        self._watch.set_roots(sessions)
        for pending in sessions:
            if pending.refused:
                self._closed(pending.session, pending.token, "The facility has refused this session.")
        if sessions:
            running = [pending.session for pending in sessions if pending.end is None]
            self._workers.set_running(running[-1] if running else "")
            self._bandwidth.set(sessions[-1].settings.bandwidth)
            self._reporter.wake()

    def _scan(self) -> None:
        result: PassResult = self._watch.look_at_all(self._sessions)
        if result.unread != self._unread:
            for sentence in set(result.unread) - set(self._unread):
                _LOG.warning("%s", sentence)
            self._unread, self._shown_version = result.unread, -1
        pause = min(session.settings.interval_seconds for session in self._sessions)
        self._next_scan = self._clocks.monotonic() + pause
        self._next_save = 0.0  # a first scan is kept before anything of it is sent
        if result.changed:
            self._reporter.wake()

    def _dispatch(self) -> None:
        """Give work: each file that is stable and due."""
        now = self._clocks.monotonic()
        for pending in self._sessions:
            if not pending.token or pending.session in self._over:
                continue
            stable = pending.settings.stable_seconds
            for file in self._book.of(pending.session):
                if file.stage in IDLE or self._workers.is_busy(file.key):
                    continue
                watch = self._watches.observe(file.key, file.signature, now)
                root = self._watch.root(file.key.folder)
                if now >= max(watch.since + stable, watch.due) and root:
                    self._workers.add(SendJob(file, root, pending.token, self._watch.disk(file.key.folder)))

    # -- answers of the workers, on their threads ----------------------------------------------------------------------

    def _progress(self, file: TrackedFile) -> None:
        with self._book.lock:
            current = self._book.get(file.key)
            if current is not None and same(current.signature, file.signature) and current.stage not in SETTLED:
                self._book.put(replace(file, released=current.released))
        self._reporter.wake()

    def _done(self, job: SendJob, attempt: Attempt) -> None:
        now = self._clocks.monotonic()
        if attempt.detail:
            _LOG.info("%s: %s %s", job.file.key.path, attempt.file.reason, attempt.detail)
        with self._book.lock:
            current = self._book.get(job.file.key)
            if current is None or not same(current.signature, job.file.signature) or current.stage in SETTLED:
                return  # another version was seen meanwhile, or the file is gone
            file = replace(attempt.file, released=current.released)
            watch = self._watches.observe(file.key, file.signature, now)
            if attempt.failed:
                # As long as something arrives, attempts do not become rarer.
                attempts = 1 if current.sent > job.file.sent else job.file.attempts + 1
                if file.md5 == current.md5:
                    file = replace(file, sent=current.sent)
                pause = pause_after(file, attempts, attempt.wait, self._clocks.chance())
                watch.due = now + pause
                file = replace(file, attempts=attempts, next_try=self._clocks.uptime.now() + int(pause * 1_000_000))
            else:
                watch.due = now + attempt.wait
                self._take_heart(now, file)
            if file.stage in SETTLED:
                self._watches.forget(file.key)
                _LOG.info("%s/%s: %s.", file.key.folder, file.key.path, file.stage.value)
            self._book.put(file)
        self._reporter.wake()
        self._wake.set()

    def _take_heart(self, now: float, file: TrackedFile) -> None:
        """Something has got through: what waits because nothing answered is tried again soon."""
        if file.stage not in (FileStage.VERIFIED, FileStage.CHECKING):
            return
        for other in self._book.of(file.key.session):
            if other.stage is FileStage.FAILED and other.blame is Blame.AWAY:
                watch = self._watches.of(other.key)
                if watch is not None:
                    watch.due = min(watch.due, now + 2 * self._clocks.chance())

    # -- ends, on the thread of the engine and that of the reporter ----------------------------------------------------

    def _look_at_ends(self) -> None:
        now = self._clocks.monotonic()
        for pending in self._sessions:
            if pending.end is None or not self._book.record(pending.session).closed or pending.session in self._over:
                continue
            watch = self._ends.setdefault(pending.session, EndWatch())
            files = self._book.of(pending.session)
            if watch.is_over(files, now, self._patience, nothing_sent=bool(self._obstacle)):
                self._over.add(pending.session)
                self._reporter.wake()

    def _with_token(self) -> Sequence[PendingTransfer]:
        return [pending for pending in self._sessions if pending.token]

    def _to_finish(self) -> Sequence[PendingTransfer]:
        over = [pending for pending in self._with_token() if pending.session in self._over]
        return [pending for pending in over if not pending.end_waits]

    def _finish(self, pending: PendingTransfer) -> None:
        self._finisher.finish(self._report_link, pending)
        self._over_and_done(pending.session, "")

    def _closed(self, session: str, token: str, sentence: str) -> None:
        if any(pending.session == session and pending.token != token for pending in self._pending.all()):
            self.wake()  # it was continued here meanwhile: it has a new token
            return
        _LOG.warning("Session %s: the facility takes no more files. %s", session, sentence)
        self._pending.finish(session, f"closed: {sentence}")
        self._over_and_done(session, sentence)

    def _over_and_done(self, session: str, problem: str) -> None:
        with self._book.lock:
            self._last[session] = view_of(session, self._book.of(session), ended=True, finished=True, problem=problem)
            self._over.discard(session)
        self.wake()
        self.changed()

    def _trouble(self, sentence: str) -> None:
        if sentence != self._problem:
            self._problem, self._shown_version = sentence, -1
            self._wake.set()

    def _repair(self, wanted: Sequence[Wanted]) -> None:
        self._repairs.add(wanted, lambda folder: self._repair_roots.get(folder, ""))

    # -- keeping and showing -------------------------------------------------------------------------------------------

    def _save(self, now: float) -> None:
        if now >= self._next_save:
            self._next_save = now + (SAVE_SECONDS if self._book.save() else RETRY_SECONDS)

    def _show(self, now: float) -> None:
        if self._shown_version == self._book.version or now < self._next_show:
            return
        self._next_show = now + SHOW_SECONDS
        self._shown_version = self._book.version
        self._views = {
            pending.session: view_of(
                pending.session, self._book.of(pending.session), unread=self._unread, ended=pending.end is not None,
                problem=self._book.problem or self._problem, obstacle=self._obstacle,
            )
            for pending in self._sessions
        }  # fmt: skip
        self.changed()


def _is_undelivered(pending: PendingTransfer) -> bool:
    return not pending.token or pending.end_waits
