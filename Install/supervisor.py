"""Runs a service where an init script starts it: keeps its output, and starts it again after a crash.

    python Install/supervisor.py --output /var/log/nexuscore/builder.out -- -m Services.Builder

Promises
--------
* What the service prints goes to a file that rotates by size; one that cannot be written does not hold up the service.
* A service that fails or is killed is started again: after `FIRST_SECONDS`, then after twice as long each time, up to
  `MOST_SECONDS`; one that ran for `LASTING_SECONDS` begins with the first again. One that ends with 0 wanted to end.
* One whose very first run fails at once is not started again, so that the init script can say so: its settings are at
  fault. A database that does not answer is another matter, and waited for.
* SIGTERM ends both for good, and the service with a signal that it cannot ignore if need be. Should the supervisor
  itself be killed, the kernel asks the service to end.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from NexusCore import signals
from NexusCore.clock import SYSTEM_CLOCK, Clock
from NexusCore.errors import EXIT_OK, EXIT_UNREACHABLE
from NexusCore.log.file import LogFile

FIRST_SECONDS, MOST_SECONDS = 5.0, 300.0
LASTING_SECONDS = 60.0
AT_ONCE_SECONDS = 3.0
"""A first run that fails within this time counts as failing at once."""
STOP_SECONDS = 10.0
OUTPUT_BYTES, OUTPUT_FILES = 5_000_000, 5
"""When the file with the output is renamed, and how many older ones are kept."""
LONGEST_LINE = 65_536
LONGEST_WAIT_SECONDS = 60.0
"""Longest wait for a signal or for output."""
_PR_SET_PDEATHSIG = 1


class BackOff:
    """How long to wait before a service is started again.

    Parameters
    ----------
    first, most
        Seconds after the first failure, and at most.
    """

    def __init__(self, first: float = FIRST_SECONDS, most: float = MOST_SECONDS) -> None:
        self._first = first
        self._most = most
        self._failures = 0

    def seconds(self, ran: float) -> float:
        """Return how long to wait after a run of `ran` seconds that failed."""
        self._failures = 1 if ran >= LASTING_SECONDS else self._failures + 1
        return min(self._most, self._first * 2.0 ** min(self._failures - 1, 30))


class Supervisor:
    """Keeps one service running.

    Parameters
    ----------
    command
        What to run, with its arguments.
    write
        Takes each line that it prints.
    back_off
        Says how long to wait after a failure.
    stop_seconds
        How long the service may take to end when it is asked to.
    clock
        Tells the time.
    """

    def __init__(
        self,
        command: Sequence[str],
        write: Callable[[str], object],
        back_off: BackOff,
        stop_seconds: float = STOP_SECONDS,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._command = command
        self._write = write
        self._back_off = back_off
        self._stop_seconds = stop_seconds
        self._clock = clock
        self._service: subprocess.Popen[bytes] | None = None
        self._killed_at: float | None = None
        """When a service that was asked to end is killed; None while it was not asked."""
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Run the service until it ends by itself, or until told to end; return the exit code."""
        read_end, write_end = os.pipe()
        for end in (read_end, write_end):
            os.set_blocking(end, False)
        self._selector.register(read_end, selectors.EVENT_READ)
        before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        try:
            with (
                signals.taken(signals.ENDING, self._signalled),
                signals.taken(("SIGCHLD",), lambda _number, _frame: None),
            ):
                return self._keep_running()
        finally:
            signal.set_wakeup_fd(before)

    def _keep_running(self) -> int:
        first = True
        while True:
            began = self._clock.monotonic()
            code = self._run_once()
            ran = self._clock.monotonic() - began
            if code == EXIT_OK or self._is_to_end():
                return EXIT_OK
            how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
            if first and code > 0 and code != EXIT_UNREACHABLE and ran < AT_ONCE_SECONDS:
                self._say(f"The service ended right after its start ({how}) and is not started again.")
                return code
            first = False
            wait = self._back_off.seconds(ran)
            self._say(f"The service ended after {ran:.0f} s ({how}); it is started again in {wait:g} s.")
            until = self._clock.monotonic() + wait
            while (left := until - self._clock.monotonic()) > 0:
                self._listen(left)
                if self._is_to_end():
                    return EXIT_OK

    def _is_to_end(self) -> bool:
        return self._killed_at is not None

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        """Pass on a signal; SIGHUP does not end the supervision, since it need not end the service."""
        if number != signal.SIGHUP and self._killed_at is None:
            self._killed_at = self._clock.monotonic() + self._stop_seconds
        if self._service is not None:
            self._service.send_signal(number)

    def _run_once(self) -> int:
        """Run the service to its end; return its exit code, negative if a signal ended it."""
        service = subprocess.Popen(  # noqa: S603  our own service
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=_ended_with_parent(),
        )  # fmt: skip
        assert service.stdout is not None  # noqa: S101  as asked for
        self._service = service
        if self._is_to_end():  # the signal came before there was anything to pass it on to
            service.terminate()
        output = _Output(service.stdout.fileno(), self._write)
        self._selector.register(output, selectors.EVENT_READ)
        while (code := service.poll()) is None:
            left = LONGEST_WAIT_SECONDS if self._killed_at is None else self._killed_at - self._clock.monotonic()
            if left <= 0:
                service.kill()
            self._listen(max(left, 0.05))
        # What it started may still hold the pipe, so its end is not waited for.
        if not output.ended:
            output.read()
            self._selector.unregister(output)
        output.flush()
        service.stdout.close()
        self._service = None
        return code

    def _listen(self, seconds: float) -> None:
        """Wait for a signal or for output."""
        for key, _ in self._selector.select(min(seconds, LONGEST_WAIT_SECONDS)):
            if isinstance(key.fileobj, _Output):
                key.fileobj.read()
                if key.fileobj.ended:  # it would always seem to have something to read
                    self._selector.unregister(key.fileobj)
            else:
                os.read(key.fd, 4096)  # the signals' handlers have run

    def _say(self, sentence: str) -> None:
        self._write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} supervisor: {sentence}")


class _Output:
    """Takes lines from a pipe.

    Parameters
    ----------
    pipe
        Its descriptor.
    write
        Takes each line.
    """

    def __init__(self, pipe: int, write: Callable[[str], object]) -> None:
        os.set_blocking(pipe, False)
        self._pipe = pipe
        self._write = write
        self._text = b""
        self.ended = False
        """Nothing more will come."""

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._pipe

    def read(self) -> None:
        """Write the lines that are there; what has no end yet waits for it, unless it is very long."""
        while True:
            try:
                chunk = os.read(self._pipe, LONGEST_LINE)
            except BlockingIOError:
                return
            if not chunk:
                self.ended = True
                return
            *lines, self._text = (self._text + chunk).split(b"\n")
            for line in lines:
                self._write(line.decode("utf-8", "replace"))
            if len(self._text) > LONGEST_LINE:
                self.flush()

    def flush(self) -> None:
        """Write what has no end."""
        if self._text:
            self._write(self._text.decode("utf-8", "replace"))
            self._text = b""


def _ended_with_parent() -> Callable[[], None] | None:
    """Return what a child does so that the kernel sends it SIGTERM when its parent is gone; None where none can."""
    if not sys.platform.startswith("linux"):
        return None
    library, parent = ctypes.CDLL(None), os.getpid()

    def bind() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(EXIT_OK)

    return bind


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="supervisor.py", description="Run a service, keep its output, and start it again after a crash."
    )
    parser.add_argument("--output", type=Path, required=True, help="file for what it prints")
    parser.add_argument("--stop-seconds", type=float, default=STOP_SECONDS, help="how long it may take to end")
    parser.add_argument("--restart-seconds", type=float, default=FIRST_SECONDS, help="wait after its first failure")
    parser.add_argument("arguments", nargs="+", help="what Python is to run, after --")
    arguments = parser.parse_args(argv)
    file = LogFile(arguments.output, OUTPUT_BYTES, OUTPUT_FILES)

    def write(line: str) -> None:
        file.handle(logging.makeLogRecord({"msg": line.replace("\0", "")}))

    back_off = BackOff(arguments.restart_seconds, max(MOST_SECONDS, arguments.restart_seconds))
    try:
        return Supervisor([sys.executable, *arguments.arguments], write, back_off, arguments.stop_seconds).run()
    finally:
        file.close()


if __name__ == "__main__":
    sys.exit(main())
