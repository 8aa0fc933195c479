"""A sample session: the files that an hour and a half at a 200 kV transmission microscope leave, made from scratch.

For demonstrations, tests and trying an installation out, where no instrument's files are available. The sample is a
layered battery cathode, NMC811; lattice spacings, line energies and edges are those of the real material, and all
metadata says the same as the images do.

>>> session = make_session(folder, datetime(2026, 11, 20, 9, 0, tzinfo=UTC))    # doctest: +SKIP
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from NexusCore.errors import EXIT_REFUSED, EXIT_USAGE, NexusError
from Services.Builder.sample.plan import ABORTED, SETTLING, Shot, schedule

__all__ = ["NaiveStart", "NegativeSeed", "SampleExists", "SampleSession", "make_session"]


class SampleExists(NexusError):
    """There already is a sample session in {path}. Choose another folder or another seed."""

    exit_code = EXIT_REFUSED


class NaiveStart(NexusError):
    """The start {start} of the sample session has no time zone. Give one, as in 2026-11-20T09:00+01:00."""

    exit_code = EXIT_USAGE


class NegativeSeed(NexusError):
    """The seed {seed} of the sample session is negative. Use 0 or more."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True)
class SampleSession:
    """What was made."""

    files: tuple[Path, ...]
    """Every file, in order of time."""
    bursts: tuple[tuple[Path, ...], ...]
    """The same files by activity: survey, X-rays, energy losses, diffraction, last images and notes."""
    start: datetime
    end: datetime
    """When the operator ends the session, some minutes after the last file."""
    corrupt: tuple[Path, ...] = ()
    """Those of the files that no reader can read."""


def make_session(folder: Path, start: datetime, *, seed: int = 1, corrupt: bool = False) -> SampleSession:
    """Write the files of a session below `folder` and set their modification times.

    Parameters
    ----------
    folder
        The instrument's folder; made if missing. The files go into a folder named after the sample, whose number
        grows with the seed, so that several sessions find room beside each other.
    start
        Start of the session, aware. Its time zone is the one the instrument's clock is set to: files that hold no
        zone hold this wall-clock time.
    seed
        The same seed gives the same images, spectra and intervals.
    corrupt
        Add a damaged file among the good ones, which stay as they are without it.

    Raises
    ------
    SampleExists, NaiveStart, NegativeSeed
        Nothing is written then.
    """
    if start.tzinfo is None:
        raise NaiveStart(start=start.isoformat())
    if seed < 0:
        raise NegativeSeed(seed=seed)
    # NumPy and the writers take half a second to load: help and refusals must not wait for them.
    from Services.Builder.sample.microscope import sample_name
    from Services.Builder.sample.session import BURSTS

    sample = folder / sample_name(seed)
    if sample.exists():
        raise SampleExists(path=sample)
    times = schedule([sum(not file.corrupt for file in burst) for burst in BURSTS], start, seed)
    bursts: list[tuple[Path, ...]] = []
    damaged: list[Path] = []
    for planned, file_times in zip(BURSTS, times, strict=True):
        burst: list[Path] = []
        clock, when = iter(file_times), file_times[0]
        for file in planned:
            if file.corrupt and not corrupt:
                continue
            when = when + ABORTED if file.corrupt else next(clock)
            path = sample / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            file.write(Shot(path, when, seed))
            written = [path, *(path.with_suffix(suffix) for suffix in file.companions)]
            for member in written:
                os.utime(member, (when.timestamp(), when.timestamp()))
            burst += written
            damaged += written if file.corrupt else ()
        bursts.append(tuple(burst))
    files = tuple(path for burst in bursts for path in burst)
    return SampleSession(files, tuple(bursts), start, times[-1][-1] + SETTLING, tuple(damaged))
