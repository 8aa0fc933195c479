"""The Uploader: sends finished records to every destination configured.

Promises
--------
* A record counts as sent when the destination gives back what was sent, bit by bit.
* A destination that is down holds up no other one; each record is tried again at it, at growing intervals.
* A record that was built anew while it was on its way is sent anew.
* Settings are read at each pass.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextvars import copy_context
from pathlib import Path
from threading import Thread
from typing import ClassVar, TypeVar

from NexusCore.API import App
from NexusCore.errors import NexusError
from NexusCore.facility import Record, Records
from NexusCore.facility.records import Upload, UploadState
from NexusCore.log import in_session
from NexusCore.service import Pass, Service
from Services.Uploader.destinations import Destination, NotTaken, Receipt, kinds, make_of

OK = "ok"
_LOOK = 0.1
"""Seconds between two looks at whether to stop."""
_SENTENCE = 250
"""Characters of a sentence that a status element shows: four bytes each at the most."""

T = TypeVar("T")


class RecordUnusable(NexusError):
    """The record '{title}' cannot be sent: {reason}."""


class DestinationSilent(NexusError):
    """{destination} did not answer within {seconds:g} s."""


class _Stopped(Exception):
    """The service was told to end while a destination was at work."""


class Uploader(Service):
    """Sends each record that was built to each destination, one after the other.

    Parameters
    ----------
    app
        Configuration, status and logs.
    """

    name: ClassVar[str] = "Uploader"
    watched: ClassVar[tuple[str, ...]] = ()

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._records = Records(app.database(), self.clock)
        self._dry_run = False
        self._said: dict[str, str] = {}
        """What was last said of each destination."""
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
        names, destinations, problems = self._destinations()
        records = self._records.to_upload()
        done = failed = 0
        try:
            for record in records:
                with in_session(record.session):
                    states = self._deliver(record, names, destinations, problems)
                done += states.count(UploadState.DONE)
                failed += states.count(UploadState.ERROR)
        except _Stopped:
            self.log.info("Told to end; what is still to be sent waits for the next Uploader")
        self._show_destinations(problems, names)
        if not self._dry_run:
            self.status["records_waiting"] = len(self._records.to_upload()) if done else len(records)
        return Pass(done, failed)

    # -- destinations --------------------------------------------------------------------------------------------------

    def _destinations(self) -> tuple[list[str], dict[str, Destination], dict[str, str]]:
        """Return the names configured now, the destinations of those that have one, and what is wrong with the rest."""
        wanted = (name.strip() for name in str(self.config["destinations"] or "").split(","))
        names = list(dict.fromkeys(name for name in wanted if name))
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
            return "; ".join(self._patiently(destination.name, destination.check)) or OK
        except _Stopped:
            raise
        except NexusError as error:
            return str(error)
        except Exception as error:  # the edge of a destination's code: it is down, and the others go on
            self.log.exception("Checking the destination %s failed", destination.name)
            return f"checking it failed ({type(error).__name__}: {error})"

    def _show_destinations(self, problems: Mapping[str, str], names: Sequence[str]) -> None:
        """Show how those destinations are doing that this pass had to do with; tell of changes."""
        forgotten = dict.fromkeys(self._said.keys() - problems.keys() - set(names), OK)
        for name, sentence in {**problems, **forgotten}.items():
            if sentence != self._said.get(name, OK):
                if sentence == OK:
                    self.log.info("The destination %s can be used again", name)
                else:
                    self.log.warning("The destination %s cannot be used: %s", name, sentence)
            self._said[name] = sentence
            if not self._dry_run:
                text = sentence if len(sentence) <= _SENTENCE else f"{sentence[: _SENTENCE - 1]}…"
                self.status[f"destination {name}"[:128]] = text

    # -- one record ----------------------------------------------------------------------------------------------------

    def _deliver(
        self, record: Record, names: Sequence[str], destinations: Mapping[str, Destination], problems: dict[str, str]
    ) -> list[UploadState]:
        """Send a record to all destinations that are due; return what became of it at each of them."""
        uploads = {upload.destination: upload for upload in self._records.uploads(record)}
        have = {name for name, upload in uploads.items() if upload.state is UploadState.DONE}
        put_off = self._records.put_off(record)
        states = []
        for name in names:
            if name in have or name in put_off:
                continue
            if self.stopping:
                raise _Stopped
            if name not in problems:
                problems[name] = self._check(destinations[name])
            if problems[name] != OK:
                states.append(UploadState.ERROR)
            elif self._dry_run:
                states.append(self._rehearse(record, name))
            else:
                with self.state(f"sending a record to {name}"):
                    states.append(self._send(record, destinations[name], uploads.get(name)))
                have |= {name} if states[-1] is UploadState.DONE else set()
        if not self._dry_run:
            self._complete(record, names, have)
        return states

    def _send(self, record: Record, destination: Destination, earlier: Upload | None) -> UploadState:
        """Send a record to one destination, and look whether it arrived."""
        name = destination.name
        try:
            _examine(record)
            receipt = self._patiently(name, lambda: destination.put(record))
            content = self._patiently(name, lambda: destination.fetch(receipt))
            if hashlib.sha256(content).hexdigest() != record.sha256:
                raise NotTaken(destination=name, title=record.title, reason="what it gives back is not what was sent")
        except _Stopped:
            raise
        except NexusError as error:
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
        self._count("records_sent")
        return UploadState.DONE

    def _failed(self, record: Record, name: str, sentence: str, earlier: Upload | None) -> UploadState:
        attempts = earlier.attempts if earlier is not None else 0
        seconds = min(self._number("retry_first") * 2.0 ** min(attempts, 30), self._number("retry_longest"))
        if self._records.failed(record, name, sentence, seconds):
            self.log.error("%s Attempt %d at %s; the next in %g s", sentence, attempts + 1, name, seconds)
            self._count("attempts_failed")
        return UploadState.ERROR

    def _complete(self, record: Record, names: Sequence[str], have: set[str]) -> None:
        """Complete the record's session if all destinations have it, or one where that is enough."""
        wanted = [name for name in names if name in have]
        enough = len(wanted) == len(names) or self.config["strategy"] == "any"
        if wanted and enough and self._records.complete(record, wanted):
            self.log.info("The session is complete: %s %s its record", " and ".join(wanted), _have(wanted))
            self._count("sessions_completed")

    def _rehearse(self, record: Record, name: str) -> UploadState:
        """Say what would be done."""
        try:
            _examine(record)
        except RecordUnusable as error:
            self.log.warning("%s", error)
            return UploadState.ERROR
        self.log.info("Would send the record '%s' (%s) to %s", record.title, record.path, name)
        return UploadState.WAITING

    # -- tools of the trade --------------------------------------------------------------------------------------------

    def _patiently(self, name: str, work: Callable[[], T]) -> T:
        """Let a destination work, for a limited time, and leave it alone when the service is told to end."""
        result: Future[T] = Future()

        def run() -> None:
            try:
                result.set_result(work())
            except BaseException as error:  # noqa: BLE001  raised again in the thread that waits for it
                result.set_exception(error)

        # A thread that is no daemon would hold up the end of the service for as long as a server is silent.
        Thread(target=copy_context().run, args=(run,), name=f"to {name}", daemon=True).start()
        limit = self._number("time_limit")
        deadline = self.clock.monotonic() + limit
        while not wait([result], timeout=_LOOK).done:
            if self.stopping:
                raise _Stopped
            if self.clock.monotonic() > deadline:
                raise DestinationSilent(destination=name, seconds=limit)
        return result.result()

    def _count(self, name: str) -> None:
        self.status.get_or_create_status_element(name).inc()

    def _number(self, name: str) -> float:
        value = self.config[name]
        assert isinstance(value, (int, float)), f"{name} was given a default that is a number"  # noqa: S101
        return value


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
