"""The Harvester: keeps the facility's reservations fresh from the calendars of its instruments.

Promises
--------
* A calendar that is away, wrong, slow or hostile delays only its own instruments; what is known of it stays.
* Unreadable parts of a calendar never count as cancelled.
* A record that was made without its reservation is made again when that comes.
* A server that has the calendars of many instruments is asked once about all of them.
* Settings and instruments are read at each round.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from NexusCore.API import App
from NexusCore.clock import SECOND, to_datetime, to_ts
from NexusCore.errors import DatabaseUnreachable, NexusError
from NexusCore.facility import Instrument, Instruments, Records, Reservation, Reservations, Sessions
from NexusCore.facility.calendar_reads import CalendarReads
from NexusCore.facility.record_booking import RecordBookings
from NexusCore.facility.sessions import NotToBeBuilt
from NexusCore.service import Example, Pass, RunOptions, Service
from NexusCore.text import counted
from Services.Harvester.consent import Consents
from Services.Harvester.double_bookings import double_bookings
from Services.Harvester.fetch_process import Bounds, FetchProcess, FetchRequest, FetchResult, FetchWindow
from Services.Harvester.fetch_scheduler import FetchScheduler, FetchSlots, Server
from Services.Harvester.late_reservations import LateReservations
from Services.Harvester.sources import NO_BOOKING, Complaint, SharedSource, Source, kinds, make_of, source_of
from Services.Harvester.status_reporter import CalendarReporter, CalendarStatus
from Services.Harvester.usage import UsageSessions

_DAY_MICROSECONDS = 86_400 * SECOND
_STOP_CHECK_SECONDS = 0.1
"""Interval of checks whether to stop."""


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
        ("--dry-run", "report what a pass would store; change nothing"),
    )

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._instruments = Instruments(app.get_config())
        self._reservations = Reservations(app.database(), self.clock)
        self._sessions = Sessions(app.database(), self.clock)
        self._usage = UsageSessions(self._sessions, self._reservations, self.client.host)
        self._consents = Consents(self._sessions, self._reservations, Records(app.database(), self.clock))
        self._late = LateReservations(self._sessions, self._reservations, RecordBookings(app.database()), self.client)
        self._reads = CalendarReads(app.database())
        self._reporter = CalendarReporter(app, self.status, self.log)
        self._fetches = FetchScheduler(self.clock)
        self._dry_run = False
        self._goes_on = False
        """Whether further rounds follow."""
        self._sizes: dict[str, int] = {}
        self._blocked: dict[str, str | None] = {}
        """Why an instrument's use begins no session, as last logged."""

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add ``--dry-run``, and say what kinds of calendar there are."""
        parser.epilog = f"Kinds of calendar: {', '.join(kinds())}."
        parser.add_argument(
            "--dry-run", action="store_true", help="make one pass that stores nothing and reports what it would store"
        )

    def take_options(self, options: RunOptions) -> None:
        """Take over whether it is a single pass, and whether it is a dry run."""
        self._dry_run = self._reporter.dry_run = options.dry_run
        self._goes_on = not options.once

    def once(self) -> Pass:
        """Fetch every calendar once, and take over each answer as soon as it is there.

        A running service does not wait for slow calendars: meanwhile the others have further rounds.
        """
        try:
            result = self._round()
            while self._goes_on and len(self._fetches) and not self.stopping:
                result = self._round()
        finally:
            self._fetches.end()
        return result

    def _round(self) -> Pass:
        """Fetch from all servers not being asked; return when all have answered, or the next round is due.

        A change of the settings makes it due.
        """
        self.heed_settings()
        until = self.clock.monotonic() + self.config.number("interval") if self._goes_on else math.inf
        now = to_datetime(self.clock.now())
        window = FetchWindow(
            now - timedelta(days=self.config.number("days_back")),
            now + timedelta(days=self.config.number("days_ahead")),
        )
        instruments = [instrument for instrument in self._instruments.all() if instrument.harvester]
        self._reporter.recall()
        pids = {instrument.pid for instrument in instruments}
        self._reporter.only(pids)
        with self.state(f"asking {counted(len(instruments), 'calendar')}" if instruments else "idle"):
            self._ask_all(self._requests(instruments, window), window, until)
        self._sizes = {pid: size for pid, size in self._sizes.items() if pid in pids}
        if not self.stopping:
            self._reporter.totals(sum(self._sizes.values()))
        return Pass(*self._reporter.tally())

    # -- fetching ------------------------------------------------------------------------------------------------------

    def _requests(self, instruments: list[Instrument], window: FetchWindow) -> dict[Server, FetchRequest]:
        """Return the queries by server; report instruments whose settings do not allow one."""
        requests: dict[Server, FetchRequest] = {}
        sources: dict[str, Source | SharedSource] = {}
        for instrument in instruments:
            kind = instrument.harvester
            try:
                if kind not in sources:
                    sources[kind] = make_of(instrument)(self.app.get_config(f"Services.{self.name}.{kind}"))
                source = sources[kind]
                _ = instrument.zone  # an unknown zone is reported as such, not as a fault of the calendar
                server = source.server(instrument) if isinstance(source, SharedSource) else instrument.pid
                unfinished = self._unfinished(instrument, window)
            except DatabaseUnreachable:
                raise
            except NexusError as error:
                self._report(instrument, CalendarStatus(str(error), readable=False))
                continue
            request = requests.setdefault((kind, server), FetchRequest(source, [], set()))
            request.instruments.append(instrument)
            request.unfinished |= unfinished
        return requests

    def _ask_all(self, requests: Mapping[Server, FetchRequest], window: FetchWindow, until: float) -> None:
        """Fetch all, a few at a time, and take over the answers, until that time of the monotonic clock."""
        failed = {
            server
            for server, request in requests.items()
            if any(self._reporter.failed(instrument.pid) for instrument in request.instruments)
        }
        bounds = Bounds(self.config.number("time_limit"), int(self.config.number("memory_limit")))
        slots = FetchSlots(
            int(self.config.number("parallel")),
            int(self.config.number("parallel_slow")),
            self.config.number("slow_after"),
        )
        waiting = self._fetches.due(requests, failed)
        windows = {server: self._window(window, requests[server]) for server in waiting}
        while (waiting or len(self._fetches)) and not self._is_due(until):
            while waiting and self._fetches.start(waiting[0], requests[waiting[0]], windows[waiting[0]], bounds, slots):
                del waiting[0]
            for fetch, answers in self._fetches.answered(_STOP_CHECK_SECONDS):
                for instrument in fetch.request.instruments:
                    began = self.clock.now() - int((self.clock.monotonic() - fetch.begun) * SECOND)
                    self._report(instrument, self._accept(fetch, instrument, answers[instrument.pid]), began)

    def _window(self, window: FetchWindow, request: FetchRequest) -> FetchWindow:
        """Return the window, from the first session on whose record was made without its calendar."""
        since = [self._late.unread_since(instrument.pid, self._late_since()) for instrument in request.instruments]
        return replace(window, start=min([window.start, *(to_datetime(ts) for ts in since if ts is not None)]))

    def _report(self, instrument: Instrument, outcome: CalendarStatus, began: int | None = None) -> None:
        """Report the status of a calendar, and note whether it could be read: the Builder asks for that."""
        self._reporter.outcome(instrument.pid, outcome)
        if self._dry_run:
            return
        source, began = source_of(instrument.harvester, instrument), self.clock.now() if began is None else began
        try:
            if outcome.readable:
                self._reads.succeeded(instrument.pid, source, began)
                self._take_late(instrument.pid)
            else:
                self._reads.failed(instrument.pid, source, began, outcome.sentence)
        except DatabaseUnreachable:
            raise
        except NexusError as error:  # of this one, such as a name that is too long
            self.log.warning("%s: what is known of its calendar cannot be stored: %s", instrument.pid, error)

    def _late_since(self) -> int:
        return self.clock.now() - int(self.config.number("late_days") * _DAY_MICROSECONDS)

    def _take_late(self, pid: str) -> None:
        """Have records made again whose reservations have come since they were made."""
        for late in self._late.of(pid, self._late_since()):
            if self._late.carry_out(late) and not late.confirmed:
                self.log.warning("%s: %s", pid, late.sentence)
                self._reporter.count("reservations_late")

    def _is_due(self, until: float) -> bool:
        """Return whether a round has to end."""
        return self.stopping or self.clock.monotonic() >= until or (self._goes_on and self.settings_changed)

    def _accept(self, fetch: FetchProcess, instrument: Instrument, answer: FetchResult) -> CalendarStatus:
        """Take over an answer; return the calendar's status."""
        pid = instrument.pid
        if answer.failure is not None:
            if answer.traceback is not None and self._reporter.is_news(pid, answer.failure):
                self.log.error("%s: reading its calendar failed\n%s", pid, answer.traceback)
            return CalendarStatus(answer.failure, readable=False)
        try:
            self._take_over(source_of(fetch.request.source.name, instrument), pid, answer, fetch.window)
        except DatabaseUnreachable:
            raise
        except NexusError as error:
            return CalendarStatus(str(error), readable=False)
        # What lost a booking comes first: the others may hide it.
        complaints = sorted(answer.complaints, key=lambda complaint: not _is_lost(complaint, answer))
        sentences = [complaint.sentence for complaint in complaints]
        sentences += double_bookings(answer.reservations, instrument.zone)
        if not sentences:
            return CalendarStatus()
        more = f"; and {counted(len(sentences) - 1, 'other problem')}" if len(sentences) > 1 else ""
        sentence = sentences[0]
        if sentence.startswith("The "):
            sentence = f"the {sentence.removeprefix('The ')}"
        return CalendarStatus(f"Read, but {sentence}{more}")

    # -- taking over ---------------------------------------------------------------------------------------------------

    def _take_over(self, source: str, pid: str, answer: FetchResult, window: FetchWindow) -> None:
        start, end = to_ts(window.start), to_ts(window.end)
        live = self._reservations.overlapping(pid, start, end)
        known = [reservation for reservation in live if reservation.source == source]
        reservations = [*answer.reservations, *_unreadable_known(known, answer)]
        if self._dry_run:
            self._log_dry_run(pid, live, reservations)
        else:
            stored, gone = self._reservations.take_over(source, start, end, reservations, pid)
            if gone or self._sizes.get(pid) != stored:
                self.log.info("%s: %s, %d no longer in the calendar", pid, counted(stored, "reservation"), gone)
            self._sizes[pid] = stored
            self._reporter.count("reservations_gone", gone)
        if self._follows_usage(pid):
            self._follow_usage(source, pid, reservations)
        self._reconsider(pid)

    def _follow_usage(self, source: str, pid: str, reservations: list[Reservation]) -> None:
        """Start and end sessions of instruments without a logger, as the calendar's usage events say."""
        plan = self._usage.plan(pid, source, reservations)
        done = plan.steps if self._dry_run else self._usage.carry_out(pid, plan)
        for step in done:
            self.log.info("%s: %s%s", pid, "would " if self._dry_run else "", step)
        if plan.blocked and self._blocked.get(pid) != plan.blocked:
            self.log.warning("%s: %s", pid, plan.blocked)
        self._blocked[pid] = plan.blocked
        self._reporter.count("sessions_started", sum(step.start for step in done))
        self._reporter.count("sessions_ended", sum(not step.start for step in done))

    def _reconsider(self, pid: str) -> None:
        """Queue recent sessions again whose users have changed their minds on consent."""
        since = self.clock.now() - int(self.config.number("consent_days") * _DAY_MICROSECONDS)
        required = self.app.get_config()["Services.Builder.require_consent"] is True
        for change in list(self._consents.changes(pid, since, required=required)):
            if not self._dry_run:
                try:
                    self._sessions.requeue(change.session.identifier, self.client, change.session.state)
                except NotToBeBuilt:
                    continue  # another process was faster
            self.log.info("%s: %s", pid, change.in_words(would=self._dry_run))
            self._reporter.count("consents_given" if change.agrees else "consents_withdrawn")

    def _unfinished(self, instrument: Instrument, window: FetchWindow) -> set[str]:
        pid, source = instrument.pid, source_of(instrument.harvester, instrument)
        known = self._reservations.overlapping(pid, to_ts(window.start), to_ts(window.end))
        uses = {reservation.uid for reservation in known if reservation.ongoing and reservation.source == source}
        return uses | (self._usage.unfinished(pid, source) if self._follows_usage(pid) else set())

    def _follows_usage(self, pid: str) -> bool:
        return self.app.get_config()[f"Instruments.{pid}.sessions_from_usage"] is True

    def _log_dry_run(self, pid: str, known: list[Reservation], reservations: list[Reservation]) -> None:
        """Log what would be stored."""
        before = {reservation.uid: reservation for reservation in known}
        for reservation in reservations:
            same = before.get(reservation.uid) == reservation
            what = "cancelled" if reservation.cancelled else "as it is" if same else "new or changed"
            times = (reservation.start_ts, reservation.end_ts)
            start, end = (to_datetime(ts).astimezone().strftime("%Y-%m-%d %H:%M") for ts in times)
            self.log.info(
                "%s: would store (%s) '%s', %s to %s, %s", pid, what, reservation.title, start, end, reservation.user
            )
        for uid in before.keys() - {reservation.uid for reservation in reservations}:
            self.log.info("%s: would mark as cancelled '%s', no longer in the calendar", pid, before[uid].title)


def _is_lost(complaint: Complaint, answer: FetchResult) -> bool:
    """Return whether a complaint is about a booking that is not in the answer."""
    uid = complaint.uid
    if uid is None or uid == NO_BOOKING:
        return uid is None
    return not any(known.uid == uid or known.uid.startswith(f"{uid}#") for known in answer.reservations)


def _unreadable_known(known: list[Reservation], answer: FetchResult) -> list[Reservation]:
    """Return known reservations that are missing in an answer, perhaps because they could not be read."""
    doubtful = {complaint.uid for complaint in answer.complaints} - {NO_BOOKING}
    fetched = {reservation.uid for reservation in answer.reservations}

    def in_doubt(uid: str) -> bool:
        return None in doubtful or uid in doubtful or any(uid.startswith(f"{name}#") for name in doubtful)

    return [reservation for reservation in known if reservation.uid not in fetched and in_doubt(reservation.uid)]
