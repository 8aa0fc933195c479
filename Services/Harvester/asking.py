"""Asks a source in a process of its own.

A calendar is strangers' text in a foreign reader. Whatever it makes of the memory and the time, it costs one process,
which can be ended at any moment; and what one calendar defines (time zones) stays unknown to the next.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import signal
import traceback
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection

from NexusCore.errors import NexusError
from NexusCore.facility import Instrument, Reservation
from Services.Harvester.sources import Complaint, Source, listening

END_SECONDS = 1.0
"""How long a process that was killed may take to be gone."""


class TooSlow(NexusError):
    """The calendar of {instrument} was not read within {seconds:g} s."""


class TooLarge(NexusError):
    """The calendar of {instrument} needs more than {megabytes} MB of memory to be read."""


class ReaderCrashed(NexusError):
    """Reading the calendar of {instrument} ended the process that does it ({how})."""


class ReaderFailed(NexusError):
    """Reading the calendar of {instrument} failed ({error})."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one question may cost."""

    seconds: float
    megabytes: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source said."""

    reservations: tuple[Reservation, ...] = ()
    complaints: tuple[Complaint, ...] = ()
    failure: str | None = None
    """A sentence, if there is nothing else."""
    traceback: str | None = None
    """Of a failure that nobody foresaw."""


class Asking:
    """One question to a source, under way.

    Parameters
    ----------
    source, instrument, start, end
        Who is asked about what; see `Source.fetch`.
    bounds
        What it may cost.
    now
        Seconds of a monotonic clock.
    """

    def __init__(
        self, source: Source, instrument: Instrument, start: datetime, end: datetime, bounds: Bounds, now: float
    ) -> None:
        self.instrument = instrument
        self.source = source
        self._bounds = bounds
        self._deadline = now + bounds.seconds
        # A fork would take over the threads' locks and the connections to the database.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_ask,
            args=(theirs, source, instrument, start, end, bounds),
            name=f"ask {instrument.pid}",
            daemon=True,
        )
        self._process.start()
        theirs.close()

    def answer(self, now: float) -> Answer | None:
        """Return the answer, None while there is none yet; never waits for one."""
        if self.connection.poll():
            try:
                answer: Answer = self.connection.recv()
            except (EOFError, OSError):
                answer = Answer(failure=str(self._crashed()))
            return answer
        if now < self._deadline:
            return None
        return Answer(failure=str(TooSlow(instrument=self.instrument.pid, seconds=self._bounds.seconds)))

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join(END_SECONDS)
        self.connection.close()
        with contextlib.suppress(ValueError):  # in the kernel's hands; reaped later
            self._process.close()

    def _crashed(self) -> NexusError:
        self._process.join(END_SECONDS)
        code = self._process.exitcode or 0
        if code == -signal.SIGALRM:
            return TooSlow(instrument=self.instrument.pid, seconds=self._bounds.seconds)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return ReaderCrashed(instrument=self.instrument.pid, how=how)


# -- in the child ---------------------------------------------------------------------------------------------------


def _ask(
    connection: Connection, source: Source, instrument: Instrument, start: datetime, end: datetime, bounds: Bounds
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the parent's business
    signal.alarm(math.ceil(bounds.seconds) + 1)  # ends the process even when the parent is gone
    too_large = Answer(failure=str(TooLarge(instrument=instrument.pid, megabytes=bounds.megabytes)))
    _limit_memory(bounds.megabytes)
    try:
        with listening() as complaints:
            found = source.fetch(instrument, start, end)
        answer = Answer(tuple(found), tuple(complaints))
    except NexusError as error:
        answer = Answer(failure=str(error))
    except MemoryError:
        answer = too_large  # there may be no memory to make it now
    except Exception as error:  # noqa: BLE001  a process's edge; the parent records it
        failure = ReaderFailed(instrument=instrument.pid, error=f"{type(error).__name__}: {error}"[:300])
        answer = Answer(failure=str(failure), traceback=traceback.format_exc())
    connection.send(answer)


def _limit_memory(megabytes: int) -> None:
    import resource

    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = megabytes * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
