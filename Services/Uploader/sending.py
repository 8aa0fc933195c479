"""One destination's turn: what is due there is sent, one record after the other, and looked at once it is there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TypeVar

from NexusCore.clock import SECOND, Clock
from NexusCore.config import NamedConfiguration
from NexusCore.errors import NexusError
from NexusCore.facility import Record, Records, Upload
from NexusCore.facility.record import UploadState
from NexusCore.log import Log, in_session
from Services.Uploader.destinations import Destination, DestinationAway, NotTaken, Receipt, Refused, obstacle
from Services.Uploader.errands import DestinationSilent, Errands, Stopped
from Services.Uploader.told import OK, Told

LEASE_SECONDS = 60.0
"""How long a record is kept for an Uploader that falls silent."""
SLOW_SECONDS = 10.0
"""After this long, the status shows that a destination is still at work."""
LOOK_SECONDS = 10.0
"""The shortest time before a record is looked at again after an answer that got lost."""

T = TypeVar("T")


class RecordUnusable(NexusError):
    """The record '{title}' cannot be sent: {reason}."""


@dataclass(slots=True)
class Turn:
    """What one destination is to do now, and what became of it."""

    name: str
    owner: str
    """Name of this Uploader in leases."""
    fault: str
    """Why the destination cannot even be made; empty if it can."""
    destination: Destination | None
    records: Sequence[Record]
    """To be sent, oldest first."""
    looks: Sequence[Record] = ()
    """That are there, and to be looked at again."""
    dry: bool = False
    """Only say what would be done."""
    outcomes: dict[int, UploadState] = field(default_factory=dict)
    """By the id of a record."""


@dataclass(frozen=True, slots=True)
class Sending:
    """Sends records.

    Parameters
    ----------
    records, errands, told
        The tables; who lets destinations work; who tells of it.
    config, log, clock, stop
        Those of the service; the last one says that it is to end.
    at_work
        Shows that a destination is at work while a block runs.
    arrived
        Called with each record that has come to a destination.
    """

    records: Records
    errands: Errands
    told: Told
    config: NamedConfiguration
    log: Log
    clock: Clock
    stop: Event
    at_work: Callable[[str], AbstractContextManager[None]]
    arrived: Callable[[Record], None]

    def serve(self, turn: Turn) -> dict[int, UploadState]:
        """Do what is due at a destination; return what became of it."""
        # One that was told to be away is asked although nothing is due: it may be back.
        if turn.records or turn.looks or self.told.bad(turn.name):
            try:
                with self.at_work(turn.name):
                    self._serve(turn)
            except Stopped:
                self.log.info("Told to end; what is still to be sent to %s waits for the next Uploader", turn.name)
        return turn.outcomes

    def _serve(self, turn: Turn) -> None:
        problem = self._check(turn)
        self.told.destination(turn.name, problem, show=not turn.dry)
        for number, record in enumerate((*turn.records, *turn.looks)):
            if problem != OK:
                self._away(turn, turn.records[number:], problem)
                return
            if self.stop.is_set():
                raise Stopped
            with in_session(record.session):
                problem = self._rehearse(turn, record) if turn.dry else self._send(turn, record)
            self.told.destination(turn.name, problem, show=not turn.dry)

    def _check(self, turn: Turn) -> str:
        """Return what stands in the way of every record, or "ok"."""
        if turn.destination is None:
            return turn.fault
        try:
            return "; ".join(self._run(turn, turn.destination.check)) or OK
        except Stopped:
            raise
        except NexusError as error:
            return obstacle(error)
        except Exception as error:  # the edge of a destination's code: it is down, and the others go on
            self.log.exception("Checking the destination %s failed", turn.name)
            return f"checking it failed ({type(error).__name__}: {error})"

    def _away(self, turn: Turn, rest: Sequence[Record], problem: str) -> None:
        """Note that no record can be sent there now; each would cost another wait."""
        turn.outcomes.update((record.id, UploadState.ERROR) for record in rest)
        if rest and not turn.dry:
            sentence = turn.fault or str(DestinationAway(destination=turn.name, reason=problem.rstrip(".")))
            self.records.away(turn.name, sentence, turn.owner)

    # -- one record ----------------------------------------------------------------------------------------------------

    def _send(self, turn: Turn, record: Record) -> str:
        """Send a record, and look whether it arrived; return what now stands in the way of others, or "ok"."""
        upload = self.records.claim(record, turn.name, turn.owner, LEASE_SECONDS)
        if upload is None or turn.destination is None:
            return OK  # another Uploader was first, or somebody has it built anew
        try:
            receipt = self._put(turn, record, turn.destination)
        except Stopped:
            raise
        except Refused as error:
            self._failed(turn, record, upload, error, None)
        except NexusError as error:
            away = isinstance(error, DestinationAway)
            self._failed(turn, record, upload, error, self._wait(upload, away=away))
            return obstacle(error) if away else OK
        except Exception as error:  # the edge of a destination's code: one record must not stop the others
            self.log.exception("Sending the record '%s' to %s failed", record.title, turn.name)
            self._failed(turn, record, upload, error, self._wait(upload, away=False))
        else:
            self._noted(turn, record, upload, receipt)
        return OK

    def _put(self, turn: Turn, record: Record, destination: Destination) -> Receipt:
        _examine(record)
        receipt = self._run(turn, lambda: destination.put(record))
        content = self._run(turn, lambda: destination.fetch(receipt))
        if hashlib.sha256(content).hexdigest() != (receipt.sha256 or record.sha256):
            reason = "what it gives back is not what was sent"
            raise NotTaken(destination=destination.name, title=record.title, reason=reason)
        return receipt

    def _noted(self, turn: Turn, record: Record, upload: Upload, receipt: Receipt) -> None:
        there = upload.state is UploadState.DONE
        noted = self.records.uploaded(
            record, turn.name, receipt.remote_id, receipt.url, owner=turn.owner, look_seconds=self._look(upload)
        )
        if not noted:
            text = "The record '%s' was built anew while %s took it, or another Uploader took over; it is due again"
            self.log.info(text, record.title, turn.name)
        elif not there:
            turn.outcomes[record.id] = UploadState.DONE
            remark = f"; {receipt.remark}" if receipt.remark else ""
            where = f" as {receipt.url or receipt.remote_id}"
            self.log.info("%s has the record '%s'%s%s", turn.name, record.title, where, remark)
            self.told.count("records_sent", turn.name)
            self.arrived(record)

    def _failed(self, turn: Turn, record: Record, upload: Upload, error: Exception, seconds: float | None) -> None:
        """Note that an attempt failed, to be repeated after a time, or not by itself."""
        ours = isinstance(error, NexusError)
        sentence = str(error) if ours else f"{type(error).__name__}: {error}"
        unanswered = not ours or isinstance(error, DestinationAway)
        there = upload.state is UploadState.DONE
        if there and not unanswered and self._look(upload) is None:
            seconds = None  # it has been looked at for long enough
        noted = self.records.failed(
            record,
            turn.name,
            sentence,
            seconds,
            owner=turn.owner,
            unanswered=unanswered,
            at_work=isinstance(error, DestinationSilent),
        )
        if there:
            self.log.warning("Looking again at the record '%s' at %s failed: %s", record.title, turn.name, sentence)
            return
        turn.outcomes[record.id] = UploadState.ERROR
        if noted:
            attempt = f"Attempt {upload.attempts + 1} at {turn.name}"
            self.log.error("%s", sentence if seconds is None else f"{sentence} {attempt}; the next in {seconds:g} s")
            self.told.count("attempts_failed", turn.name)

    def _wait(self, upload: Upload, *, away: bool) -> float:
        """Return how long to wait before the next attempt: twice as long as before this one, up to a limit.

        What a destination is to blame for waits less: when it is back, all is to go soon.
        """
        longest = self.config.number("retry_away" if away else "retry_longest")
        before = 0.0
        if upload.state is UploadState.ERROR and upload.next_attempt_ts is not None:
            before = (upload.next_attempt_ts - upload.updated_ts) / SECOND
        return min(max(self.config.number("retry_first"), 2.0 * before), longest)

    def _look(self, upload: Upload) -> float | None:
        """Return after how long to look at a record again once it is there; None for not at all.

        A request that was given up may still be carried out, and a record be there twice then. When, nobody knows: so
        it is looked at after as much time as has passed since, again and again.
        """
        if upload.unanswered_ts is None:
            return None
        since = (self.clock.now() - upload.unanswered_ts) / SECOND
        return max(LOOK_SECONDS, since) if since < self.config.number("look_again") else None

    def _rehearse(self, turn: Turn, record: Record) -> str:
        """Say what would be done."""
        try:
            _examine(record)
        except RecordUnusable as error:
            self.log.warning("%s", error)
            turn.outcomes[record.id] = UploadState.ERROR
        else:
            self.log.info("Would send the record '%s' (%s) to %s", record.title, record.path, turn.name)
        return OK

    def _run(self, turn: Turn, work: Callable[[], T]) -> T:
        """Let a destination work, and keep what is held there meanwhile."""
        limit = self.config.number("time_limit")
        renewed = 0.0

        def beat(seconds: float) -> None:
            nonlocal renewed
            if seconds >= SLOW_SECONDS and not turn.dry:
                self.told.slow(turn.name, SLOW_SECONDS)
            if seconds - renewed >= LEASE_SECONDS / 3 and not turn.dry:
                renewed = seconds
                with suppress(NexusError):  # the database may be back before the lease runs out
                    self.records.renew(turn.name, turn.owner, LEASE_SECONDS)

        return self.errands.run(turn.name, work, limit, beat)


def _examine(record: Record) -> None:
    """Raise `RecordUnusable` unless the record's file is what the Builder wrote."""
    try:
        with Path(record.path).open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == record.sha256
    except OSError as error:
        raise RecordUnusable(title=record.title, reason=f"{record.path}: {error.strerror}") from None
    if not same:
        raise RecordUnusable(title=record.title, reason=f"{record.path} is not the file that the Builder wrote")
