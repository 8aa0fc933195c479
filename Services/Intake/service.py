"""Intake: files what detectors and receivers leave in drop folders, once, where people and the Builder look for it.

Promises
--------
* Nothing is overwritten or lost: after a crash at any point each file exists whole, once.
* What stays in a drop folder has a reason that is named in the log, once, and on the status channel.
* What could not be filed is tried again at each pass: nothing has to be started again by hand.
* Of several Intakes on one folder and database, one files each file.
* Settings are read at each pass; a rule that would let files collide is not used before somebody accepts it.
"""

from __future__ import annotations

import argparse
import math
import os
import uuid
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import ClassVar

from NexusCore import identity
from NexusCore.API import App
from NexusCore.errors import DatabaseUnreachable, NexusError
from NexusCore.facility.inboxes import Inbox
from NexusCore.facility.intake_moves import IntakeMoves
from NexusCore.liveness import Presence
from NexusCore.resources import sentence_of
from NexusCore.service import Example, Pass, RunOptions, Service
from NexusCore.threads import start_thread
from Services.Intake.acceptance import Acceptance
from Services.Intake.alerts import Alert, Alerts, disk_alerts, inbox_alerts, rule_alerts
from Services.Intake.commands import cli_options
from Services.Intake.commands.cli_options import IntakeOptions
from Services.Intake.copying import Copying
from Services.Intake.filing import Filer
from Services.Intake.hints import Hints
from Services.Intake.inbox_round import InboxReport, InboxRounds, Surroundings
from Services.Intake.moving import Carrier
from Services.Intake.planning import Outcome
from Services.Intake.recovery import Recovery
from Services.Intake.settings import IntakeSettings, read, set_defaults
from Services.Intake.status_reporter import InboxReporter

LOOK_SECONDS = 0.5
"""How often a running service looks whether something is due: a hint, a file that may be complete, the interval."""
STOP_CHECK_SECONDS = 0.1
"""Interval of checks whether to stop."""
ROUND_SECONDS = 2.0
"""How long a pass waits for the looks into inboxes; those that take longer go on meanwhile."""
END_SECONDS = 0.5
"""How long the end of the service waits for all its threads, which check much more often whether to stop.

One that waits for a file server or a bucket does not notice; the next Intake settles what it was doing.
"""
LONGEST_SETTLE = 60.0
"""Seconds of `stable_seconds` up to which a single pass waits for files to be complete."""


class Intake(Service):
    """Looks into all inboxes, each on a thread of its own: a file server that hangs holds up no other one.

    Parameters
    ----------
    app
        Configuration, status and logs.
    """

    name: ClassVar[str] = "Intake"
    examples: ClassVar[tuple[Example, ...]] = cli_options.EXAMPLES

    def __init__(self, app: App) -> None:
        super().__init__(app)
        set_defaults(self.config)
        self._root_config = app.get_config()
        self._moves = IntakeMoves(app.database(), self.clock)
        self._owner = f"{identity.host()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._presence = Presence(app.settings.home / "intakes", self._owner)
        self._stop: Callable[[], bool] = app.stop_event.is_set
        acceptance = Acceptance(self._root_config, self.config, app.database(), self.clock, self._stop)
        self._around = Surroundings(self._root_config, app.database(), self._moves, acceptance, self.clock, self._stop)
        self._rounds: dict[str, InboxRounds] = {}
        self._running: dict[str, tuple[Future[InboxReport], float]] = {}
        """Looks under way, each with the time when it began, by the monotonic clock."""
        self._reports: dict[str, InboxReport] = {}
        self._reporter = InboxReporter(self.status, self.log, self.clock)
        self._alerts = Alerts(self.log, self.clock)
        fetched = app.settings.home / "intake-fetched"
        self._copying = Copying(app.database(), self.config, self.clock, self.status, self.log, self._stop, fetched)
        self._hints = Hints()
        self._since = self.clock.now()
        self._due = self.clock.monotonic()
        self._declared: set[str] = set()
        self._single = False

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add Intake's own."""
        cli_options.add_arguments(parser)

    @classmethod
    def options_of(cls, arguments: argparse.Namespace) -> IntakeOptions:
        """Return what the command line said."""
        return cli_options.options_of(arguments)

    @classmethod
    def instead(cls, options: RunOptions) -> Callable[[], int] | None:
        """Return the dry run or the command, if one is asked for."""
        if not isinstance(options, IntakeOptions):
            return None
        if options.dry_run:
            from Services.Intake.commands import dry_run

            return lambda: dry_run.main(options)
        if options.command == "undo":
            from Services.Intake.commands import undo

            return lambda: undo.main(options)
        if options.command == "history":
            from Services.Intake.commands import history

            return lambda: history.main(options)
        if options.command == "accept":
            from Services.Intake.commands import accept

            return lambda: accept.main(options)
        return None

    def take_options(self, options: RunOptions) -> None:
        """Take over whether a person waits for one pass."""
        self._single = options.once

    def once(self) -> Pass:
        """Look into all inboxes, if that is due."""
        now = self.clock.monotonic()
        if not self._single:
            hinted = self._hints.take()
            interval, self._interval = self._interval, LOOK_SECONDS
            ended = any(future.done() for future, _ in self._running.values())
            if now < self._due and not hinted and not ended and not self.changed:
                return Pass()
            self._due = now + interval
        settings = self._settings()
        for owner in self._presence.dead():
            self.log.warning("The Intake %s ended while it was working; what it was moving is settled now", owner)
            self._recovery("dead").run(settings.roots(), [owner])
        self._recovery("late").run(settings.roots())
        result = self._look(settings)
        if self._single and self._wait_for_files():
            again = self._look(settings)
            result = Pass(result.done + again.done, again.failed)
        if self.stopping:
            return result
        self._give_alerts(settings)
        self._copying.go_on(
            settings.mirrors, wait=self._single, data_root=settings.data_root, folders=settings.folders()
        )
        if self._single and not self.stopping:
            return Pass(result.done, result.failed + len(settings.faults) + self._copying.report_outstanding())
        return result

    def close(self) -> None:
        """Wait a moment for the threads to end."""
        until = self.clock.monotonic() + END_SECONDS
        self._hints.close()
        wait([future for future, _ in self._running.values()], timeout=END_SECONDS)
        self._copying.close(max(0.0, until - self.clock.monotonic()))
        self._presence.close()

    # -- a pass --------------------------------------------------------------------------------------------------------

    def _settings(self) -> IntakeSettings:
        settings = read(self._root_config)
        names = {f"{kind}.{name}" for kind in ("inboxes", "mirrors", "rules") for name in self.config.keys(kind)}
        if names - self._declared:
            set_defaults(self.config)
            self._declared = names
        self._reporter.settings(settings.faults.values())
        self._reporter.only([inbox.name for inbox in settings.inboxes])
        watched = [] if self._single else [inbox.path for inbox in settings.inboxes]
        self._hints.watch(watched, subfolders=any(inbox.subfolders for inbox in settings.inboxes))
        return settings

    def _look(self, settings: IntakeSettings) -> Pass:
        """Start a look into each inbox that is not being looked into, and take over those that have ended."""
        for inbox in settings.inboxes:
            if inbox.name not in self._running and not self.stopping:
                rounds = self._rounds_of(inbox, settings)
                future = start_thread(_bound(rounds, inbox, settings), f"inbox {inbox.name}")
                self._running[inbox.name] = (future, self.clock.monotonic())
        futures = [future for future, _ in self._running.values()]
        until = math.inf if self._single else self.clock.monotonic() + ROUND_SECONDS
        while not self.stopping and self.clock.monotonic() < until:
            if not wait(futures, timeout=STOP_CHECK_SECONDS).not_done:
                break
        return self._ended()

    def _ended(self) -> Pass:
        done = failed = 0
        failure: NexusError | None = None
        for name, (future, began) in list(self._running.items()):
            if not future.done():
                self._reporter.slow(name, self.clock.monotonic() - began)
                continue
            del self._running[name]
            error = future.exception()
            if isinstance(error, DatabaseUnreachable):
                failure = error
            elif isinstance(error, (NexusError, OSError, MemoryError)):
                self._reporter.failed(name, sentence_of(error, [self.app.settings.home]))
                failed += 1
            elif error is not None:
                raise error
            else:
                report = self._reports[name] = future.result()
                self._reporter.report(report)
                done += len(report.filed)
                failed += report.count(Outcome.REFUSED) + bool(report.trouble)
                failed += len(report.notes) + len(report.unreadable)
                if report.settling is not None:
                    self._due = min(self._due, self.clock.monotonic() + report.settling)
        if failure is not None:
            raise failure
        return Pass(done, failed)

    def _wait_for_files(self) -> bool:
        """Wait until files may be complete that changed only just now; return whether there are any."""
        left = [report.settling for report in self._reports.values() if report.settling is not None]
        if not left or max(left) > LONGEST_SETTLE:
            return False
        return not self.clock.wait(self.app.stop_event, max(left))

    def _rounds_of(self, inbox: Inbox, settings: IntakeSettings) -> InboxRounds:
        rounds = self._rounds.get(inbox.name)
        if rounds is None:
            # With a slash at its end, it is not the beginning of another worker's name.
            owner = f"{self._owner}/{inbox.name}/"
            filer = Filer(self._moves, self.clock, owner, settings.lease, self._stop)
            recovery = self._recovery(f"r-{inbox.name}")
            rounds = self._rounds[inbox.name] = InboxRounds(self._around, filer, recovery)
        return rounds

    def _recovery(self, worker: str) -> Recovery:
        lease = self.config.number("lease")
        return Recovery(self._moves, Carrier(self._stop), f"{self._owner}/{worker}", lease, self.log)

    # -- alerts --------------------------------------------------------------------------------------------------------

    def _give_alerts(self, settings: IntakeSettings) -> None:
        now = self.clock.now()
        alerts: list[Alert] = []
        for inbox in settings.inboxes:
            # A folder that is gone, or hangs, receives nothing either.
            report = self._reports.get(inbox.name) or InboxReport(inbox.name)
            last = self._moves.last_filed(inbox.name) if inbox.silent_minutes else None
            alerts += inbox_alerts(inbox, report, last, self._since, now)
            if report.trouble:
                continue
            rules = settings.rules_of(inbox)
            unmatched = report.count(Outcome.UNMATCHED) > 0
            ever = {
                rule.name: unmatched and self._moves.last_filed(inbox.name, rule.name) is not None for rule in rules
            }
            alerts += rule_alerts(inbox, rules, report, ever, unmatched)
            roots = [rule.root(inbox.path, settings.data_root) for rule in rules]
            alerts += disk_alerts(inbox, list(dict.fromkeys([inbox.path, *roots])), settings.nearly_full)
        loud = self._alerts.update(alerts, settings.silent_until, settings.remind_hours)
        self.status["alerts"] = ", ".join(loud)[:200]


def _bound(rounds: InboxRounds, inbox: Inbox, settings: IntakeSettings) -> Callable[[], InboxReport]:
    return lambda: rounds.round(inbox, settings)
