"""The Uploader: sends finished records to every destination configured.

Promises
--------
* A record counts as sent when the destination gives back what was sent, bit by bit.
* A destination that is down or slow holds up no other one; each record is tried again at it, at growing intervals.
* Of several Uploaders, on any machines, one at a time sends a record to a destination.
* What a destination refuses for good is not sent there again by itself.
* A record that was rebuilt while it was sent is sent again.
* Settings are read at each pass.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from threading import Lock
from typing import ClassVar

from NexusCore import identity
from NexusCore.API import App
from NexusCore.errors import NexusError
from NexusCore.facility import Record, Records
from NexusCore.facility.record import UploadState
from NexusCore.facility.resending import never_sent
from NexusCore.log import in_session
from NexusCore.service import Example, Pass, RunOptions, Service
from NexusCore.status.names import Channels
from NexusCore.status.process import FAILED
from NexusCore.status.store import latest
from NexusCore.text import counted, listed
from NexusCore.threads import start_thread
from Services.Uploader.destinations import Destination, kinds, make_of
from Services.Uploader.instance_lock import InstanceLock
from Services.Uploader.sending import LEASE_SECONDS, Sending, UploadRound
from Services.Uploader.status_reporter import NONE, DestinationReporter
from Services.Uploader.timed_calls import STOP_CHECK_SECONDS, TimedCalls

THREADS_END_SECONDS = 1.0
"""How long the end of the service waits for its threads, which check much more often whether to stop."""


class Uploader(Service):
    """Sends records that were built to each destination, each on a thread of its own.

    Parameters
    ----------
    app
        Configuration, status and logs.
    """

    name: ClassVar[str] = "Uploader"
    watched: ClassVar[tuple[str, ...]] = ()
    examples: ClassVar[tuple[Example, ...]] = (
        *Service.examples,
        ("--dry-run", "report what a pass would send; send nothing"),
    )

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._records = Records(app.database(), self.clock)
        self._timed_calls = TimedCalls(self.clock, app.stop_event)
        self._instance_lock = InstanceLock(app.settings.home, identity.host())
        self._reporter = DestinationReporter(self.status, self.log)
        self._recalled = False
        self._rounds: dict[str, Future[dict[int, UploadState]]] = {}
        """Running rounds by destination."""
        self._busy: set[str] = set()
        self._lock = Lock()
        self._others = False
        self._dry_run = False
        self._lacking: dict[str, int] = {}
        """By the destinations in use, how many finished records each was never sent."""
        self._whole = True
        """Whether a pass waits for all that it began; one of a running service leaves the slow ones behind."""
        self._by_hand = False
        self._sending = Sending(
            records=self._records,
            timed_calls=self._timed_calls,
            reporter=self._reporter,
            config=self.config,
            log=self.log,
            stop=app.stop_event,
            at_work=self._at_work,
            arrived=self._complete,
        )

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add ``--dry-run``, and say what destinations there are."""
        parser.epilog = f"Destinations: {', '.join(kinds())}."
        parser.add_argument(
            "--dry-run", action="store_true", help="make one pass that sends nothing and reports what it would send"
        )

    def take_options(self, options: RunOptions) -> None:
        """Take over whether a person waits for one pass, and whether it is a dry run."""
        self._dry_run = options.dry_run
        self._whole = self._by_hand = options.once

    def once(self) -> Pass:
        """Send what is due."""
        if self._dry_run:
            return self._send_all()
        if not self._instance_lock.take():
            if not self._others:
                self.log.info("Another Uploader is running on this machine; skipping this pass")
            self._others = True
            return Pass()
        self._others = False
        try:
            return self._send_all()
        finally:
            if not self._rounds and not self._timed_calls.overdue():
                self._instance_lock.leave()

    def close(self) -> None:
        """Wait a moment for the threads to end."""
        wait(self._rounds.values(), timeout=THREADS_END_SECONDS)

    def _send_all(self) -> Pass:
        """Send what is due, to all destinations at once."""
        names = self._names()
        if not self._dry_run:
            self._recall()
            self._keep()
        if not names:
            sentence = "Services.Uploader.destinations names no destination"
            self._reporter.destination(NONE, sentence, show=not self._dry_run)
        outcomes, failure = self._ended()
        records = self._records.to_upload()
        for upload_round in self._due(names, records):
            if upload_round.name not in self._rounds:
                serve = partial(self._serve, upload_round)
                self._rounds[upload_round.name] = start_thread(serve, f"for {upload_round.name}")
        while self._whole and wait(self._rounds.values(), timeout=STOP_CHECK_SECONDS).not_done:
            pass
        further, failed = self._ended()
        outcomes.update(further)
        standing = self._records.standing()
        if not self._dry_run:
            for record in records:  # what was enough may have changed
                self._complete(record, standing.get(record.id, {}))
            self._reporter.forget(names or {NONE})
            self._count(names)
            self._show_never_sent(names)
        failure = failure or failed
        if failure is not None:
            raise failure
        return self._result(names, outcomes, standing)

    def _serve(self, upload_round: UploadRound) -> dict[int, UploadState]:
        """Do what is due at a destination, and show the outcomes at once."""
        outcomes = self._sending.serve(upload_round)
        if outcomes and not upload_round.dry:
            self._count([upload_round.name])
        return outcomes

    def _count(self, names: Sequence[str]) -> None:
        self._reporter.counts(names, len(self._records.to_upload()), self._records.tallies())

    def _show_never_sent(self, names: Sequence[str]) -> None:
        """Show what destinations lack that were added later; counted when they change, and until they lack nothing."""
        if set(names) != set(self._lacking) or any(self._lacking.values()):
            self._lacking = never_sent(self.app.database(), names)
            self._reporter.never_sent(self._lacking)

    def _ended(self) -> tuple[dict[tuple[str, int], UploadState], BaseException | None]:
        """Collect the upload rounds that have ended: what became of their records, and the first failure."""
        outcomes: dict[tuple[str, int], UploadState] = {}
        failure: BaseException | None = None
        for name, upload_round in list(self._rounds.items()):
            if upload_round.done():
                del self._rounds[name]
                failure = failure or upload_round.exception()
                if upload_round.exception() is None:
                    outcomes.update(((name, record), state) for record, state in upload_round.result().items())
        return outcomes, failure

    def _result(
        self,
        names: Sequence[str],
        outcomes: Mapping[tuple[str, int], UploadState],
        standing: Mapping[int, Mapping[str, UploadState]],
    ) -> Pass:
        """Return the result of a pass; records that wait, or were refused before, count as not sent."""
        errors = {place for place, state in outcomes.items() if state is UploadState.ERROR}
        for record, states in standing.items():
            errors.update((name, record) for name in names if states.get(name) is UploadState.ERROR)
        if self._by_hand:
            for name in names:
                missing = sum(place[0] == name for place in errors)
                if missing:
                    count = counted(missing, "record was", "records were")
                    self.log.warning("%s not sent to %s (SessionTool show IDENTIFIER says why)", count, name)
        return Pass(list(outcomes.values()).count(UploadState.DONE), len(errors))

    # -- what is due ---------------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        """Return the names of destinations that are configured now."""
        wanted = (name.strip() for name in str(self.config["destinations"] or "").split(","))
        return list(dict.fromkeys(name for name in wanted if name))

    def _due(self, names: Sequence[str], records: Sequence[Record]) -> Iterator[UploadRound]:
        """Yield what each destination is to do."""
        standing = self._records.standing()
        missing = [(record, name) for record in records for name in names if name not in standing.get(record.id, {})]
        owner = self._instance_lock.owner
        if self._dry_run:
            due, checks = self._records.due(owner), {}
            for record, name in missing:
                due.setdefault(name, []).append(record)
        else:
            if names:
                self._records.drop(_surplus(standing, names))
            self._records.expect(missing)
            due, checks = self._records.due(owner), self._records.due(owner, there=True)
        for name in names:
            destination, fault = None, ""
            try:
                destination = self._make(name)
            except NexusError as error:
                fault = str(error)
            yield UploadRound(
                name, owner, fault, destination, due.get(name, []), checks.get(name, []), dry=self._dry_run
            )

    def _make(self, name: str) -> Destination:
        return make_of(name)(self.app.get_config(f"Services.{self.name}.{name}"), self.app.settings.home)

    def _recall(self) -> None:
        """Continue the reports of the previous Uploader."""
        if self._recalled:
            return
        database = self.app.database(self.app.settings.status)
        with suppress(NexusError):  # status may have a database of its own; it is asked again at the next pass
            self._reporter.recall({sample.name: sample.value for sample in latest(database, Channels((self.name,)))})
            self._recalled = True

    def _keep(self) -> None:
        """Renew the leases of running rounds, and give up those of this home's Uploaders that have ended."""
        overdue = self._timed_calls.overdue()
        for name in overdue:
            self._records.renew(name, self._instance_lock.owner, LEASE_SECONDS)
        if not overdue and not self._rounds:
            self._records.abandon(self._instance_lock.owner)

    # -- what came of it -----------------------------------------------------------------------------------------------

    def _complete(self, record: Record, states: Mapping[str, UploadState] | None = None) -> None:
        """Complete the record's session if all destinations have it, or one where that is enough."""
        if states is None:
            states = {upload.destination: upload.state for upload in self._records.uploads(record)}
        names = self._names()
        wanted = [name for name in names if states.get(name) is UploadState.DONE]
        if not wanted or (len(wanted) < len(names) and self.config["strategy"] != "any"):
            return
        if self._records.complete(record, wanted):
            with in_session(record.session):
                self.log.info("The session is complete: %s %s its record", listed(wanted), _have(wanted))
            self._reporter.count("sessions_completed")

    @contextmanager
    def _at_work(self, name: str) -> Iterator[None]:
        """Show that a destination is at work while the block runs."""
        self._show_work({name}, set())
        try:
            yield
        finally:
            self._show_work(set(), {name})

    def _show_work(self, more: set[str], less: set[str]) -> None:
        with self._lock:
            self._busy = (self._busy | more) - less
            # `Service` reports the service's end, and failed passes.
            if not self.stopping and not str(self._state.get_value() or "").startswith(FAILED):
                self._state.set_value(f"sending to {', '.join(sorted(self._busy))}" if self._busy else "idle")


def _surplus(standing: Mapping[int, Mapping[str, UploadState]], names: Sequence[str]) -> list[tuple[int, str]]:
    """Return records, and destinations that are configured no more, that have not come together."""
    return [
        (record, name)
        for record, states in standing.items()
        for name, state in states.items()
        if name not in names and state is not UploadState.DONE
    ]


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"
