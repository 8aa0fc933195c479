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
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from NexusCore.clock import Clock
from NexusCore.delivery.frames import Frame
from NexusCore.delivery.journal import Abandoned, Journal, abandoned
from NexusCore.errors import DatabaseRefused, NexusError
from NexusCore.storage import Database, Transaction

LINGER = 0.01
"""Seconds in which records gather into a batch."""
BATCH_BYTES = 1024 * 1024
AWAY_SECONDS = 1.0
"""Seconds between attempts while a database is away."""
ADOPT_SECONDS = 30.0
"""Seconds between looks for abandoned journals."""

_CURSOR = "SELECT delivered FROM delivery_cursor WHERE journal = :journal"
_LOG = logging.getLogger("NexusCore.delivery")


class Sink(Protocol):
    """Puts decoded records into the tables of one kind."""

    def prepare(self, database: Database, payloads: Sequence[bytes]) -> None:
        """Make what the records refer to, in transactions of its own."""
        ...

    def write(self, transaction: Transaction, payloads: Sequence[bytes]) -> None:
        """Insert the records."""
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
    refused: int = field(default=0)


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

    def add(self, journal: Journal, database: Database, sink: Sink) -> None:
        """Deliver a journal from now on."""
        self._lanes.append(_Lane(journal, database, sink))

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
        lanes = self._lanes
        refused = sum(lane.refused for lane in lanes)
        report = Report(
            delivered=sum(lane.journal.delivered - lane.journal.lost for lane in lanes) - refused,
            left=sum(lane.journal.left for lane in lanes),
            dropped=sum(lane.journal.lost for lane in lanes) + refused,
        )
        if thread is None or not thread.is_alive():
            for lane in lanes:
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
            for lane in self._lanes:
                self._serve(lane)
            if stopping:
                return

    def _serve(self, lane: _Lane) -> None:
        now = self._clock.monotonic()
        if now < lane.retry_at and not self._stop.is_set():
            return
        try:
            self._drain(lane, lane.journal)
            if now >= lane.adopt_at and not self._stop.is_set():
                lane.adopt_at = now + ADOPT_SECONDS
                self._adopt(lane)
        except NexusError as error:
            self._put_off(lane, error)
        except Exception as error:  # noqa: BLE001  the edge of the thread
            # Whatever it is: the records are safe in the journal, and must be tried again.
            self._put_off(lane, error)
            _LOG.exception("Delivery to %s failed", lane.database)
        else:
            if lane.away_since is not None:
                _LOG.info("%s is back; all that was kept has been delivered.", lane.database)
            lane.away_since, lane.retry_at = None, 0.0

    def _put_off(self, lane: _Lane, error: Exception) -> None:
        now = self._clock.monotonic()
        lane.retry_at = now + AWAY_SECONDS
        lane.journal.rewind()
        lane.journal.quiet = False  # the retry comes by time; waking at every record would only cost
        if lane.away_since is None:
            lane.away_since = now
            _LOG.warning("Records are kept in the journal until they can be delivered. %s", error)
        dropped = lane.journal.thin(self._journal_size, lane.sink.expendable)
        if dropped:
            _LOG.warning("The journal for %s is full: %d of its oldest records were dropped.", lane.database, dropped)

    def _drain(self, lane: _Lane, journal: Journal | Abandoned) -> None:
        while self._clock.monotonic() < self._deadline:
            accepted = journal.accepted() if isinstance(journal, Journal) else 0
            if frames := journal.read(BATCH_BYTES):
                self._deliver(lane, journal, frames)
            elif isinstance(journal, Abandoned):
                return
            else:
                journal.settle(accepted)
                journal.quiet = True
                if journal.accepted() == accepted:
                    return
                journal.quiet = False  # one came in meanwhile and may not have woken us

    def _deliver(self, lane: _Lane, journal: Journal | Abandoned, frames: list[Frame]) -> None:
        try:
            payloads = [frame.payload for frame in frames]
            lane.sink.prepare(lane.database, payloads)
            lane.database.write(lambda transaction: self._send(transaction, lane, journal, frames))
        except _Moved:
            journal.resume(self._cursor(lane.database, journal.name))
            left = [frame for frame in frames if frame.sequence > journal.delivered]
            if left:
                self._deliver(lane, journal, left)
            return
        except (DatabaseRefused, ValueError, TypeError) as error:
            if len(frames) > 1:
                middle = len(frames) // 2
                self._deliver(lane, journal, frames[:middle])
                self._deliver(lane, journal, frames[middle:])
                return
            self._set_aside(lane, journal, frames[0], error)
        journal.acknowledge(frames[-1].sequence)

    def _send(self, transaction: Transaction, lane: _Lane, journal: Journal | Abandoned, frames: list[Frame]) -> None:
        self._move_cursor(transaction, journal, frames[-1].sequence)
        lane.sink.write(transaction, [frame.payload for frame in frames])

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
            file.write(frame.payload + b"\n")
        lane.database.write(lambda transaction: self._move_cursor(transaction, journal, frame.sequence))
        lane.refused += 1
        _LOG.warning("A record was refused by the database and is kept in %s. %s", side, error)

    def _adopt(self, lane: _Lane) -> None:
        for left in abandoned(lane.journal.folder):
            delivered = False
            try:
                left.resume(self._cursor(lane.database, left.name))
                self._drain(lane, left)
                delivered = self._clock.monotonic() < self._deadline
            finally:
                left.close(delivered=delivered)
            if delivered:
                self._forget_cursor(lane.database, left.name)

    def _cursor(self, database: Database, journal: str) -> int:
        with database.reading() as reading:
            row = reading.one(_CURSOR, journal=journal)
        return int(row[0]) if row else 0

    def _forget_cursor(self, database: Database, journal: str) -> None:
        """Remove the cursor of a journal whose files are gone; a row that stays does no harm."""
        with suppress(NexusError), database.transaction() as transaction:
            transaction.run("DELETE FROM delivery_cursor WHERE journal = :journal", journal=journal)
