"""When each file of the session is written: five bursts of work with pauses between them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

SETTLING = timedelta(minutes=3)
"""From the start of the session to the first file, and from the last file to its end."""
PAUSES = (12.0, 22.0, 15.0, 19.0)
"""Minutes between the last file of a burst and the first of the next (other detector, other area)."""
BETWEEN_FILES = (6.0, 55.0)
"""Shortest and longest time between two files of a burst, in seconds."""
ABORTED = timedelta(seconds=3)
"""From a file to the damaged one after it."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One press of the operator's button: which file it leaves, and when."""

    path: Path
    when: datetime
    """Aware; its time zone is the one the instrument's clock is set to."""
    seed: int
    """Of the session: all files of a session show the same specimen."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A file of the plan."""

    name: str
    """Path inside the sample's folder, with forward slashes."""
    write: Callable[[Shot], None]
    """Writes the file."""
    companions: tuple[str, ...] = ()
    """Suffixes of the files that `write` leaves beside it for the same dataset (``.raw``)."""
    corrupt: bool = False
    """Left half-written; part of the session only when asked for."""


def schedule(counts: Sequence[int], start: datetime, seed: int) -> tuple[tuple[datetime, ...], ...]:
    """Draw the time of each file, to the second: `counts[i]` of them in burst i.

    Parameters
    ----------
    counts
        Files of each burst; one more burst than there are `PAUSES`.
    start
        Start of the session, aware.
    seed
        The same seed gives the same intervals.
    """
    draw = random.Random(seed)  # noqa: S311  intervals between files need not be secret
    pauses = [0.0] + [minutes * 60 + draw.uniform(-30, 30) for minutes in PAUSES]
    now = start.replace(microsecond=0) + SETTLING
    bursts = []
    for count, pause in zip(counts, pauses, strict=True):
        now += timedelta(seconds=round(pause))
        times = [now]
        for _ in range(count - 1):
            now += timedelta(seconds=round(draw.uniform(*BETWEEN_FILES)))
            times.append(now)
        bursts.append(tuple(times))
    return tuple(bursts)
