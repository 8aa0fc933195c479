"""Reports destinations, on the Uploader's status channel and in its log: each change once, at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from threading import Lock

from NexusCore.facility.record import Tally
from NexusCore.log import Log
from NexusCore.status import StatusHolder
from NexusCore.status.element import fitting
from NexusCore.text import counted, one_line, shell_quote

OK = "ok"
DESTINATION_UNUSED = "not in use"
"""What is shown of a destination that the configuration names no more."""
NONE = "none"
"""Stands for the destination where none is named."""
_COUNTERS = ("records_sent", "attempts_failed", "sessions_completed")
_DESTINATION = "destination "
_MOST_RECORDS = 1000
"""Records whose warnings are remembered; of an older one they may be logged again."""
_ELEMENT_NAME_LIMIT = 128
"""Characters that the name of a status element may have."""


class DestinationReporter:
    """Reports on destinations, and remembers what it reported; safe to use from several threads.

    Parameters
    ----------
    status, log
        Where to.
    """

    def __init__(self, status: StatusHolder, log: Log) -> None:
        self._status = status
        self._log = log
        self._lock = Lock()
        self._reported: dict[str, str] = {}
        self._looked_at: set[str] = set()
        """Destinations that this Uploader has reported on."""
        self._counted: dict[str, int] = {}
        self._warned: dict[int, list[str]] = {}
        self._never_sent: dict[str, int] = {}

    def recall(self, shown: Mapping[str, str | None]) -> None:
        """Continue the reports of an earlier Uploader.

        Parameters
        ----------
        shown
            The elements of the channel.
        """
        with self._lock:
            for element, value in shown.items():
                if element.startswith(_DESTINATION) and value not in (None, "", DESTINATION_UNUSED):
                    self._reported.setdefault(element.removeprefix(_DESTINATION), str(value))
                if element.startswith(_COUNTERS) and (value or "").isdecimal():
                    self._counted.setdefault(element, int(value or 0))

    def is_bad(self, name: str) -> bool:
        """Return whether the last report on a destination was bad, or this Uploader has made none."""
        with self._lock:
            return name not in self._looked_at or self._reported.get(name, OK) != OK

    def destination(self, name: str, sentence: str, *, show: bool = True) -> None:
        """Report the status of a destination, a sentence or "ok"; with `show`, on the status channel, too.

        Parameters
        ----------
        name
            Of the destination.
        sentence
            What is wrong, or "ok".
        show
            Whether the status channel shows it, too.
        """
        with self._lock:
            before, self._reported[name] = self._reported.get(name, OK), sentence
            self._looked_at.add(name)
            if before != sentence and sentence == OK:
                self._log.info("The destination %s can be used again", name)
            elif before != sentence:
                self._log.warning("Nothing can be sent to %s: %s", name, sentence)
            if show:
                self._show(name, sentence)

    def record(self, record: int, warnings: Iterable[str]) -> None:
        """Log warnings about a record, given by its id; not those that were logged when it was last looked at."""
        with self._lock:
            before, now = self._warned.pop(record, []), list(warnings)
            for warning in now:
                if warning not in before:
                    self._log.warning("%s", warning)
            if now:
                self._warned[record] = now
            if len(self._warned) > _MOST_RECORDS:
                del self._warned[next(iter(self._warned))]

    def slow(self, name: str, seconds: float) -> None:
        """Show that a destination takes long; it may still be working, so nothing is wrong yet."""
        with self._lock:
            self._show(name, f"has been at work on something for more than {seconds:g} s")

    def forget(self, names: Collection[str]) -> None:
        """Show destinations that were reported, but are not among those in use, as unused."""
        with self._lock:
            for name in self._reported.keys() - names:
                del self._reported[name]
                self._looked_at.discard(name)
                self._show(name, DESTINATION_UNUSED)
                self._never_sent.pop(name, None)
                for what in ("waiting", "refused", "never sent") if name != NONE else ():
                    self._status[_element(f"{what} {name}")] = 0

    def counts(self, names: Sequence[str], waiting: int, tallies: Mapping[str, Tally]) -> None:
        """Show how many records wait, in all and for each destination, and how many each has refused for good.

        Parameters
        ----------
        names
            Destinations in use.
        waiting
            Records that are not yet at all destinations.
        tallies
            Waiting and refused records by destination.
        """
        self._status["records_waiting"] = waiting
        for name in names:
            tally = tallies.get(name, Tally())
            self._status[_element(f"waiting {name}")] = tally.waiting
            self._status[_element(f"refused {name}")] = tally.refused

    def never_sent(self, counts: Mapping[str, int]) -> None:
        """Show how many records each destination lacks since it was added after their sessions were complete."""
        with self._lock:
            for name, number in counts.items():
                before, self._never_sent[name] = self._never_sent.get(name, 0), number
                if number > before:
                    records = counted(number, "record of a finished session", "records of finished sessions")
                    command = f"SessionTool requeue --upload --all --destination {shell_quote(name)}"
                    text = "%s was never sent the %s, because it was added later. To send them: %s"
                    self._log.warning(text, name, records, command)
                self._status[_element(f"never sent {name}")] = number

    def count(self, what: str, destination: str | None = None) -> None:
        """Count one more, in all and, if one is given, for a destination (``records_sent cdcs``)."""
        with self._lock:
            for name in (what, _element(f"{what} {destination}")) if destination else (what,):
                self._counted[name] = self._counted.get(name, 0) + 1
                self._status[name] = self._counted[name]

    def _show(self, name: str, sentence: str) -> None:
        self._status[_element(f"{_DESTINATION}{name}")] = fitting(sentence)


def _element(name: str) -> str:
    return one_line(name)[:_ELEMENT_NAME_LIMIT]
