"""Fetches from a source in a process of its own.

A calendar is untrusted text in a foreign reader. However much memory and time it takes, it costs one process,
which can be ended at any moment; and what one calendar defines (time zones) stays unknown to the next.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import signal
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection

from NexusCore.errors import NexusError
from NexusCore.facility import Instrument, Reservation
from Services.Harvester.sources import Complaint, SharedSource, Source, collect_complaints

KILL_SECONDS = 1.0
"""How long a process that was killed may take to be gone."""


class TooSlow(NexusError):
    """The calendar of {instrument} was not read within {seconds:g} s, the limit in Services.Harvester.time_limit."""


class TooLarge(NexusError):
    """The calendar of {instrument} needs more than {megabytes} MB, the limit in Services.Harvester.memory_limit."""


class ReaderCrashed(NexusError):
    """Reading the calendar of {instrument} crashed its process ({how})."""


class ReaderFailed(NexusError):
    """Reading the calendar of {instrument} failed ({error})."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one fetch."""

    seconds: float
    megabytes: int


@dataclass(frozen=True, slots=True)
class FetchWindow:
    """The span of time to fetch."""

    start: datetime
    end: datetime


@dataclass(slots=True)
class FetchRequest:
    """What is to be asked of one server."""

    source: Source | SharedSource
    """The server; see `Source.fetch`, `SharedSource.ask`."""
    instruments: list[Instrument]
    """Whose calendars it is asked for: several only where they share a server."""
    unfinished: set[str]
    """UIDs of uses that were unfinished at the last fetch; see `SharedSource.ask`."""


@dataclass(frozen=True, slots=True)
class FetchResult:
    """Answer of a source."""

    reservations: tuple[Reservation, ...] = ()
    complaints: tuple[Complaint, ...] = ()
    failure: str | None = None
    """A sentence, if there is nothing else."""
    traceback: str | None = None
    """Of an unexpected failure."""


class FetchProcess:
    """A running fetch from a source.

    Parameters
    ----------
    request
        The query and its server.
    window
        The span to fetch.
    bounds
        Its limits.
    now
        Seconds of a monotonic clock.
    """

    def __init__(self, request: FetchRequest, window: FetchWindow, bounds: Bounds, now: float) -> None:
        self.request = request
        self.window = window
        self.begun = now
        self._bounds = bounds
        # A fork would take over the threads' locks and the connections to the database.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_fetch_all,
            args=(theirs, request, window, bounds),
            name=f"ask {request.instruments[0].pid}",
            daemon=True,
        )
        self._process.start()
        theirs.close()

    def answers(self, now: float) -> Mapping[str, FetchResult] | None:
        """Return the answers by pid, None while there are none yet; never waits for them."""
        if self.connection.poll():
            try:
                answers: Mapping[str, FetchResult] = self.connection.recv()
            except (EOFError, OSError):
                answers = self._all_failed(self._crashed())
            return answers
        if now < self.begun + self._bounds.seconds:
            return None
        return self._all_failed(self._too_slow)

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join(KILL_SECONDS)
        self.connection.close()
        with contextlib.suppress(ValueError):  # in the kernel's hands; reaped later
            self._process.close()

    def _all_failed(self, error: Callable[[str], NexusError]) -> Mapping[str, FetchResult]:
        pids = [instrument.pid for instrument in self.request.instruments]
        return {pid: FetchResult(failure=str(error(pid))) for pid in pids}

    def _too_slow(self, pid: str) -> NexusError:
        return TooSlow(instrument=pid, seconds=self._bounds.seconds)

    def _crashed(self) -> Callable[[str], NexusError]:
        self._process.join(KILL_SECONDS)
        code = self._process.exitcode or 0
        if code == -signal.SIGALRM:
            return self._too_slow
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return lambda pid: ReaderCrashed(instrument=pid, how=how)


# -- in the child ---------------------------------------------------------------------------------------------------


def _fetch_all(connection: Connection, request: FetchRequest, window: FetchWindow, bounds: Bounds) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):  # what the terminal sends is the parent's business
        signal.signal(number, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # libraries talk to programmers; what people need to know is a complaint
    signal.alarm(math.ceil(bounds.seconds) + 1)  # ends the process even when the parent is gone
    source, instruments = request.source, request.instruments
    # Made now: there may be no memory for it later.
    pids = [instrument.pid for instrument in instruments]
    too_large = {pid: FetchResult(failure=str(TooLarge(instrument=pid, megabytes=bounds.megabytes))) for pid in pids}
    _limit_memory(bounds.megabytes)
    try:
        if isinstance(source, SharedSource):
            source = source.ask(instruments, window.start, window.end, request.unfinished)
    except MemoryError:
        answers = too_large
    except Exception as error:  # noqa: BLE001  a process's edge; the parent records it
        answers = {instrument.pid: _failure(error, instrument) for instrument in instruments}
    else:
        answers = {
            instrument.pid: _answer(source, instrument, window) or too_large[instrument.pid]
            for instrument in instruments
        }
    connection.send(answers)


def _answer(source: Source, instrument: Instrument, window: FetchWindow) -> FetchResult | None:
    """Return what a source says of an instrument; None if memory ran out."""
    try:
        with collect_complaints() as complaints:
            reservations = source.fetch(instrument, window.start, window.end)
        return FetchResult(tuple(reservations), tuple(complaints))
    except MemoryError:
        return None
    except Exception as error:  # noqa: BLE001  a process's edge; the parent records it
        return _failure(error, instrument)


def _failure(error: Exception, instrument: Instrument) -> FetchResult:
    if isinstance(error, NexusError):
        return FetchResult(failure=str(error))
    failure = ReaderFailed(instrument=instrument.pid, error=f"{type(error).__name__}: {error}"[:300])
    return FetchResult(failure=str(failure), traceback="".join(traceback.format_exception(error)))


def _limit_memory(megabytes: int) -> None:
    import resource

    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = megabytes * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
