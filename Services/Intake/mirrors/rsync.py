"""A mirror on another host, by rsync, where that is installed: over SSH (``host:/folder``) or its own protocol.

The host's key and the login are SSH's own affair: it never asks, since nobody is there to answer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from NexusCore.facility.file_copy import CopyState, FileCopy
from NexusCore.text import one_line, shortened
from Services.Intake.mirrors import CopyFailed, MirrorAway
from Services.Intake.settings import MirrorSettings

PROGRAM = "rsync"
SILENT_SECONDS = 60
"""Seconds without a byte after which rsync gives up."""
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
        self._run(copy, source, "--ignore-times", "--mkpath")
        fault = self.fault(copy, source)
        if fault is not None:
            raise CopyFailed(path=copy.path, mirror=self.name, reason=fault)

    def fault(self, copy: FileCopy, source: Path) -> str | None:
        """Compare a copy with the filed file; return what is wrong with it, None if it is right."""
        if not self._differs(copy, source):
            return None
        return "its content has changed" if self._differs(copy, source, "--existing") else "it is missing"

    def local(self, copy: FileCopy) -> Path | None:
        """Return None: it is on another machine."""
        return None

    def _differs(self, copy: FileCopy, source: Path, *options: str) -> bool:
        """Return whether rsync would send a file."""
        return bool(self._run(copy, source, "--dry-run", "--checksum", "--out-format=%n", *options).strip())

    def _run(self, copy: FileCopy, source: Path, *options: str) -> str:
        program = shutil.which(PROGRAM)
        if program is None:
            raise MirrorAway(mirror=self.name, reason=f"{PROGRAM} is not installed on this machine")
        timeouts = [f"--timeout={SILENT_SECONDS}"]
        command = [program, "--times", "--protect-args", *timeouts, *options, "--", str(source)]
        return self._watched([*command, f"{self._address}/{copy.path}"], copy)

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
                            process.kill()
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
