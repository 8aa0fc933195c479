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
    """Instruments.{pid}.harvester is '{name}', which is no kind of calendar; there are: {known}.{hint}"""  # noqa: D400

    exit_code = EXIT_REFUSED


class Source(Protocol):
    """A kind of calendar, with its settings. It is asked in a process of its own, so it can be pickled."""

    @property
    def name(self) -> str:
        """The kind, as in `Instruments.<pid>.harvester`."""
        ...

    def fetch(self, instrument: Instrument, start: datetime, end: datetime) -> list[Reservation]:
        """Return every reservation of an instrument that shares time with a span, cancelled ones too.

        What cannot be read of it is told with `complain`, so that nothing known is taken for cancelled.

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
        """Ask the server that these instruments share about a span; return what it said, to be fetched for each.

        Of uses that were going on when it was last asked, `unfinished`, is wanted whatever became of them, also if
        they have ended before the span.

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
        If its `harvester` is none of the kinds.
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
    nobody can tell what the complaint is about, and all that is known stays."""


_HEARD: ContextVar[list[Complaint] | None] = ContextVar("heard", default=None)


def complain(sentence: str, uid: str | None = None) -> None:
    """Tell whoever asks this source about something it could not take over."""
    heard = _HEARD.get()
    if heard is not None:
        heard.append(Complaint(sentence, uid))


@contextmanager
def listening() -> Iterator[list[Complaint]]:
    """Collect what is complained of inside the block, in this thread."""
    heard: list[Complaint] = []
    token = _HEARD.set(heard)
    try:
        yield heard
    finally:
        _HEARD.reset(token)
