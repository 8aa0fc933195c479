"""One destination's upload round: due records are sent, one after the other, and checked once they are there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TypeVar

from NexusCore.clock import SECOND
from NexusCore.config import NamedConfiguration
from NexusCore.errors import NexusError
from NexusCore.facility import Record, Records, Upload
from NexusCore.facility.record import UploadState
from NexusCore.files import InTheWay
from NexusCore.log import Log, in_session
from NexusCore.resources import explained
from Services.Uploader.destinations import (
    Destination,
    DestinationAway,
    NotTaken,
    Receipt,
    RecordRefused,
    digest_of,
    obstacle,
)
from Services.Uploader.destinations.record_files import RecordFiles, examine_folder
from Services.Uploader.status_reporter import OK, DestinationReporter
from Services.Uploader.timed_calls import DestinationSilent, TimedCalls, UploadStopped

LEASE_SECONDS = 60.0
"""How long a record stays claimed by an Uploader that falls silent."""
STATUS_DELAY_SECONDS = 10.0
"""After this long, the status shows that a destination is still at work."""
CHECK_SECONDS = 10.0
"""The shortest time before a record is looked at again after a lost answer."""

T = TypeVar("T")


class RecordUnusable(NexusError):
    """The record '{title}' cannot be sent: {reason}."""


@dataclass(slots=True)
class UploadRound:
    """What is due at one destination now, and the outcomes."""

    name: str
    owner: str
    """Name of this Uploader in leases."""
    fault: str
    """Why the destination cannot even be made; empty if it can."""
    destination: Destination | None
    records: Sequence[Record]
    """To be sent, oldest first."""
    checks: Sequence[Record] = ()
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
    records, timed_calls, reporter
        The tables, the calls of destinations, and the status.
    config, log, stop
        Those of the service; the last one says that it is to end.
    at_work
        Shows that a destination is at work while a block runs.
    arrived
        Called with each record that a destination has received.
    """

    records: Records
    timed_calls: TimedCalls
    reporter: DestinationReporter
    config: NamedConfiguration
    log: Log
    stop: Event
    at_work: Callable[[str], AbstractContextManager[None]]
    arrived: Callable[[Record], None]

    def serve(self, upload_round: UploadRound) -> dict[int, UploadState]:
        """Do what is due at a destination; return the outcomes."""
        # Although nothing is due, each is checked at the start, or a fault would stay unknown until the first record;
        # and one that was reported away, since it may be back.
        due = upload_round.records or upload_round.checks or upload_round.fault
        if due or self.reporter.is_bad(upload_round.name):
            try:
                with self.at_work(upload_round.name):
                    self._serve(upload_round)
            except UploadStopped:
                self.log.info("Stopped; records still to be sent to %s wait for the next Uploader", upload_round.name)
        return upload_round.outcomes

    def _serve(self, upload_round: UploadRound) -> None:
        problem = self._check(upload_round)
        self.reporter.destination(upload_round.name, problem, show=not upload_round.dry)
        for number, record in enumerate((*upload_round.records, *upload_round.checks)):
            if problem != OK:
                self._away(upload_round, upload_round.records[number:], problem)
                return
            if self.stop.is_set():
                raise UploadStopped
            with in_session(record.session):
                problem = (
                    self._log_dry_run(upload_round, record) if upload_round.dry else self._send(upload_round, record)
                )
            self.reporter.destination(upload_round.name, problem, show=not upload_round.dry)

    def _check(self, upload_round: UploadRound) -> str:
        """Return what prevents sending any record, or "ok"."""
        if upload_round.destination is None:
            return upload_round.fault
        try:
            return "; ".join(self._run(upload_round, upload_round.destination.check)) or OK
        except UploadStopped:
            raise
        except NexusError as error:
            return obstacle(error)
        except Exception as error:  # the edge of a destination's code: it is down, and the others go on
            self.log.exception("Checking the destination %s failed", upload_round.name)
            return f"checking it failed ({type(error).__name__}: {error})"

    def _away(self, upload_round: UploadRound, rest: Sequence[Record], problem: str) -> None:
        """Record that nothing can be sent there now; each attempt would cost another wait."""
        upload_round.outcomes.update((record.id, UploadState.ERROR) for record in rest)
        if rest and not upload_round.dry:
            sentence = upload_round.fault or str(
                DestinationAway(destination=upload_round.name, reason=problem.rstrip("."))
            )
            self.records.away(upload_round.name, sentence, upload_round.owner)

    # -- one record ----------------------------------------------------------------------------------------------------

    def _send(self, upload_round: UploadRound, record: Record) -> str:
        """Send a record, and look whether it arrived; return what now prevents sending others, or "ok"."""
        upload = self.records.claim(record, upload_round.name, upload_round.owner, LEASE_SECONDS)
        if upload is None or upload_round.destination is None:
            return OK  # another Uploader was first, or its session is being rebuilt
        try:
            receipt = self._put(upload_round, record, upload_round.destination)
        except UploadStopped:
            raise
        except RecordRefused as error:
            self._failed(upload_round, record, upload, error, None)
        except NexusError as error:
            away = isinstance(error, DestinationAway)
            self._failed(upload_round, record, upload, error, self._wait(upload, away=away))
            return obstacle(error) if away else OK
        except Exception as error:  # the edge of a destination's code: one record must not stop the others
            self.log.exception("Sending the record '%s' to %s failed", record.title, upload_round.name)
            self._failed(upload_round, record, upload, error, self._wait(upload, away=False))
        else:
            self._succeeded(upload_round, record, upload, receipt)
        return OK

    def _put(self, upload_round: UploadRound, record: Record, destination: Destination) -> Receipt:
        self.reporter.record(record.id, _examine(record).warnings(record.title))
        receipt = self._run(upload_round, lambda: destination.put(record))
        content = self._run(upload_round, lambda: destination.fetch(receipt))
        if hashlib.sha256(content).hexdigest() != (receipt.sha256 or record.sha256):
            reason = "the copy read back differs from what was sent"
            raise NotTaken(destination=destination.name, title=record.title, reason=reason)
        return receipt

    def _succeeded(self, upload_round: UploadRound, record: Record, upload: Upload, receipt: Receipt) -> None:
        there = upload.state is UploadState.DONE
        noted = self.records.uploaded(
            record,
            upload_round.name,
            receipt.remote_id,
            receipt.url,
            owner=upload_round.owner,
            look_seconds=self._seconds_to_check(upload),
            pid=receipt.pid,
        )
        if not noted:
            text = "The record '%s' was rebuilt while it was sent to %s, or another Uploader took over; it is due again"
            self.log.info(text, record.title, upload_round.name)
        elif not there:
            upload_round.outcomes[record.id] = UploadState.DONE
            remark = f"; {receipt.remark}" if receipt.remark else ""
            where = f" as {receipt.url or receipt.remote_id}" + (f", PID {receipt.pid}" if receipt.pid else "")
            self.log.info("%s has the record '%s'%s%s", upload_round.name, record.title, where, remark)
            self.reporter.count("records_sent", upload_round.name)
            self.arrived(record)

    def _failed(
        self, upload_round: UploadRound, record: Record, upload: Upload, error: Exception, seconds: float | None
    ) -> None:
        """Note that an attempt failed, to be repeated after a time, or not by itself."""
        ours = isinstance(error, NexusError)
        sentence = str(explained(error) or (error if ours else f"{type(error).__name__}: {error}"))
        unanswered = not ours or isinstance(error, DestinationAway)
        there = upload.state is UploadState.DONE
        if there and not unanswered and self._seconds_to_check(upload) is None:
            seconds = None  # it has been checked for long enough
        noted = self.records.failed(
            record,
            upload_round.name,
            sentence,
            seconds,
            owner=upload_round.owner,
            unanswered=unanswered,
            at_work=isinstance(error, DestinationSilent),
        )
        if there:
            self.log.warning(
                "Looking again at the record '%s' at %s failed: %s", record.title, upload_round.name, sentence
            )
            return
        upload_round.outcomes[record.id] = UploadState.ERROR
        if noted:
            attempt = f"Attempt {upload.attempts + 1} at {upload_round.name}"
            self.log.error("%s", sentence if seconds is None else f"{sentence} {attempt}; the next in {seconds:g} s")
            self.reporter.count("attempts_failed", upload_round.name)

    def _wait(self, upload: Upload, *, away: bool) -> float:
        """Return how long to wait before the next attempt: twice as long as before this one, up to a limit.

        If the destination is away, waits are shorter: once it is back, records should go soon.
        """
        longest = self.config.number("retry_away" if away else "retry_longest")
        before = 0.0
        if upload.state is UploadState.ERROR and upload.next_attempt_ts is not None:
            before = (upload.next_attempt_ts - upload.updated_ts) / SECOND
        return min(max(self.config.number("retry_first"), 2.0 * before), longest)

    def _seconds_to_check(self, upload: Upload) -> float | None:
        """Return after how long to look at a record again once it is there; None for not at all.

        A request that was given up may still be carried out later, which would double the record. So it is checked
        repeatedly, each time after as long as has passed since the request.
        """
        if upload.unanswered_ts is None:
            return None
        since = (self.records.now() - upload.unanswered_ts) / SECOND
        return max(CHECK_SECONDS, since) if since < self.config.number("look_again") else None

    def _log_dry_run(self, upload_round: UploadRound, record: Record) -> str:
        """Log what would be done."""
        try:
            self.reporter.record(record.id, _examine(record).warnings(record.title))
        except RecordUnusable as error:
            self.log.warning("%s", error)
            upload_round.outcomes[record.id] = UploadState.ERROR
        else:
            self.log.info("Would send the record '%s' (%s) to %s", record.title, record.path, upload_round.name)
        return OK

    def _run(self, upload_round: UploadRound, work: Callable[[], T]) -> T:
        """Let a destination work, and renew the leases meanwhile."""
        limit = self.config.number("time_limit")
        renewed = 0.0

        def beat(seconds: float) -> None:
            nonlocal renewed
            if seconds >= STATUS_DELAY_SECONDS and not upload_round.dry:
                self.reporter.slow(upload_round.name, STATUS_DELAY_SECONDS)
            if seconds - renewed >= LEASE_SECONDS / 3 and not upload_round.dry:
                renewed = seconds
                with suppress(NexusError):  # the database may be back before the lease runs out
                    self.records.renew(upload_round.name, upload_round.owner, LEASE_SECONDS)

        return self.timed_calls.run(upload_round.name, work, limit, beat)


def _examine(record: Record) -> RecordFiles:
    """Return what lies beside a record.

    Raises
    ------
    RecordUnusable
        If the record's file is not what the Builder wrote, or something is in the way where its files are to be.
    """
    if record.odd:
        reason = f"{'; '.join(record.odd)}; put it right with: Doctor --rows --repair"
        raise RecordUnusable(title=record.title, reason=reason)
    xml = Path(record.path)
    try:
        if digest_of(xml, xml) != record.sha256:
            raise RecordUnusable(title=record.title, reason=f"{xml} is not the file that the Builder wrote")
        return examine_folder(xml)
    except InTheWay as error:
        raise RecordUnusable(title=record.title, reason=str(error).rstrip(".")) from None
    except OSError as error:
        raise RecordUnusable(title=record.title, reason=f"{error.filename or xml}: {error.strerror}") from None
