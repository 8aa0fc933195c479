"""The Uploader: sends finished records to every destination configured.

Promises
--------
* A record counts as sent when the destination gives back what was sent, bit by bit.
* A destination that is down holds up no other one; each record is tried again at it, at growing intervals.
* What a destination refuses for good is not sent there again by itself.
* A record that was built anew while it was on its way is sent anew.
* Settings are read at each pass.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from NexusCore.API import App
from NexusCore.errors import NexusError
from NexusCore.facility import Record, Records
from NexusCore.facility.records import Upload, UploadState
from NexusCore.log import in_session
from NexusCore.service import Example, Pass, Service
from Services.Uploader.alone import alone
from Services.Uploader.destinations import (
    Destination,
    DestinationAway,
    NotTaken,
    Receipt,
    Refused,
    kinds,
    make_of,
    obstacle,
)
from Services.Uploader.errands import Errands, Stopped
from Services.Uploader.told import OK, Told


class RecordUnusable(NexusError):
    """The record '{title}' cannot be sent: {reason}."""


@dataclass(slots=True)
class _Standing:
    """How far a record is, as this pass found it and as it goes on."""

    record: Record
    uploads: Mapping[str, Upload]
    put_off: set[str]
    """Destinations that are not to be tried yet."""
    have: set[str]
    completed: bool = False


class Uploader(Service):
    """Sends records that were built to each destination, one after the other.

    Parameters
    ----------
    app
        Configuration, status and logs.
    """

    name: ClassVar[str] = "Uploader"
    watched: ClassVar[tuple[str, ...]] = ()
    examples: ClassVar[tuple[Example, ...]] = (
        *Service.examples,
        ("--dry-run", "say what a pass would send, and send nothing"),
    )

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._records = Records(app.database(), self.clock)
        self._errands = Errands(self.clock, app.stop_event)
        self._dry_run = False
        self._told = Told(self.status, self.log)
        self._set_defaults()

    def _set_defaults(self) -> None:
        default = self.config.set_default
        default("destinations", "directory", comment="Where records go, with commas; each has a folder of settings.")
        default(
            "strategy",
            "all",
            comment="Whether all destinations must have a record, or any one.",
            choices=("all", "any"),
        )
        default("retry_first", 60.0, comment="Seconds before a failed upload is tried again.", minimum=0.1)
        default("retry_longest", 3600.0, comment="Seconds that this wait, doubled each time, grows to.", minimum=0.1)
        default("time_limit", 600.0, comment="Seconds that a destination may take for one record.", minimum=1.0)
        for kind in kinds():
            self._make(kind)

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add ``--dry-run``."""
        parser.add_argument(
            "--dry-run", action="store_true", help="make one pass that sends nothing; say what it would send"
        )

    def take_arguments(self, arguments: argparse.Namespace) -> None:
        """Take over ``--dry-run``, which means one pass."""
        self._dry_run = arguments.dry_run
        arguments.once = arguments.once or arguments.dry_run

    def once(self) -> Pass:
        """Send what is due."""
        if self._dry_run:
            return self._send_all()
        with alone(self.app.settings.home) as first:
            if first:
                return self._send_all()
        self.log.info("Another Uploader is at work on this machine; what is due is left to it")
        return Pass()

    def _send_all(self) -> Pass:
        """Send what is due, to one destination after the other."""
        names, destinations, problems = self._destinations()
        standings = [self._standing(record) for record in self._records.to_upload()]
        states: list[UploadState] = []
        try:
            for name in names:
                for standing in standings:
                    with in_session(standing.record.session):
                        states += self._deliver(standing, name, names, destinations, problems)
            for standing in [] if self._dry_run else standings:  # what was enough may have changed
                with in_session(standing.record.session):
                    self._complete(standing, names)
        except Stopped:
            self.log.info("Told to end; what is still to be sent waits for the next Uploader")
        self._told.destinations(problems, names, show=not self._dry_run)
        if not self._dry_run:
            self._told.counts(names, len(self._records.to_upload()), self._records.tallies())
        return Pass(states.count(UploadState.DONE), states.count(UploadState.ERROR))

    # -- destinations --------------------------------------------------------------------------------------------------

    def _destinations(self) -> tuple[list[str], dict[str, Destination], dict[str, str]]:
        """Return the names configured now, the destinations of those that have one, and what is wrong with the rest."""
        wanted = (name.strip() for name in str(self.config["destinations"] or "").split(","))
        names = list(dict.fromkeys(name for name in wanted if name))
        # Those that failed come last: the time they take is then nobody else's.
        names.sort(key=self._told.bad)
        found: dict[str, Destination] = {}
        problems = {} if names else {"none": "Services.Uploader.destinations names no destination"}
        for name in names:
            try:
                found[name] = self._make(name)
            except NexusError as error:
                problems[name] = str(error)
        return names, found, problems

    def _make(self, name: str) -> Destination:
        return make_of(name)(self.app.get_config(f"Services.{self.name}.{name}"), self.app.settings.home)

    def _check(self, destination: Destination) -> str:
        """Return what stands in the way of every record at a destination, or "ok"."""
        try:
            return "; ".join(self._errands.run(destination.name, destination.check, self._limit)) or OK
        except Stopped:
            raise
        except NexusError as error:
            return obstacle(error)
        except Exception as error:  # the edge of a destination's code: it is down, and the others go on
            self.log.exception("Checking the destination %s failed", destination.name)
            return f"checking it failed ({type(error).__name__}: {error})"

    # -- one record ----------------------------------------------------------------------------------------------------

    def _standing(self, record: Record) -> _Standing:
        uploads = {upload.destination: upload for upload in self._records.uploads(record)}
        have = {name for name, upload in uploads.items() if upload.state is UploadState.DONE}
        return _Standing(record, uploads, self._records.put_off(record), have)

    def _deliver(
        self,
        standing: _Standing,
        name: str,
        names: Sequence[str],
        destinations: Mapping[str, Destination],
        problems: dict[str, str],
    ) -> list[UploadState]:
        """Send a record to a destination, if it is due there; return what became of it, nothing if it isn't."""
        record = standing.record
        if name in standing.have or name in standing.put_off:
            return []
        if self.stopping:
            raise Stopped
        if name not in problems:
            problems[name] = self._check(destinations[name])
        if problems[name] != OK:
            return [UploadState.ERROR]
        if self._dry_run:
            return [self._rehearse(record, name)]
        with self.state(f"sending a record to {name}"):
            state = self._send(record, destinations[name], standing.uploads.get(name), problems)
        if state is UploadState.DONE:
            standing.have.add(name)
            self._complete(standing, names)
        return [state]

    def _send(
        self, record: Record, destination: Destination, earlier: Upload | None, problems: dict[str, str]
    ) -> UploadState:
        """Send a record to one destination, and look whether it arrived."""
        name = destination.name
        try:
            _examine(record)
            receipt = self._errands.run(name, lambda: destination.put(record), self._limit)
            content = self._errands.run(name, lambda: destination.fetch(receipt), self._limit)
            if hashlib.sha256(content).hexdigest() != (receipt.sha256 or record.sha256):
                raise NotTaken(destination=name, title=record.title, reason="what it gives back is not what was sent")
        except Stopped:
            raise
        except Refused as error:
            return self._refused(record, name, str(error))
        except NexusError as error:
            if isinstance(error, DestinationAway):
                # Nor would it take the other records now; each would cost another wait.
                problems[name] = obstacle(error)
            return self._failed(record, name, str(error), earlier)
        except Exception as error:  # the edge of a destination's code: one record must not stop the others
            self.log.exception("Sending the record '%s' to %s failed", record.title, name)
            return self._failed(record, name, f"{type(error).__name__}: {error}", earlier)
        return self._noted(record, receipt)

    def _noted(self, record: Record, receipt: Receipt) -> UploadState:
        if not self._records.uploaded(record, receipt.destination, receipt.remote_id, receipt.url):
            self.log.info("The record '%s' was built anew while it was sent; it is sent again", record.title)
            return UploadState.WAITING
        remark = f"; {receipt.remark}" if receipt.remark else ""
        where = f" as {receipt.url or receipt.remote_id}"
        self.log.info("%s has the record '%s'%s%s", receipt.destination, record.title, where, remark)
        self._told.count("records_sent", receipt.destination)
        return UploadState.DONE

    def _failed(self, record: Record, name: str, sentence: str, earlier: Upload | None) -> UploadState:
        attempts = earlier.attempts if earlier is not None else 0
        first, longest = self.config.number("retry_first"), self.config.number("retry_longest")
        seconds = min(first * 2.0 ** min(attempts, 30), longest)
        if self._records.failed(record, name, sentence, seconds):
            self.log.error("%s Attempt %d at %s; the next in %g s", sentence, attempts + 1, name, seconds)
            self._told.count("attempts_failed", name)
        return UploadState.ERROR

    def _refused(self, record: Record, name: str, sentence: str) -> UploadState:
        if self._records.failed(record, name, sentence, None):
            self.log.error("%s", sentence)
            self._told.count("attempts_failed", name)
        return UploadState.ERROR

    def _complete(self, standing: _Standing, names: Sequence[str]) -> None:
        """Complete the record's session if all destinations have it, or one where that is enough."""
        wanted = [name for name in names if name in standing.have]
        enough = len(wanted) == len(names) or self.config["strategy"] == "any"
        if standing.completed or not wanted or not enough:
            return
        standing.completed = self._records.complete(standing.record, wanted)
        if standing.completed:
            self.log.info("The session is complete: %s %s its record", " and ".join(wanted), _have(wanted))
            self._told.count("sessions_completed")

    def _rehearse(self, record: Record, name: str) -> UploadState:
        """Say what would be done."""
        try:
            _examine(record)
        except RecordUnusable as error:
            self.log.warning("%s", error)
            return UploadState.ERROR
        self.log.info("Would send the record '%s' (%s) to %s", record.title, record.path, name)
        return UploadState.WAITING

    @property
    def _limit(self) -> float:
        """Seconds that a destination may take."""
        return self.config.number("time_limit")


def _examine(record: Record) -> None:
    """Raise `RecordUnusable` unless the record's file is what the Builder wrote."""
    try:
        with Path(record.path).open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == record.sha256
    except OSError as error:
        raise RecordUnusable(title=record.title, reason=f"{record.path}: {error.strerror}") from None
    if not same:
        raise RecordUnusable(title=record.title, reason=f"{record.path} is not the file that the Builder wrote")


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"
