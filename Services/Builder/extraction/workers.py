"""Extracts files in child processes, so that a bad file costs only its own dataset.

A file that hangs its reader, exhausts the memory or crashes the interpreter ends one child; its dataset becomes one of
type Unknown with a sentence that says so, or keeps the metadata if only the preview was lost. Children ignore the
terminal's Ctrl-C, die with the parent, even a killed one, and are kept for the next file and the next session. They
are forked from one process that has imported what reading takes (`fork_server`), where that can be had.

A child may be under the control of the file it reads. It is confined to one folder of the file store from its first
file on (`reader_sandbox`), writes previews and metadata into a scratch folder, from where the parent takes them,
and its answers are bytes of a declared shape (`wire`).
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType

from Services.Builder.extraction.compiling import COMPILING
from Services.Builder.extraction.fork_server import ForkRefused, ForkServer, ForkServerLost, supported
from Services.Builder.extraction.jobs import Job, TimeLimit, in_common_root, unread
from Services.Builder.extraction.preloading import cache_folder
from Services.Builder.extraction.processes import start_alone
from Services.Builder.extraction.reader import START_SECONDS, FileReader, WorkersUnavailable
from Services.Builder.extraction.reader_sandbox import own_scratch
from Services.Builder.extraction.scratch_folder import remove_abandoned
from Services.Builder.model import Extraction

EXTRACT = "Services.Builder.extraction.workers:extract_job"
_STOP_CHECK_SECONDS = 0.1
"""Interval of checks whether to stop, and of how much memory is taken."""
_MOST_LOSSES = 3
"""Processes to fork from that end one after the other, after which no other is started."""
_MEGABYTE = 1024 * 1024


def extract_job(job: Job) -> Iterator[Extraction]:
    """Extract one file, or draw a contact sheet; runs in a child, whose current folder is its scratch folder."""
    if job.sheet is not None:
        from Services.Builder.extraction.sheets import draw_sheet

        return draw_sheet(job)
    from Services.Builder.extraction.extract import stages
    from Services.Builder.extraction.extractors.profile import NOTHING_KNOWN

    return stages(
        job.path,
        job.preview,
        job.metadata,
        job.companions,
        job.profile or NOTHING_KNOWN,
        job.records,
        root=job.root,
        identities=job.identities,
        scratch=own_scratch(),
        hash_seconds=job.hash_seconds,
        context=job.context,
    )


class Workers:
    """A pool of processes that extract files.

    Parameters
    ----------
    count
        Processes.
    seconds_per_file
        After that long a file is given up and its process ended.
    memory_mb
        Memory that reading one file may take, in MiB, besides what the program itself takes (files that are mapped do
        not count).
    function
        ``module:function`` that takes a `Job` and returns an iterable of extractions, each better than the one before.
    budget_mb
        Memory that all processes together may take, in MiB; None for as much as each may take. When they take more, the
        largest is ended, and its file is read again when no other is.
    forked
        Whether the processes are forked from one that has the libraries; by default where the system can do that.
    """

    def __init__(
        self,
        count: int = 2,
        seconds_per_file: float = 60.0,
        memory_mb: int = 2048,
        function: str = EXTRACT,
        *,
        budget_mb: int | None = None,
        forked: bool | None = None,
    ) -> None:
        self._count, self._seconds, self._function = max(1, count), seconds_per_file, function
        self._memory = memory_mb if budget_mb is None else min(memory_mb, budget_mb)
        self._budget = None if budget_mb is None else budget_mb * _MEGABYTE
        self._children: list[FileReader] = []
        self._forked = supported() if forked is None else forked
        self._server: ForkServer | None = None
        self._losses = 0
        self._compiling = False
        remove_abandoned()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, files: int) -> None:
        """Start what so many files take now: it gets ready while the caller still searches for the files."""
        if self._forked and files:
            self._start_server()
        while not self._forked and len(self._children) < min(self._count, files):
            self._children.append(FileReader(self._memory, partial(start_alone, self._function)))

    def close(self) -> None:
        """End all processes; extracting again starts new ones."""
        for child in self._children:
            child.end()
        self._children.clear()
        self._end_server()

    def extract_all(
        self, jobs: Iterable[Job], stop: Callable[[], bool] = lambda: False, limit: TimeLimit | None = None
    ) -> Generator[Extraction, None, None]:
        """Yield what the files yield, in the order in which they get done.

        When `stop` returns true, the processes are ended within `_STOP_CHECK_SECONDS` and nothing more comes. When the
        time limit is over, all that is left comes at once, as far as it has been read. Raises `WorkersUnavailable` when
        processes cannot be started at all.
        """
        waiting = deque(in_common_root(jobs))
        large: deque[Job] = deque()
        self._compiling = any(job.path.suffix.lower() in COMPILING for job in waiting)
        try:
            while (waiting or large or self._busy()) and not stop():
                if limit is not None and limit.over():
                    yield from self._late(limit, *waiting, *large)
                    return
                while waiting and len(self._busy()) < self._count and self._assigned(waiting[0]):
                    waiting.popleft()
                if large and not waiting and not self._busy() and self._assigned(large[0]):
                    large.popleft()
                yield from self._finished(self._busy())
                large.extend(self._make_room())
        finally:
            # an abandoned file must not come out as an answer to the next caller
            for child in self._busy():
                self._remove(child)

    def children(self) -> list[FileReader]:
        """Return the processes that read files, or wait for some."""
        return list(self._children)

    # -- processes -------------------------------------------------------------------------------------------------

    def _busy(self) -> list[FileReader]:
        return [child for child in self._children if child.job is not None]

    def _assigned(self, job: Job) -> bool:
        """Hand a file to a process; return False where one is not to be had yet."""
        child = self._idle(job.store)
        if child is not None:
            child.assign(job, self._seconds)
        return child is not None

    def _idle(self, store: Path) -> FileReader | None:
        """Return a child that may read the folder; one that has read another may not, and makes room for it."""
        idle = [child for child in self._children if child.job is None]
        for child in idle:
            if not child.alive() or child.store not in (None, store):
                self._remove(child)
        free = next((child for child in idle if child in self._children), None) or self._started()
        if free is not None:
            free.store = store
        return free

    def _started(self) -> FileReader | None:
        """Return a new process; None where the one that it is forked from is not ready yet."""
        if not self._forked:
            child = FileReader(self._memory, partial(start_alone, self._function))
        else:
            server = self._server or self._start_server()
            try:
                if not server.ready(_STOP_CHECK_SECONDS):
                    return None
                if self._compiling:
                    server.fill_caches()
                    self._compiling = False
                child = FileReader(self._memory, server.fork)
            except ForkServerLost as lost:
                self._end_server()
                self._losses += 1
                if self._losses >= _MOST_LOSSES:
                    self._losses = 0
                    raise WorkersUnavailable(reason=lost.facts["reason"]) from lost
                return None
            except ForkRefused:
                self._end_server()
                self._forked = False
                return None
            self._losses = 0
        self._children.append(child)
        return child

    def _start_server(self) -> ForkServer:
        if self._server is None:
            try:
                self._server = ForkServer(self._function, cache_folder(os.environ))
            except OSError as error:
                raise WorkersUnavailable(reason=str(error)) from error
        return self._server

    def _end_server(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _remove(self, child: FileReader) -> None:
        child.end()
        self._children.remove(child)

    # -- results ---------------------------------------------------------------------------------------------------

    def _finished(self, busy: list[FileReader]) -> list[Extraction]:
        # a list: the caller's time with one result must not count as reading time of the others
        soonest = min((child.deadline for child in busy), default=0.0) - time.monotonic()
        ready = wait([child.connection for child in busy], timeout=max(0.0, min(_STOP_CHECK_SECONDS, soonest)))
        news = []
        for child in busy:
            if child.connection in ready:
                finished = child.receive(self._seconds)
            elif time.monotonic() >= child.deadline:
                finished = self._timed_out(child)
            elif what := child.exhausted():
                finished = child.abandon(what)
            else:
                continue
            if finished is not None:
                if child.spent:
                    self._remove(child)
                news.append(finished)
        return news

    def _timed_out(self, child: FileReader) -> Extraction:
        if not child.serving:
            raise WorkersUnavailable(reason=f"one did not start within {START_SECONDS:g} s")
        return child.abandon(f"took longer than {self._seconds:g} s and was given up")

    def _late(self, limit: TimeLimit, *jobs: Job) -> Iterator[Extraction]:
        """Yield what there is of the files that are being read, and that the others were not read."""
        for child in self._busy():
            job, begun = child.job, child.best is not None
            assert job is not None  # noqa: S101 - it is busy
            extraction = replace(child.abandon(f"was not done {limit.sentence}"), in_time=False)
            self._remove(child)
            yield extraction if begun else unread(job, limit)
        for job in jobs:
            yield unread(job, limit)

    def _make_room(self) -> list[Job]:
        """End a process where all together take too much memory; return the file that it was reading, if any."""
        if self._budget is None or sum(child.memory() for child in self._children) <= self._budget:
            return []
        busy = self._busy()
        idle = [child for child in self._children if child not in busy]
        if not idle and len(busy) < 2:  # it has its own limit
            return []
        largest = max(idle or busy, key=FileReader.memory)
        job = largest.job
        self._remove(largest)
        return [] if job is None else [job]
