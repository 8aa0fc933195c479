"""Kinds of calendar: every folder here is one, the modules beside them are what the kinds share.

A kind's ``__init__.py`` has ``make(config) -> Source``, which declares its settings (``config`` is the folder
`Services.Harvester.<kind>` of the configuration) and returns the source as they are now; it imports nothing heavy.
Adding one touches no other file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from NexusCore import plugins
from NexusCore.config import NamedConfiguration
from NexusCore.config.store import near_miss
from NexusCore.errors import EXIT_REFUSED, NexusError
from NexusCore.facility import Instrument, Reservation


class SourceFailed(NexusError):
    """The calendar at {where} cannot be read: {reason}."""


class NoSuchSource(NexusError):
    """Instruments.{pid}.harvester is '{name}', which is not a kind of calendar; known are: {known}.{hint}"""  # noqa: D400

    exit_code = EXIT_REFUSED


class Source(Protocol):
    """A kind of calendar, with its settings. It is used in a process of its own, so it can be pickled."""

    @property
    def name(self) -> str:
        """The kind, as in `Instruments.<pid>.harvester`."""
        ...

    def fetch(self, instrument: Instrument, start: datetime, end: datetime) -> list[Reservation]:
        """Return every reservation of an instrument that shares time with a span, cancelled ones too.

        What cannot be read of it is reported with `complain`, so that nothing known is taken for cancelled.

        Parameters
        ----------
        instrument
            Its `api_url` and `calendar_name` say which calendar is its own.
        start, end
            The span, half open, aware.

        Raises
        ------
        SourceFailed
            If the calendar as a whole cannot be read.
        """
        ...


@runtime_checkable
class SharedSource(Protocol):
    """A kind of calendar of which one server has those of many instruments, and is asked about all of them at once."""

    @property
    def name(self) -> str:
        """The kind, as in `Instruments.<pid>.harvester`."""
        ...

    def server(self, instrument: Instrument) -> str:
        """Return the address of the server that has an instrument's calendar.

        Raises
        ------
        SourceFailed
            If the settings name none.
        """
        ...

    def ask(
        self, instruments: Sequence[Instrument], start: datetime, end: datetime, unfinished: Collection[str]
    ) -> Source:
        """Ask the server that these instruments share about a span; return its answer, to be fetched for each.

        Uses that were unfinished at the last fetch are wanted in any case, also if they have ended before the span.

        Parameters
        ----------
        instruments
            All have the same `server`.
        start, end
            The span, half open, aware.
        unfinished
            UIDs of uses that were unfinished at the last fetch.

        Raises
        ------
        SourceFailed
            If the server as a whole cannot be read.
        """
        ...


MakeSource = Callable[[NamedConfiguration], Source | SharedSource]


def kinds() -> Mapping[str, MakeSource]:
    """Return what makes each kind of source."""
    return {name: module.make for name, module in plugins.kinds(plugins.SOURCES).items()}


def make_of(instrument: Instrument) -> MakeSource:
    """Return what makes the source of an instrument's calendar.

    Raises
    ------
    NoSuchSource
        If its `harvester` is not one of the kinds.
    """
    name, known = instrument.harvester, kinds()
    if name not in known:
        raise NoSuchSource(pid=instrument.pid, name=name, known=", ".join(known), hint=near_miss(name, known))
    return known[name]


def source_of(kind: str, instrument: Instrument) -> str:
    """Return the `Reservation.source` of an instrument's calendar."""
    return f"{kind}:{instrument.pid}"


# -- what a source says besides -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something in a calendar that could not be taken over as it stands."""

    sentence: str
    uid: str | None
    """What is known under this `Reservation.uid`, or under it and an occurrence behind ``#``, stays as it is. With None
    it is unknown what the complaint is about, and all that is known stays; with `NO_BOOKING` it is about none."""


NO_BOOKING = ""
"""`Complaint.uid` of what has lost no booking, such as a wrong encoding."""
_COMPLAINTS: ContextVar[list[Complaint] | None] = ContextVar("complaints", default=None)


def complain(sentence: str, uid: str | None = None) -> None:
    """Report to the caller of this source something that it could not take over.

    Parameters
    ----------
    sentence
        What it is and why, in small letters and without a full stop.
    uid
        `Reservation.uid` that it concerns; see `Complaint`.
    """
    complaints = _COMPLAINTS.get()
    if complaints is not None:
        complaints.append(Complaint(sentence, uid))


@contextmanager
def collect_complaints() -> Iterator[list[Complaint]]:
    """Collect the complaints inside the block, in this thread."""
    complaints: list[Complaint] = []
    token = _COMPLAINTS.set(complaints)
    try:
        yield complaints
    finally:
        _COMPLAINTS.reset(token)
