"""Delivery of one journal to its database: each batch in one transaction with its row in `delivery_cursor`.

Promises
--------
* After any error the cursor is read again before anything is sent.
* A batch is committed only in a database that may get the journal (see `NexusCore.delivery.folders`), which is checked
  in the same transaction.
* A cursor ahead of all records ever sent is ignored: it is logged and counted, and everything in the journal is
  delivered.
* A record that the table refuses goes to a side file and does not block others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from NexusCore.clock import Clock
from NexusCore.delivery import refused
from NexusCore.delivery.adoption import AbandonedJournal, abandoned, written_by_newer
from NexusCore.delivery.folders import Folders
from NexusCore.delivery.frames import Frame
from NexusCore.delivery.journal import Journal
from NexusCore.delivery.notices import report_once
from NexusCore.errors import DatabaseRefused, NexusError
from NexusCore.storage import Database, Transaction
from NexusCore.storage.engine import IDENTITY, as_identity

_FAULTS = (DatabaseRefused, ValueError, TypeError, LookupError, ArithmeticError)
"""Errors of the table and the sink for a record that they cannot store."""
_CURSOR = "SELECT `delivered` FROM `delivery_cursor` WHERE `journal` = :journal"
_LOG = logging.getLogger("NexusCore.delivery")


class Sink(Protocol):
    """Writes decoded records to the tables of one kind."""

    table: str
    """The table that is followed."""

    def prepare(self, database: Database, payloads: Sequence[bytes]) -> None:
        """Create what the records refer to, in separate transactions."""
        ...

    def write(self, transaction: Transaction, payloads: Sequence[bytes], *, left_behind: bool = False) -> None:
        """Insert the records; those `left_behind` by a dead process may be older than existing ones."""
        ...

    def forget(self) -> None:
        """Forget cached ids: the tables may have been restored from a copy meanwhile."""
        ...

    def expendable(self, payload: bytes) -> bool:
        """Return whether a record may be dropped first when the journal is too large."""
        ...


class _Moved(Exception):
    """The cursor is not at the expected number: an earlier commit took effect although its answer was lost."""


class AnotherDatabase(NexusError):
    """The database at {where} is not the one that was there before. The journals are assigned again."""


@dataclass
class Lane:
    """A journal and its database."""

    journal: Journal
    database: Database
    sink: Sink
    clock: Clock
    folders: Folders | None
    """Which journals the database gets; None for those in the journal's own folder."""
    identity: str | None = None
    """Identity of the database, if known; see `Database.identity`."""
    delivered_to: str | None = None
    """Identity of the database that got the last records of the journal."""
    met: bool = False
    """Whether the database was asked for its identity since it was last away."""
    away_since: float | None = None
    retry_at: float = 0.0
    adopt_at: float = 0.0
    lost: int = 0
    """Records lost that the log knows of."""
    unreadable: int = 0
    """Those of them that could not be read back."""
    noted: int = 0
    """Records in memory that a note says are lost (see `NexusCore.delivery.losses`)."""
    complained: bool = False
    """Whether a refused record was logged and none was accepted since."""
    disbelieved: int = 0
    """Number of impossible cursors."""
    left_to_newer: set[str] = field(default_factory=set)
    """Names of the journals that wait for a newer NexusCore."""

    # -- whose database it is ----------------------------------------------------------------------------------------

    def meet(self) -> bool:
        """Find out which database is at the URL before sending anything; return whether it was asked."""
        if self.met or self.folders is None:
            return False
        before, self.identity = self.identity, self.database.identity()
        if self.identity is not None:
            self.folders.learn(self.identity)
            own = self.folders.own()
            if before is None and not self.may_get(self.journal.folder):
                self.journal.relocate(own)  # created for a database that this process had never seen
            elif before is not None and not self.may_get(former := self.folders.of(before)):
                # The records so far are for another database, which is elsewhere now.
                self.journal.move_to(own, leaving_it_in=former)
            elif not self.journal.accepted():
                self.journal.move_to(own)
        self.met = True
        return True

    def may_get(self, folder: Path) -> bool:
        """Return whether the database may get the journals in a folder."""
        return self.folders is None or self.folders.may_get(folder)

    def part(self) -> None:
        """Prepare for another or a restored database at the same URL."""
        self.met = False
        self.sink.forget()
        self.journal.rewind()

    def adoptable(self) -> list[Path]:
        """Return the folders of the journals that the database gets, as far as it is known."""
        return [self.journal.folder] if self.folders is None else self.folders.adoptable()

    def left_behind(self) -> Iterator[AbandonedJournal]:
        """Yield the journals of dead processes that the database gets; each must be closed."""
        if self.folders is None:
            yield from self._readable(self.journal.folder)
            return
        if self.folders.is_unknown():
            self.meet()  # needed to know which journals it gets
        for folder in self.folders.adoptable():
            for left in self._readable(folder):
                try:
                    self.meet()
                    belongs = self.may_get(folder)
                except BaseException:
                    left.close(delivered=False)
                    raise
                if belongs:
                    yield left
                else:
                    left.close(delivered=False)

    def _readable(self, folder: Path) -> Iterator[AbandonedJournal]:
        """Yield the abandoned journals in a folder but for those of a newer NexusCore, which are left to it."""
        for left in abandoned(folder):
            newer = False
            with suppress(OSError):  # its delivery reports it
                newer = written_by_newer(folder, left.name)
            if not newer:
                yield left
                continue
            left.close(delivered=False)
            if left.name not in self.left_to_newer:
                self.left_to_newer.add(left.name)
                _LOG.warning(
                    "The journal %s in %s was written by a newer NexusCore. It stays there until that one delivers it.",
                    left.name, folder,
                )  # fmt: skip

    def unwritten(self) -> int:
        """Return how many records were lost, since nothing could be written, that the log does not know of."""
        return self.journal.lost - self.lost - (self.journal.unreadable - self.unreadable)

    def finish(self, *, cursor: bool) -> None:
        """Close the journal; with `cursor`, remove the cursor if all was delivered."""
        name, done = self.journal.name, self.journal.left == 0 and self.journal.delivered > 0
        self.journal.close()
        if done and cursor:
            self.forget_cursor(name)

    # -- delivering --------------------------------------------------------------------------------------------------

    def take_over(self, left: AbandonedJournal) -> None:
        """Continue a journal where its process, or one that adopted it before, has stopped."""
        self._resume(left)
        if refused.side_file(left.folder, left.name).exists():
            frames, _ = refused.read(left.folder, left.name)
            refused.settle(left.folder, left.name, left.delivered, left.those_in_it(frames))

    def deliver(self, journal: Journal | AbandonedJournal, frames: list[Frame], *, again: bool = False) -> None:
        """Deliver records; refused ones are found by bisection."""
        if journal.doubtful:
            frames = self._settle_refused(journal, frames)
        if not frames:
            return
        try:
            payloads = [frame.payload for frame in frames]
            self.sink.prepare(self.database, payloads)
            journal.hand_over(frames[-1].sequence)
            place = journal.name, journal.delivered
            self.database.write(lambda transaction: self._send(transaction, journal, place, frames))
        except _Moved:
            self._follow_cursor(journal, frames)
            return
        except _FAULTS as error:
            self.sink.forget()
            if len(frames) == 1 and not again:
                self.deliver(journal, frames, again=True)
                return
            if len(frames) > 1:
                middle = len(frames) // 2
                self.deliver(journal, frames[:middle])
                if journal.delivered >= frames[middle - 1].sequence:  # else the cursor went back, and all is read again
                    self.deliver(journal, frames[middle:])
                return
            self._set_aside(journal, frames[0], error)
        else:
            self.database.notify(self.sink.table)
            self.complained = False
            if isinstance(journal, Journal):
                journal.arrived += len(frames)
                self.delivered_to = self.identity
        journal.acknowledge(frames[-1].sequence)

    def _follow_cursor(self, journal: Journal | AbandonedJournal, frames: list[Frame]) -> None:
        """Continue at the database's cursor; deliver those of the records after it."""
        self.sink.forget()
        before = journal.delivered
        if isinstance(journal, Journal) and self.delivered_to not in (None, self.identity):
            cursor = self._cursor(journal.name)
            if cursor < before:
                # Another database is at the URL now: it gets the waiting records, not those that the former one got.
                journal.disbelieved = cursor
                self.deliver(journal, frames)
                return
        self._resume(journal)
        if journal.delivered < before:
            self._deliver_again(journal, before)
            return
        left = [frame for frame in frames if frame.sequence > journal.delivered]
        if isinstance(journal, Journal):
            journal.arrived += len(frames) - len(left)
        if left:
            self.deliver(journal, left)

    def _deliver_again(self, journal: Journal | AbandonedJournal, before: int) -> None:
        """Go back to the database's cursor: the database was restored from an older copy."""
        journal.rewind()
        if isinstance(journal, Journal):
            journal.arrived = max(0, journal.arrived - (before - journal.delivered))
        _LOG.warning(
            "The database at %s has gone back: of journal %s it holds the records up to %d, and held those up to %d. "
            "What the journal still has of them is delivered again; older ones are lost if the copy lacks them.",
            self.database.url, journal.name, journal.delivered, before,
        )  # fmt: skip

    def _send(
        self, transaction: Transaction, journal: Journal | AbandonedJournal, place: tuple[str, int], frames: list[Frame]
    ) -> None:
        self._move_cursor(transaction, journal, place, frames[-1].sequence)
        payloads = [frame.payload for frame in frames]
        self.sink.write(transaction, payloads, left_behind=isinstance(journal, AbandonedJournal))

    def _move_cursor(
        self, transaction: Transaction, journal: Journal | AbandonedJournal, place: tuple[str, int], to: int
    ) -> None:
        """Move the cursor of a journal, given by name and position, after checking the database's identity."""
        if self.identity is not None:
            row = transaction.one(IDENTITY)
            if row is None or as_identity(row[0]) != self.identity:
                raise AnotherDatabase(where=self.database.url)
        name, delivered = place
        row = transaction.one(f"{_CURSOR} {transaction.dialect.for_update}", journal=name)
        if (int(row[0]) if row else 0) not in (delivered, journal.disbelieved):
            raise _Moved
        columns = ("journal", "delivered", "ts")
        transaction.upsert("delivery_cursor", columns, ("journal",), [(name, to, self.clock.now())])

    def _resume(self, journal: Journal | AbandonedJournal) -> None:
        """Resume after the last record that the database acknowledged, if its cursor is possible."""
        cursor = self._cursor(journal.name)
        if not journal.resume(cursor):
            self.disbelieved += 1
            _LOG.warning(
                "The cursor of journal %s in the database at %s is at %d, but the journal has never handed over that "
                "much; it is ignored (number %d of this process), and everything after record %d is delivered.",
                journal.name, self.database.url, cursor, self.disbelieved, journal.delivered,
            )  # fmt: skip

    # -- what is refused ---------------------------------------------------------------------------------------------

    def _set_aside(self, journal: Journal | AbandonedJournal, frame: Frame, error: Exception) -> None:
        """Keep a refused record in a side file, and move the cursor past it."""
        side = refused.side_file(journal.folder, journal.name)
        place = journal.name, journal.delivered
        journal.doubtful = True
        refused.keep(journal.folder, journal.name, frame)
        self.database.write(lambda transaction: self._move_cursor(transaction, journal, place, frame.sequence))
        journal.doubtful = False
        if isinstance(journal, Journal):
            journal.refused += 1
        if not self.complained:
            self.complained = True  # the warning is a record, too, and may be refused as well
            _LOG.warning("A record was refused by the database and is kept in %s. %s", side, error)
        if isinstance(journal, Journal):
            report_once("refused", f"A record of this program is kept in {side}, since it was refused. {error}")

    def _settle_refused(self, journal: Journal | AbandonedJournal, frames: list[Frame]) -> list[Frame]:
        """Check whether the cursor has passed the last refused record; return the records still to be sent."""
        self._resume(journal)
        refused.settle(journal.folder, journal.name, journal.delivered, frames)
        journal.doubtful = False
        left = [frame for frame in frames if frame.sequence > journal.delivered]
        if isinstance(journal, Journal):
            journal.refused += len(frames) - len(left)
        return left

    # -- the cursor --------------------------------------------------------------------------------------------------

    def _cursor(self, name: str) -> int:
        # `current`: the last batch may have been committed on another host of a cluster.
        with self.database.reading(current=True) as reading:
            row = reading.one(_CURSOR, journal=name)
        return int(row[0]) if row else 0

    def forget_cursor(self, name: str) -> None:
        """Remove the cursor of a deleted journal; a row that stays is harmless."""
        with suppress(NexusError), self.database.transaction() as transaction:
            transaction.run("DELETE FROM `delivery_cursor` WHERE `journal` = :journal", journal=name)
