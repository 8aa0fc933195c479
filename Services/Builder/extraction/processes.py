"""Processes that read files: forked from one that has the libraries (`fork_server`), or started alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from Services.Builder.extraction.reader_sandbox import environment

_ALONE = (
    "from Services.Builder.extraction.reading_process import serve; serve({conn}, {lifeline}, {memory}, {function!r})"
)
_LONGEST_CHECK_SECONDS = 0.05
"""Interval of checks whether a process has ended; the first ones follow each other more closely."""


class ChildProcess(Protocol):
    """What the parent does with a process of either kind; `subprocess.Popen` is one."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the process runs."""
        ...

    def kill(self) -> None:
        """End it with SIGKILL; one that has ended is left alone."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code; raise `subprocess.TimeoutExpired` after so many seconds."""
        ...


class ForkedProcess:
    """A child of this process that another one has forked for it.

    Parameters
    ----------
    pid
        Its number, which stays its own until it has been waited for.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the process runs."""
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # reaped by somebody else: how it ended is lost
                self._code = 0
            else:
                self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code; raise `subprocess.TimeoutExpired` after so many seconds."""
        until, pause = None if timeout is None else time.monotonic() + timeout, 0.0005
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired(["a reading process"], timeout or 0.0)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_CHECK_SECONDS)
        return code


@dataclass(frozen=True, slots=True)
class Launch:
    """What a process that reads files is started with."""

    connection: int
    """Descriptor of its end of the connection."""
    lifeline: int
    """Descriptor of the end for reading of a pipe; the process ends when the other end is closed."""
    errors: int
    """Descriptor of a file for what it writes to standard error."""
    scratch: Path
    """Folder of its own, which becomes its current folder."""
    memory_mb: int
    """Memory that reading one file may take, in MiB."""


Start = Callable[[Launch], ChildProcess]
"""Starts a process; raises OSError if it cannot."""


def start_alone(function: str, launch: Launch) -> ChildProcess:
    """Start a new interpreter, which imports all it needs itself."""
    code = _ALONE.format(conn=launch.connection, lifeline=launch.lifeline, memory=launch.memory_mb, function=function)
    return subprocess.Popen(  # noqa: S603 - this interpreter, with code of this module
        [sys.executable, "-P", "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=launch.errors,
        pass_fds=(launch.connection, launch.lifeline),
        cwd=launch.scratch,
        env=environment(os.environ, launch.scratch),
        start_new_session=True,  # the terminal's Ctrl-C is the parent's business
    )


def memory_of(pid: int) -> int:
    """Return the bytes of memory that a process has written, in RAM or swapped out; 0 after its end."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    except OSError:
        return 0
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return sum(int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssShmem", "VmSwap") if name in fields)
