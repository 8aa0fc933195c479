"""Reports calendars, on the Harvester's status channel and in its log: each change once.

A status channel outlives the process that wrote it: elements that an earlier Harvester left are corrected, and its
counters are continued.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from NexusCore.API import App
from NexusCore.errors import NexusError
from NexusCore.log import Log
from NexusCore.status import StatusHolder
from NexusCore.status.element import fitting
from NexusCore.status.names import Channels
from NexusCore.status.store import latest
from NexusCore.text import one_line

OK = "ok"
CALENDAR_UNUSED = "not asked any more"
_SOURCE = "source "
_ELEMENT_NAME_LIMIT = 128
"""Characters that the name of a status element may have."""


@dataclass(frozen=True, slots=True)
class CalendarStatus:
    """Status of an instrument's calendar."""

    sentence: str = OK
    readable: bool = True
    """Whether it could be read, perhaps not all of it."""


class CalendarReporter:
    """Reports on calendars, and remembers what it reported.

    Parameters
    ----------
    app, status, log
        Where to, and where an earlier Harvester's reports are.
    """

    def __init__(self, app: App, status: StatusHolder, log: Log) -> None:
        self._app = app
        self._status = status
        self._log = log
        self._recalled = False
        self._outcomes: dict[str, CalendarStatus] = {}
        self._shown: dict[str, str] = {}
        """Elements about calendars, and what they show."""
        self._counted: dict[str, int] = {}
        """Where counters stood when this process began."""
        self.dry_run = False
        """Whether only the log gets reports: nothing has been changed that the status should show."""

    def recall(self) -> None:
        """Read, once, what an earlier Harvester showed; later, if that database is away."""
        if self._recalled:
            return
        try:
            samples = latest(self._app.database(self._app.settings.status), Channels((self._status.channel,)))
        except NexusError:
            return
        own = {sample.name: sample.value or "" for sample in samples}
        self._shown = {name: value for name, value in own.items() if name.startswith(_SOURCE)} | self._shown
        self._counted = {name: int(value) for name, value in own.items() if value.isdecimal()}
        self._recalled = True

    def outcome(self, pid: str, outcome: CalendarStatus) -> None:
        """Report the status of an instrument's calendar."""
        if outcome.sentence != self._outcomes.get(pid, CalendarStatus()).sentence:
            if outcome.sentence == OK:
                self._log.info("%s: its calendar can be read again", pid)
            else:
                self._log.warning("%s: %s", pid, outcome.sentence)
        self._outcomes[pid] = outcome
        self._show(_element(pid), fitting(outcome.sentence))

    def is_news(self, pid: str, sentence: str) -> bool:
        """Return whether this differs from the last report on a calendar."""
        return self._outcomes.get(pid, CalendarStatus()).sentence != sentence

    def failed(self, pid: str) -> bool:
        """Return whether the last fetch of an instrument's calendar failed."""
        return not self._outcomes.get(pid, CalendarStatus()).readable

    def only(self, pids: Collection[str]) -> None:
        """Show the calendars of all other instruments as unused."""
        self._outcomes = {pid: outcome for pid, outcome in self._outcomes.items() if pid in pids}
        for name in self._shown.keys() - set(map(_element, pids)):
            if self._shown[name] != CALENDAR_UNUSED:
                self._show(name, CALENDAR_UNUSED)

    def tally(self) -> tuple[int, int]:
        """Return how many calendars could be read at their last fetch, and how many could not."""
        failed = sum(map(self.failed, self._outcomes))
        return len(self._outcomes) - failed, failed

    def totals(self, reservations: int) -> None:
        """Show these two numbers, and the number of reservations."""
        if not self.dry_run:
            self._status["calendars_read"], self._status["calendars_failed"] = self.tally()
            self._status["reservations"] = reservations

    def count(self, name: str, times: int = 1) -> None:
        """Add to a counter."""
        if times and not self.dry_run:
            element = self._status.get_or_create_status_element(name)
            element.inc(times if element.get_value() is not None else self._counted.get(name, 0) + times)

    def _show(self, name: str, sentence: str) -> None:
        if not self.dry_run:
            self._shown[name] = sentence
            self._status[name] = sentence


def _element(pid: str) -> str:
    return one_line(f"{_SOURCE}{pid}")[:_ELEMENT_NAME_LIMIT]
