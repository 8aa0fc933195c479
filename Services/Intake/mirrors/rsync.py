"""A mirror on another host, by rsync, where that is installed: over SSH (``host:/folder``) or its own protocol.

The host's key and the login are SSH's own affair: it never asks, since nobody is there to answer.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from NexusCore.facility.file_copy import CopyState, FileCopy
from NexusCore.text import one_line, shortened
from Services.Intake.mirrors import CopyFailed, MirrorAway
from Services.Intake.settings import MirrorSettings

PROGRAM = "rsync"
SILENT_SECONDS = 60
"""Seconds without a byte after which rsync gives up; while an end reads a file, it says nothing."""
SLOWEST_READ = 20_000_000
"""Bytes of a file that are read in a second, at least."""
LONGEST_SECONDS = 6 * 3600
"""Seconds that one file may take."""
_STOP_CHECK_SECONDS = 0.2
_NOT_THERE = (5, 10, 12, 30, 35, 255)
"""Exit codes of rsync (and 255 of SSH) that concern the other host, not the file."""


class RsyncMirror:
    """Copies on another host; a copy is compared there, by its checksum.

    Parameters
    ----------
    settings, stop
        As for `make_mirror`.
    """

    reads = False

    def __init__(self, settings: MirrorSettings, stop: Callable[[], bool]) -> None:
        self.name = settings.name
        self._address = settings.path.rstrip("/")
        self._stop = stop

    def check(self) -> None:
        """Raise `MirrorAway` if rsync is not installed."""
        if shutil.which(PROGRAM) is None:
            raise MirrorAway(mirror=self.name, reason=f"{PROGRAM} is not installed on this machine")

    def put(self, copy: FileCopy, source: Path) -> None:
        """Send a file, and have both ends compare it."""
        if copy.state is CopyState.WAITING and self._differs(copy, source, "--existing"):
            raise CopyFailed(path=copy.path, mirror=self.name, reason="there is another file of that name")
        self._run(copy, source, "--ignore-times")
        fault = self.fault(copy, source)
        if fault is not None:
            raise CopyFailed(path=copy.path, mirror=self.name, reason=fault)

    def fault(self, copy: FileCopy, source: Path) -> str | None:
        """Compare a copy with the filed file; return what is wrong with it, None if it is right."""
        if not self._differs(copy, source):
            return None
        return "its content has changed" if self._differs(copy, source, "--existing") else "it is missing"

    @contextmanager
    def lend(self, copy: FileCopy, folder: Path) -> Iterator[Path | None]:
        """Yield None: it is on another machine."""
        yield None

    def _differs(self, copy: FileCopy, source: Path, *options: str) -> bool:
        """Return whether rsync would send a file."""
        return bool(self._run(copy, source, "--dry-run", "--checksum", "--out-format=%n", *options).strip())

    def _run(self, copy: FileCopy, source: Path, *options: str) -> str:
        program = shutil.which(PROGRAM)
        if program is None:
            raise MirrorAway(mirror=self.name, reason=f"{PROGRAM} is not installed on this machine")
        place = PurePosixPath(copy.path)
        if source.name != place.name:
            # With the name in the address, rsync would put the file into a folder of that name.
            raise ValueError(f"{source} is to be sent as {place.name}")
        silent = f"--timeout={SILENT_SECONDS + copy.size // SLOWEST_READ}"
        # Also to compare: a folder that is missing is an error otherwise.
        command = [program, "--times", "--protect-args", "--mkpath", silent, *options, "--", str(source)]
        # A server takes what begins with a dash for an option, since it gets the path below its module only.
        return self._watched([*command, f"{self._address}/./{place.parent}/"], copy)

    def _watched(self, command: Sequence[str], copy: FileCopy) -> str:
        """Run a command; end it when the service is to end."""
        # SSH would ask for a password or a key on the terminal.
        environment = {**os.environ, "RSYNC_RSH": os.environ.get("RSYNC_RSH", "ssh -o BatchMode=yes"), "LC_ALL": "C"}
        done = threading.Event()
        with subprocess.Popen(  # noqa: S603  no shell; the address is the operator's
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,  # without a terminal to ask for a password on; SSH is ended with it
        ) as process:
            waited = 0.0
            while True:
                try:
                    out, complaints = process.communicate(timeout=_STOP_CHECK_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    waited += _STOP_CHECK_SECONDS
                    if self._stop() or waited > LONGEST_SECONDS:
                        with suppress(ProcessLookupError):
                            os.killpg(process.pid, signal.SIGKILL)
                        process.communicate()
                        done.set()
                        break
        if done.is_set():
            raise CopyFailed(path=copy.path, mirror=self.name, reason="it was given up")
        if process.returncode:
            lines = [one_line(line) for line in complaints.splitlines() if line.strip()]
            reason = shortened(lines[0] if lines else f"rsync ended with code {process.returncode}", 300)
            if process.returncode in _NOT_THERE:
                raise MirrorAway(mirror=self.name, reason=reason)
            raise CopyFailed(path=copy.path, mirror=self.name, reason=reason)
        return out
