"""Delivers journals to their databases in batches, on one thread for the whole process.

Promises
--------
* Records are inserted in the same transaction that moves the journal's row in `delivery_cursor`: each arrives exactly
  once, even after failures (see `NexusCore.delivery.lane`).
* While a database is away its journal grows, and drains in order when it is back; other databases are not held up.
* Journals left by dead processes on this machine are adopted.
* What is lost is a warning in the log: at once if that has room, else in the log of a later program.
* Records accepted after `Shipper.stop` are delivered before the process ends, if the database answers: by a separate
  thread, for which the end of the process waits; and when no thread can start, by the thread that logs.
* A database that is not used for a while is not kept connected.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from NexusCore.clock import Clock
from NexusCore.delivery import losses
from NexusCore.delivery.adoption import AbandonedJournal
from NexusCore.delivery.folders import Folders
from NexusCore.delivery.journal import Journal
from NexusCore.delivery.lane import AnotherDatabase, Lane, Sink
from NexusCore.delivery.notices import is_logged, report_once
from NexusCore.errors import DatabaseBusy, DatabaseUnreachable, NexusError
from NexusCore.forks import renew_in_children
from NexusCore.storage import Database

LINGER = 0.01
"""Seconds in which records gather into a batch."""
QUIET_SECONDS = 0.03
"""The first record after a pause of this length does not wait for others, since someone may wait for it."""
BATCH_BYTES = 1024 * 1024
PAUSE = 1.5
"""Pause between batches while records keep coming, as a multiple of the last batch's CPU time, in which threads that
log have to wait. Time that the batch waited for a server counts as pause."""
LONGEST_BATCH_PAUSE = 0.25
"""Longest pause between batches, in seconds."""
ROUND_SECONDS = 0.1
"""How long one journal is delivered while others wait."""
AWAY_SECONDS = 1.0
"""Seconds between attempts while a database is away."""
ADOPT_SECONDS = 30.0
"""Seconds between checks for abandoned journals and unused connections."""
LATE_SECONDS = 2.0
"""How long delivery after the end may take, and delay the end of the process."""
LATE_LINGER = 0.2
"""Seconds to wait for more such records before the journal is closed again."""

_LOG = logging.getLogger("NexusCore.delivery")
_WAITS = (DatabaseUnreachable, DatabaseBusy, AnotherDatabase)
"""Temporary reasons not to deliver."""


@dataclass(frozen=True, slots=True)
class Report:
    """Counts of the records that a process accepted."""

    delivered: int
    left: int
    """Still in a journal; a later process on this machine delivers them."""
    dropped: int
    """Lost: refused by the database (kept in a side file), a full disk, or damaged on disk."""


class Shipper:
    """The delivery thread.

    Parameters
    ----------
    clock
        Source of time, also for waiting.
    journal_size
        Bytes that one journal may take while its database is away.
    """

    def __init__(self, clock: Clock, journal_size: int) -> None:
        self._clock = clock
        self._journal_size = journal_size
        self._lanes: list[Lane] = []
        self._ended_in = 0
        """Id of the process in which delivery has ended."""
        self._complaints = 0
        """Its own log records that delivery fails."""
        self.forked()
        renew_in_children(self)
        _living.add(self)

    def forked(self) -> None:
        """Start without a thread and with new events: the old ones belong to the parent."""
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._never = threading.Event()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._deadline = float("inf")
        self._delivering_late = self._exiting = False

    def add(self, journal: Journal, database: Database, sink: Sink, folders: Folders | None = None) -> None:
        """Deliver a journal from now on.

        Parameters
        ----------
        journal, database, sink
            The journal, its database, and how records get into the tables.
        folders
            Other journals that the database gets; by default those in the journal's own folder.
        """
        self._lanes.append(Lane(journal, database, sink, self._clock, folders))
        self.wake()  # a dead process may have left something

    def wake(self) -> None:
        """Wake the thread to look at the journals; start it if needed."""
        if self._ended_in == os.getpid():
            self._wake_late()
            return
        self._start(self._run)
        self._wake.set()

    def stop(self, seconds: float) -> Report:
        """Deliver for at most `seconds`, leave the rest in the journals, and end."""
        self._ended_in = os.getpid()
        self._deadline = self._clock.monotonic() + seconds
        self._stop.set()
        self._wake.set()
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(seconds + 0.5)
        journals = [lane.journal for lane in self._lanes]
        in_memory = sum(self._saved(lane) for lane in self._lanes)  # lost at the end of this process
        report = Report(
            delivered=sum(journal.arrived for journal in journals),
            left=max(0, sum(journal.left for journal in journals) - in_memory),
            dropped=sum(journal.lost + journal.refused for journal in journals) + in_memory,
        )
        if in_memory:
            report_once(
                "in memory",
                f"{in_memory} records of this program are lost: neither the disk nor the database had room for them.",
            )
        if thread is None or not thread.is_alive():
            self._finish()
            self._wake.clear()
        return report

    @staticmethod
    def _saved(lane: Lane) -> int:
        """Save what a journal has in memory, and leave a note of what is lost; return how many were not saved."""
        journal, in_memory = lane.journal, lane.journal.save()
        unlogged = lane.unwritten() + in_memory - lane.noted
        if unlogged > 0:
            losses.leave(journal.folder, journal.name, unlogged)
        lane.lost, lane.noted = journal.lost, in_memory
        return in_memory

    def _finish(self) -> None:
        for lane in self._lanes:
            lane.finish(cursor=self._clock.monotonic() < self._deadline)

    def _start(self, run: Callable[[], None]) -> None:
        """Start the thread unless it runs."""
        if self._thread is None or not self._thread.is_alive():
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    thread = threading.Thread(target=run, name="delivery", daemon=True)
                    thread.start()
                    self._thread = thread

    # -- after the end -----------------------------------------------------------------------------------------------

    def _wake_late(self) -> None:
        """Deliver records accepted after the end; see the promises of this module."""
        self._wake.set()
        if sys.is_finalizing():  # a new thread would never start
            if self._exiting:
                self._deliver_late()
            return
        with self._lock, suppress(RuntimeError):  # no thread can be started; the record stays in the journal
            self._start(self._run_late)
        thread = self._thread
        if self._exiting and thread is not None and thread is not threading.current_thread():
            thread.join(LATE_SECONDS)

    def _run_late(self) -> None:
        while True:
            if not self._exiting:
                self._clock.wait(self._never, LINGER)
            self._deliver_late()
            if not self._exiting:
                self._clock.wait(self._wake, LATE_LINGER)
            with self._lock:
                if not self._wake.is_set():
                    self._thread = None
                    return

    def _deliver_late(self) -> None:
        if self._delivering_late:  # a finalizer has interrupted this thread here
            return
        self._delivering_late = True
        try:
            self._wake.clear()
            self._deadline = self._clock.monotonic() + LATE_SECONDS
            self._deliver_own()
            self._finish()
            if not self._exiting:
                for lane in self._lanes:
                    lane.database.close()
        finally:
            self._delivering_late = False

    def at_exit(self) -> None:
        """Deliver records accepted after the end, for a limited time; later ones make the logging thread wait."""
        if self._ended_in != os.getpid():
            if self._ended_in:  # ended by the parent of this process
                self.stop(LATE_SECONDS)
            return
        self._exiting = True
        present = [lane for lane in self._lanes if lane.away_since is None and lane.journal.accepted()]
        if any(lane.journal.left > lane.journal.behind for lane in present):
            self._wake_late()
        if present and (self._thread is None or not self._thread.is_alive()):
            with suppress(RuntimeError):
                thread = threading.Thread(target=self._connect, args=(present,), name="delivery", daemon=True)
                thread.start()
                thread.join(LATE_SECONDS)

    @staticmethod
    def _connect(lanes: list[Lane]) -> None:
        """Open a connection for records of finalizers: a driver cannot open one when modules are gone."""
        for lane in lanes:
            with suppress(NexusError), lane.database.reading():
                lane.meet()

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        delivered = float("-inf")
        while True:
            waiting = any(lane.retry_at for lane in self._lanes)
            self._clock.wait(self._wake, AWAY_SECONDS if waiting else ADOPT_SECONDS)
            self._wake.clear()
            stopping = self._stop.is_set()
            if not stopping and self._clock.monotonic() - delivered < QUIET_SECONDS:
                self._clock.wait(self._stop, LINGER)
            self._deliver_own()
            delivered = self._clock.monotonic()
            for lane in self._lanes:
                self._adopt_when_due(lane)
            if stopping:
                self._deliver_own()  # an unreadable journal causes a log record
                return
            for lane in self._lanes:
                lane.database.close_unused()

    def _deliver_own(self) -> None:
        """Deliver the records of this process, in turns, so that many records of one lane do not block others."""
        while self._take_rounds():
            pass

    def _take_rounds(self) -> bool:
        """Give each lane its turn; return whether any has more to deliver."""
        # Not any(): it would skip the lanes after the first that has more.
        return sum(self._guarded(lane, self._drain_own) for lane in self._lanes) > 0

    def _drain_own(self, lane: Lane) -> bool:
        return not self._drain(lane, lane.journal)

    def _guarded(self, lane: Lane, work: Callable[[Lane], bool]) -> bool:
        """Return what `work` returns; after any error return False and try the lane again later."""
        if self._clock.monotonic() < lane.retry_at and not self._stop.is_set():
            return False
        try:
            more = work(lane)
        except NexusError as error:
            self._put_off(lane, error)
        except Exception as error:  # noqa: BLE001  the edge of the thread
            # The records are safe in the journal and must be tried again.
            self._put_off(lane, error)
            if not self._delivering_late:
                _LOG.exception("Delivery to %s failed", lane.database.url)
        else:
            if not more:
                self._all_well(lane)
            return more and self._clock.monotonic() < self._deadline
        return False

    def _all_well(self, lane: Lane) -> None:
        self._log_own_losses(lane)
        if lane.away_since is not None:
            _LOG.info("The database at %s is back; what was kept has been delivered.", lane.database.url)
        lane.away_since, lane.retry_at = None, 0.0

    @staticmethod
    def _log_own_losses(lane: Lane) -> None:
        unwritten, unread = lane.unwritten(), lane.journal.unreadable - lane.unreadable
        lane.lost, lane.unreadable = lane.journal.lost, lane.journal.unreadable
        where = lane.database.url
        if unwritten > 0:
            _LOG.warning("%d records for %s were lost: they could not be written to the journal.", unwritten, where)
        if unread > 0:
            _LOG.warning("%d records for %s were lost: they could not be read back from the journal.", unread, where)

    def _put_off(self, lane: Lane, error: Exception) -> None:
        now = self._clock.monotonic()
        lane.retry_at = now + AWAY_SECONDS
        lane.part()
        lane.journal.quiet = False  # the retry comes by time, not at every record
        if self._delivering_late:  # the log is closed; the records wait for the next process
            lane.away_since = now
            return
        if not isinstance(error, _WAITS) and self._accepted() > self._complaints:
            folder = lane.journal.folder
            report_once("delivery", f"What this program reports is not delivered, and kept in {folder}. {error}")
        if lane.away_since is None:
            lane.away_since = now
            before = self._accepted()
            _LOG.warning("Records are kept in the journal until they can be delivered. %s", error)
            if is_logged():  # others log meanwhile, so the difference may be larger
                self._complaints += min(1, self._accepted() - before)
        dropped = 0
        with suppress(OSError):  # an unreadable journal must not end the thread
            dropped = lane.journal.thin(self._journal_size, lane.sink.expendable)
        if dropped:
            lane.lost += dropped
            where = lane.database.url
            _LOG.warning("The journal for %s is full: %d of its oldest records were dropped.", where, dropped)

    def _drain(self, lane: Lane, journal: Journal | AbandonedJournal) -> bool:
        """Deliver a journal for one turn; return whether all is delivered."""
        end = self._clock.monotonic() + ROUND_SECONDS
        while self._clock.monotonic() < min(end, self._deadline):
            accepted = journal.accepted() if isinstance(journal, Journal) else 0
            begin = self._clock.monotonic(), time.thread_time()
            if frames := journal.read(BATCH_BYTES):
                if lane.meet():
                    if not lane.may_get(journal.folder):
                        raise AnotherDatabase(where=lane.database.url)
                    journal.rewind()  # it may have gone on elsewhere
                    continue
                lane.deliver(journal, frames)
                if isinstance(journal, Journal) and journal.accepted() > accepted:
                    self._give_way(*begin)
            elif isinstance(journal, AbandonedJournal):
                return True
            else:
                journal.settle(accepted)
                journal.quiet = True
                if journal.accepted() == accepted:
                    return True
                journal.quiet = False  # one came in meanwhile and may not have woken us
        return False

    def _give_way(self, begin: float, taken: float) -> None:
        """Pause after a batch that was begun at a time, and at so much processor time of this thread."""
        taken = time.thread_time() - taken
        waited = self._clock.monotonic() - begin - taken
        self._clock.wait(self._stop, min(LONGEST_BATCH_PAUSE, max(0.0, PAUSE * taken - waited)))

    def _adopt_when_due(self, lane: Lane) -> None:
        """Deliver what dead processes left behind: now and then, and at the end, for a process may live briefly."""
        now = self._clock.monotonic()
        if lane.away_since is None if self._stop.is_set() else now >= lane.adopt_at:
            lane.adopt_at = now + ADOPT_SECONDS
            self._guarded(lane, self._adopt)

    def _adopt(self, lane: Lane) -> bool:
        self._log_losses(lane)
        for left in lane.left_behind():
            done = False
            try:
                lane.take_over(left)
                while not (done := self._drain(lane, left)) and self._clock.monotonic() < self._deadline:
                    self._take_rounds()
            except OSError as error:
                _LOG.warning("The journal %s that a dead process left cannot be read: %s", left.name, error)
            finally:
                left.close(delivered=done)
            if done:
                lane.forget_cursor(left.name)
        return False

    def _log_losses(self, lane: Lane) -> None:
        """Log what programs that have ended lost, once this one's log has room."""
        if not is_logged():
            return
        for folder in lane.adoptable():
            for path, name, count in losses.notes(folder):
                if any(other.journal.in_memory or other.away_since is not None for other in self._lanes):
                    return
                if not losses.take(path):
                    continue
                _LOG.warning(
                    "%d records of the journal %s were lost when its program ended: neither the disk nor the database "
                    "had room for them.", count, name,
                )  # fmt: skip
                if any(other.journal.in_memory for other in self._lanes):  # this warning has no room either
                    losses.leave(folder, name, count)

    def _accepted(self) -> int:
        return sum(lane.journal.accepted() for lane in self._lanes)


_living: weakref.WeakSet[Shipper] = weakref.WeakSet()


def deliver_at_exit() -> None:
    """Deliver records accepted after the end of delivery; may be called several times at the end of the program."""
    for shipper in list(_living):
        shipper.at_exit()


# Registered before the users of this module, so called after them: the order is reversed.
atexit.register(deliver_at_exit)
