"""One process that reads files, as its parent sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import replace
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import IO

from msgspec import MsgspecError

from NexusCore.errors import NexusError
from Services.Builder.extraction import wire
from Services.Builder.extraction.jobs import Job, unknown
from Services.Builder.extraction.processes import Launch, Start, memory_of
from Services.Builder.extraction.processor_time import ProcessorTime
from Services.Builder.extraction.scratch import Scratch
from Services.Builder.model import Extraction

START_SECONDS = 60.0
"""Time limit for a process to begin to serve."""
HASHING_GRACE = 10.0
"""Seconds that a process has beyond those for hashing: it keeps that time itself, and then still answers."""


class WorkersUnavailable(NexusError):
    """The processes that read instrument files do not start: {reason}."""


class FileReader:
    """One process, with its connection and its scratch folder.

    Parameters
    ----------
    memory_mb
        Memory that reading one file may take, in MiB.
    start
        Starts the process.

    Raises
    ------
    WorkersUnavailable
        If it cannot be started.
    """

    def __init__(self, memory_mb: int, start: Start) -> None:
        self.job: Job | None = None
        self.best: Extraction | None = None
        self.serving = self.spent = False
        self.store: Path | None = None
        """What it may read of the file store; None as long as it has read nothing."""
        self.deadline = time.monotonic() + START_SECONDS
        self._memory_at_start = 0
        self._processor_time: ProcessorTime | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._scratch = Scratch()
        self.connection, theirs = Pipe()
        reading, writing = os.pipe()
        self._lifeline = os.fdopen(writing, "wb", 0)  # a file, since closing a number twice may close somebody else's
        try:
            self._process = start(
                Launch(theirs.fileno(), reading, self._errors.fileno(), self._scratch.folder, memory_mb)
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

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def memory(self) -> int:
        """Return the bytes of memory that it has taken since it began to serve."""
        return max(0, memory_of(self._process.pid) - self._memory_at_start) if self.serving else 0

    def assign(self, job: Job, seconds: float) -> None:
        """Hand out a file. A process that just ended takes it, too; `receive` will notice."""
        self.job, self.best = job, None
        if self.serving:
            self.deadline = time.monotonic() + seconds
            self._processor_time = ProcessorTime.of(job, self._process.pid, seconds)
            with contextlib.suppress(OSError):
                self.connection.send(self._scratch.job(job))

    def receive(self, seconds: float) -> Extraction | None:
        """Take a message; return the extraction when it is the file's last."""
        assert self.job is not None  # noqa: S101 - only those that work are listened to
        try:
            message = self.connection.recv_bytes(wire.LONGEST_REPLY)
            if message == wire.SERVING:  # now the file's time runs
                self.serving, self._memory_at_start = True, memory_of(self._process.pid)
                self.assign(self.job, seconds)
                return None
            answer = wire.decode_reply(message)
        except (OSError, EOFError):
            return self._crashed()
        except MsgspecError:
            return self.abandon("gave no valid answer")
        if self._processor_time is not None:
            self._processor_time = self._processor_time.again()
        if answer.extraction.hashing and not (self.best and self.best.hashing):  # once for each file
            seconds = self.job.hash_seconds + HASHING_GRACE
            self.deadline = max(self.deadline, time.monotonic() + seconds)
        hashing = not answer.last and (answer.extraction.hashing or bool(self.best and self.best.hashing))
        self.best, self.spent = replace(answer.extraction, hashing=hashing), answer.spent
        return self._done() if answer.last else None

    def exhausted(self) -> str:
        """Return how a sentence goes on that says that the file takes too much processor time; "" where it doesn't."""
        allowed = self._processor_time
        return "" if self.job is None or allowed is None or not allowed.used_up() else allowed.sentence

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
