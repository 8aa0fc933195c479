"""The times of a session's files, where they are those of the PC's clock, and that clock was wrong.

A file server stamps files with its own clock. Files that the PC stamps itself, or that were copied with their times,
have the times of the PC's clock; a PC that is ten minutes slow then seems to have written the first ten minutes of a
session before it.

With each event the Gateway stores how far the PC's clock was ahead (`clock_offset`), and it corrects the time of the
event by exactly that, unless it is within its tolerance. So the two together are what the PC's clock showed at the
event, to the microsecond, however long the request took: a session's files are those with times from what the clock
showed at START to what it showed at END. Of two sessions in a row both ends are by the same clock, so no file is lost
between them, and none is in both. That is why neither a mean nor a median is taken: it would move both ends by its
error.

Between two events the offset is interpolated, as a clock drifts. If the clock was set meanwhile (more than `STEP`), it
is not known when: each file then has the offset that fits. If it was set back, a time may be that of a file from before
or after, and the window is as wide as both allow; `FileTimes.sentences` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from NexusCore.clock import EARLIEST, LATEST, SECOND
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.errors import EXIT_USAGE, NexusError
from NexusCore.facility.instruments import INSTRUMENTS_FOLDER
from NexusCore.facility.session import Event, Session

SERVER, PC = "server", "pc"
"""Whose clock the times of an instrument's files are by: `Instruments.<pid>.file_times`."""
CLOCK_TOLERANCE = 2.0
"""Default of `Services.Gateway.clock_tolerance`: seconds up to which the time of an event is not corrected."""
STEP = 30 * SECOND
"""Microseconds: a clock drifts by seconds in a day; one that moved further between two events was set."""


class NoSuchFileTimes(NexusError):
    """{path} is '{value}', which is not a clock that files may be dated by; use 'server' or 'pc'. To correct it:
    ConfigTool {path}=server
    """  # noqa: D205, D400  the docstring is the message

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What a PC's clock showed at one moment."""

    ts: int
    """The moment, by the facility's clock; microseconds since the epoch, UTC."""
    offset: int
    """Microseconds that the PC's clock was ahead."""

    @property
    def shown(self) -> int:
        """What the PC's clock showed."""
        return self.ts + self.offset


@dataclass(frozen=True, slots=True)
class FileTimes:
    """How the times of a session's files are to be read. All times are microseconds since the epoch, UTC."""

    readings: tuple[ClockReading, ...] = ()
    """In order of time, the first at the session's start, the last at its end; none if file times are right."""
    measured: bool = True
    """False if the file times are the PC's, but its clock was never measured."""

    @classmethod
    def by_pc(cls, events: Sequence[Event], start_ts: int, end_ts: int, tolerance: int) -> FileTimes:
        """Return how to read the times of files that have the times of the PC.

        Parameters
        ----------
        events
            The session's. Those of other computers than that of the first measured one do not count, nor those whose
            offset was not measured.
        start_ts, end_ts
            The session's times.
        tolerance
            Microseconds; the time of an event whose offset is within it was not corrected, and is the PC's own.
        """
        readings = sorted(_readings(events, start_ts, end_ts, tolerance), key=lambda reading: reading.ts)
        if not readings:
            return cls(measured=False)
        first = ClockReading(start_ts, readings[0].offset)
        last = ClockReading(end_ts, readings[-1].offset)
        return cls((first, *(one for one in readings if start_ts < one.ts < end_ts), last))

    @property
    def corrects(self) -> bool:
        """Whether any time is corrected."""
        return any(reading.offset for reading in self.readings)

    @property
    def was_set_back(self) -> bool:
        """Whether the clock was set back during the session, so that its times are not unique."""
        return any(_set_back(*pair) for pair in pairwise(self.readings))

    def window(self, start_ts: int, end_ts: int) -> tuple[int, int]:
        """Return the times that files of the session have: from its start to its end, as the PC's clock showed them."""
        if not self.readings:
            return start_ts, end_ts
        firsts, lasts = [self.readings[0].shown], [self.readings[-1].shown]
        for before, after in pairwise(self.readings):
            if _set_back(before, after):
                firsts.append(before.ts + after.offset)
                lasts.append(after.ts + before.offset)
        return max(min(firsts), EARLIEST), min(max(lasts), LATEST - 1)

    def corrected(self, shown: int) -> int:
        """Return the time of a file by the facility's clock, given the one by the PC's."""
        if not self.corrects:
            return shown
        candidates = [moment for pair in pairwise(self.readings) for moment in _moments(shown, *pair)]
        if candidates:
            return min(candidates)[1]
        nearest = min(self.readings, key=lambda reading: abs(reading.shown - shown))
        return shown - nearest.offset

    def now(self, ts: int) -> int:
        """Return what the PC's clock shows at a time after the session."""
        shown = ts + self.readings[-1].offset if self.readings else ts
        return min(max(shown, EARLIEST), LATEST - 1)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a person should know about the times of the files."""
        return tuple(self._sentences())

    def _sentences(self) -> Iterator[str]:
        if not self.measured:
            yield "The times of the files are those of the PC, whose clock was not measured; they are not corrected."
        elif self.corrects:
            offsets = sorted(reading.offset for reading in self.readings)
            wrong = " to ".join(dict.fromkeys((_wrong_by(offsets[0]), _wrong_by(offsets[-1]))))
            yield f"The times of the files are those of the PC, whose clock was {wrong}; they are corrected."
        if self.was_set_back:
            yield (
                "The clock of the PC was set back during the session: "
                "its files may include some that were written shortly before or after it."
            )


RIGHT = FileTimes()
"""The times of the files are right."""


def file_times(
    config: ReadOnlyConfiguration, session: Session, events: Callable[[Session], Sequence[Event]], until_ts: int
) -> FileTimes:
    """Return how the times of a session's files are to be read.

    Parameters
    ----------
    config
        Says whose clock the times are by.
    session
        The session.
    events
        Returns the events of a session; called only if they matter.
    until_ts
        The end of the session; of an open one, until when files count.

    Raises
    ------
    NoSuchFileTimes
        If `Instruments.<pid>.file_times` has no such value.
    """
    path = f"{INSTRUMENTS_FOLDER}.{session.instrument}.file_times"
    clock = str(config[path] or "").strip().lower() or SERVER
    if clock not in (SERVER, PC):
        raise NoSuchFileTimes(path=path, value=config[path])
    if clock == SERVER:
        return RIGHT
    stored = config["Services.Gateway.clock_tolerance"]
    tolerance = float(stored) if isinstance(stored, (int, float)) else CLOCK_TOLERANCE
    return FileTimes.by_pc(events(session), session.start_ts, until_ts, int(tolerance * SECOND))


def _readings(events: Sequence[Event], start_ts: int, end_ts: int, tolerance: int) -> Iterator[ClockReading]:
    host: str | None = None
    for event in events:
        if event.clock_offset is None or event.odd or host not in (None, event.host):
            continue
        host = event.host
        offset = event.clock_offset if abs(event.clock_offset) > tolerance else 0
        if start_ts <= event.ts <= end_ts:
            yield ClockReading(event.ts, offset)


def _set_back(before: ClockReading, after: ClockReading) -> bool:
    return before.offset - after.offset > STEP


def _moments(shown: int, before: ClockReading, after: ClockReading) -> Iterator[tuple[int, int]]:
    """Yield when, between two readings, the PC's clock may have shown a time; each after what speaks against it.

    That is 0 for a clock that drifts. For one that was set, it is the time to the reading with that offset.
    """
    if abs(before.offset - after.offset) <= STEP:
        if before.shown <= shown <= after.shown:
            length = max(1, after.shown - before.shown)
            offset = before.offset + (after.offset - before.offset) * (shown - before.shown) // length
            yield 0, shown - offset
        return
    for reading in (before, after):
        moment = shown - reading.offset
        if before.ts <= moment <= after.ts:
            yield abs(moment - reading.ts), moment


def _wrong_by(offset: int) -> str:
    seconds = round(abs(offset) / SECOND, 1)
    return f"{seconds:,.1f} s {'fast' if offset > 0 else 'slow'}" if seconds else "right"
