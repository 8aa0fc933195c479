"""Takes journals to the database in batches, on one thread for the whole process.

Promises
--------
* Records are inserted in the same transaction that moves the journal's row in `delivery_cursor`; after any error the
  cursor is read again before anything is sent. Each record arrives exactly once, whatever broke in between.
* A record that the table refuses goes to a side file and holds up no other.
* While a database is away its journal grows, and drains in order when it is back; other databases are not held up.
* Journals left by dead processes on this machine are adopted.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from NexusCore.clock import Clock
from NexusCore.delivery.frames import Frame, encode
from NexusCore.delivery.journal import Abandoned, Journal, abandoned
from NexusCore.errors import DatabaseRefused, NexusError
from NexusCore.forks import renew_in_children
from NexusCore.storage import Database, Transaction

LINGER = 0.01
"""Seconds in which records gather into a batch."""
BATCH_BYTES = 1024 * 1024
PAUSE = 1.5
"""How long others have the interpreter for themselves while records keep coming, in terms of the processor time that
the last batch took the thread: what it takes, those who log wait for. Its own waiting for a server counts."""
LONGEST_PAUSE = 0.25
"""Seconds after which it goes on in any case."""
TURN_SECONDS = 0.1
"""How long one journal may be delivered while others wait."""
AWAY_SECONDS = 1.0
"""Seconds between attempts while a database is away."""
ADOPT_SECONDS = 30.0
"""Seconds between looks for abandoned journals."""

_FAULTS = (DatabaseRefused, ValueError, TypeError, LookupError, ArithmeticError)
"""What the table and the sink raise for a record that they cannot take."""
_CURSOR = "SELECT delivered FROM delivery_cursor WHERE journal = :journal"
_LOG = logging.getLogger("NexusCore.delivery")


class Sink(Protocol):
    """Puts decoded records into the tables of one kind."""

    def prepare(self, database: Database, payloads: Sequence[bytes]) -> None:
        """Make what the records refer to, in transactions of its own."""
        ...

    def write(self, transaction: Transaction, payloads: Sequence[bytes], *, left_behind: bool = False) -> None:
        """Insert the records; `left_behind` by a dead process, they may be older than what is there."""
        ...

    def forget(self) -> None:
        """Forget what was learned of the tables: they may have been restored from a copy meanwhile."""
        ...

    def expendable(self, payload: bytes) -> bool:
        """Tell whether a record may go first when the journal has grown too large."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the records a process accepted."""

    delivered: int
    left: int
    """Still in a journal; a later process on this machine delivers them."""
    dropped: int
    """Lost: refused by the database (kept in a side file), or no room on disk and in memory."""


class _Moved(Exception):
    """The cursor is not where it should be: an earlier commit took effect although its answer was lost."""


@dataclass
class _Lane:
    """A journal on its way to a database."""

    journal: Journal
    database: Database
    sink: Sink
    away_since: float | None = None
    retry_at: float = 0.0
    adopt_at: float = 0.0
    lost: int = 0
    """Records lost that the log knows of."""
    complained: bool = False
    """About a record that was refused, after which none has been taken."""


class Shipper:
    """The delivery thread.

    Parameters
    ----------
    clock
        Tells the time and waits.
    journal_size
        Bytes that one journal may take while its database is away.
    """

    def __init__(self, clock: Clock, journal_size: int) -> None:
        self._clock = clock
        self._journal_size = journal_size
        self._lanes: list[_Lane] = []
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._deadline = float("inf")
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ended_in = 0
        """The process in which delivery was ended: what comes later stays in the journal."""
        renew_in_children(self)

    def forked(self) -> None:
        """Make the lock new; the thread starts with the first record."""
        self._lock, self._thread = threading.Lock(), None

    def add(self, journal: Journal, database: Database, sink: Sink) -> None:
        """Deliver a journal from now on."""
        self._lanes.append(_Lane(journal, database, sink))
        self.wake()  # a dead process may have left something

    def wake(self) -> None:
        """Have the thread look at the journals now; starts it if need be, but not after the end."""
        if self._ended_in == os.getpid():
            return
        if self._thread is None or not self._thread.is_alive():
            self._start()
        self._wake.set()

    def stop(self, seconds: float) -> Report:
        """Deliver what can be delivered within `seconds`, leave the rest in the journals, and end."""
        self._ended_in = os.getpid()
        self._deadline = self._clock.monotonic() + seconds
        self._stop.set()
        self._wake.set()
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(seconds + 0.5)
        journals = [lane.journal for lane in self._lanes]
        report = Report(
            delivered=sum(journal.arrived for journal in journals),
            left=sum(journal.left for journal in journals),
            dropped=sum(journal.lost + journal.refused for journal in journals),
        )
        if thread is None or not thread.is_alive():
            for lane in self._lanes:
                self._finish(lane)
        return report

    def _finish(self, lane: _Lane) -> None:
        name, done = lane.journal.name, lane.journal.left == 0 and lane.journal.delivered > 0
        lane.journal.close()
        if done and self._clock.monotonic() < self._deadline:
            self._forget_cursor(lane.database, name)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                # Also after a fork, where the thread and the state of these events stayed with the parent.
                self._wake, self._stop = threading.Event(), threading.Event()
                self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            waiting = any(lane.retry_at for lane in self._lanes)
            self._clock.wait(self._wake, AWAY_SECONDS if waiting else ADOPT_SECONDS)
            self._wake.clear()
            stopping = self._stop.is_set()
            if not stopping:
                self._clock.wait(self._stop, LINGER)
            self._deliver_own()
            for lane in self._lanes:
                self._adopt_when_due(lane)
            if stopping:
                self._deliver_own()  # of a journal that cannot be read there is something to log
                return

    def _deliver_own(self) -> None:
        """Deliver what this process accepted: each lane has its turn, so that many records of one hold up no other."""
        while self._take_turns():
            pass

    def _take_turns(self) -> bool:
        """Give each lane its turn; return whether any has more to deliver."""
        # Not any() over them: it would pass over those behind the first that has more.
        return sum(self._guarded(lane, lambda lane: not self._drain(lane, lane.journal)) for lane in self._lanes) > 0

    def _guarded(self, lane: _Lane, work: Callable[[_Lane], bool]) -> bool:
        """Return what `work` returns; whatever goes wrong, the lane is tried again later, and False is returned."""
        if self._clock.monotonic() < lane.retry_at and not self._stop.is_set():
            return False
        try:
            more = work(lane)
        except NexusError as error:
            self._put_off(lane, error)
        except Exception as error:  # noqa: BLE001  the edge of the thread
            # Whatever it is: the records are safe in the journal, and must be tried again.
            self._put_off(lane, error)
            _LOG.exception("Delivery to %s failed", lane.database.url)
        else:
            if not more:
                self._all_well(lane)
            return more and self._clock.monotonic() < self._deadline
        return False

    def _all_well(self, lane: _Lane) -> None:
        lost, lane.lost = lane.journal.lost - lane.lost, lane.journal.lost
        if lost:
            where = lane.database.url
            _LOG.warning("%d records for %s were lost: disk and memory had no room for them.", lost, where)
        if lane.away_since is not None:
            _LOG.info("The database at %s is back; what was kept has been delivered.", lane.database.url)
        lane.away_since, lane.retry_at = None, 0.0

    def _put_off(self, lane: _Lane, error: Exception) -> None:
        now = self._clock.monotonic()
        lane.retry_at = now + AWAY_SECONDS
        lane.sink.forget()
        lane.journal.rewind()
        lane.journal.quiet = False  # the retry comes by time; waking at every record would only cost
        if lane.away_since is None:
            lane.away_since = now
            _LOG.warning("Records are kept in the journal until they can be delivered. %s", error)
        dropped = 0
        with suppress(OSError):  # a journal that cannot be read now is not to end the thread
            dropped = lane.journal.thin(self._journal_size, lane.sink.expendable)
        if dropped:
            lane.lost += dropped
            where = lane.database.url
            _LOG.warning("The journal for %s is full: %d of its oldest records were dropped.", where, dropped)

    def _drain(self, lane: _Lane, journal: Journal | Abandoned) -> bool:
        """Deliver what is in a journal, for one turn; return whether that is done."""
        end = self._clock.monotonic() + TURN_SECONDS
        while self._clock.monotonic() < min(end, self._deadline):
            accepted = journal.accepted() if isinstance(journal, Journal) else 0
            begin = self._clock.monotonic(), time.thread_time()
            if frames := journal.read(BATCH_BYTES):
                self._deliver(lane, journal, frames)
                if isinstance(journal, Journal) and journal.accepted() > accepted:
                    self._give_way(*begin)
            elif isinstance(journal, Abandoned):
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
        self._clock.wait(self._stop, min(LONGEST_PAUSE, max(0.0, PAUSE * taken - waited)))

    def _deliver(self, lane: _Lane, journal: Journal | Abandoned, frames: list[Frame], *, again: bool = False) -> None:
        try:
            payloads = [frame.payload for frame in frames]
            lane.sink.prepare(lane.database, payloads)
            lane.database.write(lambda transaction: self._send(transaction, lane, journal, frames))
        except _Moved:
            lane.sink.forget()
            journal.resume(self._cursor(lane.database, journal.name))
            left = [frame for frame in frames if frame.sequence > journal.delivered]
            if isinstance(journal, Journal):
                journal.arrived += len(frames) - len(left)
            if left:
                self._deliver(lane, journal, left)
            return
        except _FAULTS as error:
            lane.sink.forget()
            if len(frames) == 1 and not again:
                self._deliver(lane, journal, frames, again=True)
                return
            if len(frames) > 1:
                middle = len(frames) // 2
                self._deliver(lane, journal, frames[:middle])
                self._deliver(lane, journal, frames[middle:])
                return
            self._set_aside(lane, journal, frames[0], error)
        else:
            lane.complained = False
            if isinstance(journal, Journal):
                journal.arrived += len(frames)
        journal.acknowledge(frames[-1].sequence)

    def _send(self, transaction: Transaction, lane: _Lane, journal: Journal | Abandoned, frames: list[Frame]) -> None:
        self._move_cursor(transaction, journal, frames[-1].sequence)
        payloads = [frame.payload for frame in frames]
        lane.sink.write(transaction, payloads, left_behind=isinstance(journal, Abandoned))

    def _move_cursor(self, transaction: Transaction, journal: Journal | Abandoned, to: int) -> None:
        row = transaction.one(f"{_CURSOR} {transaction.dialect.for_update}", journal=journal.name)
        if (int(row[0]) if row else 0) != journal.delivered:
            raise _Moved
        columns = ("journal", "delivered", "ts")
        transaction.upsert("delivery_cursor", columns, ("journal",), [(journal.name, to, self._clock.now())])

    def _set_aside(self, lane: _Lane, journal: Journal | Abandoned, frame: Frame, error: Exception) -> None:
        """Keep a record that the table refuses in a side file, and step over it."""
        side = journal.folder / f"{journal.name}.refused"
        with suppress(OSError), side.open("ab") as file:
            # Frames, since a payload may hold any byte: so they can be told apart and delivered once more.
            file.write(encode(frame.sequence, frame.payload))
        lane.database.write(lambda transaction: self._move_cursor(transaction, journal, frame.sequence))
        if isinstance(journal, Journal):
            journal.refused += 1
        if not lane.complained:
            lane.complained = True  # the complaint is a record too, and may be refused like the one before
            _LOG.warning("A record was refused by the database and is kept in %s. %s", side, error)

    def _adopt_when_due(self, lane: _Lane) -> None:
        """Deliver what dead processes left behind: now and then, and at the end, for a process may live briefly."""
        now = self._clock.monotonic()
        if lane.away_since is None if self._stop.is_set() else now >= lane.adopt_at:
            lane.adopt_at = now + ADOPT_SECONDS
            self._guarded(lane, self._adopt)

    def _adopt(self, lane: _Lane) -> bool:
        for left in abandoned(lane.journal.folder):
            done = False
            try:
                left.resume(self._cursor(lane.database, left.name))
                while not (done := self._drain(lane, left)) and self._clock.monotonic() < self._deadline:
                    self._take_turns()
            except OSError as error:
                _LOG.warning("The journal %s that a dead process left cannot be read: %s", left.name, error)
            finally:
                left.close(delivered=done)
            if done:
                self._forget_cursor(lane.database, left.name)
        return False

    def _cursor(self, database: Database, journal: str) -> int:
        with database.reading() as reading:
            row = reading.one(_CURSOR, journal=journal)
        return int(row[0]) if row else 0

    def _forget_cursor(self, database: Database, journal: str) -> None:
        """Remove the cursor of a journal whose files are gone; a row that stays does no harm."""
        with suppress(NexusError), database.transaction() as transaction:
            transaction.run("DELETE FROM delivery_cursor WHERE journal = :journal", journal=journal)
