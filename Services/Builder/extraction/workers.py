"""Extracts files in child processes, so that a bad file costs only its own dataset.

A file that hangs its reader, exhausts the memory or crashes the interpreter ends one child; its dataset becomes one of
type Unknown with a sentence that says so, or keeps the metadata if only the preview was lost. Children ignore the
terminal's Ctrl-C, die with the parent, even a killed one, and are kept for the next file and the next session.

A child may be under the control of the file it reads. It is confined to one folder of the file store from its first
file on (`reader_sandbox`), writes previews and metadata into a scratch folder, from where the parent takes them,
and its answers are bytes of a declared shape (`wire`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from multiprocessing.connection import Pipe, wait
from pathlib import Path
from types import TracebackType
from typing import IO

from msgspec import MsgspecError

from NexusCore.errors import NexusError
from Services.Builder.extraction import wire
from Services.Builder.extraction.jobs import Job, in_common_root, unknown
from Services.Builder.extraction.reader_sandbox import environment, own_scratch
from Services.Builder.extraction.scratch import Scratch
from Services.Builder.extraction.scratch_folder import remove_abandoned
from Services.Builder.model import Extraction

EXTRACT = "Services.Builder.extraction.workers:extract_job"
START_SECONDS = 60.0
"""Time limit for a child to begin to serve."""
HASHING_GRACE = 10.0
"""Seconds that a child has beyond those for hashing: it keeps that time itself, and then still answers."""
_STOP_CHECK_SECONDS = 0.1
"""Interval of checks whether to stop."""
_CHILD = (
    "from Services.Builder.extraction.reading_process import serve; serve({conn}, {lifeline}, {memory}, {function!r})"
)


class WorkersUnavailable(NexusError):
    """The processes that read instrument files do not start: {reason}."""


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
        Memory that one process may allocate, in MB (files that are mapped do not count).
    function
        ``module:function`` that takes a `Job` and returns an iterable of extractions, each better than the one before.
    """

    def __init__(
        self, count: int = 2, seconds_per_file: float = 60.0, memory_mb: int = 2048, function: str = EXTRACT
    ) -> None:
        self._count, self._seconds, self._memory, self._function = max(1, count), seconds_per_file, memory_mb, function
        self._children: list[_Child] = []
        remove_abandoned()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, files: int) -> None:
        """Start the processes for so many files now: they get ready while the caller still searches for the files."""
        while len(self._children) < min(self._count, files):
            self._children.append(_Child(self._memory, self._function))

    def close(self) -> None:
        """End all processes; extracting again starts new ones."""
        for child in self._children:
            child.end()
        self._children.clear()

    def extract_all(
        self, jobs: Iterable[Job], stop: Callable[[], bool] = lambda: False
    ) -> Generator[Extraction, None, None]:
        """Yield what the files yield, in the order in which they get done.

        When `stop` returns true, the processes are ended within `_STOP_CHECK_SECONDS` and nothing more comes. Raises
        `WorkersUnavailable` when processes cannot be started at all.
        """
        waiting, exhausted = iter(in_common_root(jobs)), False
        try:
            while not stop():
                while not exhausted and sum(child.job is not None for child in self._children) < self._count:
                    if (job := next(waiting, None)) is None:
                        exhausted = True
                    else:
                        self._idle(job.store).assign(job, self._seconds)
                busy = [child for child in self._children if child.job is not None]
                if not busy and exhausted:
                    return
                yield from self._finished(busy)
        finally:
            # an abandoned file must not come out as an answer to the next caller
            for child in [child for child in self._children if child.job is not None]:
                self._remove(child)

    def _idle(self, store: Path) -> _Child:
        """Return a child that may read the folder; one that has read another may not, and makes room for it."""
        idle = [child for child in self._children if child.job is None]
        for child in idle:
            if not child.alive() or child.store not in (None, store):
                self._remove(child)
        free = next((child for child in idle if child in self._children), None)
        if free is None:
            free = _Child(self._memory, self._function)
            self._children.append(free)
        free.store = store
        return free

    def _finished(self, busy: list[_Child]) -> list[Extraction]:
        # a list: the caller's time with one result must not count as reading time of the others
        soonest = min((child.deadline for child in busy), default=0.0) - time.monotonic()
        ready = wait([child.connection for child in busy], timeout=max(0.0, min(_STOP_CHECK_SECONDS, soonest)))
        news = []
        for child in busy:
            if child.connection in ready:
                finished = child.receive(self._seconds)
            elif time.monotonic() >= child.deadline:
                finished = self._timed_out(child)
            else:
                continue
            if finished is not None:
                if child.spent:
                    self._remove(child)
                news.append(finished)
        return news

    def _timed_out(self, child: _Child) -> Extraction:
        if not child.serving:
            raise WorkersUnavailable(reason=f"one did not start within {START_SECONDS:g} s")
        return child.abandon(f"took longer than {self._seconds:g} s and was given up")

    def _remove(self, child: _Child) -> None:
        child.end()
        self._children.remove(child)


class _Child:
    """One process, as the parent sees it."""

    def __init__(self, memory_mb: int, function: str) -> None:
        self.job: Job | None = None
        self.best: Extraction | None = None
        self.serving = self.spent = False
        self.store: Path | None = None
        """What it may read of the file store; None as long as it has read nothing."""
        self.deadline = time.monotonic() + START_SECONDS
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._scratch = Scratch()
        self.connection, theirs = Pipe()
        reading, writing = os.pipe()
        self._lifeline = os.fdopen(writing, "wb", 0)  # a file, since closing a number twice may close somebody else's
        code = _CHILD.format(conn=theirs.fileno(), lifeline=reading, memory=memory_mb, function=function)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, with code of this module
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(theirs.fileno(), reading),
                cwd=self._scratch.folder,
                env=environment(os.environ, self._scratch.folder),
                start_new_session=True,  # the terminal's Ctrl-C is the parent's business
            )
        except BaseException as error:
            for one in (self.connection, self._lifeline, self._errors):
                one.close()
            self._scratch.remove()
            if isinstance(error, OSError):
                raise WorkersUnavailable(reason=str(error)) from error
            raise
        finally:
            theirs.close()
            os.close(reading)

    def alive(self) -> bool:
        """Return whether the process still runs."""
        return self._process.poll() is None

    def assign(self, job: Job, seconds: float) -> None:
        """Hand out a file. A child that just ended takes it, too; `receive` will notice."""
        self.job, self.best = job, None
        if self.serving:
            self.deadline = time.monotonic() + seconds
            with contextlib.suppress(OSError):
                self.connection.send(self._scratch.job(job))

    def receive(self, seconds: float) -> Extraction | None:
        """Take a message; return the extraction when it is the file's last."""
        assert self.job is not None  # noqa: S101 - only those that work are listened to
        try:
            message = self.connection.recv_bytes(wire.LONGEST_REPLY)
            if message == wire.SERVING:  # now the file's time runs
                self.serving = True
                self.assign(self.job, seconds)
                return None
            answer = wire.decode_reply(message)
        except (OSError, EOFError):
            return self._crashed()
        except MsgspecError:
            return self.abandon("gave no valid answer")
        if answer.extraction.hashing and not (self.best and self.best.hashing):  # once for each file
            seconds = self.job.hash_seconds + HASHING_GRACE
            self.deadline = max(self.deadline, time.monotonic() + seconds)
        hashing = not answer.last and (answer.extraction.hashing or bool(self.best and self.best.hashing))
        self.best, self.spent = replace(answer.extraction, hashing=hashing), answer.spent
        return self._done() if answer.last else None

    def abandon(self, what: str) -> Extraction:
        """Return what was read of the file before its process was lost."""
        assert self.job is not None  # noqa: S101 - as above
        self.spent = True
        if self.best is not None and self.best.hashing:
            warning = "The SHA-256 is missing: the process that takes it gave no answer in time or was lost."
            self.best = replace(self.best, warnings=(*self.best.warnings, warning), whole=False, hashing=False)
        elif self.best is not None:
            missing = "The preview is missing: drawing it" if self.best.preview is None else "Reading it to its end"
            warnings = (*self.best.warnings, f"{missing} {what}.")
            self.best = replace(self.best, warnings=warnings, whole=False)
        else:
            self.best = unknown(self.job, f"Reading the file {what}.")
        return self._done()

    def _done(self) -> Extraction:
        assert self.best is not None  # noqa: S101 - set by every caller
        done, job, self.job, self.best = self.best, self.job, None, None
        assert job is not None  # noqa: S101 - as above
        return self._scratch.deliver(done, job)

    def _crashed(self) -> Extraction:
        code = self._ended()
        if not self.serving:
            raise WorkersUnavailable(reason=self._last_error_line() or f"one ended with exit code {code}")
        if code == -signal.SIGKILL:
            return self.abandon("was ended by the system, usually for lack of memory")
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return self.abandon(f"crashed the program that does it ({cause})")

    def _ended(self) -> int:
        try:
            return self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:  # it closed the connection and lives on
            self._process.kill()
            return self._process.wait(timeout=10.0)

    def _last_error_line(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read()[-4000:].decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def end(self) -> None:
        """Kill the process and remove what it leaves behind."""
        if self._process.poll() is None:
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # in the kernel's hands; reaped with the next child
            self._process.wait(timeout=10.0)
        self.connection.close()
        self._lifeline.close()
        self._errors.close()
        self._scratch.remove()
