"""A file to extract, as the Builder, its cache and the processes that read files hand it on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from Services.Builder.extraction.context import NO_CONTEXT, ReadingContext
from Services.Builder.model import ContactSheet, Extraction, Identity

if TYPE_CHECKING:
    from Services.Builder.extraction.extractors.profile import Profile


ReadFunction = Callable[["Job"], Iterable[Extraction]]
"""Takes a job and yields extractions, each better than the one before."""
HASH_SECONDS = 3600.0
"""Seconds that the SHA-256 of one dataset may take, where nothing else is set."""


@dataclass(frozen=True, slots=True)
class Job:
    """A file to extract, and where its preview and metadata go."""

    path: Path
    preview: Path | None = None
    metadata: Path | None = None
    companions: tuple[Path, ...] = ()
    profile: Profile | None = None
    """Corrections for the files of the instrument; None for none."""
    records: Path | None = None
    """Folder that preview and metadata go below, over no links; None for those that they are in."""
    root: Path | None = None
    """Folder of the file store that the process may read; None for the file's own."""
    identities: tuple[Identity | None, ...] = ()
    """Of the file and its companions, as the search saw them; empty where they cannot be compared."""
    hash_seconds: float = HASH_SECONDS
    """Time for the SHA-256 of all files, besides that for reading the file."""
    context: ReadingContext = NO_CONTEXT
    """What is known of it besides the file."""
    sheet: ContactSheet | None = None
    """A contact sheet to draw as the preview, in place of reading the file."""

    @property
    def store(self) -> Path:
        """The folder that the process may read."""
        return self.path.parent if self.root is None else self.root


def in_common_root(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs, those without a `root` with the folder that all of these lie in: a process is for one folder."""
    jobs = list(jobs)
    rootless = [job for job in jobs if job.root is None]
    common = Path(os.path.commonpath([job.path.absolute().parent for job in rootless])) if rootless else Path()
    if common == Path(common.anchor):
        return jobs
    return [replace(job, root=common) if job.root is None else job for job in jobs]


def unknown(job: Job, warning: str) -> Extraction:
    """Return the extraction of a file of which nothing is known but that reading it failed."""
    return Extraction(job.path, "unknown", "Unknown", "Unknown", warnings=(warning,), whole=False)


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """A limit on the time for all files of a session."""

    seconds: float
    ends: float
    """When it is over, by `time.monotonic`."""

    @classmethod
    def of(cls, seconds: float) -> TimeLimit:
        """Return a limit that begins now."""
        return cls(seconds, time.monotonic() + seconds)

    def over(self) -> bool:
        """Return whether no time is left."""
        return time.monotonic() >= self.ends

    @property
    def sentence(self) -> str:
        """How a sentence ends that says what was not done in time."""
        return f"within {self.seconds:,g} s, the time for all files of a session"


def unread(job: Job, limit: TimeLimit) -> Extraction:
    """Return the extraction of a file that there was no time for."""
    return replace(unknown(job, f"Not read {limit.sentence}."), in_time=False)
