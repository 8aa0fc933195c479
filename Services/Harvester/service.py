"""The Harvester: keeps the facility's reservations fresh from the calendars of its instruments.

Promises
--------
* A calendar that is away, wrong or hostile delays only its own instruments; what is known of it stays.
* What cannot be read of a calendar is never taken for cancelled.
* A server that has the calendars of many instruments is asked once about all of them.
* Settings and instruments are read at each pass.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import wait
from typing import ClassVar

from NexusCore.API import App
from NexusCore.clock import SECOND, to_datetime, to_ts
from NexusCore.errors import DatabaseUnreachable, NexusError
from NexusCore.facility import Instrument, Instruments, Reservation, Reservations, Sessions, State
from NexusCore.service import Example, Pass, Service
from Services.Harvester.asking import Answer, Asking, Bounds, Window
from Services.Harvester.sources import SharedSource, Source, kinds, make_of, source_of
from Services.Harvester.usage import UsageSessions

OK = "ok"
_DAY = 86_400 * SECOND
_REFUSED = 100
"""Newest sessions of an instrument without consent that are looked at again."""
_LOOK = 0.1
"""Seconds between two looks at whether to stop."""
_SENTENCE = 250
"""Characters of a sentence that a status element shows: four bytes each at the most."""


@dataclass(slots=True)
class _Question:
    """What is to be asked of one server."""

    source: Source | SharedSource
    instruments: list[Instrument]
    unfinished: set[str]
    """UIDs of uses that were going on when it was last asked."""


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
        self._dry_run = False
        self._said: dict[str, str] = {}
        """What was last said of each instrument's calendar."""
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
            comment="Days after its end in which a session without consent gets another chance.",
            minimum=0,
            maximum=3660,
        )
        default("parallel", 4, comment="Calendars that are read at the same time.", minimum=1, maximum=64)
        default("time_limit", 60.0, comment="Seconds after which a calendar is given up.", minimum=0.5, maximum=3600)
        default("memory_limit", 1024, comment="MB of memory that reading one calendar may take.", minimum=128)
        for kind, make in kinds().items():
            make(self.app.get_config(f"Services.{self.name}.{kind}"))

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add ``--dry-run``."""
        parser.add_argument(
            "--dry-run", action="store_true", help="make one pass that stores nothing; say what it would store"
        )

    def take_arguments(self, arguments: argparse.Namespace) -> None:
        """Take over ``--dry-run``, which means one pass."""
        self._dry_run = arguments.dry_run
        arguments.once = arguments.once or arguments.dry_run

    def once(self) -> Pass:
        """Ask every calendar once, and take over what each says as soon as it does."""
        now = to_datetime(self.clock.now())
        window = Window(
            now - timedelta(days=self.config.number("days_back")),
            now + timedelta(days=self.config.number("days_ahead")),
        )
        instruments = [instrument for instrument in self._instruments.all() if instrument.harvester]
        self._forget_others(instruments)
        with self.state(f"asking {len(instruments)} calendars" if instruments else "idle"):
            questions, failed = self._questions(instruments, window)
            failed += self._ask_all(questions, window)
        done = len(instruments) - failed
        if not self._dry_run and not self.stopping:
            self.status["calendars_read"] = done
            self.status["calendars_failed"] = failed
            self.status["reservations"] = sum(self._sizes.values())
        return Pass(done, failed)

    # -- asking --------------------------------------------------------------------------------------------------------

    def _questions(self, instruments: list[Instrument], window: Window) -> tuple[list[_Question], int]:
        """Return what is to be asked of whom, and of how many instruments the settings do not allow it."""
        questions: dict[tuple[str, str], _Question] = {}
        sources: dict[str, Source | SharedSource] = {}
        failed = 0
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
                failed += not self._settle(instrument, str(error))
                continue
            question = questions.setdefault((kind, server), _Question(source, [], set()))
            question.instruments.append(instrument)
            question.unfinished |= unfinished
        # Those that failed come last: the time they take is then nobody else's.
        return sorted(questions.values(), key=lambda one: any(map(self._failed, one.instruments))), failed

    def _ask_all(self, questions: list[_Question], window: Window) -> int:
        """Ask all, a few at a time; return of how many instruments the calendars could not be read."""
        waiting, asked = list(reversed(questions)), list[Asking]()
        failed = 0
        try:
            while (waiting or asked) and not self.stopping:
                while waiting and len(asked) < self.config.number("parallel"):
                    asked.append(self._ask(waiting.pop(), window))
                wait([asking.connection for asking in asked], timeout=_LOOK)
                for asking in list(asked):
                    answers = asking.answers(self.clock.monotonic())
                    if answers is not None:
                        asked.remove(asking)
                        asking.end()
                        for instrument in asking.instruments:
                            sentence = self._hear(asking, instrument, answers[instrument.pid])
                            failed += not self._settle(instrument, sentence)
        finally:
            for asking in asked:
                asking.end()
        return failed

    def _ask(self, question: _Question, window: Window) -> Asking:
        bounds = Bounds(self.config.number("time_limit"), int(self.config.number("memory_limit")))
        return Asking(
            question.source, question.instruments, window, question.unfinished, bounds, self.clock.monotonic()
        )

    def _hear(self, asking: Asking, instrument: Instrument, answer: Answer) -> str:
        """Take over an answer; return the sentence for the status, "ok" if there is nothing to say."""
        pid = instrument.pid
        if answer.failure is not None:
            if answer.traceback is not None and self._said.get(pid) != answer.failure:
                self.log.error("%s: reading its calendar failed\n%s", pid, answer.traceback)
            return answer.failure
        try:
            self._take_over(source_of(asking.source.name, instrument), pid, answer, asking.window)
        except DatabaseUnreachable:
            raise
        except NexusError as error:
            return str(error)
        if not answer.complaints:
            return OK
        more = f" ({len(answer.complaints) - 1} more like this)" if len(answer.complaints) > 1 else ""
        return f"Read, but {answer.complaints[0].sentence}{more}"

    # -- taking over ---------------------------------------------------------------------------------------------------

    def _take_over(self, source: str, pid: str, answer: Answer, window: Window) -> None:
        start, end = to_ts(window.start), to_ts(window.end)
        live = self._reservations.overlapping(pid, start, end)
        known = [one for one in live if one.source == source]
        found = [*answer.reservations, *_kept(known, answer)]
        if self._dry_run:
            self._rehearse(pid, live, found)
        else:
            stored, gone = self._reservations.take_over(source, start, end, found, pid)
            if gone or self._sizes.get(pid) != stored:
                self.log.info("%s: %d reservations, %d of the known ones have gone", pid, stored, gone)
            self._sizes[pid] = stored
            self._count("reservations_gone", gone)
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
        if not self._dry_run:
            self._count("sessions_started", sum(step.start for step in done))
            self._count("sessions_ended", sum(not step.start for step in done))

    def _reconsider(self, pid: str) -> None:
        """Have young sessions built whose users have agreed after all."""
        since = self.clock.now() - int(self.config.number("consent_days") * _DAY)
        for session in self._sessions.newest(pid, State.NO_CONSENT, _REFUSED):
            if session.end_ts is None or session.end_ts < since:
                continue
            booking = self._reservations.for_session(pid, session.start_ts, session.end_ts, session.user)
            if booking is None or booking.consent is not True:
                continue
            would = "would be" if self._dry_run else "is"
            self.log.info("%s: the session %s %s built, since its user agrees now", pid, session.identifier, would)
            if not self._dry_run:
                self._sessions.requeue(session.identifier, self.client)
                self._count("consents_given", 1)

    def _unfinished(self, instrument: Instrument, window: Window) -> set[str]:
        pid, source = instrument.pid, source_of(instrument.harvester, instrument)
        known = self._reservations.overlapping(pid, to_ts(window.start), to_ts(window.end))
        uses = {one.uid for one in known if one.ongoing and one.source == source}
        return uses | (self._usage.unfinished(pid, source) if self._follows_usage(pid) else set())

    def _follows_usage(self, pid: str) -> bool:
        return self.app.get_config()[f"Instruments.{pid}.sessions_from_usage"] is True

    def _count(self, name: str, times: int) -> None:
        if times:
            self.status.get_or_create_status_element(name).inc(times)

    def _rehearse(self, pid: str, known: list[Reservation], found: list[Reservation]) -> None:
        """Say what would be stored."""
        before = {one.uid: one for one in known}
        for one in found:
            what = "cancelled" if one.cancelled else "as it is" if before.get(one.uid) == one else "new or changed"
            start, end = (to_datetime(ts).astimezone().strftime("%Y-%m-%d %H:%M") for ts in (one.start_ts, one.end_ts))
            self.log.info("%s: would store (%s) '%s', %s to %s, %s", pid, what, one.title, start, end, one.user)
        for uid in before.keys() - {one.uid for one in found}:
            self.log.info("%s: would mark as cancelled '%s', which has gone", pid, before[uid].title)

    # -- telling -------------------------------------------------------------------------------------------------------

    def _settle(self, instrument: Instrument, sentence: str) -> bool:
        """Show how the calendar of an instrument is doing; return whether it could be read."""
        pid, before = instrument.pid, self._said.get(instrument.pid, OK)
        readable = sentence == OK or sentence.startswith("Read, ")
        if sentence != before:
            if sentence == OK:
                self.log.info("%s: its calendar can be read again", pid)
            else:
                self.log.warning("%s: %s", pid, sentence)
        self._said[pid] = sentence
        self._show(pid, sentence)
        return readable

    def _forget_others(self, instruments: list[Instrument]) -> None:
        """Say of instruments that have lost their calendar that they are no longer asked."""
        for pid in self._said.keys() - {instrument.pid for instrument in instruments}:
            del self._said[pid]
            self._sizes.pop(pid, None)
            self._show(pid, "not asked any more")

    def _failed(self, instrument: Instrument) -> bool:
        return self._said.get(instrument.pid, OK) != OK

    def _show(self, pid: str, sentence: str) -> None:
        if not self._dry_run:
            text = sentence if len(sentence) <= _SENTENCE else f"{sentence[: _SENTENCE - 1]}…"
            self.status[f"source {pid}"[:128]] = text


def _kept(known: list[Reservation], answer: Answer) -> list[Reservation]:
    """Return what is known and was not found, perhaps only because it could not be read."""
    doubtful = {complaint.uid for complaint in answer.complaints}
    found = {one.uid for one in answer.reservations}

    def in_doubt(uid: str) -> bool:
        return None in doubtful or uid in doubtful or any(uid.startswith(f"{name}#") for name in doubtful)

    return [one for one in known if one.uid not in found and in_doubt(one.uid)]
