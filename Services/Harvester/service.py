"""The Harvester: keeps the facility's reservations fresh from the calendars of its instruments.

Promises
--------
* A calendar that is away, wrong, slow or hostile delays only its own instruments; what is known of it stays.
* What cannot be read of a calendar is never taken for cancelled.
* A server that has the calendars of many instruments is asked once about all of them.
* Settings and instruments are read at each round.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import ClassVar

from NexusCore.API import App
from NexusCore.clock import SECOND, to_datetime, to_ts
from NexusCore.errors import ConfigException, DatabaseUnreachable, NexusError
from NexusCore.facility import Instrument, Instruments, Records, Reservation, Reservations, Sessions
from NexusCore.facility.sessions import NotToBeBuilt
from NexusCore.service import Example, Pass, Service
from Services.Harvester.consent import Consents
from Services.Harvester.fetch_process import Bounds, FetchProcess, FetchRequest, FetchResult, FetchWindow
from Services.Harvester.fetch_scheduler import FetchScheduler, FetchSlots, Server
from Services.Harvester.sources import SharedSource, Source, kinds, make_of, source_of
from Services.Harvester.status_reporter import CalendarReporter, CalendarStatus
from Services.Harvester.usage import UsageSessions

_DAY_MICROSECONDS = 86_400 * SECOND
_LOOK = 0.1
"""Seconds between two looks at whether to stop."""


class Harvester(Service):
    """Asks the calendars of all instruments that have one, several at a time.

    Parameters
    ----------
    app
        Configuration, status and logs.
    """

    name: ClassVar[str] = "Harvester"
    examples: ClassVar[tuple[Example, ...]] = (
        *Service.examples,
        ("--dry-run", "say what a pass would take over, and change nothing"),
    )

    def __init__(self, app: App) -> None:
        # Before the frame's own default: other people's servers are not asked every ten seconds.
        app.get_config(f"Services.{self.name}").set_default(
            "interval", 300.0, comment="Seconds between two looks at the calendars.", minimum=0.1, maximum=86_400
        )
        super().__init__(app)
        self._set_defaults()
        self._instruments = Instruments(app.get_config())
        self._reservations = Reservations(app.database(), self.clock)
        self._sessions = Sessions(app.database(), self.clock)
        self._usage = UsageSessions(self._sessions, self._reservations, self.client.host)
        self._consents = Consents(self._sessions, self._reservations, Records(app.database(), self.clock))
        self._reporter = CalendarReporter(app, self.status, self.log)
        self._fetches = FetchScheduler(self.clock)
        self._dry_run = False
        self._goes_on = False
        """Whether there are further rounds."""
        self._sizes: dict[str, int] = {}
        self._blocked: dict[str, str | None] = {}
        """Why an instrument's use begins no session, as it was last said."""

    def _set_defaults(self) -> None:
        default = self.config.set_default
        default("days_back", 7, comment="Days before now whose reservations are kept fresh.", minimum=0, maximum=3660)
        default("days_ahead", 14, comment="Days from now whose reservations are fetched.", minimum=1, maximum=3660)
        default(
            "consent_days",
            14,
            comment="Days after a session's end in which it counts when its user changes their mind on consent.",
            minimum=0,
            maximum=3660,
        )
        default("parallel", 4, comment="Calendars that are read at the same time.", minimum=1, maximum=64)
        default(
            "slow_after",
            5.0,
            comment="Seconds after which a calendar that has not answered leaves its place to another.",
            minimum=0.1,
            maximum=3600,
        )
        default(
            "parallel_slow",
            12,
            comment="Calendars that are waited for besides: slow ones, and those that could not be read the last time.",
            minimum=1,
            maximum=64,
        )
        default("time_limit", 60.0, comment="Seconds after which a calendar is given up.", minimum=0.5, maximum=3600)
        default("memory_limit", 1024, comment="MB of memory that reading one calendar may take.", minimum=128)
        for kind, make in kinds().items():
            with suppress(ConfigException):  # reported for the calendars of that kind; the others go on
                make(self.app.get_config(f"Services.{self.name}.{kind}"))

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add ``--dry-run``, and say what kinds of calendar there are."""
        parser.epilog = f"Kinds of calendar: {', '.join(kinds())}."
        parser.add_argument(
            "--dry-run", action="store_true", help="make one pass that stores nothing; say what it would store"
        )

    def take_arguments(self, arguments: argparse.Namespace) -> None:
        """Take over ``--dry-run``, which means one pass."""
        self._dry_run = self._reporter.dry_run = arguments.dry_run
        arguments.once = arguments.once or arguments.dry_run
        self._goes_on = not arguments.once

    def once(self) -> Pass:
        """Ask every calendar once, and take over what each says as soon as it does.

        A running service does not wait for those that are slow: while they are, the others have further rounds.
        """
        try:
            result = self._round()
            while self._goes_on and len(self._fetches) and not self.stopping:
                result = self._round()
        finally:
            self._fetches.end()
        return result

    def _round(self) -> Pass:
        """Ask all that are not being asked; return when all have answered, or the next round is due."""
        until = self.clock.monotonic() + self.config.number("interval") if self._goes_on else math.inf
        now = to_datetime(self.clock.now())
        window = FetchWindow(
            now - timedelta(days=self.config.number("days_back")),
            now + timedelta(days=self.config.number("days_ahead")),
        )
        instruments = [instrument for instrument in self._instruments.all() if instrument.harvester]
        self._reporter.recall()
        self._reporter.only({instrument.pid for instrument in instruments})
        with self.state(f"asking {len(instruments)} calendars" if instruments else "idle"):
            self._ask_all(self._questions(instruments, window), window, until)
        self._sizes = {one.pid: self._sizes[one.pid] for one in instruments if one.pid in self._sizes}
        if not self.stopping:
            self._reporter.totals(sum(self._sizes.values()))
        return Pass(*self._reporter.tally())

    # -- fetching ------------------------------------------------------------------------------------------------------

    def _questions(self, instruments: list[Instrument], window: FetchWindow) -> dict[Server, FetchRequest]:
        """Return what is to be asked of whom; tell of instruments whose settings do not allow it."""
        questions: dict[Server, FetchRequest] = {}
        sources: dict[str, Source | SharedSource] = {}
        for instrument in instruments:
            kind = instrument.harvester
            try:
                if kind not in sources:
                    sources[kind] = make_of(instrument)(self.app.get_config(f"Services.{self.name}.{kind}"))
                source = sources[kind]
                _ = instrument.zone  # a name that is no zone is told as such, not as a fault of the calendar
                server = source.server(instrument) if isinstance(source, SharedSource) else instrument.pid
                unfinished = self._unfinished(instrument, window)
            except DatabaseUnreachable:
                raise
            except NexusError as error:
                self._reporter.outcome(instrument.pid, CalendarStatus(str(error), readable=False))
                continue
            question = questions.setdefault((kind, server), FetchRequest(source, [], set()))
            question.instruments.append(instrument)
            question.unfinished |= unfinished
        return questions

    def _ask_all(self, questions: Mapping[Server, FetchRequest], window: FetchWindow, until: float) -> None:
        """Ask all, a few at a time, and hear those that answer, until that time of the monotonic clock."""
        failed = {
            server
            for server, question in questions.items()
            if any(self._reporter.failed(instrument.pid) for instrument in question.instruments)
        }
        bounds = Bounds(self.config.number("time_limit"), int(self.config.number("memory_limit")))
        places = FetchSlots(
            int(self.config.number("parallel")),
            int(self.config.number("parallel_slow")),
            self.config.number("slow_after"),
        )
        waiting = self._fetches.due(questions, failed)
        while (waiting or len(self._fetches)) and not self.stopping and self.clock.monotonic() < until:
            while waiting and self._fetches.start(waiting[0], questions[waiting[0]], window, bounds, places):
                del waiting[0]
            for fetch, answers in self._fetches.answered(_LOOK):
                for instrument in fetch.question.instruments:
                    self._reporter.outcome(instrument.pid, self._hear(fetch, instrument, answers[instrument.pid]))

    def _hear(self, fetch: FetchProcess, instrument: Instrument, answer: FetchResult) -> CalendarStatus:
        """Take over an answer; return how the calendar is doing."""
        pid = instrument.pid
        if answer.failure is not None:
            if answer.traceback is not None and self._reporter.is_news(pid, answer.failure):
                self.log.error("%s: reading its calendar failed\n%s", pid, answer.traceback)
            return CalendarStatus(answer.failure, readable=False)
        try:
            self._take_over(source_of(fetch.question.source.name, instrument), pid, answer, fetch.window)
        except DatabaseUnreachable:
            raise
        except NexusError as error:
            return CalendarStatus(str(error), readable=False)
        if not answer.complaints:
            return CalendarStatus()
        more = f" ({len(answer.complaints) - 1} more like this)" if len(answer.complaints) > 1 else ""
        return CalendarStatus(f"Read, but {answer.complaints[0].sentence}{more}")

    # -- taking over ---------------------------------------------------------------------------------------------------

    def _take_over(self, source: str, pid: str, answer: FetchResult, window: FetchWindow) -> None:
        start, end = to_ts(window.start), to_ts(window.end)
        live = self._reservations.overlapping(pid, start, end)
        known = [one for one in live if one.source == source]
        found = [*answer.reservations, *_kept(known, answer)]
        if self._dry_run:
            self._log_dry_run(pid, live, found)
        else:
            stored, gone = self._reservations.take_over(source, start, end, found, pid)
            if gone or self._sizes.get(pid) != stored:
                self.log.info("%s: %d reservations, %d of the known ones have gone", pid, stored, gone)
            self._sizes[pid] = stored
            self._reporter.count("reservations_gone", gone)
        if self._follows_usage(pid):
            self._follow_usage(source, pid, found)
        self._reconsider(pid)

    def _follow_usage(self, source: str, pid: str, found: list[Reservation]) -> None:
        """Start and end sessions where the calendar's system, and no logger, knows when the instrument is used."""
        plan = self._usage.plan(pid, source, found)
        done = plan.steps if self._dry_run else self._usage.carry_out(pid, plan)
        for step in done:
            self.log.info("%s: %s%s", pid, "would " if self._dry_run else "", step)
        if plan.blocked and self._blocked.get(pid) != plan.blocked:
            self.log.warning("%s: %s", pid, plan.blocked)
        self._blocked[pid] = plan.blocked
        self._reporter.count("sessions_started", sum(step.start for step in done))
        self._reporter.count("sessions_ended", sum(not step.start for step in done))

    def _reconsider(self, pid: str) -> None:
        """Have young sessions decided on anew whose users have changed their minds on consent."""
        since = self.clock.now() - int(self.config.number("consent_days") * _DAY_MICROSECONDS)
        required = self.app.get_config()["Services.Builder.require_consent"] is True
        for change in list(self._consents.changes(pid, since, required=required)):
            if not self._dry_run:
                try:
                    self._sessions.requeue(change.session.identifier, self.client, change.session.state)
                except NotToBeBuilt:
                    continue  # somebody was faster
            self.log.info("%s: %s", pid, change.in_words(would=self._dry_run))
            self._reporter.count("consents_given" if change.agrees else "consents_withdrawn")

    def _unfinished(self, instrument: Instrument, window: FetchWindow) -> set[str]:
        pid, source = instrument.pid, source_of(instrument.harvester, instrument)
        known = self._reservations.overlapping(pid, to_ts(window.start), to_ts(window.end))
        uses = {one.uid for one in known if one.ongoing and one.source == source}
        return uses | (self._usage.unfinished(pid, source) if self._follows_usage(pid) else set())

    def _follows_usage(self, pid: str) -> bool:
        return self.app.get_config()[f"Instruments.{pid}.sessions_from_usage"] is True

    def _log_dry_run(self, pid: str, known: list[Reservation], found: list[Reservation]) -> None:
        """Say what would be stored."""
        before = {one.uid: one for one in known}
        for one in found:
            what = "cancelled" if one.cancelled else "as it is" if before.get(one.uid) == one else "new or changed"
            start, end = (to_datetime(ts).astimezone().strftime("%Y-%m-%d %H:%M") for ts in (one.start_ts, one.end_ts))
            self.log.info("%s: would store (%s) '%s', %s to %s, %s", pid, what, one.title, start, end, one.user)
        for uid in before.keys() - {one.uid for one in found}:
            self.log.info("%s: would mark as cancelled '%s', which has gone", pid, before[uid].title)


def _kept(known: list[Reservation], answer: FetchResult) -> list[Reservation]:
    """Return what is known and was not found, perhaps only because it could not be read."""
    doubtful = {complaint.uid for complaint in answer.complaints}
    found = {one.uid for one in answer.reservations}

    def in_doubt(uid: str) -> bool:
        return None in doubtful or uid in doubtful or any(uid.startswith(f"{name}#") for name in doubtful)

    return [one for one in known if one.uid not in found and in_doubt(one.uid)]
