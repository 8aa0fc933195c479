"""A limit on the processor time that reading a file takes: a small file that keeps its reader busy is given up early.

A damaged file can send a library into a loop without end (one of HDF5 does, whose heap was overwritten with zeros). The
time on the clock says little of that: on a busy machine, or from a slow file store, a whole file takes long, too.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from NexusCore.facility.record_page.content import size_text
from Services.Builder.extraction.compiling import COMPILING, is_filled
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.preloading import cache_folder

LEAST_SECONDS = 10.0
"""Processor time that any file may take until the next answer about it; one of 1 MB takes less than a second."""
SHARE = 1 / 6
"""That time as a part of the file's time on the clock, where this is more: who grants more has slow machines."""
SECONDS_PER_MEGABYTE = 1.0
"""Processor time that each megabyte may take besides."""
COMPILING_SECONDS = 20.0
"""Processor time for what some readers compile where nothing has compiled it before (`compiling`)."""
COMPILED_EACH_TIME = (".pts", ".tvips")
"""Extensions of files whose reader compiles functions in each process, which takes it 5 s."""
_MEGABYTE = 1_000_000
_USER_TIME, _SYSTEM_TIME = 11, 12
"""Places in ``/proc/<pid>/stat`` behind the program's name: fields 14 and 15 of proc(5)."""


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """What a process may take from now on until its next answer."""

    pid: int
    begun: float
    """Processor time of the process when its time began, in seconds."""
    seconds: float
    """Processor time that it may take."""
    size: int
    """Bytes of the dataset."""

    @classmethod
    def of(cls, job: Job, pid: int, seconds: float) -> ProcessorTime | None:
        """Return an allowance that begins now; None where a file's size does not tell what it takes.

        Parameters
        ----------
        job
            The file.
        pid
            The process that reads it.
        seconds
            The file's time on the clock.
        """
        size = _size(job)
        if size is None:
            return None
        allowed = max(LEAST_SECONDS, SHARE * seconds) + SECONDS_PER_MEGABYTE * size / _MEGABYTE
        if _compiles(job.path.suffix.lower()):
            allowed += COMPILING_SECONDS
        return cls(pid, processor_seconds(pid), allowed, size)

    def again(self) -> ProcessorTime:
        """Return the same allowance, from now on."""
        return ProcessorTime(self.pid, processor_seconds(self.pid), self.seconds, self.size)

    def used_up(self) -> bool:
        """Return whether the process has taken more."""
        return processor_seconds(self.pid) - self.begun > self.seconds

    @property
    def sentence(self) -> str:
        """How a sentence goes on that says what was given up."""
        return (
            f"took more than {self.seconds:.0f} s of processor time, too much for {size_text(self.size)}, "
            "and was given up; the file may be damaged"
        )


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has taken with all its threads; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0


def _compiles(extension: str) -> bool:
    return extension in COMPILED_EACH_TIME or (extension in COMPILING and not is_filled(cache_folder(os.environ)))


def _size(job: Job) -> int | None:
    """Return the bytes of the dataset; None for a folder, a contact sheet, and what cannot be looked at."""
    if job.sheet is not None:
        return None
    try:
        states = [path.stat() for path in (job.path, *job.companions)]
    except OSError:
        return None
    return sum(state.st_size for state in states) if all(stat.S_ISREG(state.st_mode) for state in states) else None
