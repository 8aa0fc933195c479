"""The Harvester: keeps the facility's reservations fresh from the calendars of its instruments.

Promises
--------
* A calendar that is away, wrong or hostile delays only its own instrument; what is known of it stays.
* What cannot be read of a calendar is never taken for cancelled.
* Settings and instruments are read at each pass.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import wait
from typing import ClassVar

from NexusCore.API import App
from NexusCore.clock import to_datetime, to_ts
from NexusCore.errors import DatabaseUnreachable, NexusError
from NexusCore.facility import Instrument, Instruments, Reservation, Reservations
from NexusCore.service import Pass, Service
from Services.Harvester.asking import Answer, Asking, Bounds
from Services.Harvester.sources import Source, kinds, make_of, number, source_of

OK = "ok"
_LOOK = 0.1
"""Seconds between two looks at whether to stop."""
_SENTENCE = 250
"""Characters of a sentence that a status element shows: four bytes each at the most."""


@dataclass(frozen=True, slots=True)
class _Window:
    """The span of time that a pass asks about."""

    start: datetime
    end: datetime


class Harvester(Service):
    """Asks the calendars of all instruments that have one, several at a time.

    Parameters
    ----------
    app
        Configuration, status and logs.
    """

    name: ClassVar[str] = "Harvester"

    def __init__(self, app: App) -> None:
        # Before the frame's own default: other people's servers are not asked every ten seconds.
        app.get_config(f"Services.{self.name}").set_default(
            "interval", 300.0, comment="Seconds between two looks at the calendars.", minimum=0.1, maximum=86_400
        )
        super().__init__(app)
        self._set_defaults()
        self._instruments = Instruments(app.get_config())
        self._reservations = Reservations(app.database(), self.clock)
        self._dry_run = False
        self._said: dict[str, str] = {}
        """What was last said of each instrument's calendar."""
        self._sizes: dict[str, int] = {}

    def _set_defaults(self) -> None:
        default = self.config.set_default
        default("days_back", 7, comment="Days before now whose reservations are kept fresh.", minimum=0, maximum=3660)
        default("days_ahead", 14, comment="Days from now whose reservations are fetched.", minimum=1, maximum=3660)
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
        window = _Window(
            now - timedelta(days=number(self.config, "days_back")),
            now + timedelta(days=number(self.config, "days_ahead")),
        )
        instruments = [instrument for instrument in self._instruments.all() if instrument.harvester]
        self._forget_others(instruments)
        # Those that failed come last: the time they take is then nobody else's.
        instruments.sort(key=lambda instrument: self._said.get(instrument.pid, OK) != OK)
        with self.state(f"asking {len(instruments)} calendars" if instruments else "idle"):
            failed = self._ask_all(instruments, window)
        done = len(instruments) - failed
        if not self._dry_run and not self.stopping:
            self.status["calendars_read"] = done
            self.status["calendars_failed"] = failed
            self.status["reservations"] = sum(self._sizes.values())
        return Pass(done, failed)

    # -- asking --------------------------------------------------------------------------------------------------------

    def _ask_all(self, instruments: list[Instrument], window: _Window) -> int:
        """Ask all, a few at a time; return how many failed."""
        waiting, asked = list(reversed(instruments)), list[Asking]()
        failed = 0
        try:
            while (waiting or asked) and not self.stopping:
                while waiting and len(asked) < number(self.config, "parallel"):
                    instrument = waiting.pop()
                    try:
                        asked.append(self._ask(instrument, window))
                    except NexusError as error:
                        failed += not self._settle(instrument, str(error))
                wait([asking.connection for asking in asked], timeout=_LOOK)
                for asking in list(asked):
                    answer = asking.answer(self.clock.monotonic())
                    if answer is not None:
                        asked.remove(asking)
                        asking.end()
                        failed += not self._settle(asking.instrument, self._hear(asking, answer, window))
        finally:
            for asking in asked:
                asking.end()
        return failed

    def _ask(self, instrument: Instrument, window: _Window) -> Asking:
        source: Source = make_of(instrument)(self.app.get_config(f"Services.{self.name}.{instrument.harvester}"))
        _ = instrument.zone  # a name that is no zone is told as such, not as a fault of the calendar
        bounds = Bounds(number(self.config, "time_limit"), int(number(self.config, "memory_limit")))
        return Asking(source, instrument, window.start, window.end, bounds, self.clock.monotonic())

    def _hear(self, asking: Asking, answer: Answer, window: _Window) -> str:
        """Take over an answer; return the sentence for the status, "ok" if there is nothing to say."""
        pid = asking.instrument.pid
        if answer.failure is not None:
            if answer.traceback is not None and self._said.get(pid) != answer.failure:
                self.log.error("%s: reading its calendar failed\n%s", pid, answer.traceback)
            return answer.failure
        try:
            self._take_over(source_of(asking.source.name, asking.instrument), pid, answer, window)
        except DatabaseUnreachable:
            raise
        except NexusError as error:
            return str(error)
        if not answer.complaints:
            return OK
        more = f" ({len(answer.complaints) - 1} more like this)" if len(answer.complaints) > 1 else ""
        return f"Read, but {answer.complaints[0].sentence}{more}"

    def _take_over(self, source: str, pid: str, answer: Answer, window: _Window) -> None:
        start, end = to_ts(window.start), to_ts(window.end)
        known = [one for one in self._reservations.overlapping(pid, start, end) if one.source == source]
        found = [*answer.reservations, *_kept(known, answer)]
        if self._dry_run:
            self._rehearse(pid, known, found)
            return
        stored, gone = self._reservations.take_over(source, start, end, found)
        if gone or self._sizes.get(pid) != stored:
            self.log.info("%s: %d reservations, %d of the known ones have gone", pid, stored, gone)
        self._sizes[pid] = stored
        if gone:
            self.status.get_or_create_status_element("reservations_gone").inc(gone)

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
