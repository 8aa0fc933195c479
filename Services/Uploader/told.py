"""What the Uploader tells of its destinations, on its status channel and in its log: each change once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from NexusCore.facility.records import Tally
from NexusCore.log import Log
from NexusCore.status import StatusHolder

OK = "ok"
_SENTENCE = 250
"""Characters of a sentence that a status element shows: four bytes each at the most."""
_NAME = 128
"""Characters that the name of a status element may have."""


class Told:
    """Tells of destinations, and remembers what it told.

    Parameters
    ----------
    status, log
        Where to.
    """

    def __init__(self, status: StatusHolder, log: Log) -> None:
        self._status = status
        self._log = log
        self._said: dict[str, str] = {}

    def bad(self, name: str) -> bool:
        """Tell whether the last that was told of a destination was not good."""
        return self._said.get(name, OK) != OK

    def destinations(self, problems: Mapping[str, str], names: Sequence[str], *, show: bool) -> None:
        """Show how destinations are doing.

        Parameters
        ----------
        problems
            A sentence for each that a pass had to do with, or "ok".
        names
            Those that are configured: others that were told of are forgotten.
        show
            On the status channel as well.
        """
        forgotten = dict.fromkeys(self._said.keys() - problems.keys() - set(names), OK)
        for name, sentence in {**problems, **forgotten}.items():
            if sentence != self._said.get(name, OK):
                if sentence == OK:
                    self._log.info("The destination %s can be used again", name)
                else:
                    self._log.warning("The destination %s cannot be used: %s", name, sentence)
            self._said[name] = sentence
            if show:
                text = sentence if len(sentence) <= _SENTENCE else f"{sentence[: _SENTENCE - 1]}…"
                self._status[f"destination {name}"[:_NAME]] = text

    def counts(self, names: Sequence[str], waiting: int, tallies: Mapping[str, Tally]) -> None:
        """Show how many records wait, in all and for each destination, and how many each has refused for good."""
        self._status["records_waiting"] = waiting
        for name in names:
            tally = tallies.get(name, Tally())
            self._status[f"waiting {name}"[:_NAME]] = waiting - tally.done - tally.refused
            self._status[f"refused {name}"[:_NAME]] = tally.refused

    def count(self, what: str, destination: str | None = None) -> None:
        """Count one more, in all and, if one is given, for a destination (``records_sent cdcs``)."""
        for name in (what, f"{what} {destination}"[:_NAME]) if destination else (what,):
            self._status.get_or_create_status_element(name).inc()
