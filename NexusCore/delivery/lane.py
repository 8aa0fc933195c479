"""A journal on its way to a database: each batch in one transaction with the journal's row in `delivery_cursor`.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from NexusCore.clock import Clock
from NexusCore.delivery import refused
from NexusCore.delivery.adoption import AbandonedJournal, abandoned
from NexusCore.delivery.folders import Folders
from NexusCore.delivery.frames import Frame
from NexusCore.delivery.journal import Journal
from NexusCore.delivery.notices import report_once
from NexusCore.errors import DatabaseRefused, NexusError
from NexusCore.storage import Database, Transaction
from NexusCore.storage.engine import IDENTITY, as_identity

_FAULTS = (DatabaseRefused, ValueError, TypeError, LookupError, ArithmeticError)
"""What the table and the sink raise for a record that they cannot take."""
_CURSOR = "SELECT `delivered` FROM `delivery_cursor` WHERE `journal` = :journal"
_LOG = logging.getLogger("NexusCore.delivery")


class Sink(Protocol):
    """Puts decoded records into the tables of one kind."""

    table: str
    """The one that is followed."""

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
        """Return whether a record may go first when the journal has grown too large."""
        ...


class _Moved(Exception):
    """The cursor is not where it should be: an earlier commit took effect although its answer was lost."""


class AnotherDatabase(NexusError):
    """The database at {where} is not the one that was there before. The journals are sorted again."""


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
    """Of the database, as far as known; see `Database.identity`."""
    delivered_to: str | None = None
    """Identity of the database that got the last records of the journal."""
    met: bool = False
    """The database has been asked for its identity since it was last away."""
    away_since: float | None = None
    retry_at: float = 0.0
    adopt_at: float = 0.0
    lost: int = 0
    """Records lost that the log knows of."""
    unreadable: int = 0
    """Those of them that could not be read back."""
    complained: bool = False
    """About a record that was refused, after which none has been taken."""
    disbelieved: int = 0
    """Cursors that were not believed."""

    # -- whose database it is ----------------------------------------------------------------------------------------

    def meet(self) -> bool:
        """Learn which database is at the URL, before it is given anything; return whether it had to be asked."""
        if self.met or self.folders is None:
            return False
        before, self.identity = self.identity, self.database.identity()
        if self.identity is not None:
            self.folders.learn(self.identity)
            own = self.folders.own()
            if before is None and not self.may_get(self.journal.folder):
                self.journal.relocate(own)  # it was begun for a database that this process has never seen
            elif before is not None and not self.may_get(former := self.folders.of(before)):
                # What was accepted so far was for another database, which is elsewhere now.
                self.journal.move_to(own, leaving_it_in=former)
            elif not self.journal.accepted():
                self.journal.move_to(own)
        self.met = True
        return True

    def may_get(self, folder: Path) -> bool:
        """Return whether the database may be given the journals in a folder."""
        return self.folders is None or self.folders.may_get(folder)

    def part(self) -> None:
        """Prepare for a database that may be another one, or a restored one, when it answers again."""
        self.met = False
        self.sink.forget()
        self.journal.rewind()

    def left_behind(self) -> Iterator[AbandonedJournal]:
        """Yield the journals of processes that are gone, of those that the database is to get; each must be closed."""
        if self.folders is None:
            yield from abandoned(self.journal.folder)
            return
        if self.folders.is_unknown():
            self.meet()  # only then is it known what it is to get
        for folder in self.folders.adoptable():
            for left in abandoned(folder):
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

    def finish(self, *, cursor: bool) -> None:
        """Release the journal; with `cursor`, forget that of one that was delivered whole."""
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
        """Deliver records; those that the table refuses, it finds by halves."""
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
                if journal.delivered >= frames[middle - 1].sequence:  # else it has gone back, and all of it comes again
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
        """Go on where the cursor turned out to be; of these records, deliver those behind it."""
        self.sink.forget()
        before = journal.delivered
        if isinstance(journal, Journal) and self.delivered_to not in (None, self.identity):
            cursor = self._cursor(journal.name)
            if cursor < before:
                # Another database has come into the place: it gets what waited, and not what the former one has got.
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
        """Go back to where the cursor is: with rows and all, the database was restored from an older copy."""
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
        """Move the cursor of a journal, by name, from where it is; first see that it is the right database's."""
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
        """Resume after the last record that the database acknowledged, if what it says of that can be."""
        cursor = self._cursor(journal.name)
        if not journal.resume(cursor):
            self.disbelieved += 1
            _LOG.warning(
                "The cursor of journal %s in the database at %s is at %d, but the journal has never handed over that "
                "much; it is not believed (the %d. of this process), and everything after record %d is delivered.",
                journal.name, self.database.url, cursor, self.disbelieved, journal.delivered,
            )  # fmt: skip

    # -- what is refused ---------------------------------------------------------------------------------------------

    def _set_aside(self, journal: Journal | AbandonedJournal, frame: Frame, error: Exception) -> None:
        """Keep a record that the table refuses in a side file, and step over it."""
        side = refused.side_file(journal.folder, journal.name)
        place = journal.name, journal.delivered
        journal.doubtful = True
        refused.keep(journal.folder, journal.name, frame)
        self.database.write(lambda transaction: self._move_cursor(transaction, journal, place, frame.sequence))
        journal.doubtful = False
        if isinstance(journal, Journal):
            journal.refused += 1
        if not self.complained:
            self.complained = True  # the complaint is a record too, and may be refused like the one before
            _LOG.warning("A record was refused by the database and is kept in %s. %s", side, error)
        if isinstance(journal, Journal):
            report_once("refused", f"A record of this program is kept in {side}, since it was refused. {error}")

    def _settle_refused(self, journal: Journal | AbandonedJournal, frames: list[Frame]) -> list[Frame]:
        """Find out whether the cursor has stepped over what was set aside last; return the records still to be sent."""
        self._resume(journal)
        refused.settle(journal.folder, journal.name, journal.delivered, frames)
        journal.doubtful = False
        left = [frame for frame in frames if frame.sequence > journal.delivered]
        if isinstance(journal, Journal):
            journal.refused += len(frames) - len(left)
        return left

    # -- the cursor --------------------------------------------------------------------------------------------------

    def _cursor(self, name: str) -> int:
        # Of all hosts of a cluster: the last batch may have been committed on one that has died since.
        with self.database.reading(current=True) as reading:
            row = reading.one(_CURSOR, journal=name)
        return int(row[0]) if row else 0

    def forget_cursor(self, name: str) -> None:
        """Remove the cursor of a journal whose files are gone; a row that stays does no harm."""
        with suppress(NexusError), self.database.transaction() as transaction:
            transaction.run("DELETE FROM `delivery_cursor` WHERE `journal` = :journal", journal=name)
