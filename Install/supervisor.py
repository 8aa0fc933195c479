"""Runs a service for an init script: stores its output, and restarts it after a crash.

    python Install/supervisor.py --output /var/log/nexuscore/builder.out -- -m Services.Builder

Promises
--------
* The output of the service goes to a file that rotates by size; an unwritable file does not hold up the service.
* A service that fails or is killed is restarted after `FIRST_SECONDS`, then after twice as long each time, up to
  `MOST_SECONDS`; after a run of `LASTING_SECONDS` the wait is `FIRST_SECONDS` again. Exit code 0 ends it for good.
* If the very first run fails at once, because of wrong settings, the service is not restarted, and the init script
  reports it. If only the database does not answer, it is restarted.
* SIGTERM ends both for good; a service that ignores it is killed. If the supervisor itself is killed, the kernel sends
  SIGTERM to the service.
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
"""Size at which the output file is rotated, and the number of older files."""
LONGEST_LINE = 65_536
LONGEST_WAIT_SECONDS = 60.0
"""Longest wait for a signal or for output."""
_PR_SET_PDEATHSIG = 1


class BackOff:
    """The wait before a service is restarted.

    Parameters
    ----------
    first, most
        Seconds after the first failure, and the longest wait.
    """

    def __init__(self, first: float = FIRST_SECONDS, most: float = MOST_SECONDS) -> None:
        self._first = first
        self._most = most
        self._failures = 0

    def seconds(self, ran: float) -> float:
        """Return the seconds to wait after a failed run of `ran` seconds."""
        self._failures = 1 if ran >= LASTING_SECONDS else self._failures + 1
        return min(self._most, self._first * 2.0 ** min(self._failures - 1, 30))


class Supervisor:
    """Keeps a service running.

    Parameters
    ----------
    command
        The program and its arguments.
    write
        Called with each line of its output.
    back_off
        Gives the wait after a failure.
    stop_seconds
        Seconds that the service may take to end after a signal.
    clock
        Clock for the waits.
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
        """Time at which the service is killed, set by a signal that ends it; None before."""
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Run the service until it ends by itself or a signal ends it; return the exit code."""
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
                self._say(f"The service ended right after its start ({how}) and is not restarted.")
                return code
            first = False
            wait = self._back_off.seconds(ran)
            self._say(f"The service ended after {ran:.0f} s ({how}); it is restarted in {wait:g} s.")
            until = self._clock.monotonic() + wait
            while (left := until - self._clock.monotonic()) > 0:
                self._listen(left)
                if self._is_to_end():
                    return EXIT_OK

    def _is_to_end(self) -> bool:
        return self._killed_at is not None

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        """Pass on a signal; SIGHUP does not end the supervisor, because it may not end the service."""
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
        if self._is_to_end():  # the signal came before the service was started
            service.terminate()
        output = _Output(service.stdout.fileno(), self._write)
        self._selector.register(output, selectors.EVENT_READ)
        while (code := service.poll()) is None:
            left = LONGEST_WAIT_SECONDS if self._killed_at is None else self._killed_at - self._clock.monotonic()
            if left <= 0:
                service.kill()
            self._listen(max(left, 0.05))
        # Child processes of the service may keep the pipe open, so this does not wait for its end.
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
                if key.fileobj.ended:  # a closed pipe is always readable
                    self._selector.unregister(key.fileobj)
            else:
                os.read(key.fd, 4096)  # the signal handlers have run already

    def _say(self, sentence: str) -> None:
        self._write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} supervisor: {sentence}")


class _Output:
    """Reads lines from a pipe.

    Parameters
    ----------
    pipe
        File descriptor of the pipe.
    write
        Called with each line.
    """

    def __init__(self, pipe: int, write: Callable[[str], object]) -> None:
        os.set_blocking(pipe, False)
        self._pipe = pipe
        self._write = write
        self._text = b""
        self.ended = False
        """Whether the pipe is closed."""

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._pipe

    def read(self) -> None:
        """Write the complete lines; an incomplete line waits for its end, unless it is very long."""
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
        """Write the incomplete line."""
        if self._text:
            self._write(self._text.decode("utf-8", "replace"))
            self._text = b""


def _ended_with_parent() -> Callable[[], None] | None:
    """Return the function for a child to get SIGTERM when its parent has ended; None where the kernel cannot."""
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
        prog="supervisor.py", description="Run a service, store its output, and restart it after a crash."
    )
    parser.add_argument("--output", type=Path, required=True, help="file for its output")
    parser.add_argument("--stop-seconds", type=float, default=STOP_SECONDS, help="seconds that it may take to end")
    parser.add_argument(
        "--restart-seconds", type=float, default=FIRST_SECONDS, help="seconds to wait after its first failure"
    )
    parser.add_argument("arguments", nargs="+", help="arguments for Python, after --")
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
